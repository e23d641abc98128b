//! Listings: entries by the hour of creation and a shard of the id, newest first.
//!
//! An entry is written with every step of an analysis, each cell with the timestamp of the run it tells of, so that `totals`
//! can derive a status from it. It stands while `listed` is set; where the creation moves, the entry left behind loses that
//! mark for good. A page is checked against the analyses themselves.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use scylla::value::MaybeUnset;
use uuid::Uuid;

use super::{
    ScyllaStore,
    facts::Loaded,
    rows::{Work, all, ttl},
};
use crate::{AnalysisRow, Ended, ListCursor, ListQuery, Page, Result, rank, values::after};

/// Length of an hour, in milliseconds.
pub(super) const HOUR_MS: i64 = 3600 * 1000;
/// Partitions of an hour.
pub(super) const SHARDS: u64 = 16;
/// Hours in one partition of the table of hours.
const SPAN: i64 = 1_000;
/// Partitions of hours that a call looks through: far more than the longest TTL.
const MOST_SPANS: i64 = 200;
/// Entries a page looks at for each row asked for, so that a filter that nothing passes ends.
const LOOKS: usize = 20;
/// The fewest entries a page looks at before it is handed out unfilled.
const FEWEST_LOOKS: usize = 1_000;
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

fn shard_of(id: Uuid) -> i32 {
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
        work.push(Box::pin(self.note_hour(hour_of(created_ms), now_ms)));
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

    /// Notes that an hour has entries, once in an hour.
    async fn note_hour(&self, hour: i64, now_ms: i64) -> Result<()> {
        let known = |hours: &BTreeMap<i64, i64>| {
            hours
                .get(&hour)
                .is_some_and(|at| now_ms < at.saturating_add(HOUR_MS))
        };
        if known(&self.noted_hours()) {
            return Ok(());
        }
        // Kept longer than its entries, which may be written an hour after it.
        let ttl = ttl(self.policy.analysis_ttl_s.saturating_add(2 * 3600));
        let values = (span_of(hour), hour, ttl);
        self.write(&self.statements.put_hour, values).await?;
        let mut hours = self.noted_hours();
        if hours.len() >= REMEMBERED {
            hours.clear();
        }
        hours.insert(hour, now_ms);
        Ok(())
    }

    /// The hours with entries that live at `now_ms`, newest first, from `newest` on backwards.
    pub(super) async fn hours(&self, newest: i64, now_ms: i64) -> Result<Vec<HourRow>> {
        let oldest = hour_of(now_ms.saturating_sub(after(0, self.policy.analysis_ttl_s)));
        // An entry lives from its last step, which may be long after its creation.
        let oldest = oldest.saturating_sub(SPAN);
        let last = span_of(newest.min(hour_of(now_ms).saturating_add(SPAN)));
        let first = span_of(oldest).max(last.saturating_sub(MOST_SPANS));
        let one = |span: i64| -> Work<'_, Vec<HourRow>> {
            Box::pin(async move { self.rows(&self.statements.hours, (span,)).await })
        };
        let mut hours: Vec<HourRow> = all((first..=last).map(one).collect()).await?.concat();
        hours.retain(|row| row.0 <= newest);
        hours.sort_by_key(|row| std::cmp::Reverse(row.0));
        Ok(hours)
    }

    pub(super) async fn page(&self, query: &ListQuery, now: Timestamp) -> Result<Page> {
        let (limit, now_ms) = (query.limit as usize, now.as_millisecond());
        let mut after = query.after.unwrap_or(ListCursor {
            created_ms: i64::MAX,
            analysis_id: Uuid::max(),
        });
        let mut rows: Vec<AnalysisRow> = Vec::new();
        let mut looked = 0;
        let most = FEWEST_LOOKS.max(limit.saturating_mul(LOOKS));
        for (hour, ..) in self.hours(hour_of(after.created_ms), now_ms).await? {
            loop {
                let wanted = limit.saturating_add(1).saturating_sub(rows.len());
                let (entries, more) = self.entries_after(hour, after, wanted).await?;
                for cursor in &entries {
                    after = *cursor;
                }
                looked += entries.len();
                let found = self.standing(&entries, query, now).await?;
                rows.extend(found);
                if rows.len() > limit {
                    rows.truncate(limit);
                    let next = rows.last().map(place);
                    return Ok(Page { rows, next });
                }
                if looked >= most {
                    return Ok(Page {
                        rows,
                        next: Some(after),
                    });
                }
                if !more {
                    break;
                }
            }
        }
        Ok(Page { rows, next: None })
    }

    /// Entries of an hour after a place, newest first, at most `limit`; and whether there may be more.
    async fn entries_after(
        &self,
        hour: i64,
        after: ListCursor,
        limit: usize,
    ) -> Result<(Vec<ListCursor>, bool)> {
        type Row = (i64, Uuid, Option<bool>);
        let most = i32::try_from(limit).unwrap_or(i32::MAX);
        let one = |shard: i32| -> Work<'_, Vec<Row>> {
            let key = (hour, shard, after.created_ms, after.analysis_id, most);
            Box::pin(async move { self.rows(&self.statements.listed, key).await })
        };
        let shards = i32::try_from(SHARDS).unwrap_or(1);
        let read: Vec<Vec<Row>> = all((0..shards).map(one).collect()).await?;
        // The first of all are among the first of each.
        let cut = read.iter().any(|rows| rows.len() >= limit);
        let mut rows: Vec<Row> = read.concat();
        rows.sort_by_key(|row| std::cmp::Reverse((row.0, row.1)));
        let more = cut || rows.len() > limit;
        rows.truncate(limit);
        let entries = rows
            .iter()
            .map(|row| ListCursor {
                created_ms: row.0,
                analysis_id: row.1,
            })
            .collect();
        Ok((entries, more))
    }

    /// The analyses of entries, in their order, where the entry is theirs and the status the one asked for.
    async fn standing(
        &self,
        entries: &[ListCursor],
        query: &ListQuery,
        now: Timestamp,
    ) -> Result<Vec<AnalysisRow>> {
        use crate::Analyses;
        let ids: BTreeSet<Uuid> = entries.iter().map(|entry| entry.analysis_id).collect();
        let one = |id: Uuid| -> Work<'_, Option<AnalysisRow>> {
            Box::pin(async move { self.analysis(id, now).await })
        };
        let rows = all(ids.into_iter().map(one).collect()).await?;
        let rows: BTreeMap<Uuid, AnalysisRow> = rows
            .into_iter()
            .flatten()
            .map(|row| (row.analysis_id, row))
            .collect();
        let standing = entries.iter().filter_map(|entry| {
            let row = rows.get(&entry.analysis_id)?;
            let status = row.state(&self.policy).status;
            let wanted = query.status.is_none_or(|wanted| wanted == status);
            (wanted && place(row) == *entry).then(|| row.clone())
        });
        Ok(standing.collect())
    }
}

fn place(row: &AnalysisRow) -> ListCursor {
    ListCursor {
        created_ms: row.created_at.as_millisecond(),
        analysis_id: row.analysis_id,
    }
}
