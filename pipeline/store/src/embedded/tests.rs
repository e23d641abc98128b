//! The contract on SQLite, and what is SQLite's own.

use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::{
    Store,
    contract::{Shared, contract_tests},
};

fn open() -> (Shared, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(reopen(&folder));
    (store, folder)
}

fn reopen(folder: &TempDir) -> SqliteStore {
    SqliteStore::open(&folder.path().join("data/store.db"), StorePolicy::default()).unwrap()
}

contract_tests!(open());
