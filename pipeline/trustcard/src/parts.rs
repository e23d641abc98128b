//! What every role is wired from.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use engine::{
    EngineMetrics, Kafka, SharedClock, SystemClock,
    lifecycle::{Readiness, Shutdown},
};
use prometheus::{Registry, process_collector::ProcessCollector};
use store::{BlobStore, SqliteStore};

use crate::{halts::HaltRows, settings::Settings};

/// A record that the broker has not acknowledged after this long is told as not accepted.
pub const ACK_TIMEOUT: Duration = Duration::from_secs(5);
/// Most records that wait for their acknowledgement at once, in one producer.
pub const MAX_WAITING: usize = 50_000;

/// The parts a process shares among its roles.
#[derive(Clone)]
pub struct Parts {
    /// All settings.
    pub settings: Arc<Settings>,
    /// The broker.
    pub kafka: Kafka,
    /// Rows.
    pub store: Arc<SqliteStore>,
    /// Media.
    pub blobs: BlobStore,
    /// The wall clock.
    pub clock: SharedClock,
    /// Where metrics are registered.
    pub registry: Registry,
    /// Metrics of the stages' machinery.
    pub engine_metrics: EngineMetrics,
    /// Whether this process should get traffic.
    pub readiness: Readiness,
    /// Name of this instance: role and process.
    pub instance: String,
}

impl Parts {
    /// Opens the data folder and connects nothing yet.
    ///
    /// # Errors
    /// When the folder can't be used.
    pub fn open(settings: Settings, kafka: Kafka, data_dir: &Path) -> Result<Self> {
        let shown = data_dir.display();
        std::fs::create_dir_all(data_dir)
            .with_context(|| format!("the data folder {shown} can't be made"))?;
        let store = SqliteStore::open(&data_dir.join("trustcard.db"), settings.store.clone())
            .with_context(|| format!("the database in {shown} can't be opened"))?;
        let blobs = BlobStore::local(&data_dir.join("media"))
            .with_context(|| format!("the media folder in {shown} can't be opened"))?;
        let registry = Registry::new();
        registry.register(Box::new(ProcessCollector::for_self()))?;
        let engine_metrics = EngineMetrics::new(&registry)?;
        let store = Arc::new(store);
        Ok(Self {
            settings: Arc::new(settings),
            kafka: kafka.with_halts(Arc::new(HaltRows(store.clone()))),
            store,
            blobs,
            clock: Arc::new(SystemClock),
            registry,
            engine_metrics,
            readiness: Readiness::new(),
            instance: format!("pid-{}", std::process::id()),
        })
    }

    /// Makes `shutdown` begin on a signal, with the configured grace and deadline.
    ///
    /// # Errors
    /// When the signal handlers can't be installed.
    pub fn end_on_signal(&self, shutdown: &Shutdown) -> std::io::Result<()> {
        let ops = &self.settings.ops;
        let grace = Duration::from_millis(ops.unready_grace_ms);
        shutdown.begin_on_signal(
            self.readiness.clone(),
            grace,
            Duration::from_secs(ops.drain_deadline_s),
        )
    }
}
