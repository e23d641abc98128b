//! What callers see of an analysis and of a batch.

use jiff::Timestamp;
use schemas::{
    AnalysisResult,
    events::result::{
        Breakdown, ComponentResults, Coverage, Failure, GradeInfo, Outcome, PostInfo,
    },
};
use serde::Serialize;
use store::{AnalysisRow, BatchItem, BatchProgress, Status, StorePolicy, Totals};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::extract::encode_item_cursor;

/// An analysis.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Analysis)]
pub struct ResultView<'a> {
    /// Its id.
    analysis_id: Uuid,
    /// The shortcode.
    post_id: &'a str,
    /// Where it stands.
    status: Status,
    /// 0 to 100.
    progress: u8,
    /// Where it stands, in words.
    message: String,
    /// 0 to 100; higher is better. Null until it is completed.
    trust_score: Option<f64>,
    /// A+ to F.
    grade: Option<&'a str>,
    /// What the grade means.
    grade_info: Option<&'a GradeInfo>,
    /// How the score came about: every reason with its points.
    trust_score_breakdown: Option<&'a Breakdown>,
    /// The post's own facts.
    post_info: Option<&'a PostInfo>,
    /// What each component found.
    analysis_results: Option<&'a ComponentResults>,
    /// What was checked and what was not.
    coverage: &'a [Coverage],
    /// Seconds from the run's start to its end.
    processing_time: Option<f64>,
    /// Whether the newest submission found this result instead of beginning it.
    cached: bool,
    /// Why it failed.
    error: Option<&'a Failure>,
    /// When it was submitted first.
    created_at: Timestamp,
    /// When it ended.
    completed_at: Option<Timestamp>,
}

impl<'a> ResultView<'a> {
    /// The view of a row.
    #[must_use]
    pub fn of(row: &'a AnalysisRow, policy: &StorePolicy) -> Self {
        let state = row.state(policy);
        let result = row.current_result(policy);
        Self {
            analysis_id: row.analysis_id,
            post_id: &row.post.post_id,
            status: state.status,
            progress: state.percent,
            message: message(state.status, state.percent, result),
            trust_score: result.and_then(|result| result.trust_score),
            grade: result.and_then(|result| result.grade.as_deref()),
            grade_info: result.and_then(|result| result.grade_info.as_ref()),
            trust_score_breakdown: result.and_then(|result| result.trust_score_breakdown.as_ref()),
            post_info: result.and_then(|result| result.post_info.as_ref()),
            analysis_results: result.and_then(|result| result.analysis_results.as_ref()),
            coverage: result.map_or(&[], |result| &result.coverage),
            processing_time: result.map(processing_seconds),
            cached: result.is_some_and(|result| row.pending_run_ms > result.run.started_ms),
            error: result.and_then(|result| result.error.as_ref()),
            created_at: row.created_at,
            completed_at: result.map(|result| result.completed_at),
        }
    }
}

/// How far an analysis is.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AnalysisProgress {
    /// Its id.
    pub(crate) analysis_id: Uuid,
    /// Where it stands.
    status: Status,
    /// 0 to 100.
    pub(crate) progress: u8,
    /// Where it stands, in words.
    message: String,
    /// 0 to 100; higher is better. Null until it is completed.
    trust_score: Option<f64>,
    /// A+ to F.
    grade: Option<String>,
    /// When it ended.
    pub(crate) completed_at: Option<Timestamp>,
}

impl AnalysisProgress {
    /// The progress of a row.
    #[must_use]
    pub fn of(row: &AnalysisRow, policy: &StorePolicy) -> Self {
        let state = row.state(policy);
        let result = row.current_result(policy);
        Self {
            analysis_id: row.analysis_id,
            status: state.status,
            progress: state.percent,
            message: message(state.status, state.percent, result),
            trust_score: result.and_then(|result| result.trust_score),
            grade: result.and_then(|result| result.grade.clone()),
            completed_at: result.map(|result| result.completed_at),
        }
    }
}

/// An analysis in short.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListedAnalysis)]
pub struct ListedView<'a> {
    /// Its id.
    analysis_id: Uuid,
    /// The shortcode.
    post_id: &'a str,
    /// Canonical address of the post.
    url: &'a str,
    /// Where it stands.
    status: Status,
    /// 0 to 100.
    progress: u8,
    /// 0 to 100; higher is better.
    trust_score: Option<f64>,
    /// A+ to F.
    grade: Option<&'a str>,
    /// What moved the score most, strongest first; null where there is no score.
    reasons: Option<Vec<ListedReason<'a>>>,
    /// Version of the weights and rules; null where nothing was scored.
    scoring_version: Option<&'a str>,
    /// Why it failed.
    error: Option<&'a Failure>,
    /// When it was submitted first.
    created_at: Timestamp,
    /// When it ended.
    completed_at: Option<Timestamp>,
}

/// An adjustment of the score, in short.
#[derive(Debug, Serialize, ToSchema)]
struct ListedReason<'a> {
    /// Such as `AI-Generated Content`.
    category: &'a str,
    /// Signed points.
    impact: f64,
}

impl<'a> ListedReason<'a> {
    /// Reasons in an entry of a listing.
    const MOST: usize = 3;

    /// The strongest adjustments of a score; of equal ones the first.
    fn strongest(breakdown: &'a Breakdown) -> Vec<Self> {
        let mut adjustments: Vec<_> = breakdown.adjustments.iter().collect();
        adjustments.sort_by(|a, b| b.impact.abs().total_cmp(&a.impact.abs()));
        let strongest = adjustments.into_iter().take(Self::MOST);
        strongest
            .map(|adjustment| Self {
                category: &adjustment.category,
                impact: adjustment.impact,
            })
            .collect()
    }
}

impl<'a> ListedView<'a> {
    /// The view of a row.
    #[must_use]
    pub fn of(row: &'a AnalysisRow, policy: &StorePolicy) -> Self {
        let state = row.state(policy);
        let result = row.current_result(policy);
        Self {
            analysis_id: row.analysis_id,
            post_id: &row.post.post_id,
            url: &row.post.url,
            status: state.status,
            progress: state.percent,
            trust_score: result.and_then(|result| result.trust_score),
            grade: result.and_then(|result| result.grade.as_deref()),
            scoring_version: result.and_then(|result| result.scoring_version.as_deref()),
            reasons: result
                .and_then(|result| result.trust_score_breakdown.as_ref())
                .map(ListedReason::strongest),
            error: result.and_then(|result| result.error.as_ref()),
            created_at: row.created_at,
            completed_at: result.map(|result| result.completed_at),
        }
    }
}

/// How far a batch is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Batch)]
pub struct BatchView {
    /// Its id.
    batch_id: Uuid,
    /// Accepted items by where they stand.
    counts: Totals,
    /// Accepted items.
    total: u64,
    /// Share of items that ended, 0 to 100, one decimal, rounded down: 100 means all.
    percent: f64,
    /// URLs that repeated the post of an earlier one in the request.
    duplicates: u32,
    /// URLs that were not accepted.
    rejected: u32,
    /// Items that found an earlier analysis instead of beginning one.
    reused: u64,
    /// When it was submitted.
    created_at: Timestamp,
    /// When its last item ended.
    completed_at: Option<Timestamp>,
}

impl BatchView {
    /// The view of a batch's progress.
    #[must_use]
    pub fn of(progress: &BatchProgress) -> Self {
        let total = progress.counts.sum();
        let ended = progress.counts.completed + progress.counts.failed;
        let permille = (ended * 1000).checked_div(total).unwrap_or(1000);
        Self {
            batch_id: progress.batch.batch_id,
            counts: progress.counts,
            total,
            percent: permille as f64 / 10.0,
            duplicates: progress.batch.duplicates,
            rejected: progress.batch.rejected,
            reused: progress.reused,
            created_at: progress.created_at,
            completed_at: progress.completed_at,
        }
    }
}

/// A line of a batch's results.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BatchResult)]
pub struct BatchResultView<'a> {
    /// Leads on behind this line.
    cursor: String,
    /// Its place in the request, from 0.
    index: u32,
    /// What the caller calls it.
    client_ref: Option<&'a str>,
    /// The analysis.
    analysis_id: Uuid,
    /// Where the item stands.
    status: Status,
    /// When the item ended.
    ended_at: Option<Timestamp>,
    /// The analysis as it is now; null where it has no row yet, or was deleted.
    result: Option<ResultView<'a>>,
}

impl<'a> BatchResultView<'a> {
    /// The view of an item and its analysis.
    #[must_use]
    pub fn of(item: &'a BatchItem, result: Option<ResultView<'a>>) -> Self {
        Self {
            cursor: encode_item_cursor(item.index),
            index: item.index,
            client_ref: item.client_ref.as_deref(),
            analysis_id: item.analysis_id,
            status: item.status,
            ended_at: item.ended_at,
            result,
        }
    }
}

/// Where an analysis stands, in a sentence.
#[must_use]
pub fn message(status: Status, percent: u8, result: Option<&AnalysisResult>) -> String {
    match (status, result) {
        (
            Status::Failed,
            Some(AnalysisResult {
                error: Some(error), ..
            }),
        ) => error.message.clone(),
        (Status::Failed, _) => "The analysis failed.".to_owned(),
        (Status::Completed, _) => "The analysis is complete.".to_owned(),
        (Status::Pending, _) => "The analysis has not begun yet.".to_owned(),
        (Status::Processing, _) => match percent {
            0..20 => "The post is being read.",
            20..60 => "Its pictures are being checked.",
            _ => "Its text and sources are being weighed.",
        }
        .to_owned(),
    }
}

/// Seconds from the run's start to its end, never negative.
#[must_use]
pub fn processing_seconds(result: &AnalysisResult) -> f64 {
    let millis = result.completed_at.as_millisecond() - result.run.started_ms;
    millis.max(0) as f64 / 1000.0
}

/// What a new submission is told of a result that answers it.
#[must_use]
pub fn answered_by(result: &AnalysisResult) -> (Status, &'static str) {
    match result.status {
        Outcome::Completed => (
            Status::Completed,
            "This post was analysed already; its result is ready.",
        ),
        Outcome::Failed => (
            Status::Failed,
            "The analysis of this post failed a short while ago; its result says why. It can be submitted again later.",
        ),
    }
}
