//! How far consumer groups are behind, in records and in seconds, from broker state alone: right while consumers are dead,
//! rebalancing or stuck behind an open transaction. Nothing here joins a group or commits.
//!
//! **Records.** What a partition holds between a group's committed offset and the high watermark. Offsets are no records:
//! transactions leave a marker each, and aborted records stay in the log. So the log is read from the committed offset, as a
//! read-committed consumer does, until the first record is found (the head); nothing is read twice for one committed offset.
//! What lies before the head is not counted, and a tail without any record counts as nothing. From the head on records
//! are counted one by one while the partition is at most [`COUNT_UP_TO`] offsets behind, which is exact; beyond that an offset
//! counts as a record, markers included ([`PartitionLag::exact`] says which).
//!
//! **Behind an open transaction.** Records from the last stable offset to the high watermark exist, but no read-committed
//! reader may see them until their transaction ends. They are lag (nobody has processed them), counted as offsets; a
//! group that has read all that can be read is then in the state [`State::OpenTransaction`]. Markers alone never look like
//! this: they end a transaction, so the last stable offset lies behind them.
//!
//! **Seconds.** Age of the head: since its timestamp, or since the due time of a retry when that is later. Behind an open
//! transaction it is the age of the transaction's first record, read uncommitted. A head whose timestamp lies in the future
//! (another machine's clock) is as old as it has been seen here. Never negative; a step of this machine's clock is
//! not followed until it has held for ten minutes ([`steady`]).
//!
//! **Cost** of a round: one metadata request; one `OffsetFetch` for each group; three `ListOffsets` for each broker; and for each
//! partition whose head is not known (its commit moved past it) one fetch, of at most 32 KiB or one batch of records, several
//! of those where records are counted. `ListGroups` once a minute where groups are given by pattern. One client for each group,
//! two beside.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

mod broker;
mod metrics;
mod monitor;
mod read;
mod scan;
mod steady;

pub use broker::LagError;
pub use metrics::LagMetrics;
pub use monitor::Monitor;
pub use scan::COUNT_UP_TO;

/// Which groups to watch, and how often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LagConfig {
    /// Groups beside TrustCard's own: names, or beginnings of names followed by `*`.
    pub groups: Vec<String>,
    /// Time between two rounds, in seconds.
    pub interval_s: u64,
}

impl Default for LagConfig {
    fn default() -> Self {
        Self {
            groups: Vec::new(),
            interval_s: 5,
        }
    }
}

impl LagConfig {
    /// Everything that is wrong with it, each a sentence that begins with its key.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let wrong = self.groups.iter().filter(|name| !Pattern::is_valid(name));
        let wrong = wrong.map(|name| {
            format!("groups holds `{name}`, which is neither a name nor the beginning of one followed by `*`")
        });
        let never = (self.interval_s == 0).then(|| "interval_s must be at least 1".to_owned());
        wrong.chain(never).collect()
    }
}

/// A name, or the beginning of names followed by `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// A pattern; a `*` anywhere but at the end is a letter like others.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    fn is_valid(text: &str) -> bool {
        !text.is_empty() && !text.strip_suffix('*').unwrap_or(text).contains('*')
    }

    /// Whether it is meant for more than one name.
    fn is_open(&self) -> bool {
        self.0.ends_with('*')
    }

    fn matches(&self, name: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => self.0 == name,
        }
    }
}

/// A group whose topics are known before it has committed anything.
#[derive(Debug, Clone)]
pub struct Watched {
    /// The group.
    pub group: String,
    /// The topics it reads, as far as they exist; those it has commits for are added.
    pub topics: Vec<String>,
}

/// One round's findings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lag {
    /// When.
    pub at: Timestamp,
    /// By name.
    pub groups: Vec<GroupLag>,
    /// Why groups that a pattern means may be missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Lag {
    /// Whether every partition of every group is known.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.problem.is_none() && self.groups.iter().all(GroupLag::complete)
    }
}

/// A group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupLag {
    /// Its name.
    pub group: String,
    /// Why its committed offsets are not known; it has no partitions then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// By topic and number.
    pub partitions: Vec<PartitionLag>,
}

impl GroupLag {
    /// Whether every partition is known.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.problem.is_none() && self.partitions.iter().all(|p| p.lag_seconds.is_some())
    }
}

/// One partition, as one group sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PartitionLag {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// What the group has committed; `None` before its first commit.
    pub committed: Option<i64>,
    /// Offset of the oldest record the broker has.
    pub log_start: Option<i64>,
    /// Where a read-committed reader must stop.
    pub last_stable: Option<i64>,
    /// The high watermark.
    pub end: Option<i64>,
    /// Records not processed; `None` when the broker does not say.
    pub lag: Option<i64>,
    /// Whether `lag` was counted; else markers of transactions may be in it.
    pub exact: bool,
    /// Age of the oldest of them, 0 when there is none; `None` when it is not known.
    pub lag_seconds: Option<f64>,
    /// What is to be said about it.
    pub state: State,
}

/// What is to be said about a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing.
    Ok,
    /// The group has read all that can be read; the rest waits for a transaction to end.
    OpenTransaction,
    /// The group has committed nothing here; lag is counted from the log's start.
    NoCommit,
    /// Records were lost to the group: its offset lies before the log's start, from where lag is counted.
    BehindLogStart,
    /// The group's offset lies beyond the log's end, so the topic was made anew or cut. Nothing is counted.
    BeyondEnd,
    /// The oldest record was not found in time, so its age is missing; tried again next time.
    HeadUnknown,
    /// The broker does not say where the partition ends: it has no leader, or the leader does not answer.
    Unavailable,
}

impl State {
    /// Its name in metrics and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::OpenTransaction => "open_transaction",
            Self::NoCommit => "no_commit",
            Self::BehindLogStart => "behind_log_start",
            Self::BeyondEnd => "beyond_end",
            Self::HeadUnknown => "head_unknown",
            Self::Unavailable => "unavailable",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_name_or_a_beginning() {
        assert!(Pattern::new("orders").matches("orders"));
        assert!(!Pattern::new("orders").matches("orders-2"));
        assert!(Pattern::new("orders*").matches("orders-2"));
        assert!(!Pattern::new("orders*").matches("order"));
        assert!(Pattern::new("*").matches("anything"));
    }

    #[test]
    fn a_wrong_setting_is_named() {
        let config = |groups: &[&str], interval_s| LagConfig {
            groups: groups.iter().map(ToString::to_string).collect(),
            interval_s,
        };
        assert!(config(&["a", "b-*", "*"], 1).problems().is_empty());
        for (config, word) in [
            (config(&[], 0), "interval_s"),
            (config(&[""], 1), "``"),
            (config(&["a*b"], 1), "`a*b`"),
            (config(&["**"], 1), "`**`"),
        ] {
            let problems = config.problems();
            assert!(problems[0].contains(word), "{problems:?}");
        }
    }
}
