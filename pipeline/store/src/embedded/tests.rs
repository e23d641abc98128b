//! The contract on SQLite, and what is SQLite's own.

use std::{path::PathBuf, sync::Arc};

use tempfile::TempDir;

use super::*;
use crate::{
    Store,
    contract::{Shared, contract_tests},
};

mod damage;
mod group_commit;
mod maintenance;
mod plans;
mod restart;

fn open() -> (Shared, TempDir) {
    let (store, folder) = open_sqlite();
    let store: Arc<dyn Store> = store;
    (store, folder)
}

fn open_sqlite() -> (Arc<SqliteStore>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(reopen(&folder));
    (store, folder)
}

fn reopen(folder: &TempDir) -> SqliteStore {
    SqliteStore::open(&file(folder), StorePolicy::default()).unwrap()
}

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("data/store.db")
}

contract_tests!(open());
