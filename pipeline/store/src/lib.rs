//! Where results live: the store port and its adapters, and the store of media files.
//!
//! - [`port`]: what TrustCard asks of its database;
//! - [`embedded`]: the adapter on SQLite, for one machine;
//! - [`scylla`]: the adapter on CQL, for ScyllaDB and Apache Cassandra;
//! - [`metrics`]: what is counted of it;
//! - [`blobs`]: media files by the hash of their content.
#![warn(missing_docs)]

pub mod blobs;
#[cfg(test)]
mod contract;
pub mod embedded;
mod facts;
pub mod metrics;
pub mod port;
pub mod scylla;
mod values;

pub use self::scylla::{Applied, ScyllaConfig, ScyllaStore, migrate, plan};
pub use blobs::{BlobError, BlobStore};
pub use embedded::SqliteStore;
pub use metrics::{EndMetrics, StoreMetrics};
pub use port::*;
