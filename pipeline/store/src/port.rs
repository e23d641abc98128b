//! The store port: what TrustCard asks of its database, in small traits by who asks. Every adapter passes the one suite in
//! `contract`.
//!
//! **Order of arrival never matters.** Three facts of an analysis are kept apart, each the newest of its kind: the pending
//! submission, the work begun (a claimed run and its progress) and the terminal result. Every write carries the timestamp
//! `run_started_ms * 1000 + rank` (see [`rank`]) and loses against a later one; [`AnalysisRow::state`] derives what a caller
//! sees. A submission alone never hides a result: a run begins when it is claimed.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use schemas::{AnalysisResult, Halt, PostRef, Reason, Run, Submission};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::EndMetrics;

mod feedback;
mod idempotency;
mod keys;
mod quotas;
mod reuse;
mod state;
mod webhooks;

pub use feedback::{Feedback, Opinion, Vote, VoteComment, VoteSummary, Votes};
pub(crate) use idempotency::{Attempt, Fate, Meeting};
pub use idempotency::{Begun, Idempotency, KeptAnswer, KeyedRequest, Turn};
pub use keys::{KeyRole, KeyRow, Keys};
pub use quotas::{Lease, Quota, Quotas};
pub(crate) use reuse::each_once;
pub use reuse::{Appearance, KeptAppearance, KeptPost, Reuse};

/// Most appearances of one band that are read: a band that holds more is of pictures that everybody posts.
pub(crate) const ALIKE: u32 = 512;
pub use state::{AnalysisRow, AnalysisState, Status, Work, begins_new_run};
pub(crate) use state::{Ended, state_of};
pub use webhooks::{Attempted, OpenBatch, Owner, Webhook, Webhooks};

/// Why the store did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It can't be reached, is overloaded or timed out; the same call may succeed later.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// A stored value can't be read back, or a statement is wrong: trying again will not help.
    #[error("the store holds or was given something unusable: {0}")]
    Corrupt(String),
}

/// Result of a store call.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Ranks of writes within one run; later steps win whatever order they arrive in.
pub mod rank {
    /// A submission was accepted.
    pub const PENDING: i64 = 1;
    /// The terminal result.
    pub const TERMINAL: i64 = 900;
    /// A deletion at `now_ms`.
    pub const DELETE: i64 = 999;

    /// The timestamp of a write: rank `rank` of the run that started at `run_started_ms`.
    pub(crate) const fn timestamp(run_started_ms: i64, rank: i64) -> i64 {
        run_started_ms.saturating_mul(1000).saturating_add(rank)
    }
}

/// Settings every adapter obeys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StorePolicy {
    /// A failed result answers new submissions for this long after it was made, in seconds; then a submission begins a new run.
    pub failed_reusable_s: u64,
    /// A claim nobody finished expires after this long, in seconds: the span of all retries.
    pub claim_ttl_s: u64,
    /// Analyses, batches and listings are kept this long, in seconds.
    pub analysis_ttl_s: u64,
    /// A scraped post may be reused this long, in seconds.
    pub post_reuse_s: u64,
    /// A detector's answer on the same bytes may be reused this long, in seconds.
    pub finding_reuse_s: u64,
    /// An `Idempotency-Key` stands for its request this long, in seconds.
    pub idempotency_ttl_s: u64,
    /// A request that took its key and did not end is believed to be worked on this long, in seconds: longer than any takes.
    pub in_flight_s: u64,
    /// What became of attempts to tell a webhook is kept this long, in seconds.
    pub webhook_log_s: u64,
}

impl Default for StorePolicy {
    fn default() -> Self {
        let day = 24 * 3600;
        Self {
            failed_reusable_s: 3600,
            claim_ttl_s: 6 * 3600,
            analysis_ttl_s: 90 * day,
            post_reuse_s: day,
            finding_reuse_s: 30 * day,
            idempotency_ttl_s: day,
            in_flight_s: 60,
            webhook_log_s: 30 * day,
        }
    }
}

/// Everything: what a role holds as `Arc<dyn Store>`.
pub trait Store:
    Intake + Idempotency + Analyses + Batches + Reuse + Feedback + Keys + Quotas + Webhooks + Operations
{
}

impl<
    T: Intake
        + Idempotency
        + Analyses
        + Batches
        + Reuse
        + Feedback
        + Keys
        + Quotas
        + Webhooks
        + Operations,
> Store for T
{
}

/// Asked by the ingest API before it publishes.
#[async_trait]
pub trait Intake: Send + Sync {
    /// Makes accepted submissions durable. Singles get their pending row; a batch gets one row and its items in chunks of
    /// 1,000, no row per item; it is accepted in one call. On embedded parts submissions are kept for republishing until
    /// their analysis is terminal. Accepting the same again changes nothing.
    async fn accept(
        &self,
        submissions: &[Submission],
        batch: Option<&NewBatch>,
        now: Timestamp,
    ) -> Result<()>;

    /// Takes back what the broker did not acknowledge: as if never accepted, for items of a batch and for singles. A claim
    /// under its id is given back. A batch that is left without items is gone.
    async fn retract(&self, submissions: &[Submission]) -> Result<()>;
}

/// A batch as accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBatch {
    /// Its id.
    pub batch_id: Uuid,
    /// The key that made it; `None` for an anonymous one.
    pub owner: Option<String>,
    /// URLs that repeat another of the same request.
    pub duplicates: u32,
    /// URLs that were refused.
    pub rejected: u32,
    /// What the caller calls its items, by their places; only as it is accepted, [`Batches::items`] gives them back.
    pub client_refs: BTreeMap<u32, String>,
}

/// Asked by `record`, the stages and the readers.
#[async_trait]
pub trait Analyses: Send + Sync {
    /// The settings this store obeys, for [`AnalysisRow::state`].
    fn policy(&self) -> &StorePolicy;

    /// Writes and repairs the rows of submissions: the analysis' pending row and listing entry, its entry among what the
    /// owner submitted, a batch's item rows.
    async fn project(&self, submissions: &[Submission], now: Timestamp) -> Result<()>;

    /// Writes the entry of a submission among what its owner submitted, and nothing else: for one that an earlier result answers.
    async fn own(&self, submission: &Submission, now: Timestamp) -> Result<()>;

    /// Claims the submission's run under its `ce_id`. An item of a batch is registered as waiting on the analysis before
    /// anything is read, so that either this call or the one that finishes the analysis sees the other.
    async fn claim(&self, submission: &Submission, event_id: &str, now: Timestamp)
    -> Result<Claim>;

    /// Records how far runs have come, in percent (10 started, 20 scraped, 60 detected, 80 text done).
    async fn progress(&self, steps: &[ProgressStep]) -> Result<()>;

    /// Writes a terminal result, updates every batch item that waits on it and the newest result of the post. Writing the
    /// same result again changes nothing.
    async fn finish(&self, result: &AnalysisResult, now: Timestamp) -> Result<Finished>;

    /// Marks an analysis as deleted: every write of a run that began before `now` is void, whenever it arrives, and batch
    /// items that wait on one end as failed. `false` when there was nothing to show; the mark stands all the same.
    async fn delete(&self, analysis_id: Uuid, now: Timestamp) -> Result<bool>;

    /// One analysis; `None` when unknown, not yet projected, deleted or expired.
    async fn analysis(&self, analysis_id: Uuid, now: Timestamp) -> Result<Option<AnalysisRow>>;

    /// Of the analyses of a post that have ended, the one whose run began last; deleted ones count.
    async fn latest(&self, post_id: &str, now: Timestamp) -> Result<Option<Uuid>>;

    /// Analyses, newest first.
    async fn list(&self, query: &ListQuery, now: Timestamp) -> Result<Page>;

    /// How many analyses are in each status.
    async fn totals(&self, now: Timestamp) -> Result<Totals>;
}

/// Whose work it is.
#[derive(Debug, Clone, PartialEq)]
pub enum Claim {
    /// This submission's: do it.
    Own,
    /// Another submission's, still on its way; a batch item of this one waits on it.
    Other,
    /// Nobody's: a result that still holds was found, and a batch item of this one has been told.
    Finished,
    /// Nobody's: the analysis was deleted after this submission; a batch item of this one has ended as failed.
    Deleted,
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProgressStep {
    /// The analysis.
    pub analysis_id: Uuid,
    /// The run.
    pub run: Run,
    /// 1 to 99.
    pub percent: u8,
}

/// What became of a terminal result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    /// Written.
    Written {
        /// Whether no later run of the post has a result: then it belongs on `results.latest` too.
        latest: bool,
    },
    /// The analysis was deleted after this run began: nothing was written and nothing may be emitted.
    Deleted,
}

/// What to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// Only what this holder of keys submitted, by the holder's newest submission of it; `None` is everything, by its creation.
    pub owner: Option<String>,
    /// Only this status.
    pub status: Option<Status>,
    /// At most this many.
    pub limit: u32,
    /// Continue after this entry, of a page with the same owner.
    pub after: Option<ListCursor>,
}

/// A place in a listing: the entry it names has been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListCursor {
    /// When the analysis was first submitted, or last by the owner, in milliseconds since the Unix epoch.
    pub created_ms: i64,
    /// The analysis.
    pub analysis_id: Uuid,
}

/// A page of a listing.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The analyses.
    pub rows: Vec<AnalysisRow>,
    /// Where to go on; `None` at the end.
    pub next: Option<ListCursor>,
}

/// Analyses by status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Totals {
    /// Accepted, not begun.
    pub pending: u64,
    /// Begun.
    pub processing: u64,
    /// Done, with a score.
    pub completed: u64,
    /// Ended without one.
    pub failed: u64,
}

impl Totals {
    /// All of them.
    #[must_use]
    pub const fn sum(&self) -> u64 {
        self.pending + self.processing + self.completed + self.failed
    }
}

/// Asked by readers of batches.
#[async_trait]
pub trait Batches: Send + Sync {
    /// Progress of a batch, counted from its rows; `None` when unknown or expired.
    async fn batch(&self, batch_id: Uuid, now: Timestamp) -> Result<Option<BatchProgress>>;

    /// Accepted items of a batch in the order of their places, `from` this one on: some thousand at most, none at the end. The
    /// batch is one that [`Batches::batch`] shows.
    async fn items(&self, batch_id: Uuid, from: u32) -> Result<Vec<BatchItem>>;
}

/// An accepted item of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchItem {
    /// Its place in the request, from 0.
    pub index: u32,
    /// The analysis.
    pub analysis_id: Uuid,
    /// What the caller calls it.
    pub client_ref: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// Progress of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchProgress {
    /// The batch as accepted.
    pub batch: NewBatch,
    /// Its items by status; items not yet projected count as pending.
    pub counts: Totals,
    /// Items that found an earlier analysis instead of beginning one.
    pub reused: u64,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its last item ended; `None` before.
    pub completed_at: Option<Timestamp>,
}

/// Asked by every role and by operators.
#[async_trait]
pub trait Operations: Send + Sync {
    /// Whether the store answers.
    async fn ping(&self) -> Result<()>;

    /// Says that a role lives; forgotten after 30 s.
    async fn heartbeat(&self, beat: &Heartbeat, now: Timestamp) -> Result<()>;

    /// The roles that live.
    async fn heartbeats(&self, now: Timestamp) -> Result<Vec<Heartbeat>>;

    /// Keeps a dead letter where the topic itself is only a rolling window (embedded parts).
    async fn keep_dead_letter(&self, letter: &KeptDeadLetter) -> Result<()>;

    /// Dead letters of a stage, newest first.
    async fn dead_letters(&self, stage: &str, limit: u32) -> Result<Vec<KeptDeadLetter>>;

    /// A stage stopped itself. Told again, the newest stands. Kept until [`Operations::release`], however long that takes.
    async fn halt(&self, stage: &str, halt: &Halt) -> Result<()>;

    /// Whether a stage has stopped itself, and why.
    async fn halted(&self, stage: &str) -> Result<Option<Halt>>;

    /// A stage may go on; what it was halted for, `None` when it was not.
    async fn release(&self, stage: &str) -> Result<Option<Halt>>;
}

/// A sign of life of one instance of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// `api`, `record`, `scrape`, `detect` or `score`.
    pub role: String,
    /// Name of the instance.
    pub instance: String,
    /// Version of the binary.
    pub version: String,
    /// When it was given.
    pub at: Timestamp,
    /// What the role wants operators to know: `circuit`, `models`, `runtime`, ...
    pub details: serde_json::Value,
}

/// A dead letter as kept in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptDeadLetter {
    /// The stage that gave up.
    pub stage: String,
    /// Why.
    pub code: Reason,
    /// Topic, partition and offset of the record.
    pub origin: (String, i32, i64),
    /// When it failed last.
    pub failed_at: Timestamp,
    /// Key of the record.
    pub key: Option<Vec<u8>>,
    /// Value of the record.
    pub value: Option<Vec<u8>>,
    /// Headers of the dead letter, the record's own first.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// Ends a run without a score: writes the failed row and gives the records that must be produced, none if it was deleted.
/// `at` is the time of the record it ends with. Where the row can't be read any more, asking again would not help, and at least the readers of `results` are told.
///
/// # Errors
/// When the store did not answer.
pub async fn fail(
    store: &dyn Store,
    (analysis_id, run, supersedes, post): (Uuid, Run, Option<Run>, &PostRef),
    error: schemas::events::result::Failure,
    (at, now): (Timestamp, Timestamp),
    ends: &EndMetrics,
) -> Result<Vec<schemas::Record>> {
    let result = AnalysisResult::failed(analysis_id, run, supersedes, post.clone(), error, at);
    let latest = match store.finish(&result, now).await {
        Ok(Finished::Written { latest }) => latest,
        Ok(Finished::Deleted) => return Ok(Vec::new()),
        Err(StoreError::Corrupt(detail)) => {
            tracing::error!(%analysis_id, detail, "the failed result is on its topic but not in the store");
            false
        }
        Err(error) => return Err(error),
    };
    ends.observe(&result);
    result
        .records(latest)
        .map_err(|error| StoreError::Corrupt(error.to_string()))
}
