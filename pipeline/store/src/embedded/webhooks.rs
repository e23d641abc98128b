//! Where holders of keys want to be told, and what became of it.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::params;
use uuid::Uuid;

use super::SqliteStore;
use crate::{
    Attempted, OpenBatch, Owner, Result, Webhook, Webhooks,
    values::{after, from_json, kind_from, kinds_from, status_code, time, to_json},
};

#[async_trait]
impl Webhooks for SqliteStore {
    async fn add_webhook(&self, webhook: &Webhook) -> Result<()> {
        let webhook = webhook.clone();
        self.writer
            .run(move |connection| {
                connection
                    .prepare_cached(
                        "INSERT INTO webhooks (webhook_id, holder, url, kinds, created_ms) VALUES (?1, ?2, ?3, ?4, ?5)
                         ON CONFLICT (webhook_id) DO NOTHING",
                    )?
                    .execute(params![
                        webhook.webhook_id,
                        webhook.holder,
                        webhook.url,
                        to_json(&webhook.kinds)?,
                        webhook.created_at.as_millisecond()
                    ])?;
                Ok(())
            })
            .await
    }

    async fn webhooks(&self) -> Result<Vec<Webhook>> {
        self.readers
            .run(|connection| {
                let mut statement = connection.prepare_cached(
                    "SELECT webhook_id, holder, url, kinds, created_ms FROM webhooks ORDER BY created_ms, webhook_id",
                )?;
                let mut rows = statement.query([])?;
                let mut webhooks = Vec::new();
                while let Some(row) = rows.next()? {
                    let kinds: Vec<String> =
                        from_json("what a webhook tells of", &row.get::<_, String>(3)?)?;
                    webhooks.push(Webhook {
                        webhook_id: row.get(0)?,
                        holder: row.get(1)?,
                        url: row.get(2)?,
                        kinds: kinds_from(&kinds),
                        created_at: time(row.get(4)?)?,
                    });
                }
                Ok(webhooks)
            })
            .await
    }

    async fn drop_webhook(&self, webhook_id: Uuid) -> Result<()> {
        self.writer
            .run(move |connection| {
                connection
                    .prepare_cached("DELETE FROM webhooks WHERE webhook_id = ?1")?
                    .execute(params![webhook_id])?;
                Ok(())
            })
            .await
    }

    async fn log_attempt(&self, attempt: &Attempted) -> Result<()> {
        let (attempt, keep_s) = (attempt.clone(), self.policy.webhook_log_s);
        self.writer
            .run(move |connection| {
                let at_ms = attempt.at.as_millisecond();
                connection
                    .prepare_cached(
                        "INSERT OR REPLACE INTO webhook_attempts
                             (webhook_id, at_ms, message_id, kind, subject, attempt, status, problem, expires_ms)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                    )?
                    .execute(params![
                        attempt.webhook_id,
                        at_ms,
                        attempt.message_id,
                        attempt.kind.name(),
                        attempt.subject,
                        attempt.attempt,
                        attempt.status,
                        attempt.problem,
                        after(at_ms, keep_s)
                    ])?;
                Ok(())
            })
            .await
    }

    async fn attempts(
        &self,
        webhook_id: Uuid,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<Attempted>> {
        self.readers
            .run(move |connection| {
                let mut statement = connection.prepare_cached(
                    "SELECT at_ms, message_id, kind, subject, attempt, status, problem FROM webhook_attempts
                     WHERE webhook_id = ?1 AND expires_ms > ?2 ORDER BY at_ms DESC, message_id LIMIT ?3",
                )?;
                let mut rows = statement.query(params![webhook_id, now.as_millisecond(), limit])?;
                let mut attempts = Vec::new();
                while let Some(row) = rows.next()? {
                    attempts.push(Attempted {
                        webhook_id,
                        at: time(row.get(0)?)?,
                        message_id: row.get(1)?,
                        kind: kind_from(&row.get::<_, String>(2)?)?,
                        subject: row.get(3)?,
                        attempt: row.get(4)?,
                        status: row.get::<_, Option<i32>>(5)?.map(status_code).transpose()?,
                        problem: row.get(6)?,
                    });
                }
                Ok(attempts)
            })
            .await
    }

    async fn owners(&self, analysis_id: Uuid) -> Result<Vec<Owner>> {
        self.readers
            .run(move |connection| {
                let mut statement = connection.prepare_cached(
                    "SELECT owner, submitted_ms FROM owned WHERE analysis_id = ?1 ORDER BY owner",
                )?;
                let owners = statement.query_map(params![analysis_id], |row| {
                    Ok(Owner {
                        holder: row.get(0)?,
                        submitted_ms: row.get(1)?,
                    })
                })?;
                Ok(owners.collect::<rusqlite::Result<_>>()?)
            })
            .await
    }

    async fn open_batches(&self) -> Result<Vec<OpenBatch>> {
        self.readers
            .run(|connection| {
                let mut statement =
                    connection.prepare_cached("SELECT batch_id, owner FROM open_batches")?;
                let batches = statement.query_map([], |row| {
                    Ok(OpenBatch {
                        batch_id: row.get(0)?,
                        holder: row.get(1)?,
                    })
                })?;
                Ok(batches.collect::<rusqlite::Result<_>>()?)
            })
            .await
    }

    async fn close_batch(&self, batch_id: Uuid) -> Result<()> {
        self.writer
            .run(move |connection| {
                connection
                    .prepare_cached("DELETE FROM open_batches WHERE batch_id = ?1")?
                    .execute(params![batch_id])?;
                Ok(())
            })
            .await
    }
}
