//! Listings: entries by the hour of creation and a shard of the id, newest first.
//!
//! An entry is written with every step of an analysis, each cell with the timestamp of the run it tells of, so that `totals`
//! can derive a status from it. It stands while `listed` is set; where the creation moves, the entry left behind loses that
//! mark for good. [`super::pages`] reads them.

use std::collections::BTreeMap;

use schemas::Submission;
use scylla::value::MaybeUnset;
use uuid::Uuid;

use super::{
    ScyllaStore,
    facts::Loaded,
    rows::{Work, all, ttl},
};
use crate::{Ended, Result, rank, values::after};

/// Length of an hour, in milliseconds.
pub(super) const HOUR_MS: i64 = 3600 * 1000;
/// Partitions of an hour.
pub(super) const SHARDS: u64 = 16;
/// Hours in one partition of the table of hours.
const SPAN: i64 = 1_000;
/// Partitions of hours that a call looks through: far more than the longest TTL.
const MOST_SPANS: i64 = 200;
/// Hours remembered as written; more are forgotten at once, which costs writing them again.
const REMEMBERED: usize = 1_000;
/// Rank of an entry's cells of a run that is worked on.
const WORKING: i64 = 500;

/// An hour that has entries, and the counts kept of it: pending, processing, completed, failed, and when they were made.
pub(super) type HourRow = (
    i64,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
);

/// Cells of an entry that tell of one run.
#[derive(Default)]
struct Cells {
    rank: i64,
    listed: Option<bool>,
    pending_ms: Option<i64>,
    work_ms: Option<i64>,
    ended: Option<Ended>,
}

pub(super) fn hour_of(ms: i64) -> i64 {
    ms.div_euclid(HOUR_MS)
}

/// The partition of the table of hours that an hour is in.
pub(super) fn span_of(hour: i64) -> i64 {
    hour.div_euclid(SPAN)
}

pub(super) fn shard_of(id: Uuid) -> i32 {
    i32::try_from(id.as_u64_pair().1 % SHARDS).unwrap_or(0)
}

impl ScyllaStore {
    /// Writes the entry of an analysis as it was read, after a step of the run that started at `run_ms`.
    pub(super) async fn relist(
        &self,
        id: Uuid,
        loaded: &Loaded,
        run_ms: i64,
        now_ms: i64,
    ) -> Result<()> {
        let facts = &loaded.facts;
        let Some(created_ms) = facts
            .created_ms
            .filter(|_| facts.status(&self.policy).is_some())
        else {
            return Ok(());
        };
        let mut runs: BTreeMap<i64, Cells> = BTreeMap::new();
        runs.entry(created_ms).or_default().listed = Some(true);
        if let Some(run) = loaded.projected_ms {
            runs.entry(run).or_default().pending_ms = Some(run);
        }
        if let Some(work) = facts.work {
            let cells = runs.entry(work.run.started_ms).or_default();
            cells.rank = WORKING;
            cells.work_ms = Some(work.run.started_ms);
        }
        if let Some(ended) = facts.ended {
            let cells = runs.entry(ended.run_started_ms).or_default();
            cells.rank = rank::TERMINAL;
            cells.ended = Some(ended);
        }
        let mut work: Vec<Work<'_>> = Vec::new();
        for (run, cells) in runs {
            work.push(Box::pin(
                self.put_listed(id, created_ms, run, cells, now_ms),
            ));
        }
        // Where this step moved the creation, entries of later starts are left behind.
        if run_ms == created_ms {
            for start in loaded.starts.iter().filter(|start| **start > created_ms) {
                let timestamp = rank::timestamp(*start, rank::DELETE);
                work.push(Box::pin(self.unlist(id, *start, timestamp)));
            }
        }
        work.push(Box::pin(self.note_hour(None, hour_of(created_ms), now_ms)));
        all(work).await?;
        Ok(())
    }

    /// Takes the mark from an entry.
    pub(super) async fn unlist(&self, id: Uuid, created_ms: i64, timestamp: i64) -> Result<()> {
        let values = (timestamp, hour_of(created_ms), shard_of(id), created_ms, id);
        self.write(&self.statements.drop_listed, values).await
    }

    async fn put_listed(
        &self,
        id: Uuid,
        created_ms: i64,
        run_ms: i64,
        cells: Cells,
        now_ms: i64,
    ) -> Result<()> {
        let ended = cells.ended;
        let values = (
            ttl(self.policy.analysis_ttl_s),
            rank::timestamp(run_ms, cells.rank.max(rank::PENDING)),
            MaybeUnset::from_option(cells.listed),
            MaybeUnset::from_option(cells.pending_ms),
            MaybeUnset::from_option(cells.work_ms),
            MaybeUnset::from_option(ended.map(|ended| ended.run_started_ms)),
            MaybeUnset::from_option(ended.map(|ended| ended.outcome.name())),
            MaybeUnset::from_option(ended.map(|ended| ended.completed_ms)),
            now_ms,
            hour_of(created_ms),
            shard_of(id),
            created_ms,
            id,
        );
        self.write(&self.statements.put_listed, values).await
    }

    /// Writes the entry of a submission among those of its owner.
    pub(super) async fn put_owned(&self, submission: &Submission, now_ms: i64) -> Result<()> {
        let Some(owner) = &submission.owner else {
            return Ok(());
        };
        let (id, run_ms) = (submission.analysis_id, submission.run.started_ms);
        let (hour, shard) = (hour_of(run_ms), shard_of(id));
        let ttl = ttl(self.policy.analysis_ttl_s);
        let timestamp = rank::timestamp(run_ms, rank::PENDING);
        let entry = (owner, hour, shard, run_ms, id, ttl, timestamp);
        let newest = (owner, id, run_ms, ttl, timestamp);
        futures::try_join!(
            self.write(&self.statements.put_owned, entry),
            self.write(&self.statements.put_owned_newest, newest),
            self.note_hour(Some(owner.as_str()), hour, now_ms),
        )?;
        Ok(())
    }

    /// Notes that an hour has entries, of an owner or of all, once in an hour.
    async fn note_hour(&self, owner: Option<&str>, hour: i64, now_ms: i64) -> Result<()> {
        let key = (owner.map(str::to_owned), hour);
        let known = |hours: &BTreeMap<(Option<String>, i64), i64>| {
            hours
                .get(&key)
                .is_some_and(|at| now_ms < at.saturating_add(HOUR_MS))
        };
        if known(&self.noted_hours()) {
            return Ok(());
        }
        // Kept longer than its entries, which may be written an hour after it.
        let ttl = ttl(self.policy.analysis_ttl_s.saturating_add(2 * 3600));
        let span = span_of(hour);
        match owner {
            Some(owner) => {
                let values = (owner, span, hour, ttl);
                self.write(&self.statements.put_owned_hour, values).await?;
            }
            None => {
                let values = (span, hour, ttl);
                self.write(&self.statements.put_hour, values).await?;
            }
        }
        let mut hours = self.noted_hours();
        if hours.len() >= REMEMBERED {
            hours.clear();
        }
        hours.insert(key, now_ms);
        Ok(())
    }

    /// The hours with entries that live at `now_ms`, newest first, from `newest` on backwards.
    pub(super) async fn hours(&self, newest: i64, now_ms: i64) -> Result<Vec<HourRow>> {
        let one = |span: i64| -> Work<'_, Vec<HourRow>> {
            Box::pin(async move { self.rows(&self.statements.hours, (span,)).await })
        };
        let spans = self.spans(newest, now_ms);
        let mut hours: Vec<HourRow> = all(spans.map(one).collect()).await?.concat();
        hours.retain(|row| row.0 <= newest);
        hours.sort_by_key(|row| std::cmp::Reverse(row.0));
        Ok(hours)
    }

    /// The same of what an owner submitted.
    pub(super) async fn owned_hours(
        &self,
        owner: &str,
        newest: i64,
        now_ms: i64,
    ) -> Result<Vec<i64>> {
        let one = |span: i64| -> Work<'_, Vec<(i64,)>> {
            Box::pin(async move { self.rows(&self.statements.owned_hours, (owner, span)).await })
        };
        let spans = self.spans(newest, now_ms);
        let read = all(spans.map(one).collect()).await?.concat();
        let mut hours: Vec<i64> = read.into_iter().map(|(hour,)| hour).collect();
        hours.retain(|hour| *hour <= newest);
        hours.sort_unstable_by_key(|hour| std::cmp::Reverse(*hour));
        Ok(hours)
    }

    /// Partitions of hours that may hold an hour with living entries, up to `newest`.
    fn spans(&self, newest: i64, now_ms: i64) -> std::ops::RangeInclusive<i64> {
        let oldest = hour_of(now_ms.saturating_sub(after(0, self.policy.analysis_ttl_s)));
        // An entry lives from its last step, which may be long after its creation.
        let oldest = oldest.saturating_sub(SPAN);
        let last = span_of(newest.min(hour_of(now_ms).saturating_add(SPAN)));
        let first = span_of(oldest).max(last.saturating_sub(MOST_SPANS));
        first..=last
    }
}
