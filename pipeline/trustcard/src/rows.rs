//! Rows: the store that the settings name.

use std::{path::Path, sync::Arc};

use anyhow::{Context, Result};
use prometheus::Registry;
use store::{ScyllaStore, SqliteStore, Store, StoreError};

use crate::{
    exit::Failure,
    settings::{Backend, Settings},
};

/// The store of a process.
#[derive(Clone)]
pub struct Rows {
    /// What every role asks.
    pub store: Arc<dyn Store>,
    /// The same store, where it is on CQL.
    scylla: Option<Arc<ScyllaStore>>,
    /// The same store, where it is the embedded one, for what that one alone needs or can do.
    pub embedded: Option<Arc<SqliteStore>>,
}

impl From<Arc<SqliteStore>> for Rows {
    fn from(store: Arc<SqliteStore>) -> Self {
        Self {
            store: store.clone(),
            scylla: None,
            embedded: Some(store),
        }
    }
}

impl Rows {
    /// Shows the store's metrics in `registry`.
    ///
    /// # Errors
    /// When one of the names is taken.
    pub fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        let embedded = self
            .embedded
            .iter()
            .map(|store| store.show_metrics(registry));
        let scylla = self.scylla.iter().map(|store| store.show_metrics(registry));
        embedded.chain(scylla).collect()
    }
}

/// The store that `database.backend` names.
///
/// # Errors
/// When the data folder can't be used, or the servers don't answer or lack a migration.
pub async fn open(settings: &Settings, data_dir: &Path) -> Result<Rows> {
    let database = &settings.database;
    match database.backend {
        Backend::Embedded => Ok(embedded(settings, data_dir)?.into()),
        Backend::Scylla => {
            let store = ScyllaStore::open(&database.scylla, settings.store.clone()).await;
            let store = Arc::new(store.map_err(failed)?);
            Ok(Rows {
                store: store.clone(),
                scylla: Some(store),
                embedded: None,
            })
        }
    }
}

/// The rows in a data folder.
///
/// # Errors
/// When they can't be opened.
pub fn embedded(settings: &Settings, data_dir: &Path) -> Result<Arc<SqliteStore>> {
    make_folder(data_dir)?;
    let store = SqliteStore::open(&data_dir.join("trustcard.db"), settings.store.clone())
        .with_context(|| format!("the database in {} can't be opened", data_dir.display()))?;
    Ok(Arc::new(store))
}

/// Makes a data folder where it is missing.
///
/// # Errors
/// When it can't be made.
pub fn make_folder(data_dir: &Path) -> Result<()> {
    std::fs::create_dir_all(data_dir)
        .with_context(|| format!("the data folder {} can't be made", data_dir.display()))
}

/// A failure of the store as a command tells it: away, or in need of an operator.
#[must_use]
pub fn failed(error: StoreError) -> Failure {
    match error {
        StoreError::Unavailable(_) => Failure::Unavailable(error.to_string()),
        StoreError::Corrupt(_) => Failure::Configuration(error.to_string()),
    }
}
