//! The tables, and how a file gets them: numbered steps, each applied once, in a transaction with its number.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::{Result, StoreError};

/// How long a connection waits for another process' lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// More than the statements this adapter has, so that none is ever prepared twice.
const STATEMENTS: usize = 128;

/// Step `n` leads to `user_version` `n + 1`. Steps that were released are never changed.
const STEPS: [&str; 9] = [
    r"
CREATE TABLE settings (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- One row an analysis. Facts are kept apart, each the newest of its kind; `status` is derived from them in the same
-- transaction and NULL while there is nothing to show (deleted, or progress alone).
CREATE TABLE analyses (
    analysis_id BLOB PRIMARY KEY,
    post_id TEXT, url TEXT, post_ts INTEGER,
    created_ms INTEGER,
    pending_ms INTEGER,
    work_ms INTEGER, work_cause TEXT, work_percent INTEGER,
    result_ms INTEGER, result_outcome TEXT, result_completed_ms INTEGER,
    claim_event TEXT, claim_ms INTEGER, claim_expires_ms INTEGER,
    deleted_ms INTEGER,
    status TEXT,
    expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX analyses_listing ON analyses (created_ms, analysis_id) WHERE status IS NOT NULL;
CREATE INDEX analyses_by_status ON analyses (status, created_ms, analysis_id) WHERE status IS NOT NULL;
CREATE INDEX analyses_expiry ON analyses (expires_ms, status);

-- The newest terminal result of an analysis, apart from its row because it is large and seldom written.
CREATE TABLE results (analysis_id BLOB PRIMARY KEY, result TEXT NOT NULL) STRICT;
CREATE VIEW analysis_rows AS SELECT a.*, r.result FROM analyses a LEFT JOIN results r ON r.analysis_id = a.analysis_id;

-- The analysis whose run of a post started last, among those that ended.
CREATE TABLE latest (
    post_id TEXT PRIMARY KEY,
    run_ms INTEGER NOT NULL,
    analysis_id BLOB NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX latest_expiry ON latest (expires_ms);

CREATE TABLE batches (
    batch_id BLOB PRIMARY KEY,
    owner TEXT,
    duplicates INTEGER NOT NULL,
    rejected INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX batches_expiry ON batches (expires_ms);

-- Items of a batch as accepted: JSON of those whose place divided by 1,000 is `chunk`.
CREATE TABLE chunks (
    batch_id BLOB NOT NULL,
    chunk INTEGER NOT NULL,
    size INTEGER NOT NULL,
    items TEXT NOT NULL,
    PRIMARY KEY (batch_id, chunk)
) STRICT;

-- Items of a batch as they went on. `reused` stays 1 until the item's own submission has claimed a run.
CREATE TABLE items (
    batch_id BLOB NOT NULL,
    place INTEGER NOT NULL,
    analysis_id BLOB NOT NULL,
    run_ms INTEGER NOT NULL,
    status TEXT NOT NULL,
    reused INTEGER NOT NULL,
    ended_ms INTEGER,
    PRIMARY KEY (batch_id, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX items_waiting ON items (analysis_id, run_ms) WHERE status IN ('pending', 'processing');

-- Accepted submissions whose analysis has not answered them yet, for publishing again after a restart.
CREATE TABLE outbox (
    event_id BLOB PRIMARY KEY,
    analysis_id BLOB NOT NULL,
    run_ms INTEGER NOT NULL,
    batch_id BLOB,
    place INTEGER,
    submission TEXT NOT NULL
) STRICT;
CREATE INDEX outbox_by_analysis ON outbox (analysis_id, run_ms);

CREATE TABLE posts (
    post_id TEXT PRIMARY KEY,
    scraped_us INTEGER NOT NULL,
    post TEXT NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX posts_expiry ON posts (expires_ms);

CREATE TABLE findings (
    sha256 TEXT NOT NULL,
    detector TEXT NOT NULL,
    finding TEXT NOT NULL,
    expires_ms INTEGER NOT NULL,
    PRIMARY KEY (sha256, detector)
) STRICT, WITHOUT ROWID;
CREATE INDEX findings_expiry ON findings (expires_ms);

CREATE TABLE heartbeats (
    role TEXT NOT NULL,
    instance TEXT NOT NULL,
    beat TEXT NOT NULL,
    expires_ms INTEGER NOT NULL,
    PRIMARY KEY (role, instance)
) STRICT, WITHOUT ROWID;
CREATE INDEX heartbeats_expiry ON heartbeats (expires_ms);

-- The time belongs to the key because an embedded broker counts its offsets from 0 again after a restart.
CREATE TABLE dead_letters (
    stage TEXT NOT NULL,
    failed_us INTEGER NOT NULL,
    topic TEXT NOT NULL,
    part INTEGER NOT NULL,
    place INTEGER NOT NULL,
    failed_at TEXT NOT NULL,
    code TEXT NOT NULL,
    key BLOB,
    value BLOB,
    headers TEXT NOT NULL,
    expires_ms INTEGER NOT NULL,
    PRIMARY KEY (stage, failed_us, topic, part, place)
) STRICT;
CREATE INDEX dead_letters_expiry ON dead_letters (expires_ms);
",
    r"
-- Stages that stopped themselves and wait for an operator.
CREATE TABLE halts (stage TEXT PRIMARY KEY, halt TEXT NOT NULL) STRICT, WITHOUT ROWID;
",
    r"
-- Keys of partners and admins; the secret part is kept as its hash. Revoked ones stay.
CREATE TABLE api_keys (
    key_id TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    role TEXT NOT NULL,
    hash TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    revoked_ms INTEGER
) STRICT, WITHOUT ROWID;
",
    r"
-- What readers think of an analysis. The voter is a keyed hash.
CREATE TABLE votes (
    analysis_id BLOB NOT NULL,
    voter TEXT NOT NULL,
    feedback_id BLOB NOT NULL,
    opinion TEXT NOT NULL,
    comment TEXT,
    at_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    PRIMARY KEY (analysis_id, voter)
) STRICT, WITHOUT ROWID;
CREATE INDEX votes_expiry ON votes (expires_ms);
",
    r"
-- What each holder of keys submitted, and when last.
CREATE TABLE owned (
    owner TEXT NOT NULL,
    analysis_id BLOB NOT NULL,
    submitted_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    PRIMARY KEY (owner, analysis_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX owned_listing ON owned (owner, submitted_ms, analysis_id);
CREATE INDEX owned_expiry ON owned (expires_ms);
",
    r"
-- Requests that were sent with an Idempotency-Key, the newest attempt of each. `status` is NULL while it is open and 0 when it
-- was given up.
CREATE TABLE idempotency (
    owner TEXT NOT NULL,
    key TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    taken_by BLOB NOT NULL,
    request_id BLOB NOT NULL,
    started_ms INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    began_ms INTEGER NOT NULL,
    status INTEGER,
    body BLOB,
    expires_ms INTEGER NOT NULL,
    PRIMARY KEY (owner, key)
) STRICT;
CREATE INDEX idempotency_expiry ON idempotency (expires_ms);

-- What holders of keys may submit where it is not what the configuration says.
CREATE TABLE quotas (holder TEXT PRIMARY KEY, per_minute INTEGER, per_hour INTEGER, per_day INTEGER) STRICT, WITHOUT ROWID;

-- The newest lease of a holder's quota, day by day.
CREATE TABLE quota_leases (
    holder TEXT NOT NULL,
    day INTEGER NOT NULL,
    number INTEGER NOT NULL,
    lease_id BLOB NOT NULL,
    minute INTEGER NOT NULL,
    minute_used INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    hour_used INTEGER NOT NULL,
    day_used INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    PRIMARY KEY (holder, day)
) STRICT, WITHOUT ROWID;
CREATE INDEX quota_leases_expiry ON quota_leases (expires_ms);
",
    r"
CREATE INDEX items_failed ON items (analysis_id, run_ms) WHERE status = 'failed';
",
    r"
-- Where holders of keys want to be told. Secrets are derived, never kept.
CREATE TABLE webhooks (
    webhook_id BLOB PRIMARY KEY,
    holder TEXT NOT NULL,
    url TEXT NOT NULL,
    kinds TEXT NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What became of each attempt to tell one.
CREATE TABLE webhook_attempts (
    webhook_id BLOB NOT NULL,
    at_ms INTEGER NOT NULL,
    message_id BLOB NOT NULL,
    kind TEXT NOT NULL,
    subject BLOB NOT NULL,
    attempt INTEGER NOT NULL,
    status INTEGER,
    problem TEXT,
    expires_ms INTEGER NOT NULL,
    PRIMARY KEY (webhook_id, at_ms, message_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_attempts_expiry ON webhook_attempts (expires_ms);
CREATE INDEX owned_by_analysis ON owned (analysis_id, owner);

-- Batches of holders of keys that nobody was told of as ended.
CREATE TABLE open_batches (batch_id BLOB PRIMARY KEY, owner TEXT NOT NULL, expires_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX open_batches_expiry ON open_batches (expires_ms);
",
    r"
-- What pictures look like that a detector has answered on, under each band of their hash.
CREATE TABLE appearances (
    detector TEXT NOT NULL,
    band INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    hash INTEGER NOT NULL,
    cells BLOB NOT NULL,
    expires_ms INTEGER NOT NULL,
    PRIMARY KEY (detector, band, sha256)
) STRICT, WITHOUT ROWID;
CREATE INDEX appearances_expiry ON appearances (expires_ms);
",
];

/// Opens the file for the writer.
pub(super) fn open_writable(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // WAL lets readers go on during a write; FULL makes every commit durable before it is answered.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "OFF")?;
    // Pages of 4 KiB: the log is copied into the file at 16 MiB instead of 4, so that pages written often are copied once.
    connection.pragma_update(None, "wal_autocheckpoint", 4096)?;
    // Bytes it shrinks back to after one large transaction.
    connection.pragma_update(None, "journal_size_limit", 32 * 1024 * 1024)?;
    // KiB when negative.
    connection.pragma_update(None, "cache_size", -32 * 1024)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// Opens the file for a reader.
pub(super) fn open_read_only(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// Brings the tables up to date. Two processes that open one file at once take turns.
pub(super) fn migrate(connection: &mut Connection) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let done = usize::try_from(version)
        .ok()
        .filter(|done| *done <= STEPS.len());
    let Some(done) = done else {
        return Err(StoreError::Corrupt(format!(
            "the database has version {version}, this program knows {}: start a newer TrustCard, or use another data folder",
            STEPS.len()
        )));
    };
    for step in &STEPS[done..] {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", STEPS.len() as i64)?;
    transaction.commit()?;
    Ok(())
}
