//! Rows that live for a time only. Reads pass over what has expired; a sweep removes it.

use jiff::Timestamp;
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::{SqliteStore, row};
use crate::Result;

/// Tables whose rows expire each alone.
const PLAIN: [&str; 12] = [
    "DELETE FROM latest WHERE post_id IN (SELECT post_id FROM latest WHERE expires_ms <= ?1 LIMIT ?2)",
    "DELETE FROM posts WHERE rowid IN (SELECT rowid FROM posts WHERE expires_ms <= ?1 LIMIT ?2)",
    "DELETE FROM findings WHERE (sha256, detector) IN
         (SELECT sha256, detector FROM findings WHERE expires_ms <= ?1 LIMIT ?2)",
    "DELETE FROM appearances WHERE (detector, band, sha256) IN
         (SELECT detector, band, sha256 FROM appearances WHERE expires_ms <= ?1 LIMIT ?2)",
    "DELETE FROM heartbeats WHERE (role, instance) IN
         (SELECT role, instance FROM heartbeats WHERE expires_ms <= ?1 LIMIT ?2)",
    "DELETE FROM votes WHERE (analysis_id, voter) IN
         (SELECT analysis_id, voter FROM votes WHERE expires_ms <= ?1 LIMIT ?2)",
    "DELETE FROM owned WHERE (owner, analysis_id) IN
         (SELECT owner, analysis_id FROM owned WHERE expires_ms <= ?1 LIMIT ?2)",
    "DELETE FROM idempotency WHERE rowid IN (SELECT rowid FROM idempotency WHERE expires_ms <= ?1 LIMIT ?2)",
    "DELETE FROM quota_leases WHERE (holder, day) IN
         (SELECT holder, day FROM quota_leases WHERE expires_ms <= ?1 LIMIT ?2)",
    "DELETE FROM webhook_attempts WHERE (webhook_id, at_ms, message_id) IN
         (SELECT webhook_id, at_ms, message_id FROM webhook_attempts WHERE expires_ms <= ?1 LIMIT ?2)",
    "DELETE FROM open_batches WHERE batch_id IN (SELECT batch_id FROM open_batches WHERE expires_ms <= ?1 LIMIT ?2)",
    "DELETE FROM dead_letters WHERE rowid IN (SELECT rowid FROM dead_letters WHERE expires_ms <= ?1 LIMIT ?2)",
];

impl SqliteStore {
    /// Removes rows that have expired, at most `limit` of each kind, so that other writes do not wait for long. Gives how many
    /// were removed; 0 means that nothing is left to remove.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn sweep(&self, now: Timestamp, limit: u32) -> Result<u64> {
        self.writer
            .run(move |connection| {
                let now_ms = now.as_millisecond();
                let mut removed = sweep_analyses(connection, now_ms, limit)?
                    + sweep_batches(connection, now_ms, limit)?;
                for sql in PLAIN {
                    removed += connection
                        .prepare_cached(sql)?
                        .execute(params![now_ms, limit])?;
                }
                Ok(removed as u64)
            })
            .await
    }
}

fn sweep_analyses(connection: &Connection, now_ms: i64, limit: u32) -> Result<usize> {
    let expired: Vec<Uuid> = connection
        .prepare_cached("SELECT analysis_id FROM analyses WHERE expires_ms <= ?1 LIMIT ?2")?
        .query_map(params![now_ms, limit], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for id in &expired {
        row::remove(connection, *id)?;
    }
    Ok(expired.len())
}

/// Items go first; their batch goes when it has none left.
fn sweep_batches(connection: &Connection, now_ms: i64, limit: u32) -> Result<usize> {
    let expired: Option<Uuid> = connection
        .prepare_cached("SELECT MIN(batch_id) FROM batches WHERE expires_ms <= ?1")?
        .query_row(params![now_ms], |row| row.get(0))?;
    let Some(batch_id) = expired else {
        return Ok(0);
    };
    let items = connection
        .prepare_cached(
            "DELETE FROM items WHERE (batch_id, place) IN
                 (SELECT batch_id, place FROM items WHERE batch_id = ?1 LIMIT ?2)",
        )?
        .execute(params![batch_id, limit])?;
    if items > 0 {
        return Ok(items);
    }
    connection
        .prepare_cached("DELETE FROM chunks WHERE batch_id = ?1")?
        .execute(params![batch_id])?;
    Ok(connection
        .prepare_cached("DELETE FROM batches WHERE batch_id = ?1")?
        .execute(params![batch_id])?)
}
