//! `trustcard.feedback`: what readers think of results, one event a vote that was counted.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Event;

/// A reader voted on a result. Who that was is not told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FeedbackGiven {
    /// The vote's own id.
    pub feedback_id: Uuid,
    /// What was voted on.
    pub analysis_id: Uuid,
    /// What the voter thinks.
    pub vote_type: Opinion,
    /// Why; text as it was written, without white space around it. Absent where the voter does not say.
    pub comment: Option<String>,
    /// When, to the millisecond.
    pub given_at: Timestamp,
}

/// What a voter thinks of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Opinion {
    /// It is right.
    Accurate,
    /// It leads astray.
    Misleading,
    /// It is wrong.
    False,
}

impl Opinion {
    /// Every opinion.
    pub const ALL: [Self; 3] = [Self::Accurate, Self::Misleading, Self::False];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accurate => "accurate",
            Self::Misleading => "misleading",
            Self::False => "false",
        }
    }

    /// The opinion of that name, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|opinion| opinion.name().eq_ignore_ascii_case(name))
    }
}

impl Event for FeedbackGiven {
    const TYPE: &'static str = "trustcard.feedback.given.v1";
    const SOURCE: &'static str = "/trustcard/ingest-api";
    const SCHEMA: &'static str = "feedback-given";

    fn id(&self) -> Uuid {
        self.feedback_id
    }

    fn key(&self) -> String {
        self.analysis_id.to_string()
    }

    fn time(&self) -> Timestamp {
        self.given_at
    }
}
