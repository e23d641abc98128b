//! How long to wait before the next attempt, in process and on a retry topic. The only module that names the crate
//! `backoff`.

use std::time::Duration;

use backoff::{ExponentialBackoff, ExponentialBackoffBuilder, backoff::Backoff};
use schemas::topics;
use serde::{Deserialize, Serialize};

/// What is wrong with the delays of the retry topics, if anything.
pub(crate) fn tiers_problem(delays_ms: &[u64]) -> Option<&'static str> {
    if delays_ms.len() > topics::RETRY_TIERS {
        Some("retry_topics_ms must not have more than 3 delays")
    } else if delays_ms.first() == Some(&0) || !delays_ms.is_sorted_by(|a, b| a < b) {
        Some("retry_topics_ms must be positive, each longer than the one before")
    } else {
        None
    }
}

/// The tier a message goes to from tier `from` (0 is the stage's input), and the wait there. The first tier beyond `from`
/// that waits at least as long as somebody asked for; where none does, the last. `None` after the last.
///
/// The wait is the tier's own in any case: records of a retry topic are due in the order in which they lie there, so that
/// none waits for one that was asked to wait longer.
pub(crate) fn next_tier(
    delays_ms: &[u64],
    from: usize,
    after: Option<Duration>,
) -> Option<(usize, Duration)> {
    let asked = after.unwrap_or_default();
    let mut beyond = (1..)
        .zip(delays_ms)
        .map(|(tier, delay)| (tier, Duration::from_millis(*delay)))
        .skip(from);
    let last = beyond.clone().last();
    beyond.find(|(_, delay)| *delay >= asked).or(last)
}

/// How often and how patiently a message is tried in process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryConfig {
    /// Attempts before a message goes to a retry topic, or to the dead-letter topic after the last of them; the first
    /// included. A message read from a retry topic has as many again.
    pub attempts: u32,
    /// Wait before the second attempt, milliseconds.
    pub initial_ms: u64,
    /// By what the wait grows from attempt to attempt.
    pub factor: f64,
    /// The longest wait, milliseconds.
    pub max_ms: u64,
    /// Share by which a wait is drawn shorter or longer, 0 to 1.
    pub jitter: f64,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            attempts: 5,
            initial_ms: 200,
            factor: 2.0,
            max_ms: 10_000,
            jitter: 0.2,
        }
    }
}

impl RetryConfig {
    /// Everything that is wrong with it.
    pub(crate) fn problems(&self) -> Vec<&'static str> {
        let checks = [
            (self.attempts > 0, "retry.attempts must be at least 1"),
            (
                self.factor.is_finite() && self.factor >= 1.0,
                "retry.factor must be a number of at least 1",
            ),
            (
                (0.0..=1.0).contains(&self.jitter),
                "retry.jitter must lie between 0 and 1",
            ),
        ];
        let broken = checks.into_iter().filter(|(holds, _)| !holds);
        broken.map(|(_, problem)| problem).collect()
    }

    /// The wait after the `failures`-th failure in a row (1 is the first). Never shorter than `after`, which is what somebody
    /// asked for (a Retry-After), even where that is longer than the longest wait.
    #[must_use]
    pub fn delay(&self, failures: u32, after: Option<Duration>) -> Duration {
        let mut schedule = self.schedule();
        let mut delay = Duration::ZERO;
        // Past the 64th doubling every schedule has reached its longest wait.
        for _ in 0..failures.clamp(1, 64) {
            delay = schedule.next_backoff().unwrap_or(delay);
        }
        delay.max(after.unwrap_or_default())
    }

    fn schedule(&self) -> ExponentialBackoff {
        ExponentialBackoffBuilder::new()
            .with_initial_interval(Duration::from_millis(self.initial_ms.min(self.max_ms)))
            .with_multiplier(self.factor)
            .with_max_interval(Duration::from_millis(self.max_ms))
            .with_randomization_factor(self.jitter)
            .with_max_elapsed_time(None)
            .build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steady() -> RetryConfig {
        RetryConfig {
            jitter: 0.0,
            ..RetryConfig::default()
        }
    }

    #[test]
    fn waits_grow_by_the_factor_up_to_the_longest_one() {
        let waits: Vec<_> = (1..=8)
            .map(|n| steady().delay(n, None).as_millis())
            .collect();
        assert_eq!(waits, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(steady().delay(u32::MAX, None).as_millis(), 10_000);
    }

    #[test]
    fn a_requested_wait_is_the_shortest_one_even_beyond_the_longest() {
        let asked = Some(Duration::from_secs(60));
        assert_eq!(steady().delay(1, asked), Duration::from_secs(60));
        let asked = Some(Duration::from_millis(1));
        assert_eq!(steady().delay(1, asked), Duration::from_millis(200));
    }

    #[test]
    fn jitter_stays_within_its_share() {
        let config = RetryConfig {
            jitter: 0.5,
            ..RetryConfig::default()
        };
        for _ in 0..200 {
            let wait = config.delay(1, None).as_millis();
            assert!((100..=301).contains(&wait), "{wait}");
        }
    }

    #[test]
    fn a_message_moves_to_the_next_tier_or_to_one_that_waits_as_long_as_was_asked() {
        let delays = [30_000, 300_000, 3_600_000];
        let next = |from, asked: Option<u64>| {
            let next = next_tier(&delays, from, asked.map(Duration::from_secs));
            next.map(|(tier, wait)| (tier, wait.as_secs()))
        };
        assert_eq!(next(0, None), Some((1, 30)));
        assert_eq!(next(1, None), Some((2, 300)));
        assert_eq!(next(2, Some(1)), Some((3, 3600)));
        assert_eq!(next(3, None), None);
        assert_eq!(next(9, None), None);
        assert_eq!(next(0, Some(30)), Some((1, 30)));
        assert_eq!(next(0, Some(31)), Some((2, 300)));
        assert_eq!(next(0, Some(301)), Some((3, 3600)));
        assert_eq!(next(0, Some(7200)), Some((3, 3600)), "the longest there is");
        assert_eq!(next_tier(&[], 0, None), None);
    }

    #[test]
    fn delays_of_the_tiers_grow() {
        for good in [&[][..], &[1], &[1, 2, 3]] {
            assert_eq!(tiers_problem(good), None, "{good:?}");
        }
        for bad in [&[0][..], &[2, 2], &[3, 2, 1], &[1, 2, 3, 4]] {
            assert!(tiers_problem(bad).is_some(), "{bad:?}");
        }
    }

    #[test]
    fn nonsense_is_named() {
        let broken = [
            RetryConfig {
                attempts: 0,
                ..steady()
            },
            RetryConfig {
                factor: 0.5,
                ..steady()
            },
            RetryConfig {
                factor: f64::NAN,
                ..steady()
            },
            RetryConfig {
                jitter: 1.5,
                ..steady()
            },
        ];
        assert!(broken.iter().all(|config| config.problems().len() == 1));
        assert!(steady().problems().is_empty());
    }
}
