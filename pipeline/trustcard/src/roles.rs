//! The roles: each is one consumer group or the API, wired from [`Parts`].

use std::sync::Arc;

use anyhow::{Context, Result};
use detect::{Detector, metrics::DetectMetrics, stage::DetectStage};
use engine::{
    Runner, RunnerConfig, Stage,
    lifecycle::Shutdown,
    ops::{self, Ops},
};
use ingest_api::Record;
use score::{ScoreStage, Scorer};
use scrape::ScrapeStage;
use serde_json::json;
use tokio::{net::TcpListener, task::JoinSet};
use webhook::{Batches, Sender, WebhookStage};

use crate::{
    cli::RoleArgs,
    exit::Failure,
    parts::Parts,
    settings::{OpsConfig, Settings},
};

mod admit;
pub mod api;
pub mod heartbeat;
pub mod monitor;
mod topics;
mod upkeep;

/// Roles that can run alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Speaks HTTP to partners.
    Api,
    /// Projects submissions into rows, and lets bulk follow.
    Record,
    /// Reads posts from the upstream.
    Scrape,
    /// Runs the models.
    Detect,
    /// Computes scores.
    Score,
    /// Tells partners.
    Webhook,
}

/// The tasks of a process; the first to end early ends it.
pub type Tasks = JoinSet<Result<()>>;

/// Runs one role as a process of its own, until a signal.
///
/// # Errors
/// When the role can't be started or breaks.
pub async fn run(role: Role, args: RoleArgs, settings: Settings) -> Result<()> {
    let kafka = settings.kafka.cluster();
    let parts = Parts::open(settings, kafka, &args.data_dir).await?;
    let shutdown = Shutdown::new();
    parts.end_on_signal(&shutdown)?;
    let mut tasks = Tasks::new();
    topics::watch(role, &parts, &shutdown, &mut tasks)?;
    if role == Role::Api {
        let listener = api::bind(&parts.settings.api).await?;
        api::start(listener, &parts, &shutdown, &mut tasks)?;
    } else {
        start_stage(role, &parts, &shutdown, &mut tasks).await?;
        let ops = Ops {
            readiness: parts.readiness.clone(),
            registry: parts.registry.clone(),
            metrics_enabled: parts.settings.api.enable_metrics,
        };
        serve_ops(&parts.settings.ops, ops, &shutdown, &mut tasks).await?;
    }
    finish(tasks, &shutdown).await
}

/// Starts the stage of `role`.
///
/// # Errors
/// When its own parts can't be started.
pub async fn start_stage(
    role: Role,
    parts: &Parts,
    shutdown: &Shutdown,
    tasks: &mut Tasks,
) -> Result<()> {
    let stages = &parts.settings.stages;
    match role {
        Role::Api => {}
        Role::Record => {
            let stage = Record::new(parts.rows.store.clone(), parts.clock.clone());
            heartbeat::start("record", || json!({}), parts, shutdown, tasks);
            upkeep::start(parts, shutdown, tasks);
            run_stage(stage, &stages.record, parts, shutdown, tasks);
            admit::start(parts, shutdown, tasks)?;
        }
        Role::Scrape => {
            let stage = ScrapeStage::new(
                &parts.settings.scrape,
                parts.rows.store.clone(),
                parts.blobs.clone(),
                parts.clock.clone(),
                &parts.registry,
                parts.end_metrics.clone(),
            )
            .context("the scrape stage can't be started")?;
            let (circuit, reuse) = (stage.circuit(), stage.reuse());
            heartbeat::start(
                "scrape",
                move || json!({ "circuit": circuit.name(), "reuse": reuse.describe() }),
                parts,
                shutdown,
                tasks,
            );
            run_stage(stage, &stages.scrape, parts, shutdown, tasks);
        }
        Role::Detect => {
            start_detect(parts, shutdown, tasks).await?;
        }
        Role::Score => {
            let scorer = Scorer::new(parts.settings.scoring.clone())
                .map_err(|error| Failure::Configuration(format!("scoring: {error}")))?;
            let metrics = score::Metrics::register(&parts.registry, parts.end_metrics.clone())?;
            let stage = ScoreStage::new(
                scorer,
                parts.rows.store.clone(),
                parts.clock.clone(),
                metrics,
                stages.score.output_limit_bytes,
            );
            heartbeat::start("score", || json!({}), parts, shutdown, tasks);
            run_stage(stage, &stages.score, parts, shutdown, tasks);
        }
        Role::Webhook => {
            let (config, store, clock) = (
                &parts.settings.webhook,
                parts.rows.store.clone(),
                parts.clock.clone(),
            );
            let sender = Arc::new(Sender::new(
                config,
                parts.settings.api.secret_key.clone(),
                store.clone(),
                clock.clone(),
                webhook::Metrics::register(&parts.registry)?,
            )?);
            let batches = Batches::new(config, sender.clone(), store.clone(), clock.clone());
            let until = shutdown.clone();
            tasks.spawn(async move {
                batches.run(until).await;
                Ok(())
            });
            let stage = WebhookStage::new(sender, store, clock);
            heartbeat::start("webhook", || json!({}), parts, shutdown, tasks);
            run_stage(stage, &stages.webhook, parts, shutdown, tasks);
        }
    }
    Ok(())
}

/// Starts the detect stage; the inference runtime it found, `None` with models off.
///
/// # Errors
/// [`Failure::Models`] when a model or the runtime can't be used.
pub async fn start_detect(
    parts: &Parts,
    shutdown: &Shutdown,
    tasks: &mut Tasks,
) -> Result<Option<String>> {
    let config = parts.settings.detect.clone();
    let detector = tokio::task::spawn_blocking(move || Detector::start(&config)).await?;
    let detector = Arc::new(detector.map_err(|error| Failure::Models(error.to_string()))?);
    let runtime = detector.runtime().map(detect::Runtime::name);
    let stage = DetectStage::new(
        parts.rows.store.clone(),
        parts.blobs.clone(),
        Arc::clone(&detector),
        parts.clock.clone(),
        DetectMetrics::register(&parts.registry, parts.end_metrics.clone())?,
    );
    heartbeat::start(
        "detect",
        move || describe(&detector),
        parts,
        shutdown,
        tasks,
    );
    run_stage(stage, &parts.settings.stages.detect, parts, shutdown, tasks);
    Ok(runtime)
}

fn run_stage<S: Stage>(
    stage: S,
    config: &RunnerConfig,
    parts: &Parts,
    shutdown: &Shutdown,
    tasks: &mut Tasks,
) {
    let name = stage.name();
    let ready = parts.readiness.part(name, "joining its consumer group");
    let runner = Runner::new(
        Arc::new(stage),
        &parts.kafka,
        config.clone(),
        &parts.engine_metrics,
        parts.clock.clone(),
        ready,
    );
    let shutdown = shutdown.clone();
    tasks.spawn(async move {
        runner
            .run(shutdown)
            .await
            .with_context(|| format!("the {name} stage broke"))
    });
}

fn describe(detector: &Detector) -> serde_json::Value {
    let models: Vec<_> = detector
        .models()
        .iter()
        .map(|model| json!({ "name": model.name, "version": model.version, "skipped": model.skipped }))
        .collect();
    json!({ "runtime": detector.runtime().map(detect::Runtime::name), "models": models })
}

async fn serve_ops(
    config: &OpsConfig,
    ops: Ops,
    shutdown: &Shutdown,
    tasks: &mut Tasks,
) -> Result<()> {
    let listener = TcpListener::bind((config.host.as_str(), config.port))
        .await
        .with_context(|| {
            format!(
                "{}:{} can't be listened on; choose TRUSTCARD__OPS__PORT",
                config.host, config.port
            )
        })?;
    let shutdown = shutdown.clone();
    tasks.spawn(async move { Ok(ops::serve(listener, ops, shutdown).await?) });
    Ok(())
}

/// Waits for all tasks. When one breaks, the others drain and its error is the process'.
///
/// # Errors
/// The first error of a task.
pub async fn finish(mut tasks: Tasks, shutdown: &Shutdown) -> Result<()> {
    let mut outcome = Ok(());
    while let Some(ended) = tasks.join_next().await {
        let ended = ended
            .context("a part of the process panicked")
            .and_then(|result| result);
        if outcome.is_ok() {
            outcome = ended;
        }
        shutdown.begin();
    }
    outcome
}
