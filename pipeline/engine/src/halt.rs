//! A stage that stops itself: when too much of its input ends as dead letters, something is wrong with the stage and not with
//! the records, and going on would only bury them all. It stands still, through restarts, until an operator releases it.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use schemas::Halt;

/// Remembers which stages stand still, for every instance of a stage and over restarts.
#[async_trait]
pub trait HaltStore: Send + Sync {
    /// The stage stands still from now on. Called again where it does already.
    ///
    /// # Errors
    /// When it could not be remembered; the runner stands still all the same and tries again.
    async fn halt(&self, stage: &str, halt: &Halt) -> Result<(), String>;

    /// Whether the stage stands still.
    ///
    /// # Errors
    /// When nobody can say; a runner that is starting does not begin before it knows.
    async fn halted(&self, stage: &str) -> Result<Option<Halt>, String>;
}

/// How many dead letters are too many. Counted by each instance for itself, in the order in which messages end, since its
/// start or the last release. Messages that go to a retry topic have not ended and do not count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Dead letters in a row that halt the stage; 0 is no limit.
    pub run_length: u32,
    /// Messages the ratio is taken over: the last so many that ended. With fewer the ratio is not looked at.
    pub window: u32,
    /// Share of dead letters among them that halts the stage, above 0 up to 1; 1 asks for all of them.
    pub ratio: f64,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            run_length: 100,
            window: 500,
            ratio: 0.5,
        }
    }
}

impl LimitsConfig {
    /// What is wrong with it, if anything.
    #[must_use]
    pub fn problem(&self) -> Option<&'static str> {
        if !(1..=100_000).contains(&self.window) {
            Some("limits.window must lie between 1 and 100000")
        } else if !(self.ratio > 0.0 && self.ratio <= 1.0) {
            Some("limits.ratio must be above 0 and at most 1")
        } else {
            None
        }
    }
}
