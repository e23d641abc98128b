//! Lag of consumer groups as metrics. A role that lives when every consumer is dead: it needs the broker and no store.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use engine::{
    Kafka, SharedClock, SystemClock,
    lag::{Lag, LagConfig, LagError, LagMetrics, Monitor, Pattern, Watched},
    lifecycle::{Readiness, ReadyPart, Shutdown},
    ops::Ops,
};
use prometheus::{Registry, process_collector::ProcessCollector};
use schemas::topics;
use tokio::time::{Instant, MissedTickBehavior};

use super::{Tasks, finish, serve_ops};
use crate::{exit::Failure, settings::Settings};

/// Runs the role as a process of its own, until a signal.
///
/// # Errors
/// When it can't be started or breaks.
pub async fn run(settings: Settings) -> Result<()> {
    let (readiness, registry) = (Readiness::new(), Registry::new());
    registry.register(Box::new(ProcessCollector::for_self()))?;
    engine::telemetry::register(&registry)?;
    let (shutdown, mut tasks) = (Shutdown::new(), Tasks::new());
    shutdown.begin_on_signal(
        readiness.clone(),
        Duration::from_millis(settings.ops.unready_grace_ms),
        Duration::from_secs(settings.ops.drain_deadline_s),
    )?;
    let ready = readiness.part("monitor", "asking the broker for the first time");
    let kafka = settings.kafka.cluster();
    start(
        &kafka,
        &settings.monitor,
        Arc::new(SystemClock),
        &registry,
        Some(ready),
        &shutdown,
        &mut tasks,
    )?;
    let ops = Ops {
        readiness,
        registry,
        metrics_enabled: settings.api.enable_metrics,
    };
    serve_ops(&settings.ops, ops, &shutdown, &mut tasks).await?;
    finish(tasks, &shutdown).await
}

/// A monitor of TrustCard's own groups and those of `foreign`, names or beginnings followed by `*`.
///
/// # Errors
/// [`Failure::Configuration`] when a Kafka setting is wrong.
pub fn of(kafka: &Kafka, foreign: &[String], clock: SharedClock) -> Result<Monitor> {
    let own = topics::STAGES.map(|stage| Watched {
        group: topics::group(stage),
        topics: topics::input(stage)
            .map(str::to_owned)
            .into_iter()
            .chain(topics::retries(stage))
            .collect(),
    });
    let foreign = foreign.iter().map(Pattern::new).collect();
    let monitor = Monitor::new(kafka, own.into(), foreign, clock);
    Ok(monitor.map_err(|error| Failure::Configuration(error.to_string()))?)
}

/// Starts watching. `ready`, where there is one, follows whether the broker answers.
///
/// # Errors
/// When a setting is wrong, or the metrics are registered already.
pub fn start(
    kafka: &Kafka,
    config: &LagConfig,
    clock: SharedClock,
    registry: &Registry,
    ready: Option<ReadyPart>,
    shutdown: &Shutdown,
    tasks: &mut Tasks,
) -> Result<()> {
    let mut watch = Watch {
        monitor: of(kafka, &config.groups, clock)?,
        metrics: LagMetrics::new(registry)?,
        ready,
        told: Problems::new(),
    };
    let mut ticks = tokio::time::interval(Duration::from_secs(config.interval_s));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let shutdown = shutdown.clone();
    let watching = async move {
        loop {
            ticks.tick().await;
            watch.round().await.context("the lag monitor broke")?;
        }
    };
    tasks.spawn(async move {
        tokio::select! { ended = watching => ended, () = shutdown.wait() => Ok(()) }
    });
    Ok(())
}

struct Watch {
    monitor: Monitor,
    metrics: LagMetrics,
    ready: Option<ReadyPart>,
    /// Problems of the last round, so that each is logged once.
    told: Problems,
}

/// What could not be found out, with what was said of it: that may change from round to round.
type Problems = BTreeMap<String, String>;

impl Watch {
    async fn round(&mut self) -> Result<(), LagError> {
        let began = Instant::now();
        let problems = match self.monitor.round().await {
            Ok(lag) => {
                self.metrics
                    .show(&lag, began.elapsed(), self.monitor.reads());
                self.ready.iter().for_each(ReadyPart::ready);
                problems(&lag)
            }
            Err(LagError::Unreachable { bootstrap, error }) => {
                self.metrics.show_failure(began.elapsed());
                if let Some(ready) = &self.ready {
                    ready.not_ready("the broker does not answer");
                }
                let problem = format!("the broker at {bootstrap} does not answer");
                Problems::from([(problem, error.to_string())])
            }
            Err(error) => return Err(error),
        };
        let new = |(problem, _): &(&String, &String)| !self.told.contains_key(*problem);
        for (problem, detail) in problems.iter().filter(new) {
            tracing::warn!(problem, detail, "lag is not known; tried again each round");
        }
        if problems.is_empty() && !self.told.is_empty() {
            tracing::info!("lag is known again");
        }
        self.told = problems;
        Ok(())
    }
}

/// What a round could not find out.
fn problems(lag: &Lag) -> Problems {
    let groups = lag.groups.iter().filter_map(|group| {
        let problem = format!("the commits of group {} can't be had", group.group);
        Some((problem, group.problem.clone()?))
    });
    let whole = lag.problem.iter();
    whole
        .map(|problem| (problem.clone(), String::new()))
        .chain(groups)
        .collect()
}
