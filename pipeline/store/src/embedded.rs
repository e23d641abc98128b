//! The store on SQLite, for one machine: one file, one writer thread, a few reader threads.
//!
//! Writes queue for the writer, which commits as many as wait in one transaction and answers only after the disk has them.
//! Reads run on connections of their own and never wait for a write.

use std::path::Path;

use prometheus::Registry;
use rusqlite::{
    Connection,
    trace::{TraceEvent, TraceEventCodes},
};

use crate::{
    Result, StoreError, StorePolicy,
    metrics::{Connections, StoreMetrics},
};

mod analyses;
mod batches;
mod error;
mod expiry;
mod feedback;
mod idempotency;
mod intake;
mod items;
mod keys;
mod listing;
mod operations;
mod outbox;
mod quotas;
mod reader;
mod reuse;
mod row;
mod schema;
mod webhooks;
mod writer;

#[cfg(test)]
mod tests;

use reader::Readers;
use writer::Writer;

/// The store on SQLite. Share it as `Arc<SqliteStore>`; a call that is dropped half-way still takes effect.
#[derive(Debug)]
pub struct SqliteStore {
    writer: Writer,
    readers: Readers,
    policy: StorePolicy,
    metrics: StoreMetrics,
}

impl SqliteStore {
    /// Opens the database file at `path`, creating it and its folder where they are missing, and brings its tables up to date.
    /// Blocks on the disk: call it before serving.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the file can't be opened or written; [`StoreError::Corrupt`] when it is no database of
    /// TrustCard's, or one of a newer version.
    pub fn open(path: &Path, policy: StorePolicy) -> Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| {
                StoreError::Unavailable(format!("can't create {}: {error}", folder.display()))
            })?;
        }
        let metrics =
            StoreMetrics::new().map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let mut connection = schema::open_writable(path)?;
        schema::migrate(&mut connection)?;
        row::apply_policy(&mut connection, &policy)?;
        Ok(Self {
            writer: Writer::start(connection, &metrics)?,
            readers: Readers::start(path, &metrics)?,
            policy,
            metrics,
        })
    }

    /// Shows its metrics in `registry`.
    ///
    /// # Errors
    /// When one of the names is taken.
    pub fn show_metrics(&self, registry: &Registry) -> prometheus::Result<()> {
        let connections = std::sync::Arc::new(Fixed(1 + reader::THREADS as u64));
        self.metrics.register(registry, connections)
    }
}

/// Connections that are opened once and never lost.
struct Fixed(u64);

impl Connections for Fixed {
    fn active(&self) -> u64 {
        self.0
    }

    fn connect_timeouts(&self) -> u64 {
        0
    }

    fn request_timeouts(&self) -> u64 {
        0
    }
}

/// Measures every statement of a connection.
fn measure(connection: &mut Connection, metrics: &StoreMetrics) -> Result<()> {
    let metrics = metrics.clone();
    let told = move |event: TraceEvent<'_>| {
        if let TraceEvent::Profile(statement, took) = event {
            metrics.query(&statement.sql(), took);
        }
    };
    let events = TraceEventCodes::SQLITE_TRACE_PROFILE;
    Ok(connection.trace_v2(events, Some(told))?)
}
