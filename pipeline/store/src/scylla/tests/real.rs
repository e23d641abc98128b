//! On a real server.

use std::sync::Arc;

use super::super::*;
use crate::{
    Store,
    contract::{Shared, contract_tests},
};

mod cells;
mod faults;
mod keyspace;
mod listing;
mod migrations;
mod proxy;

use keyspace::Keyspace;

/// A store on a keyspace of its own.
async fn open_scylla() -> (Arc<ScyllaStore>, Keyspace) {
    let keyspace = Keyspace::take().await;
    let store = ScyllaStore::open(&keyspace.config, StorePolicy::default())
        .await
        .unwrap();
    (Arc::new(store), keyspace)
}

async fn open() -> (Shared, Keyspace) {
    let (store, keyspace) = open_scylla().await;
    let store: Arc<dyn Store> = store;
    (store, keyspace)
}

contract_tests!(open().await);
