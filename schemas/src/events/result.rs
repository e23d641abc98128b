//! `trustcard.results` and `trustcard.results.latest`: how far to trust the post, and every reason for it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::detections::Status;
use super::scraped::PostKind;
use crate::{
    DecodeError, Deletion, Event, Input, PostRef, Reason, Run, decode,
    envelope::{Headers, text},
    topics,
};

/// The terminal result of one run of an analysis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AnalysisResult {
    /// The analysis.
    pub analysis_id: Uuid,
    /// Its run.
    pub run: Run,
    /// The run whose end this run replaces; absent where a submission began the run.
    pub supersedes: Option<Run>,
    /// The post.
    pub post: PostRef,
    /// Completed or failed.
    pub status: Outcome,
    /// Why it failed.
    pub error: Option<Failure>,
    /// 0 to 100, two decimals; higher is better; absent when failed.
    pub trust_score: Option<f64>,
    /// A+ to F; absent when failed.
    pub grade: Option<String>,
    /// What the grade means; absent when failed.
    pub grade_info: Option<GradeInfo>,
    /// How the score came about; absent when failed.
    pub trust_score_breakdown: Option<Breakdown>,
    /// The post's own facts; absent when it could not be read.
    pub post_info: Option<PostInfo>,
    /// What each component found, by component.
    pub analysis_results: Option<ComponentResults>,
    /// What was checked and what was not, one entry a component.
    pub coverage: Vec<Coverage>,
    /// Version of the weights and rules; absent when nothing was scored.
    pub scoring_version: Option<String>,
    /// Models that had a say, `name@version`.
    pub models: Vec<String>,
    /// When the run began.
    pub created_at: Timestamp,
    /// Timestamp of the record the result was derived from.
    pub completed_at: Timestamp,
}

/// What `trustcard.results` carries.
#[derive(Debug, Clone, PartialEq)]
pub enum FromResults {
    /// The end of a run.
    Ended(Box<AnalysisResult>),
    /// A tombstone: the analysis was deleted.
    Gone,
}

impl Input for FromResults {
    fn read(headers: &(impl Headers + ?Sized), value: Option<&[u8]>) -> Result<Self, DecodeError> {
        if text(headers, "ce_type") == Some(Deletion::TYPE) {
            return Ok(Self::Gone);
        }
        decode(headers, value).map(|result| Self::Ended(Box::new(result)))
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// With a score.
    Completed,
    /// Without one.
    Failed,
}

impl Outcome {
    /// The name used in rows, labels and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

/// Why a run failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
pub struct Failure {
    /// Stable code.
    pub code: Reason,
    /// A sentence for people.
    pub message: String,
    /// The stage that gave up.
    pub stage: String,
}

/// What a grade means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
pub struct GradeInfo {
    /// In words.
    pub description: String,
    /// `#rrggbb`.
    pub color: String,
    /// One emoji.
    pub emoji: String,
}

/// How a score came about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, ToSchema)]
pub struct Breakdown {
    /// The score again, 0 to 100.
    pub final_score: f64,
    /// The grade again.
    pub grade: String,
    /// Every adjustment, in the order it was added.
    pub adjustments: Vec<Adjustment>,
    /// Sum of impacts by component, points.
    pub component_scores: std::collections::BTreeMap<String, f64>,
    /// Sum of the negative impacts before the clamp, points, so at most 0.
    pub total_penalties: f64,
    /// Sum of the positive impacts before the clamp, points.
    pub total_bonuses: f64,
    /// Sentences a reader must see.
    pub flags: Vec<String>,
    /// Whether a person should look at it.
    pub requires_review: bool,
}

/// One adjustment of the score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, ToSchema)]
pub struct Adjustment {
    /// Such as `AI Detection`.
    pub component: String,
    /// Such as `AI-Generated Content`.
    pub category: String,
    /// Signed points, two decimals.
    pub impact: f64,
    /// A sentence for people.
    pub reason: String,
    /// The numbers behind it.
    pub metadata: serde_json::Value,
}

/// The post's own facts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, ToSchema)]
pub struct PostInfo {
    /// Shortcode.
    pub post_id: String,
    /// Canonical URL.
    pub url: String,
    /// Photo, carousel, video or reel.
    #[serde(rename = "type")]
    pub kind: PostKind,
    /// The caption as written.
    pub caption: Option<String>,
    /// User name, without the @.
    pub username: Option<String>,
    /// Name shown.
    pub full_name: Option<String>,
    /// Whether the site has verified the account.
    pub is_verified: bool,
    /// When it was posted.
    pub timestamp: Option<Timestamp>,
    /// Likes; absent when hidden.
    pub like_count: Option<u64>,
    /// Comments.
    pub comment_count: Option<u64>,
    /// Name of the place.
    pub location: Option<String>,
    /// Pictures in the post.
    pub image_count: u32,
    /// Videos in the post.
    pub video_count: u32,
}

/// What each component found. Each value has `status` and, where it did not run, `reason`; the rest is the component's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, ToSchema)]
pub struct ComponentResults {
    /// The scrape: adapter, time, media fetched and failed.
    pub instagram_extraction: serde_json::Value,
    /// AI-generated pictures.
    pub ai_detection: serde_json::Value,
    /// Text in pictures.
    pub ocr: serde_json::Value,
    /// Synthesised or manipulated faces.
    pub deepfake: serde_json::Value,
    /// How the text argues.
    pub fact_check: serde_json::Value,
    /// Linked publishers.
    pub source_credibility: serde_json::Value,
    /// All text read in pictures.
    pub ocr_text: Option<String>,
}

/// What became of one component over the whole post.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
pub struct Coverage {
    /// `instagram_extraction`, `ai_detection`, `ocr`, `deepfake`, `fact_check` or `source_credibility`.
    pub component: String,
    /// What became of it.
    pub status: Status,
    /// Why it was skipped or failed.
    pub reason: Option<Reason>,
    /// Inputs analysed.
    pub analysed: u32,
    /// Inputs that failed.
    pub failed: u32,
}

impl AnalysisResult {
    /// The result of a run that ended without a score before the score stage.
    #[must_use]
    pub fn failed(
        analysis_id: Uuid,
        run: Run,
        supersedes: Option<Run>,
        post: PostRef,
        error: Failure,
        completed_at: Timestamp,
    ) -> Self {
        Self {
            analysis_id,
            run,
            supersedes,
            post,
            status: Outcome::Failed,
            error: Some(error),
            trust_score: None,
            grade: None,
            grade_info: None,
            trust_score_breakdown: None,
            post_info: None,
            analysis_results: None,
            coverage: Vec::new(),
            scoring_version: None,
            models: Vec::new(),
            created_at: Timestamp::from_millisecond(run.started_ms).unwrap_or_default(),
            completed_at,
        }
    }

    /// The records of this result: on `results`, and on `results.latest` when it is the newest of its post.
    ///
    /// # Errors
    /// When it can't be written as JSON.
    pub fn records(&self, latest: bool) -> Result<Vec<crate::Record>, serde_json::Error> {
        let result = crate::encode(topics::RESULTS, self)?;
        Ok(for_readers(result, &self.post, latest))
    }
}

/// What readers of results are told of a post: the record of `results`, and the same on `results.latest`, where the post is the key,
/// when its analysis is the newest of it.
pub(super) fn for_readers(
    result: crate::Record,
    post: &PostRef,
    latest: bool,
) -> Vec<crate::Record> {
    let newest = latest.then(|| crate::Record {
        topic: topics::RESULTS_LATEST.into(),
        key: Some(post.post_id.clone().into()),
        ..result.clone()
    });
    std::iter::once(result).chain(newest).collect()
}

impl Event for AnalysisResult {
    const TYPE: &'static str = "trustcard.analysis.finished.v1";
    const SOURCE: &'static str = "/trustcard/score";
    const SCHEMA: &'static str = "analysis-finished";

    fn id(&self) -> Uuid {
        self.run.event_id(Self::TYPE, self.analysis_id)
    }

    fn key(&self) -> String {
        self.analysis_id.to_string()
    }

    fn time(&self) -> Timestamp {
        self.completed_at
    }
}
