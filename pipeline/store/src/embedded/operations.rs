//! Signs of life, dead letters and stages that stopped themselves.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use schemas::{Halt, Reason};

use super::SqliteStore;
use crate::{
    Heartbeat, KeptDeadLetter, Operations, Result, StoreError,
    values::{HEARTBEAT_TTL_S, after, from_json, to_json},
};

#[async_trait]
impl Operations for SqliteStore {
    async fn ping(&self) -> Result<()> {
        self.readers
            .run(|connection| Ok(connection.query_row("SELECT 1", [], |_| Ok(()))?))
            .await?;
        // An empty transaction: says whether the writer lives, and costs no flush.
        self.writer.run(|_| Ok(())).await
    }

    async fn heartbeat(&self, beat: &Heartbeat, now: Timestamp) -> Result<()> {
        let (role, instance, text) = (beat.role.clone(), beat.instance.clone(), to_json(beat)?);
        self.writer
            .run(move |connection| {
                connection
                    .prepare_cached(
                        "INSERT OR REPLACE INTO heartbeats (role, instance, beat, expires_ms) VALUES (?1, ?2, ?3, ?4)",
                    )?
                    .execute(params![
                        role,
                        instance,
                        text,
                        after(now.as_millisecond(), HEARTBEAT_TTL_S)
                    ])?;
                Ok(())
            })
            .await
    }

    async fn heartbeats(&self, now: Timestamp) -> Result<Vec<Heartbeat>> {
        self.readers
            .run(move |connection| {
                let mut statement = connection.prepare_cached(
                    "SELECT beat FROM heartbeats WHERE expires_ms > ?1 ORDER BY role, instance",
                )?;
                let mut rows = statement.query(params![now.as_millisecond()])?;
                let mut beats = Vec::new();
                while let Some(row) = rows.next()? {
                    beats.push(from_json("a heartbeat", &row.get::<_, String>(0)?)?);
                }
                Ok(beats)
            })
            .await
    }

    async fn keep_dead_letter(&self, letter: &KeptDeadLetter) -> Result<()> {
        let letter = letter.clone();
        let expires_ms = after(
            letter.failed_at.as_millisecond(),
            self.policy.analysis_ttl_s,
        );
        self.writer
            .run(move |connection| {
                let (topic, partition, offset) = &letter.origin;
                connection
                    .prepare_cached(
                        "INSERT OR REPLACE INTO dead_letters
                             (stage, failed_us, topic, part, place, failed_at, code, key, value, headers, expires_ms)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                    )?
                    .execute(params![
                        letter.stage,
                        letter.failed_at.as_microsecond(),
                        topic,
                        partition,
                        offset,
                        letter.failed_at.to_string(),
                        letter.code.code(),
                        letter.key,
                        letter.value,
                        to_json(&letter.headers)?,
                        expires_ms
                    ])?;
                Ok(())
            })
            .await
    }

    async fn dead_letters(&self, stage: &str, limit: u32) -> Result<Vec<KeptDeadLetter>> {
        let stage = stage.to_owned();
        self.readers
            .run(move |connection| {
                let mut statement = connection.prepare_cached(
                    "SELECT stage, topic, part, place, failed_at, code, key, value, headers FROM dead_letters
                     WHERE stage = ?1 ORDER BY failed_us DESC, topic DESC, part DESC, place DESC LIMIT ?2",
                )?;
                let mut rows = statement.query(params![stage, limit])?;
                let mut letters = Vec::new();
                while let Some(row) = rows.next()? {
                    letters.push(letter(row)?);
                }
                Ok(letters)
            })
            .await
    }

    async fn halt(&self, stage: &str, halt: &Halt) -> Result<()> {
        let (stage, text) = (stage.to_owned(), to_json(halt)?);
        self.writer
            .run(move |connection| {
                connection
                    .prepare_cached("INSERT OR REPLACE INTO halts (stage, halt) VALUES (?1, ?2)")?
                    .execute(params![stage, text])?;
                Ok(())
            })
            .await
    }

    async fn halted(&self, stage: &str) -> Result<Option<Halt>> {
        let stage = stage.to_owned();
        self.readers
            .run(move |connection| {
                connection
                    .prepare_cached("SELECT halt FROM halts WHERE stage = ?1")?
                    .query_row(params![stage], |row| row.get::<_, String>(0))
                    .optional()?
                    .map(|text| from_json("a halt", &text))
                    .transpose()
            })
            .await
    }

    async fn release(&self, stage: &str) -> Result<Option<Halt>> {
        let stage = stage.to_owned();
        self.writer
            .run(move |connection| {
                connection
                    .prepare_cached("DELETE FROM halts WHERE stage = ?1 RETURNING halt")?
                    .query_row(params![stage], |row| row.get::<_, String>(0))
                    .optional()?
                    .map(|text| from_json("a halt", &text))
                    .transpose()
            })
            .await
    }
}

impl SqliteStore {
    /// Forgets a dead letter that was kept: it has been sent back. Whether it was there.
    ///
    /// # Errors
    /// When the store did not answer.
    pub async fn forget_dead_letter(&self, letter: &KeptDeadLetter) -> Result<bool> {
        let letter = letter.clone();
        self.writer
            .run(move |connection| {
                let (topic, partition, offset) = &letter.origin;
                let forgotten = connection
                    .prepare_cached(
                        "DELETE FROM dead_letters
                         WHERE stage = ?1 AND failed_us = ?2 AND topic = ?3 AND part = ?4 AND place = ?5",
                    )?
                    .execute(params![
                        letter.stage,
                        letter.failed_at.as_microsecond(),
                        topic,
                        partition,
                        offset
                    ])?;
                Ok(forgotten > 0)
            })
            .await
    }
}

fn letter(row: &Row<'_>) -> Result<KeptDeadLetter> {
    let (failed_at, code): (String, String) = (row.get(4)?, row.get(5)?);
    Ok(KeptDeadLetter {
        stage: row.get(0)?,
        origin: (row.get(1)?, row.get(2)?, row.get(3)?),
        failed_at: failed_at
            .parse()
            .map_err(|error| StoreError::Corrupt(format!("{failed_at} is no time: {error}")))?,
        code: Reason::from_code(&code)
            .ok_or_else(|| StoreError::Corrupt(format!("{code} is no reason")))?,
        key: row.get(6)?,
        value: row.get(7)?,
        headers: from_json("headers of a dead letter", &row.get::<_, String>(8)?)?,
    })
}
