//! Requests that may be sent again.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::SqliteStore;
use crate::{
    Attempt, Begun, Fate, Idempotency, KeptAnswer, KeyedRequest, Meeting, Result, values::after,
};

#[async_trait]
impl Idempotency for SqliteStore {
    async fn begin(&self, request: &KeyedRequest, now: Timestamp) -> Result<Begun> {
        let (request, policy) = (request.clone(), self.policy.clone());
        self.writer
            .run(move |connection| {
                let latest = latest(connection, &request)?;
                match Attempt::meet(latest, &request, &policy, now) {
                    Meeting::Settled(begun) => Ok(begun),
                    Meeting::Try(attempt) => {
                        let expires_ms = after(attempt.began_ms, policy.idempotency_ttl_s);
                        write(connection, &request, &attempt, expires_ms)?;
                        attempt.turn().map(Begun::Own)
                    }
                }
            })
            .await
    }

    async fn end(
        &self,
        request: &KeyedRequest,
        attempt: u32,
        answer: Option<&KeptAnswer>,
        now: Timestamp,
    ) -> Result<()> {
        let (request, answer) = (request.clone(), answer.cloned());
        let expires_ms = after(now.as_millisecond(), self.policy.idempotency_ttl_s);
        self.writer
            .run(move |connection| {
                connection
                    .prepare_cached(
                        "UPDATE idempotency SET status = ?4, body = ?5, expires_ms = ?6 WHERE owner = ?1 AND key = ?2 AND attempt = ?3",
                    )?
                    .execute(params![
                        request.owner,
                        request.key,
                        attempt,
                        answer.as_ref().map_or(0, |answer| answer.status),
                        answer.map(|answer| answer.body),
                        expires_ms
                    ])?;
                Ok(())
            })
            .await
    }
}

fn latest(connection: &Connection, request: &KeyedRequest) -> Result<Option<(Attempt, Fate)>> {
    Ok(connection
        .prepare_cached(
            "SELECT attempt, taken_by, request_id, started_ms, fingerprint, began_ms, status, body FROM idempotency
             WHERE owner = ?1 AND key = ?2",
        )?
        .query_row(params![request.owner, request.key], |row| {
            let attempt = Attempt {
                number: row.get(0)?,
                token: row.get(1)?,
                request_id: row.get(2)?,
                started_ms: row.get(3)?,
                fingerprint: row.get(4)?,
                began_ms: row.get(5)?,
            };
            let fate = match row.get(6)? {
                None => Fate::Open,
                Some(0) => Fate::GivenUp,
                Some(status) => Fate::Answered(KeptAnswer {
                    status,
                    body: row.get(7)?,
                }),
            };
            Ok((attempt, fate))
        })
        .optional()?)
}

fn write(
    connection: &Connection,
    request: &KeyedRequest,
    attempt: &Attempt,
    expires_ms: i64,
) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO idempotency
                 (owner, key, attempt, taken_by, request_id, started_ms, fingerprint, began_ms, expires_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            request.owner,
            request.key,
            attempt.number,
            attempt.token,
            attempt.request_id,
            attempt.started_ms,
            attempt.fingerprint,
            attempt.began_ms,
            expires_ms
        ])?;
    Ok(())
}
