//! Progress of batches, counted from rows.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::SqliteStore;
use crate::{
    BatchItem, BatchProgress, Batches, NewBatch, Result, Totals,
    values::{CHUNK, ChunkItem, count, from_json, items_of_chunk, status_from, time},
};

#[async_trait]
impl Batches for SqliteStore {
    async fn batch(&self, batch_id: Uuid, now: Timestamp) -> Result<Option<BatchProgress>> {
        self.readers
            .run(move |connection| batch(connection, batch_id, now))
            .await
    }

    async fn items(&self, batch_id: Uuid, from: u32) -> Result<Vec<BatchItem>> {
        self.readers
            .run(move |connection| items(connection, batch_id, from))
            .await
    }
}

fn items(connection: &Connection, batch_id: Uuid, from: u32) -> Result<Vec<BatchItem>> {
    let mut chunks = connection.prepare_cached(
        "SELECT chunk, items FROM chunks WHERE batch_id = ?1 AND chunk >= ?2 ORDER BY chunk",
    )?;
    let mut chunks = chunks.query(params![batch_id, from / CHUNK])?;
    while let Some(row) = chunks.next()? {
        let (chunk, text): (u32, String) = (row.get(0)?, row.get(1)?);
        let accepted: Vec<ChunkItem> = from_json("a chunk of a batch", &text)?;
        let mut statement = connection.prepare_cached(
            "SELECT place, status, ended_ms FROM items WHERE batch_id = ?1 AND place >= ?2 AND place < ?3",
        )?;
        let places = params![batch_id, chunk * CHUNK, (chunk + 1) * CHUNK];
        let rows =
            statement.query_map(places, |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
        let rows = rows.collect::<rusqlite::Result<BTreeMap<u32, _>>>()?;
        let items = items_of_chunk(accepted, from, &rows)?;
        if !items.is_empty() {
            return Ok(items);
        }
    }
    Ok(Vec::new())
}

fn batch(connection: &Connection, batch_id: Uuid, now: Timestamp) -> Result<Option<BatchProgress>> {
    let found = connection
        .prepare_cached(
            "SELECT owner, duplicates, rejected, created_ms,
                    (SELECT COALESCE(SUM(size), 0) FROM chunks WHERE chunks.batch_id = batches.batch_id)
             FROM batches WHERE batch_id = ?1 AND expires_ms > ?2",
        )?
        .query_row(params![batch_id, now.as_millisecond()], |row| {
            let batch = NewBatch {
                batch_id,
                owner: row.get(0)?,
                duplicates: row.get(1)?,
                rejected: row.get(2)?,
                client_refs: BTreeMap::new(),
            };
            Ok((batch, row.get::<_, i64>(3)?, row.get::<_, i64>(4)?))
        })
        .optional()?;
    let Some((batch, created_ms, total)) = found else {
        return Ok(None);
    };
    let mut counts = Totals::default();
    // An item may have found a result that is older than the batch; the batch still did not end before it began.
    let (mut reused, mut ended_ms) = (0, created_ms);
    let mut statement = connection.prepare_cached(
        "SELECT status, COUNT(*), SUM(reused), COALESCE(MAX(ended_ms), 0) FROM items
         WHERE batch_id = ?1 AND status IN ('processing', 'completed', 'failed') GROUP BY status",
    )?;
    let mut rows = statement.query(params![batch_id])?;
    while let Some(row) = rows.next()? {
        let status = status_from(&row.get::<_, String>(0)?)?;
        *counts.of(status) = count(row.get(1)?)?;
        reused += count(row.get(2)?)?;
        ended_ms = ended_ms.max(row.get(3)?);
    }
    let total = count(total)?;
    // Whatever has no row yet, or one that says so, is pending.
    counts.pending = total.saturating_sub(counts.sum());
    let ended = counts.completed + counts.failed >= total;
    Ok(Some(BatchProgress {
        batch,
        counts,
        reused,
        created_at: time(created_ms)?,
        completed_at: ended.then(|| time(ended_ms)).transpose()?,
    }))
}
