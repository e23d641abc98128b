//! What every role is wired from.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use engine::{
    EngineMetrics, Kafka, SharedClock, SystemClock,
    lifecycle::{Readiness, Shutdown},
};
use prometheus::{Registry, process_collector::ProcessCollector};
use store::{BlobStore, EndMetrics};

use crate::{
    halts::HaltRows,
    rows::{self, Rows},
    settings::Settings,
};

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
    pub rows: Rows,
    /// Media.
    pub blobs: BlobStore,
    /// The wall clock.
    pub clock: SharedClock,
    /// Where metrics are registered.
    pub registry: Registry,
    /// Metrics of the stages' machinery.
    pub engine_metrics: EngineMetrics,
    /// Counts of analyses that ended, which several stages share.
    pub end_metrics: EndMetrics,
    /// Whether this process should get traffic.
    pub readiness: Readiness,
    /// Name of this instance.
    pub instance: String,
}

impl Parts {
    /// Opens the store and the media folder; the broker is asked nothing yet.
    ///
    /// # Errors
    /// When a folder can't be used, or the database is not ready.
    pub async fn open(settings: Settings, kafka: Kafka, data_dir: &Path) -> Result<Self> {
        let rows = rows::open(&settings, data_dir).await?;
        Self::with_rows(rows, settings, kafka, data_dir)
    }

    /// Parts around a store that is open.
    ///
    /// # Errors
    /// When the media folder can't be used.
    pub fn with_rows(
        rows: Rows,
        settings: Settings,
        kafka: Kafka,
        data_dir: &Path,
    ) -> Result<Self> {
        let folder = settings.blobs.dir.clone();
        let folder = folder.unwrap_or_else(|| data_dir.join("media"));
        let blobs = BlobStore::local(&folder)
            .with_context(|| format!("the media folder {} can't be opened", folder.display()))?;
        let registry = Registry::new();
        registry.register(Box::new(ProcessCollector::for_self()))?;
        engine::telemetry::register(&registry)?;
        let engine_metrics = EngineMetrics::new(&registry)?;
        rows.register(&registry)?;
        let kafka = kafka.with_client_metrics(engine_metrics.clients());
        Ok(Self {
            settings: Arc::new(settings),
            instance: kafka.instance().name().to_owned(),
            kafka: kafka.with_halts(Arc::new(HaltRows(rows.store.clone()))),
            rows,
            blobs,
            clock: Arc::new(SystemClock),
            end_metrics: EndMetrics::register(&registry)?,
            registry,
            engine_metrics,
            readiness: Readiness::new(),
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
