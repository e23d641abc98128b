//! The store on CQL: ScyllaDB, or Apache Cassandra.
//!
//! Every fact of an analysis is written with the timestamp `run_started_ms * 1000 + rank` and lives for the configured time,
//! so that the servers themselves sort out what arrives in any order, late or twice; [`crate::facts`] merges what was read.
//! Nothing is locked: whoever tells and whoever waits each write before they read, at LOCAL_QUORUM, so that one of them sees
//! the other.

mod client;
mod config;
mod error;
mod migrate;

pub use config::ScyllaConfig;
pub use migrate::{Applied, migrate};
