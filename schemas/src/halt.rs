//! A stage that has stopped itself because too much of its input failed, and waits for an operator.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Why and since when a stage stands still.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halt {
    /// Why, for people: which limit was passed, with figures.
    pub reason: String,
    /// Since when.
    pub at: Timestamp,
}
