//! Our engine as it ships, its telemetry included, around a stage that does the same work and nothing else.

use std::sync::Arc;

use anyhow::Result;
use async_trait::async_trait;
use benches::work::{Checked, Post};
use engine::{
    EngineMetrics, Kafka, Message, Outcome, Runner, RunnerConfig, Stage, StageError, SystemClock,
    lifecycle::{Readiness, Shutdown},
    telemetry::{self, TelemetryConfig},
};
use prometheus::Registry;
use schemas::Reason;
use serde_json::json;

use crate::{
    Delivery,
    leg::{COMMIT_MS, Place, Stop, Told},
};

struct NoOp {
    name: &'static str,
    input: &'static str,
    output: &'static str,
}

#[async_trait]
impl Stage for NoOp {
    type In = Post;

    fn name(&self) -> &'static str {
        self.name
    }

    fn input(&self) -> &'static str {
        self.input
    }

    async fn process(&self, batch: Vec<Message<Post>>) -> Result<Vec<Outcome>, StageError> {
        batch
            .into_iter()
            .map(|message| {
                let checked = Checked::from(message.event);
                let record = schemas::encode(self.output, &checked);
                record
                    .map(|record| Outcome::Forward(vec![record]))
                    .map_err(|error| StageError::new(Reason::StagePanicked, error))
            })
            .collect()
    }
}

/// Runs until told to stop, then drains.
pub fn run(place: &Place, delivery: Delivery, stop: Stop) -> Result<Told> {
    let telemetry = telemetry::init(&TelemetryConfig::default(), &place.name)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let told = runtime.block_on(work(place, delivery, stop));
    telemetry.flush();
    told
}

async fn work(place: &Place, delivery: Delivery, stop: Stop) -> Result<Told> {
    let registry = Registry::new();
    // Everything else as it ships.
    let config: RunnerConfig = serde_json::from_value(json!({
        "delivery": delivery.name(),
        "commit_interval_ms": COMMIT_MS,
        // The topics of a stage nobody else runs don't exist; this one never retries.
        "retry_topics_ms": [],
    }))?;
    let stage = NoOp {
        // Names of a process that does nothing else live as long as it does.
        name: place.name.clone().leak(),
        input: place.input.clone().leak(),
        output: place.output.clone().leak(),
    };
    let shutdown = Shutdown::new();
    let runner = Runner::new(
        Arc::new(stage),
        &Kafka::new(&place.bootstrap, std::collections::BTreeMap::new()),
        config,
        &EngineMetrics::new(&registry)?,
        Arc::new(SystemClock),
        Readiness::new().part("stage", "joining its group"),
    );
    let ending = shutdown.clone();
    tokio::spawn(async move {
        while !stop.now() {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        ending.begin();
    });
    // A task of the runtime, as in the shipped binary.
    tokio::spawn(runner.run(shutdown)).await??;
    Ok(Told {
        commits: counted(&registry, "trustcard_commit_duration_seconds"),
        aborted: counted(&registry, "trustcard_commit_failures_total"),
    })
}

/// Observations of a histogram, or the value of a counter, over all labels.
fn counted(registry: &Registry, name: &str) -> u64 {
    let families = registry.gather();
    let metrics = families
        .iter()
        .filter(|family| family.name() == name)
        .flat_map(|family| family.get_metric());
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count"
    )]
    metrics
        .map(|metric| {
            metric.get_histogram().get_sample_count() + metric.get_counter().value() as u64
        })
        .sum()
}
