//! What a caller sees of an analysis, derived from the facts kept of it.

use jiff::Timestamp;
use schemas::{AnalysisResult, PostRef, Run, events::result::Outcome, identity::RunCause};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::StorePolicy;

/// Status of an analysis or of a batch item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Accepted, not begun.
    Pending,
    /// Begun.
    Processing,
    /// Ended with a score.
    Completed,
    /// Ended without one.
    Failed,
}

impl Status {
    /// The name in rows, labels and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    /// The status a name stands for.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::Pending,
            Self::Processing,
            Self::Completed,
            Self::Failed,
        ]
        .into_iter()
        .find(|status| status.name() == name)
    }
}

impl From<Outcome> for Status {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Completed => Self::Completed,
            Outcome::Failed => Self::Failed,
        }
    }
}

/// A claimed run and how far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// The run.
    pub run: Run,
    /// Percent.
    pub percent: u8,
}

/// Everything kept of an analysis.
#[derive(Debug, Clone, PartialEq)]
pub struct AnalysisRow {
    /// The analysis.
    pub analysis_id: Uuid,
    /// The post.
    pub post: PostRef,
    /// When it was first submitted, since it was last deleted.
    pub created_at: Timestamp,
    /// Start of the newest submission's run, in milliseconds since the Unix epoch.
    pub pending_run_ms: i64,
    /// The newest run that was claimed.
    pub work: Option<Work>,
    /// The newest terminal result.
    pub result: Option<AnalysisResult>,
}

/// What a caller sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnalysisState {
    /// Where it stands.
    pub status: Status,
    /// 0 to 100.
    pub percent: u8,
}

impl AnalysisRow {
    /// Where the analysis stands. A result holds until a later run is claimed, or, where it failed and is no longer
    /// reusable, until a later submission is accepted.
    #[must_use]
    pub fn state(&self, policy: &StorePolicy) -> AnalysisState {
        let ended = self.result.as_ref().map(Ended::from);
        state_of(self.pending_run_ms, self.work, ended, policy)
    }

    /// The result, if it is what the caller sees.
    #[must_use]
    pub fn current_result(&self, policy: &StorePolicy) -> Option<&AnalysisResult> {
        let ended = matches!(
            self.state(policy).status,
            Status::Completed | Status::Failed
        );
        self.result.as_ref().filter(|_| ended)
    }
}

/// What of a terminal result decides where an analysis stands, so that adapters can tell without reading the result itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    /// How the run ended.
    pub(crate) outcome: Outcome,
    /// When it began, in milliseconds since the Unix epoch.
    pub(crate) run_started_ms: i64,
    /// When it ended, in milliseconds since the Unix epoch.
    pub(crate) completed_ms: i64,
}

impl From<&AnalysisResult> for Ended {
    fn from(result: &AnalysisResult) -> Self {
        Self {
            outcome: result.status,
            run_started_ms: result.run.started_ms,
            completed_ms: result.completed_at.as_millisecond(),
        }
    }
}

impl Ended {
    /// The last start of a submission, in milliseconds since the Unix epoch, that this end still answers: without limit
    /// unless it failed.
    pub(crate) fn holds_until(&self, policy: &StorePolicy) -> i64 {
        match self.outcome {
            Outcome::Completed => i64::MAX,
            Outcome::Failed => {
                let reusable_ms = i64::try_from(policy.failed_reusable_s.saturating_mul(1000))
                    .unwrap_or(i64::MAX);
                self.completed_ms
                    .saturating_add(reusable_ms)
                    .saturating_sub(1)
                    .max(self.run_started_ms)
            }
        }
    }

    /// Whether it answers the submission of `run`. A dead letter is sent back because its failure is not to stand, however
    /// recent it is.
    pub(crate) fn answers(&self, run: Run, policy: &StorePolicy) -> bool {
        match (run.cause, self.outcome) {
            (RunCause::DeadLetterReplay, Outcome::Failed) => run.started_ms <= self.run_started_ms,
            _ => self.holds_for(run.started_ms, policy),
        }
    }

    /// Whether it answers a submission that starts then.
    pub(crate) fn holds_for(&self, run_started_ms: i64, policy: &StorePolicy) -> bool {
        run_started_ms <= self.holds_until(policy)
    }
}

/// Where an analysis stands, see [`AnalysisRow::state`].
pub(crate) fn state_of(
    pending_run_ms: i64,
    work: Option<Work>,
    ended: Option<Ended>,
    policy: &StorePolicy,
) -> AnalysisState {
    let ended_run = ended.map_or(i64::MIN, |ended| ended.run_started_ms);
    let working = work.filter(|work| work.run.started_ms > ended_run);
    match (working, ended) {
        (Some(work), _) => AnalysisState {
            status: Status::Processing,
            percent: work.percent,
        },
        (None, Some(ended)) if ended.holds_for(pending_run_ms, policy) => AnalysisState {
            status: ended.outcome.into(),
            percent: 100,
        },
        (None, _) => AnalysisState {
            status: Status::Pending,
            percent: 0,
        },
    }
}

/// Whether a submission whose run starts at `run_started_ms` begins a new run although `result` exists: only after a failure
/// that is no longer reusable. Decided from the submission's own time, so that everyone who asks gets the same answer.
#[must_use]
pub fn begins_new_run(result: &AnalysisResult, run_started_ms: i64, policy: &StorePolicy) -> bool {
    !Ended::from(result).holds_for(run_started_ms, policy)
}
