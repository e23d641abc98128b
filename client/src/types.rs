//! What the API answers. The fields that programs decide by are typed; the rest of an analysis is kept as it came.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// What became of the URLs of a batch. An index that is neither in `rejected` nor in `items` repeats the post of an earlier one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BatchAnswer {
    /// Ask for its progress under this id.
    pub batch_id: Uuid,
    /// How many were accepted.
    pub accepted: u32,
    /// URLs that repeat the post of an earlier one of the same request.
    pub duplicates: u32,
    /// URLs that were not accepted.
    #[serde(default)]
    pub rejected: Vec<Rejected>,
    /// The accepted ones.
    #[serde(default)]
    pub items: Vec<Accepted>,
    /// Before what is `retryable` among `rejected` should be sent again, at most a minute; `None` where the API does not say.
    #[serde(skip)]
    pub retry_after: Option<Duration>,
}

/// An accepted URL.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Accepted {
    /// Its place in the request, from 0.
    pub index: usize,
    /// Ask for its result under this id.
    pub analysis_id: Uuid,
    /// The shortcode.
    pub post_id: String,
}

/// A URL that was not accepted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rejected {
    /// Its place in the request, from 0.
    pub index: usize,
    /// What was sent, cut where it is long.
    pub url: String,
    /// Why.
    pub error: Fault,
    /// Whether the same URL may be accepted later.
    #[serde(default)]
    pub retryable: bool,
}

/// Why a URL was not accepted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fault {
    /// A stable code.
    pub code: String,
    /// A sentence for people.
    pub message: String,
}

/// How far a batch is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// Its id.
    pub batch_id: Uuid,
    /// Accepted items by where they stand.
    pub counts: Counts,
    /// Accepted items.
    pub total: u64,
    /// Share of items that ended, 0 to 100, rounded down: 100 means all.
    pub percent: f64,
    /// URLs that repeated the post of an earlier one in the request.
    #[serde(default)]
    pub duplicates: u64,
    /// URLs that were not accepted.
    #[serde(default)]
    pub rejected: u64,
    /// Items that found an earlier analysis instead of beginning one.
    #[serde(default)]
    pub reused: u64,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When its last item ended.
    pub completed_at: Option<Timestamp>,
}

impl Batch {
    /// Items that ended, with a score or without.
    #[must_use]
    pub const fn ended(&self) -> u64 {
        self.counts.completed + self.counts.failed
    }

    /// Whether all have.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.ended() >= self.total
    }
}

/// Items of a batch by where they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Accepted, not begun.
    pub pending: u64,
    /// Begun.
    pub processing: u64,
    /// Ended with a score.
    pub completed: u64,
    /// Ended without one.
    pub failed: u64,
}

/// Where an analysis stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// Accepted, not begun.
    Pending,
    /// Begun.
    Processing,
    /// Ended with a score.
    Completed,
    /// Ended without one.
    Failed,
    /// One that this version does not know.
    #[serde(other)]
    Unknown,
}

impl Status {
    /// The name the API has for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

/// An analysis: from [`crate::Client::analysis`] with every reason for its score, from a listing in short.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Analysis {
    /// Its id.
    pub analysis_id: Uuid,
    /// The shortcode.
    pub post_id: String,
    /// Where it stands.
    pub status: Status,
    /// 0 to 100.
    pub progress: u8,
    /// 0 to 100; higher is better. `None` until it is completed.
    pub trust_score: Option<f64>,
    /// A+ to F.
    pub grade: Option<String>,
    /// Why it failed.
    pub error: Option<Failure>,
    /// When it was submitted first.
    pub created_at: Timestamp,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// Everything else the API says of it, such as `trust_score_breakdown`.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Why an analysis failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// A stable code.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// The stage that gave up.
    pub stage: String,
}

/// A page of analyses.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Page {
    /// Newest first.
    pub analyses: Vec<Analysis>,
    /// Where the next page begins; `None` at the end.
    pub next_cursor: Option<String>,
}
