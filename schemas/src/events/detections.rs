//! `trustcard.detections`: what the models saw in the pictures of a post. It carries the post too, so that a score can be
//! computed again from this topic alone.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::scraped::{MediaKind, Post};
use crate::{Event, PostRef, Reason, Run};

/// Everything the score stage needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Detections {
    /// The analysis.
    pub analysis_id: Uuid,
    /// Its run.
    pub run: Run,
    /// The run whose end this run replaces; absent where a submission began the run.
    pub supersedes: Option<Run>,
    /// The post.
    pub post: PostRef,
    /// When the post was read from the upstream.
    pub scraped_at: Timestamp,
    /// Whether an earlier scrape was reused.
    pub reused: bool,
    /// When the models were done: the timestamp of the record they worked on.
    pub detected_at: Timestamp,
    /// What the post holds.
    pub content: Post,
    /// One entry per picture, in the order of `content.media`; videos are not among them.
    pub pictures: Vec<PictureDetections>,
    /// The inference runtime, such as `onnxruntime 1.32.0`; absent with models off.
    pub runtime: Option<String>,
}

/// What was seen in one picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PictureDetections {
    /// Place among the post's media, from 0.
    pub media_index: u32,
    /// A picture or a video's thumbnail.
    pub kind: MediaKind,
    /// SHA-256 of its bytes; absent when it could not be fetched.
    pub sha256: Option<String>,
    /// Is it generated?
    pub ai_generated: PictureFinding,
    /// Is a face in it synthesised or manipulated?
    pub face_manipulation: PictureFinding,
    /// The text in it.
    pub text: TextFinding,
}

/// What became of one component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(rename_all = "snake_case")]
// Beside the status of an analysis, this one needs a name of its own.
#[schema(as = ComponentStatus)]
pub enum Status {
    /// It ran and decided.
    Completed,
    /// It ran and could not decide.
    Inconclusive,
    /// It was not run; the reason says why.
    Skipped,
    /// It could not be run on this input; the reason says why.
    Failed,
}

/// What a detector decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Above the upper threshold: generated, synthesised or manipulated.
    Positive,
    /// Below the lower threshold.
    Negative,
}

/// A detector's answer on one picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PictureFinding {
    /// What became of it.
    pub status: Status,
    /// Present when completed.
    pub verdict: Option<Verdict>,
    /// Calibrated probability, 0 to 1, of a positive; present when completed or inconclusive.
    pub probability: Option<f64>,
    /// The model, `name@version`.
    pub model: Option<String>,
    /// Time it took, in milliseconds; of the first run when the answer was reused.
    pub millis: Option<u64>,
    /// Why it was skipped or failed.
    pub reason: Option<Reason>,
    /// Whether an answer on the same bytes was reused.
    #[serde(default)]
    pub reused: bool,
}

impl PictureFinding {
    /// A finding of a component that did not run.
    #[must_use]
    pub const fn skipped(reason: Reason) -> Self {
        Self::without_answer(Status::Skipped, reason)
    }

    /// A finding of a component that broke on this picture.
    #[must_use]
    pub const fn failed(reason: Reason) -> Self {
        Self::without_answer(Status::Failed, reason)
    }

    const fn without_answer(status: Status, reason: Reason) -> Self {
        Self {
            status,
            verdict: None,
            probability: None,
            model: None,
            millis: None,
            reason: Some(reason),
            reused: false,
        }
    }
}

/// The text read in one picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TextFinding {
    /// What became of it.
    pub status: Status,
    /// The text, lines in reading order; present when completed, empty when there is none.
    pub text: Option<String>,
    /// Mean confidence over the lines, 0 to 1.
    pub confidence: Option<f64>,
    /// The model, `name@version`.
    pub model: Option<String>,
    /// Why it was skipped or failed.
    pub reason: Option<Reason>,
}

impl TextFinding {
    /// A finding of a reader that did not run.
    #[must_use]
    pub const fn skipped(reason: Reason) -> Self {
        Self {
            status: Status::Skipped,
            text: None,
            confidence: None,
            model: None,
            reason: Some(reason),
        }
    }
}

impl Event for Detections {
    const TYPE: &'static str = "trustcard.post.detected.v1";
    const SOURCE: &'static str = "/trustcard/detect";
    const SCHEMA: &'static str = "post-detected";

    fn id(&self) -> Uuid {
        self.run.event_id(Self::TYPE, self.analysis_id)
    }

    fn key(&self) -> String {
        self.post.post_id.clone()
    }

    fn time(&self) -> Timestamp {
        self.detected_at
    }
}
