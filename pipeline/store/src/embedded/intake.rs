//! Accepting submissions before they are published, and taking back what the broker refused.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use schemas::{Event, Submission};
use uuid::Uuid;

use super::{SqliteStore, items, outbox, row::Kept};
use crate::{
    Intake, NewBatch, Result, StorePolicy,
    values::{CHUNK, ChunkItem, after, batch_place, chunks, from_json, to_json},
};

#[async_trait]
impl Intake for SqliteStore {
    async fn accept(
        &self,
        submissions: &[Submission],
        batch: Option<&NewBatch>,
        now: Timestamp,
    ) -> Result<()> {
        let (submissions, batch, policy) =
            (submissions.to_vec(), batch.cloned(), self.policy.clone());
        self.writer
            .run(move |connection| {
                if let Some(batch) = &batch {
                    write_batch(connection, batch, &submissions, &policy, now)?;
                }
                for submission in &submissions {
                    outbox::keep(connection, submission)?;
                    if batch_place(submission).is_none() {
                        write_pending(connection, submission, &policy, now)?;
                    }
                }
                Ok(())
            })
            .await
    }

    async fn retract(&self, submissions: &[Submission]) -> Result<()> {
        let (submissions, policy) = (submissions.to_vec(), self.policy.clone());
        self.writer
            .run(move |connection| {
                for submission in &submissions {
                    outbox::forget(connection, submission)?;
                    retract_pending(connection, submission, &policy)?;
                    items::retract(connection, submission)?;
                }
                retract_from_chunks(connection, &submissions)
            })
            .await
    }
}

fn write_batch(
    connection: &Connection,
    batch: &NewBatch,
    submissions: &[Submission],
    policy: &StorePolicy,
    now: Timestamp,
) -> Result<()> {
    let expires_ms = after(now.as_millisecond(), policy.analysis_ttl_s);
    connection
        .prepare_cached(
            "INSERT INTO batches (batch_id, owner, duplicates, rejected, created_ms, expires_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (batch_id) DO NOTHING",
        )?
        .execute(params![
            batch.batch_id,
            batch.owner,
            batch.duplicates,
            batch.rejected,
            now.as_millisecond(),
            expires_ms,
        ])?;
    if let Some(owner) = &batch.owner {
        connection
            .prepare_cached(
                "INSERT INTO open_batches (batch_id, owner, expires_ms) VALUES (?1, ?2, ?3) ON CONFLICT (batch_id) DO NOTHING",
            )?
            .execute(params![batch.batch_id, owner, expires_ms])?;
    }
    for (chunk, items) in chunks(batch, submissions) {
        write_chunk(connection, batch.batch_id, chunk, &items)?;
    }
    Ok(())
}

fn write_chunk(
    connection: &Connection,
    batch_id: Uuid,
    chunk: u32,
    items: &[ChunkItem],
) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO chunks (batch_id, chunk, size, items) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (batch_id, chunk) DO UPDATE SET size = excluded.size, items = excluded.items",
        )?
        .execute(params![
            batch_id,
            chunk,
            u32::try_from(items.len()).unwrap_or(u32::MAX),
            to_json(&items)?
        ])?;
    Ok(())
}

fn write_pending(
    connection: &Connection,
    submission: &Submission,
    policy: &StorePolicy,
    now: Timestamp,
) -> Result<()> {
    let id = submission.analysis_id;
    let mut kept = Kept::load(connection, id, now.as_millisecond())?;
    kept.facts.submitted(submission);
    kept.save(
        connection,
        id,
        policy,
        after(now.as_millisecond(), policy.analysis_ttl_s),
    )
}

fn retract_pending(
    connection: &Connection,
    submission: &Submission,
    policy: &StorePolicy,
) -> Result<()> {
    let id = submission.analysis_id;
    let others = outbox::earliest_and_newest(connection, id)?;
    let mut kept = Kept::load(connection, id, i64::MIN)?;
    kept.facts.retracted(
        &submission.id().to_string(),
        submission.run.started_ms,
        others,
    );
    kept.save(connection, id, policy, i64::MIN)
}

/// Removes items from the chunks of their batches; a batch that was left without any is gone.
fn retract_from_chunks(connection: &Connection, submissions: &[Submission]) -> Result<()> {
    let mut places: BTreeMap<Uuid, BTreeMap<u32, Vec<u32>>> = BTreeMap::new();
    for (batch_id, index) in submissions.iter().filter_map(batch_place) {
        let chunks = places.entry(batch_id).or_default();
        chunks.entry(index / CHUNK).or_default().push(index);
    }
    for (batch_id, chunks) in places {
        for (chunk, retracted) in chunks {
            let kept: Option<String> = connection
                .prepare_cached("SELECT items FROM chunks WHERE batch_id = ?1 AND chunk = ?2")?
                .query_row(params![batch_id, chunk], |row| row.get(0))
                .optional()?;
            let Some(kept) = kept else { continue };
            let mut items: Vec<ChunkItem> = from_json("a chunk of a batch", &kept)?;
            let retracted: std::collections::HashSet<u32> = retracted.into_iter().collect();
            items.retain(|item| !retracted.contains(&item.index));
            write_chunk(connection, batch_id, chunk, &items)?;
        }
        remove_if_empty(connection, batch_id)?;
    }
    Ok(())
}

fn remove_if_empty(connection: &Connection, batch_id: Uuid) -> Result<()> {
    let left: i64 = connection
        .prepare_cached("SELECT COALESCE(SUM(size), 0) FROM chunks WHERE batch_id = ?1")?
        .query_row(params![batch_id], |row| row.get(0))?;
    if left == 0 {
        for sql in [
            "DELETE FROM items WHERE batch_id = ?1",
            "DELETE FROM chunks WHERE batch_id = ?1",
            "DELETE FROM batches WHERE batch_id = ?1",
        ] {
            connection.prepare_cached(sql)?.execute(params![batch_id])?;
        }
    }
    Ok(())
}
