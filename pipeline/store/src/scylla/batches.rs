//! Progress of batches, counted from rows.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    ScyllaStore,
    rows::{Work, all},
};
use crate::{
    BatchItem, BatchProgress, Batches, NewBatch, Result, Status, StoreError, Totals,
    values::{CHUNK, ChunkItem, RETRACTED, after, from_json, items_of_chunk, status_from, time},
};

type BatchRow = (
    Option<String>,
    Option<i64>,
    Option<i64>,
    Option<i32>,
    Option<i64>,
    Option<i64>,
);
type ItemRow = (Option<i32>, Option<String>, Option<bool>, Option<i64>);

/// What was counted in one chunk.
#[derive(Default)]
struct Counted {
    size: u64,
    retracted: u64,
    counts: Totals,
    reused: u64,
    ended_ms: i64,
}

#[async_trait]
impl Batches for ScyllaStore {
    async fn batch(&self, batch_id: Uuid, now: Timestamp) -> Result<Option<BatchProgress>> {
        let row: Option<BatchRow> = self.row(&self.statements.batch, (batch_id,)).await?;
        let Some((
            owner,
            Some(duplicates),
            Some(rejected),
            Some(chunks),
            Some(created_ms),
            Some(kept_ms),
        )) = row
        else {
            return Ok(None);
        };
        if after(kept_ms, self.policy.analysis_ttl_s) <= now.as_millisecond() {
            return Ok(None);
        }
        let one = |chunk| -> Work<'_, Counted> { Box::pin(self.count_chunk(batch_id, chunk)) };
        let mut sum = Counted {
            // An item may have found a result that is older than the batch; the batch still did not end before it began.
            ended_ms: created_ms,
            ..Counted::default()
        };
        for chunk in all((0..chunks).map(one).collect()).await? {
            sum.add(&chunk);
        }
        let total = sum.size.saturating_sub(sum.retracted);
        if total == 0 && sum.retracted > 0 {
            return Ok(None);
        }
        let mut counts = sum.counts;
        // Whatever has no row yet, or one that says so, is pending.
        counts.pending = total.saturating_sub(counts.sum());
        let ended = counts.completed + counts.failed >= total;
        Ok(Some(BatchProgress {
            batch: NewBatch {
                batch_id,
                owner,
                duplicates: small(duplicates)?,
                rejected: small(rejected)?,
                client_refs: BTreeMap::new(),
            },
            counts,
            reused: sum.reused,
            created_at: time(created_ms)?,
            completed_at: ended.then(|| time(sum.ended_ms)).transpose()?,
        }))
    }

    async fn items(&self, batch_id: Uuid, from: u32) -> Result<Vec<BatchItem>> {
        let row: Option<BatchRow> = self.row(&self.statements.batch, (batch_id,)).await?;
        let chunks = row.and_then(|(_, _, _, chunks, ..)| chunks).unwrap_or(0);
        for chunk in i32::try_from(from / CHUNK).unwrap_or(i32::MAX)..chunks {
            let items = self.items_of(batch_id, chunk, from).await?;
            if !items.is_empty() {
                return Ok(items);
            }
        }
        Ok(Vec::new())
    }
}

impl ScyllaStore {
    async fn items_of(&self, batch_id: Uuid, chunk: i32, from: u32) -> Result<Vec<BatchItem>> {
        let key = (batch_id, chunk);
        // Apart, because a static cell comes with every row it is asked for beside.
        let (accepted, rows) = futures::try_join!(
            self.row::<(Option<String>,)>(&self.statements.accepted, key),
            self.rows::<(Option<i32>, Option<String>, Option<i64>)>(&self.statements.standing, key),
        )?;
        let Some(text) = accepted.and_then(|(text,)| text) else {
            return Ok(Vec::new());
        };
        let accepted: Vec<ChunkItem> = from_json("a chunk of a batch", &text)?;
        let rows = rows.into_iter().filter_map(|(place, status, ended_ms)| {
            Some((u32::try_from(place?).ok()?, (status?, ended_ms)))
        });
        items_of_chunk(accepted, from, &rows.collect())
    }

    async fn count_chunk(&self, batch_id: Uuid, chunk: i32) -> Result<Counted> {
        let rows: Vec<ItemRow> = self.rows(&self.statements.chunk, (batch_id, chunk)).await?;
        let mut counted = Counted::default();
        for (size, status, own, ended_ms) in rows {
            counted.size = u64::try_from(size.unwrap_or(0)).unwrap_or(0);
            let Some(status) = status else { continue };
            if status == RETRACTED {
                counted.retracted += 1;
                continue;
            }
            let status = status_from(&status)?;
            if status == Status::Pending {
                continue;
            }
            *counted.counts.of(status) += 1;
            counted.reused += u64::from(own != Some(true));
            counted.ended_ms = counted.ended_ms.max(ended_ms.unwrap_or(0));
        }
        Ok(counted)
    }
}

impl Counted {
    fn add(&mut self, other: &Self) {
        self.size += other.size;
        self.retracted += other.retracted;
        self.counts.processing += other.counts.processing;
        self.counts.completed += other.counts.completed;
        self.counts.failed += other.counts.failed;
        self.reused += other.reused;
        self.ended_ms = self.ended_ms.max(other.ended_ms);
    }
}

fn small(value: i64) -> Result<u32> {
    u32::try_from(value).map_err(|_| StoreError::Corrupt(format!("{value} is no count")))
}
