//! Items of batches: registered when they are projected or claimed, and told how their analysis ended.
//!
//! An item waits by a row at its analysis. Who registers writes that row before it reads the analysis, who ends the analysis
//! writes the result before it reads the rows: one of them sees the other and tells the item. Ranks of an item's cells let
//! later states win: registered, taken up, completed, failed, completed in place of a failure, taken back.
//!
//! An item that has ended stays so, but for one: its analysis failed, and a run that takes the place of the failed one (a
//! dead letter sent back, a rescoring) completed. So the row of an item that failed is kept.

use schemas::Submission;
use scylla::value::MaybeUnset;
use uuid::Uuid;

use super::{
    ScyllaStore,
    facts::step,
    rows::{Work, all, ttl},
};
use crate::{
    Result, Status, StorePolicy,
    facts::Verdict,
    rank,
    values::{CHUNK, RETRACTED, batch_place},
};

/// Rank of that mark: above every end.
const RETRACTED_RANK: i64 = 950;
/// Ranks of the ends, and of a completion that takes the place of a failure.
const COMPLETED: i64 = rank::TERMINAL;
const FAILED: i64 = COMPLETED + 1;
const MENDED: i64 = FAILED + 1;
/// Rank of an item that was taken up, above one that was registered.
const TAKEN_UP: i64 = 2;
/// Rank of the removal of a row that waits.
const TOLD: i64 = 2;
/// Rows that wait, read at once.
const PAGE: usize = 1_000;

/// An item and the run of its submission.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    batch_id: Uuid,
    place: i32,
    run_ms: i64,
}

impl Item {
    pub(super) fn of(submission: &Submission) -> Option<Self> {
        let (batch_id, place) = batch_place(submission)?;
        Some(Self {
            batch_id,
            place: i32::try_from(place).ok()?,
            run_ms: submission.run.started_ms,
        })
    }

    fn chunk(&self) -> i32 {
        self.place / i32::try_from(CHUNK).unwrap_or(i32::MAX)
    }
}

/// How items that wait end.
#[derive(Debug, Clone, Copy)]
struct End {
    status: Status,
    /// The last start of a submission that it answers.
    until_ms: i64,
    ended_ms: i64,
    /// By a deletion: nobody's reuse, and for good.
    deleted: bool,
}

impl End {
    fn of(verdict: Verdict, policy: &StorePolicy) -> Option<Self> {
        match verdict {
            Verdict::Open => None,
            Verdict::Ended(ended) => Some(Self {
                status: ended.outcome.into(),
                until_ms: ended.holds_until(policy),
                ended_ms: ended.completed_ms,
                deleted: false,
            }),
            Verdict::Deleted(deleted_ms) => Some(Self {
                status: Status::Failed,
                until_ms: deleted_ms,
                ended_ms: deleted_ms,
                deleted: true,
            }),
        }
    }

    /// Its rank; `replaces` another end.
    const fn rank(&self, replaces: bool) -> i64 {
        match self.status {
            Status::Completed if replaces => MENDED,
            Status::Completed => COMPLETED,
            _ => FAILED,
        }
    }

    /// Whether the item needs to be found no more.
    fn is_final(&self) -> bool {
        self.deleted || self.status == Status::Completed
    }
}

impl ScyllaStore {
    /// Writes an item that waits; one that went further already stays as it is.
    pub(super) async fn register(&self, submission: &Submission, status: Status) -> Result<()> {
        let Some(item) = Item::of(submission) else {
            return Ok(());
        };
        let rank = match status {
            Status::Pending => rank::PENDING,
            _ => TAKEN_UP,
        };
        let waiting = (
            submission.analysis_id,
            item.run_ms,
            item.batch_id,
            item.place,
            ttl(self.policy.analysis_ttl_s),
            rank::timestamp(item.run_ms, rank::PENDING),
        );
        futures::try_join!(
            self.put_item(item, rank, status.name(), None, None),
            self.write(&self.statements.put_waiting, waiting),
        )?;
        Ok(())
    }

    /// Notes that an item's own submission does the work.
    pub(super) async fn began(&self, submission: &Submission) -> Result<()> {
        match Item::of(submission) {
            Some(item) => {
                let status = Status::Processing.name();
                self.put_item(item, step::CLAIMED, status, Some(true), None)
                    .await
            }
            None => Ok(()),
        }
    }

    /// Tells the item of one submission, unless it has ended.
    pub(super) async fn settle_one(&self, submission: &Submission, verdict: Verdict) -> Result<()> {
        let (Some(item), Some(end)) = (Item::of(submission), End::of(verdict, &self.policy)) else {
            return Ok(());
        };
        let key = (item.batch_id, item.chunk(), item.place);
        let row: Option<(Option<String>,)> = self.row(&self.statements.item, key).await?;
        let status = row.and_then(|(status,)| status);
        let waits = status.is_none_or(|status| {
            [Status::Pending, Status::Processing]
                .map(Status::name)
                .contains(&status.as_str())
        });
        if waits {
            self.end(item, end, end.rank(false)).await?;
        }
        match end.is_final() {
            true => self.forget(submission.analysis_id, item).await,
            false => Ok(()),
        }
    }

    /// Tells every item that waits on the analysis and that `verdict` answers; where it `replaces` another end, those that
    /// had failed too.
    pub(super) async fn settle(
        &self,
        analysis_id: Uuid,
        verdict: Verdict,
        replaces: bool,
    ) -> Result<()> {
        let Some(end) = End::of(verdict, &self.policy) else {
            return Ok(());
        };
        let rank = end.rank(replaces);
        let mut from = (i64::MIN, Uuid::nil(), i32::MIN);
        loop {
            let key = (analysis_id, from.0, from.1, from.2);
            let mut rows: Vec<(i64, Uuid, i32)> = self.rows(&self.statements.waiting, key).await?;
            let last = rows.last().copied().filter(|_| rows.len() == PAGE);
            rows.retain(|(run_ms, ..)| *run_ms <= end.until_ms);
            let tell = |&(run_ms, batch_id, place): &(i64, Uuid, i32)| {
                let item = Item {
                    batch_id,
                    place,
                    run_ms,
                };
                let work: Work<'_> = Box::pin(async move {
                    self.end(item, end, rank).await?;
                    match end.is_final() {
                        true => self.forget(analysis_id, item).await,
                        false => Ok(()),
                    }
                });
                work
            };
            all(rows.iter().map(tell).collect()).await?;
            match last {
                Some(last) if last.0 <= end.until_ms => from = last,
                _ => return Ok(()),
            }
        }
    }

    /// Marks an item as taken back.
    pub(super) async fn retract_item(&self, submission: &Submission) -> Result<()> {
        match Item::of(submission) {
            Some(item) => {
                self.put_item(item, RETRACTED_RANK, RETRACTED, None, None)
                    .await
            }
            None => Ok(()),
        }
    }

    async fn end(&self, item: Item, end: End, rank: i64) -> Result<()> {
        let own = end.deleted.then_some(true);
        let ended_ms = Some(end.ended_ms);
        self.put_item(item, rank, end.status.name(), own, ended_ms)
            .await
    }

    async fn forget(&self, analysis_id: Uuid, item: Item) -> Result<()> {
        let values = (
            rank::timestamp(item.run_ms, TOLD),
            analysis_id,
            item.run_ms,
            item.batch_id,
            item.place,
        );
        self.write(&self.statements.drop_waiting, values).await
    }

    async fn put_item(
        &self,
        item: Item,
        rank: i64,
        status: &str,
        own: Option<bool>,
        ended_ms: Option<i64>,
    ) -> Result<()> {
        let values = (
            ttl(self.policy.analysis_ttl_s),
            rank::timestamp(item.run_ms, rank),
            status,
            MaybeUnset::from_option(own),
            MaybeUnset::from_option(ended_ms),
            item.batch_id,
            item.chunk(),
            item.place,
        );
        self.write(&self.statements.put_item, values).await
    }
}
