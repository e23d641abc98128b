//! Who is who: analysis ids, runs and event ids. All are derived, never drawn, so that racing submissions, redeliveries and
//! replays agree without a lock.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};
use uuid::{Builder, Uuid};

/// Namespace of every UUIDv5 made here. Changing it would give every post a new identity.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f1d_2c0e_8f5b_4c53_9d2e_7a41_c6b0_5e17);

/// The default freshness window: 7 days, in milliseconds.
pub const FRESHNESS_WINDOW_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// The id of the analysis that a submission of `post_id` at `now` belongs to.
///
/// Windows have a fixed length and begin at an offset hashed from the post, so that not all posts turn over together.
#[must_use]
pub fn analysis_id(post_id: &str, now: Timestamp, window_ms: i64) -> Uuid {
    derive(&[
        "analysis",
        post_id,
        &window(post_id, now, window_ms).to_string(),
    ])
}

/// The id of an analysis that was asked for with `force`: new for every `salt`.
#[must_use]
pub fn forced_analysis_id(post_id: &str, salt: &str) -> Uuid {
    derive(&["forced-analysis", post_id, salt])
}

/// An id derived from `parts`, a UUID version 5 (RFC 9562); equal parts give an equal id. Parts are separated, so `["a", "bc"]`
/// differs from `["ab", "c"]`.
#[must_use]
pub fn derive(parts: &[&str]) -> Uuid {
    // Three ids are derived for every URL. With the processor's instructions for SHA-1, which `Uuid::new_v5` does not use, it takes half
    // the time.
    let mut hash = Sha1::new_with_prefix(NAMESPACE);
    for (place, part) in parts.iter().enumerate() {
        if place > 0 {
            hash.update("\u{1f}");
        }
        hash.update(part);
    }
    let [id @ .., _, _, _, _]: [u8; 20] = hash.finalize().into();
    Builder::from_sha1_bytes(id).into_uuid()
}

fn window(post_id: &str, now: Timestamp, window_ms: i64) -> i64 {
    let window_ms = window_ms.max(1);
    let offset = (derive(&["window", post_id]).as_u64_pair().0 >> 1) as i64 % window_ms;
    (now.as_millisecond() - offset).div_euclid(window_ms)
}

/// One run of an analysis. Exactly one terminal result exists per (analysis, run).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// When the run began, in milliseconds since the Unix epoch; orders the runs of an analysis and of a post.
    pub started_ms: i64,
    /// What began it.
    pub cause: RunCause,
}

/// What began a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunCause {
    /// A partner's submission: the first of the analysis, or one after a failure.
    Submission,
    /// A dead letter that was sent back to its topic.
    DeadLetterReplay,
    /// A rescoring of stored detections.
    Rescore,
}

impl Run {
    /// The run that a submission at `now` begins.
    #[must_use]
    pub fn submitted(now: Timestamp) -> Self {
        Self {
            started_ms: now.as_millisecond(),
            cause: RunCause::Submission,
        }
    }

    /// The id of an event of this run: the same on redelivery, retry and republish.
    #[must_use]
    pub fn event_id(&self, event_type: &str, analysis_id: Uuid) -> Uuid {
        derive(&[
            event_type,
            &analysis_id.to_string(),
            &self.started_ms.to_string(),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    #[test]
    fn submissions_of_a_post_within_one_window_share_an_id_and_the_next_window_has_another() {
        let mut ids: Vec<Uuid> = (0..15)
            .map(|day| {
                analysis_id(
                    "CHAIm2sHSQZ",
                    at(1_760_000_000_000 + day * 86_400_000),
                    FRESHNESS_WINDOW_MS,
                )
            })
            .collect();
        ids.dedup();
        assert_eq!(
            ids.len(),
            3,
            "15 days touch exactly three windows of seven days"
        );
    }

    #[test]
    fn a_derived_id_is_the_uuid_version_5_of_its_parts() {
        for parts in [&["a"][..], &["analysis", "CHAIm2sHSQZ", "2911"], &["", ""]] {
            let name = parts.join("\u{1f}");
            assert_eq!(derive(parts), Uuid::new_v5(&NAMESPACE, name.as_bytes()));
        }
    }

    #[test]
    fn posts_turn_over_at_different_times() {
        let turn = |post: &str| {
            (0..FRESHNESS_WINDOW_MS / 3_600_000).find(|h| {
                window(post, at(h * 3_600_000), FRESHNESS_WINDOW_MS)
                    != window(post, at(0), FRESHNESS_WINDOW_MS)
            })
        };
        let mut hours: Vec<_> = ["a", "b", "c", "d", "e", "f"].map(turn).to_vec();
        hours.sort();
        hours.dedup();
        assert!(hours.len() >= 5, "{hours:?}");
    }

    #[test]
    fn ids_depend_on_case_and_on_the_salt() {
        let now = at(1_760_000_000_000);
        assert_ne!(
            analysis_id("abc", now, FRESHNESS_WINDOW_MS),
            analysis_id("ABC", now, FRESHNESS_WINDOW_MS)
        );
        assert_ne!(
            forced_analysis_id("abc", "1"),
            forced_analysis_id("abc", "2")
        );
        assert_eq!(derive(&["x"]), derive(&["x"]));
        assert_ne!(derive(&["a", "bc"]), derive(&["ab", "c"]));
    }
}
