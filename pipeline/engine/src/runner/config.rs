//! How a stage is run.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    delivery::Guarantee,
    halt::LimitsConfig,
    retry::{self, RetryConfig},
};

/// How a stage is run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunnerConfig {
    /// How often a reader meets an output.
    pub delivery: Guarantee,
    /// Most messages a batch holds.
    pub batch_size: usize,
    /// Batches that may be worked on at once.
    pub concurrency: usize,
    /// Shortest time between two commits, milliseconds. A message that comes after a pause is committed at once.
    pub commit_interval_ms: u64,
    /// Settled messages that make a commit due before the interval is over, and the most that one commit takes.
    pub commit_max_records: usize,
    /// Records read and not committed beyond which no more are taken.
    pub max_in_flight_records: usize,
    /// Bytes of those records and their outputs beyond which no more are taken.
    pub max_in_flight_bytes: usize,
    /// The longest a transaction may take, milliseconds: the broker aborts it then and fences its producer. What a crash left
    /// open blocks readers for that long.
    pub transaction_timeout_ms: u64,
    /// In-process retries.
    pub retry: RetryConfig,
    /// Delays of the retry topics, milliseconds, each longer than the one before: the first is that of tier 1, and there are
    /// at most [`schemas::topics::RETRY_TIERS`]. Empty: a message that used up its in-process attempts becomes a dead letter at once.
    pub retry_topics_ms: Vec<u64>,
    /// How many dead letters stop the stage.
    pub limits: LimitsConfig,
    /// How long shutdown waits for batches under way, and a revoked partition for its last commit, milliseconds.
    pub drain_ms: u64,
    /// Largest output, bytes of key, value and headers; a larger one rejects its message. Dead-letter
    /// topics must take 64 KiB more than any input.
    pub output_limit_bytes: usize,
}

impl Default for RunnerConfig {
    fn default() -> Self {
        Self {
            delivery: Guarantee::default(),
            batch_size: 64,
            concurrency: 2,
            commit_interval_ms: 100,
            commit_max_records: 4_000,
            max_in_flight_records: 8_000,
            max_in_flight_bytes: 16 * 1024 * 1024,
            transaction_timeout_ms: 10_000,
            retry: RetryConfig::default(),
            retry_topics_ms: vec![30_000, 300_000, 3_600_000],
            limits: LimitsConfig::default(),
            drain_ms: 5_000,
            output_limit_bytes: 1_000_000,
        }
    }
}

impl RunnerConfig {
    /// Everything that is wrong with it, each a sentence that begins with its key.
    #[must_use]
    pub fn problems(&self) -> Vec<&'static str> {
        let positive = [
            (self.batch_size, "batch_size must be at least 1"),
            (self.concurrency, "concurrency must be at least 1"),
            (
                self.commit_max_records,
                "commit_max_records must be at least 1",
            ),
            (
                self.max_in_flight_records,
                "max_in_flight_records must be at least 1",
            ),
            (
                self.max_in_flight_bytes,
                "max_in_flight_bytes must be at least 1",
            ),
            (
                self.output_limit_bytes,
                "output_limit_bytes must be at least 1",
            ),
        ];
        let zero = positive.into_iter().filter(|(value, _)| *value == 0);
        let mut problems: Vec<_> = zero.map(|(_, problem)| problem).collect();
        if self.transaction_timeout_ms < 1_000 {
            problems.push("transaction_timeout_ms must be at least 1000");
        }
        problems.extend(self.retry.problems());
        problems.extend(retry::tiers_problem(&self.retry_topics_ms));
        problems.extend(self.limits.problems());
        problems
    }

    pub(super) fn drain(&self) -> Duration {
        Duration::from_millis(self.drain_ms)
    }
}
