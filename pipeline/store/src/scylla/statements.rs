//! Every statement, prepared once when the store is opened.

use futures::future::try_join_all;
use scylla::{client::session::Session, statement::prepared::PreparedStatement};

use super::error::Failure;
use crate::{Result, StoreError};

macro_rules! statements {
    ($($name:ident: $cql:expr;)+) => {
        /// The prepared statements by what they do.
        #[derive(Debug)]
        pub(super) struct Statements {
            $(pub(super) $name: PreparedStatement,)+
        }

        impl Statements {
            pub(super) async fn prepare(session: &Session) -> Result<Self> {
                let all = [$($cql),+].map(|cql| prepare(session, cql));
                let mut prepared = try_join_all(all).await?.into_iter();
                Ok(Self {
                    $($name: prepared.next().ok_or_else(|| StoreError::Corrupt(
                        "a statement was not prepared".to_owned(),
                    ))?,)+
                })
            }
        }
    };
}

async fn prepare(session: &Session, cql: &'static str) -> Result<PreparedStatement> {
    let mut statement = session
        .prepare(cql)
        .await
        .map_err(|error| StoreError::from(Failure::from(&error)))?;
    statement.set_is_idempotent(true);
    Ok(statement)
}

statements! {
    // analyses
    facts: "SELECT run_ms, event_id, era, post_id, url, pending_ms, pending_kept_ms, deleted_ms, name, cause, percent, outcome,
            completed_ms, kept_ms FROM analyses WHERE analysis_id = ?";
    result: "SELECT result FROM analyses WHERE analysis_id = ? AND run_ms = ? AND event_id = '' AND era = ?";
    put_pending: "UPDATE analyses USING TTL ? AND TIMESTAMP ? SET post_id = ?, url = ?, pending_ms = ?, pending_kept_ms = ?
            WHERE analysis_id = ?";
    put_accepted: "INSERT INTO analyses (analysis_id, run_ms, event_id, era, post_id, name, kept_ms) VALUES (?, ?, ?, ?, ?, ?, ?)
            USING TTL ? AND TIMESTAMP ?";
    drop_accepted: "DELETE FROM analyses USING TIMESTAMP ? WHERE analysis_id = ? AND run_ms = ? AND event_id = ?";
    put_start: "INSERT INTO analyses (analysis_id, run_ms, event_id, era, kept_ms) VALUES (?, ?, '', ?, ?)
            USING TTL ? AND TIMESTAMP ?";
    put_progress: "UPDATE analyses USING TTL ? AND TIMESTAMP ? SET cause = ?, percent = ?, kept_ms = ?
            WHERE analysis_id = ? AND run_ms = ? AND event_id = '' AND era = ?";
    put_result: "UPDATE analyses USING TTL ? AND TIMESTAMP ? SET post_id = ?, name = ?, outcome = ?, completed_ms = ?, result = ?,
            kept_ms = ? WHERE analysis_id = ? AND run_ms = ? AND event_id = '' AND era = ?";
    put_deleted: "UPDATE analyses USING TTL ? AND TIMESTAMP ? SET deleted_ms = ? WHERE analysis_id = ?";
    drop_pending: "DELETE post_id, url, pending_ms, pending_kept_ms FROM analyses USING TIMESTAMP ? WHERE analysis_id = ?";
    drop_runs: "DELETE FROM analyses USING TIMESTAMP ? WHERE analysis_id = ? AND run_ms <= ?";
    // claims
    claims: "SELECT event_id, expires_ms, run_ms FROM claims WHERE analysis_id = ?";
    put_claim: "INSERT INTO claims (analysis_id, event_id, expires_ms, run_ms) VALUES (?, ?, ?, ?) USING TTL ? AND TIMESTAMP ?";
    drop_claim: "DELETE FROM claims USING TIMESTAMP ? WHERE analysis_id = ? AND event_id = ? AND expires_ms = ?";
    // waiting
    waiting: "SELECT run_ms, batch_id, place FROM waiting WHERE analysis_id = ?
            AND (run_ms, batch_id, place) > (?, ?, ?) LIMIT 1000";
    put_waiting: "INSERT INTO waiting (analysis_id, run_ms, batch_id, place) VALUES (?, ?, ?, ?) USING TTL ? AND TIMESTAMP ?";
    drop_waiting: "DELETE FROM waiting USING TIMESTAMP ? WHERE analysis_id = ? AND run_ms = ? AND batch_id = ? AND place = ?";
    // latest
    put_latest: "INSERT INTO latest (post_id, run_ms, analysis_id, kept_ms) VALUES (?, ?, ?, ?) USING TTL ? AND TIMESTAMP ?";
    latest: "SELECT run_ms, analysis_id, kept_ms FROM latest WHERE post_id = ? LIMIT 2";
    drop_latest: "DELETE FROM latest USING TIMESTAMP ? WHERE post_id = ? AND run_ms < ?";
    // listing
    put_listed: "UPDATE listing USING TTL ? AND TIMESTAMP ? SET listed = ?, pending_ms = ?, work_ms = ?, ended_ms = ?, outcome = ?,
            completed_ms = ?, kept_ms = ? WHERE hour = ? AND shard = ? AND created_ms = ? AND analysis_id = ?";
    drop_listed: "DELETE FROM listing USING TIMESTAMP ? WHERE hour = ? AND shard = ? AND created_ms = ? AND analysis_id = ?";
    listed: "SELECT created_ms, analysis_id, listed FROM listing
            WHERE hour = ? AND shard = ? AND (created_ms, analysis_id) < (?, ?) LIMIT ?";
    entries: "SELECT listed, pending_ms, work_ms, ended_ms, outcome, completed_ms, kept_ms, created_ms FROM listing
            WHERE hour = ? AND shard = ?";
    hours: "SELECT hour, pending, processing, completed, failed, counted_ms FROM hours WHERE span = ?";
    put_hour: "INSERT INTO hours (span, hour) VALUES (?, ?) USING TTL ?";
    put_counts: "UPDATE hours USING TTL ? SET pending = ?, processing = ?, completed = ?, failed = ?, counted_ms = ?
            WHERE span = ? AND hour = ?";
    // what a holder submitted
    put_owned: "INSERT INTO owned (owner, hour, shard, submitted_ms, analysis_id) VALUES (?, ?, ?, ?, ?) USING TTL ? AND TIMESTAMP ?";
    owned: "SELECT submitted_ms, analysis_id FROM owned
            WHERE owner = ? AND hour = ? AND shard = ? AND (submitted_ms, analysis_id) < (?, ?) LIMIT ?";
    put_owned_newest: "INSERT INTO owned_newest (owner, analysis_id, submitted_ms) VALUES (?, ?, ?) USING TTL ? AND TIMESTAMP ?";
    owned_newest: "SELECT submitted_ms FROM owned_newest WHERE owner = ? AND analysis_id = ?";
    put_owned_hour: "INSERT INTO owned_hours (owner, span, hour) VALUES (?, ?, ?) USING TTL ?";
    owned_hours: "SELECT hour FROM owned_hours WHERE owner = ? AND span = ?";
    // batches and their items
    put_batch: "INSERT INTO batches (batch_id, owner, duplicates, rejected, chunks, created_ms, kept_ms)
            VALUES (?, ?, ?, ?, ?, ?, ?) USING TTL ? AND TIMESTAMP ?";
    batch: "SELECT owner, duplicates, rejected, chunks, created_ms, kept_ms FROM batches WHERE batch_id = ?";
    put_chunk: "UPDATE items USING TTL ? AND TIMESTAMP ? SET size = ?, accepted = ? WHERE batch_id = ? AND chunk = ?";
    chunk: "SELECT size, status, own, ended_ms FROM items WHERE batch_id = ? AND chunk = ?";
    accepted: "SELECT accepted FROM items WHERE batch_id = ? AND chunk = ? LIMIT 1";
    standing: "SELECT place, status, ended_ms FROM items WHERE batch_id = ? AND chunk = ?";
    item: "SELECT status FROM items WHERE batch_id = ? AND chunk = ? AND place = ?";
    put_item: "UPDATE items USING TTL ? AND TIMESTAMP ? SET status = ?, own = ?, ended_ms = ?
            WHERE batch_id = ? AND chunk = ? AND place = ?";
    // reuse
    post: "SELECT post FROM posts WHERE post_id = ?";
    put_post: "INSERT INTO posts (post_id, post) VALUES (?, ?) USING TTL ? AND TIMESTAMP ?";
    drop_post: "DELETE FROM posts USING TIMESTAMP ? WHERE post_id = ?";
    put_mark: "INSERT INTO marks (name, at_ms) VALUES (?, ?) USING TIMESTAMP ?";
    mark: "SELECT at_ms FROM marks WHERE name = ?";
    finding: "SELECT finding, kept_ms FROM findings WHERE sha256 = ? AND detector = ?";
    put_finding: "INSERT INTO findings (sha256, detector, finding, kept_ms) VALUES (?, ?, ?, ?) USING TTL ? AND TIMESTAMP ?";
    appearances: "SELECT sha256, hash, cells, kept_ms FROM appearances WHERE detector = ? AND band = ? LIMIT ?";
    put_appearance: "INSERT INTO appearances (detector, band, sha256, hash, cells, kept_ms) VALUES (?, ?, ?, ?, ?, ?)
            USING TTL ? AND TIMESTAMP ?";
    // feedback
    put_vote: "INSERT INTO votes (analysis_id, shard, voter, feedback_id, vote, comment, at_ms) VALUES (?, ?, ?, ?, ?, ?, ?)
            IF NOT EXISTS USING TTL ?";
    vote: "SELECT feedback_id FROM votes WHERE analysis_id = ? AND shard = ? AND voter = ?";
    votes: "SELECT vote, comment, at_ms FROM votes WHERE analysis_id = ? AND shard = ?";
    drop_votes: "DELETE FROM votes WHERE analysis_id = ? AND shard = ?";
    // keys
    put_key: "INSERT INTO api_keys (part, key_id, holder, role, hash, created_ms) VALUES (0, ?, ?, ?, ?, ?)";
    keys: "SELECT key_id, holder, role, hash, created_ms, revoked_ms FROM api_keys WHERE part = 0";
    revoke_key: "UPDATE api_keys SET revoked_ms = ? WHERE part = 0 AND key_id = ?";
    // idempotency
    put_attempt: "INSERT INTO idempotency (owner, key, attempt, taken_by, request_id, started_ms, fingerprint, began_ms)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?) IF NOT EXISTS USING TTL ?";
    attempt: "SELECT attempt, taken_by, request_id, started_ms, fingerprint, began_ms FROM idempotency
            WHERE owner = ? AND key = ? LIMIT 1";
    put_answer: "INSERT INTO idempotency_answers (owner, key, attempt, status, body) VALUES (?, ?, ?, ?, ?) USING TTL ?";
    answer: "SELECT status, body FROM idempotency_answers WHERE owner = ? AND key = ? AND attempt = ?";
    // quotas
    put_quota: "INSERT INTO quotas (part, holder, per_minute, per_hour, per_day) VALUES (0, ?, ?, ?, ?)";
    quotas: "SELECT holder, per_minute, per_hour, per_day FROM quotas WHERE part = 0";
    put_lease: "INSERT INTO quota_leases (holder, day, number, lease_id, minute, minute_used, hour, hour_used, day_used)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) IF NOT EXISTS USING TTL ?";
    lease: "SELECT number, lease_id, minute, minute_used, hour, hour_used, day_used FROM quota_leases
            WHERE holder = ? AND day = ? LIMIT 1";
    lease_id: "SELECT lease_id FROM quota_leases WHERE holder = ? AND day = ? AND number = ?";
    // webhooks
    put_webhook: "INSERT INTO webhooks (part, webhook_id, holder, url, kinds, created_ms) VALUES (0, ?, ?, ?, ?, ?)";
    webhooks: "SELECT webhook_id, holder, url, kinds, created_ms FROM webhooks WHERE part = 0";
    drop_webhook: "DELETE FROM webhooks WHERE part = 0 AND webhook_id = ?";
    put_webhook_attempt: "INSERT INTO webhook_attempts (webhook_id, day, at_ms, message_id, kind, subject, attempt, status, problem)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) USING TTL ?";
    webhook_attempts: "SELECT at_ms, message_id, kind, subject, attempt, status, problem FROM webhook_attempts
            WHERE webhook_id = ? AND day = ? LIMIT ?";
    put_owner: "INSERT INTO owners (analysis_id, owner, submitted_ms) VALUES (?, ?, ?) USING TTL ? AND TIMESTAMP ?";
    owners: "SELECT owner, submitted_ms FROM owners WHERE analysis_id = ?";
    put_open_batch: "INSERT INTO open_batches (shard, batch_id, owner) VALUES (?, ?, ?) USING TTL ?";
    open_batches: "SELECT batch_id, owner FROM open_batches WHERE shard = ?";
    drop_open_batch: "DELETE FROM open_batches WHERE shard = ? AND batch_id = ?";
    // operations
    ping: "SELECT part FROM heartbeats WHERE part = 0 LIMIT 1";
    beats: "SELECT beat, kept_ms FROM heartbeats WHERE part = 0";
    put_beat: "INSERT INTO heartbeats (part, role, instance, beat, kept_ms) VALUES (0, ?, ?, ?, ?) USING TTL ? AND TIMESTAMP ?";
    put_letter: "INSERT INTO dead_letters (stage, day, failed_us, topic, part, place, letter) VALUES (?, ?, ?, ?, ?, ?, ?)
            USING TTL ?";
    put_letter_day: "INSERT INTO dead_letter_days (stage, day) VALUES (?, ?) USING TTL ?";
    letter_days: "SELECT day FROM dead_letter_days WHERE stage = ?";
    letters: "SELECT letter FROM dead_letters WHERE stage = ? AND day = ? LIMIT ?";
    put_halt: "INSERT INTO halts (stage, halt) VALUES (?, ?)";
    halt: "SELECT halt FROM halts WHERE stage = ?";
    drop_halt: "DELETE FROM halts WHERE stage = ?";
}
