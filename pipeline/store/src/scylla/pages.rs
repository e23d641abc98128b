//! Pages of a listing: entries hour by hour, newest first, each checked against the analysis itself.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    ScyllaStore,
    listing::{SHARDS, hour_of},
    rows::{Work, all},
};
use crate::{Analyses, AnalysisRow, ListCursor, ListQuery, Page, Result};

/// Entries a page looks at for each row asked for, so that a filter that nothing passes ends.
const LOOKS: usize = 20;
/// The fewest entries a page looks at before it is handed out unfilled.
const FEWEST_LOOKS: usize = 1_000;

impl ScyllaStore {
    pub(super) async fn page(&self, query: &ListQuery, now: Timestamp) -> Result<Page> {
        let (limit, now_ms) = (query.limit as usize, now.as_millisecond());
        let mut after = query.after.unwrap_or(ListCursor {
            created_ms: i64::MAX,
            analysis_id: Uuid::max(),
        });
        let mut rows: Vec<(ListCursor, AnalysisRow)> = Vec::new();
        let mut looked = 0;
        let most = FEWEST_LOOKS.max(limit.saturating_mul(LOOKS));
        let newest = hour_of(after.created_ms);
        let hours: Vec<i64> = match &query.owner {
            Some(owner) => self.owned_hours(owner, newest, now_ms).await?,
            None => {
                let hours = self.hours(newest, now_ms).await?;
                hours.into_iter().map(|row| row.0).collect()
            }
        };
        for hour in hours {
            loop {
                let wanted = limit.saturating_add(1).saturating_sub(rows.len());
                let owner = query.owner.as_deref();
                let (entries, more) = self.entries_after(owner, hour, after, wanted).await?;
                if let Some(last) = entries.last() {
                    after = *last;
                }
                looked += entries.len();
                rows.extend(self.standing(&entries, query, now).await?);
                let full = rows.len() > limit;
                if full {
                    rows.truncate(limit);
                }
                if full || looked >= most {
                    let last = rows.last().map(|(place, _)| *place).filter(|_| full);
                    return Ok(Page {
                        rows: rows.into_iter().map(|(_, row)| row).collect(),
                        next: last.or(Some(after)),
                    });
                }
                if !more {
                    break;
                }
            }
        }
        Ok(Page {
            rows: rows.into_iter().map(|(_, row)| row).collect(),
            next: None,
        })
    }

    /// Entries of an hour after a place, newest first, at most `limit`; and whether there may be more.
    async fn entries_after(
        &self,
        owner: Option<&str>,
        hour: i64,
        after: ListCursor,
        limit: usize,
    ) -> Result<(Vec<ListCursor>, bool)> {
        type Row = (i64, Uuid);
        let most = i32::try_from(limit).unwrap_or(i32::MAX);
        let (ms, id) = (after.created_ms, after.analysis_id);
        let one = |shard: i32| -> Work<'_, Vec<Row>> {
            Box::pin(async move {
                match owner {
                    Some(owner) => {
                        let key = (owner, hour, shard, ms, id, most);
                        self.rows(&self.statements.owned, key).await
                    }
                    None => {
                        let key = (hour, shard, ms, id, most);
                        let rows: Vec<(i64, Uuid, Option<bool>)> =
                            self.rows(&self.statements.listed, key).await?;
                        Ok(rows.into_iter().map(|(ms, id, _)| (ms, id)).collect())
                    }
                }
            })
        };
        let shards = i32::try_from(SHARDS).unwrap_or(1);
        let read: Vec<Vec<Row>> = all((0..shards).map(one).collect()).await?;
        // The first of all are among the first of each.
        let cut = read.iter().any(|rows| rows.len() >= limit);
        let mut rows: Vec<Row> = read.concat();
        rows.sort_by_key(|row| std::cmp::Reverse(*row));
        let more = cut || rows.len() > limit;
        rows.truncate(limit);
        let entries = rows
            .into_iter()
            .map(|(created_ms, analysis_id)| ListCursor {
                created_ms,
                analysis_id,
            });
        Ok((entries.collect(), more))
    }

    /// The analyses of entries, in their order, where the entry stands and the status is the one asked for.
    async fn standing(
        &self,
        entries: &[ListCursor],
        query: &ListQuery,
        now: Timestamp,
    ) -> Result<Vec<(ListCursor, AnalysisRow)>> {
        let ids: BTreeSet<Uuid> = entries.iter().map(|entry| entry.analysis_id).collect();
        let owner = query.owner.as_deref();
        let one = |id: Uuid| -> Work<'_, Option<(i64, AnalysisRow)>> {
            Box::pin(async move { self.place(owner, id, now).await })
        };
        let rows = all(ids.into_iter().map(one).collect()).await?;
        let rows: BTreeMap<Uuid, (i64, AnalysisRow)> = rows
            .into_iter()
            .flatten()
            .map(|(place_ms, row)| (row.analysis_id, (place_ms, row)))
            .collect();
        let standing = entries.iter().filter_map(|entry| {
            let (place_ms, row) = rows.get(&entry.analysis_id)?;
            let status = row.state(&self.policy).status;
            let wanted = query.status.is_none_or(|wanted| wanted == status);
            (wanted && *place_ms == entry.created_ms).then(|| (*entry, row.clone()))
        });
        Ok(standing.collect())
    }

    /// An analysis and where its entry stands: at its creation, or at the owner's newest submission. One that was deleted since
    /// then is not the owner's any more, whoever submitted it again.
    async fn place(
        &self,
        owner: Option<&str>,
        id: Uuid,
        now: Timestamp,
    ) -> Result<Option<(i64, AnalysisRow)>> {
        let Some(row) = self.analysis(id, now).await? else {
            return Ok(None);
        };
        let created_ms = row.created_at.as_millisecond();
        let Some(owner) = owner else {
            return Ok(Some((created_ms, row)));
        };
        let key = (owner, id);
        let newest: Option<(Option<i64>,)> = self.row(&self.statements.owned_newest, key).await?;
        let newest = newest.and_then(|(submitted_ms,)| submitted_ms);
        Ok(newest.filter(|ms| *ms >= created_ms).map(|ms| (ms, row)))
    }
}
