//! The store on CQL: ScyllaDB, or Apache Cassandra.
//!
//! Every fact of an analysis is written with the timestamp `run_started_ms * 1000 + rank` and lives for the configured time,
//! so that the servers themselves sort out what arrives in any order, late or twice; what was read is merged by the same
//! pure function as on SQLite. Nothing is locked: whoever tells and whoever waits each write before they read, at
//! LOCAL_QUORUM, so that one of them sees the other.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, MutexGuard, PoisonError},
};

use prometheus::Registry;
use scylla::statement::{Consistency, SerialConsistency};
use uuid::Uuid;

use crate::{Result, StorePolicy};

mod analyses;
mod batches;
mod claims;
mod client;
mod config;
mod error;
mod facts;
mod feedback;
mod idempotency;
mod intake;
mod items;
mod keys;
mod listing;
mod migrate;
mod operations;
mod pages;
mod quotas;
mod reuse;
mod rows;
mod statements;
mod tls;
mod totals;
mod webhooks;

#[cfg(test)]
mod tests;

pub use config::ScyllaConfig;
pub use migrate::{Applied, migrate, plan};
pub use tls::TlsConfig;

use client::Client;
use statements::Statements;

/// Claims of one process that may be on their way at once without waiting for one of another analysis.
const TURNS: usize = 1024;

/// The store on CQL. Share it as `Arc<ScyllaStore>`. A call that is dropped half-way may have taken effect in part; made
/// again it completes.
#[derive(Debug)]
pub struct ScyllaStore {
    client: Client,
    statements: Statements,
    policy: StorePolicy,
    turns: Vec<tokio::sync::Mutex<()>>,
    /// Hours that were noted as having entries, of an owner or of all, and when.
    hours: Mutex<BTreeMap<(Option<String>, i64), i64>>,
}

impl ScyllaStore {
    /// Connects and prepares every statement.
    ///
    /// # Errors
    /// [`crate::StoreError::Unavailable`] when no server answers; [`crate::StoreError::Corrupt`] when the settings are wrong,
    /// or the keyspace lacks a migration: then `trustcard migrate` helps.
    pub async fn open(config: &ScyllaConfig, policy: StorePolicy) -> Result<Self> {
        let session = client::connect(config).await?;
        migrate::check(&session, config).await?;
        let mut statements = Statements::prepare(&session).await?;
        // One vote, one request and one lease in all data centres together.
        let serial = Some(SerialConsistency::Serial);
        for put in [
            &mut statements.put_vote,
            &mut statements.put_attempt,
            &mut statements.put_lease,
        ] {
            put.set_serial_consistency(serial);
        }
        for read in [
            &mut statements.vote,
            &mut statements.attempt,
            &mut statements.lease,
            &mut statements.lease_id,
        ] {
            read.set_consistency(Consistency::Serial);
        }
        Ok(Self {
            client: Client::new(session, config)?,
            statements,
            policy,
            turns: (0..TURNS).map(|_| tokio::sync::Mutex::new(())).collect(),
            hours: Mutex::new(BTreeMap::new()),
        })
    }

    /// Shows its metrics in `registry`.
    ///
    /// # Errors
    /// When one of the names is taken.
    pub fn show_metrics(&self, registry: &Registry) -> prometheus::Result<()> {
        self.client.register(registry)
    }

    /// Waits until no other claim of this analysis, and of the few that share its place, is on its way in this process.
    async fn turn(&self, id: Uuid) -> tokio::sync::MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        let place = usize::try_from(hasher.finish() % TURNS as u64).unwrap_or(0);
        self.turns[place].lock().await
    }

    fn noted_hours(&self) -> MutexGuard<'_, BTreeMap<(Option<String>, i64), i64>> {
        self.hours.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
