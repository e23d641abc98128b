//! The admit stage beside `record`, and what tells it how much the pipeline has room for.

use std::time::Duration;

use anyhow::Result;
use engine::{
    lag::{Lag, Monitor, Watched},
    lifecycle::Shutdown,
};
use ingest_api::admit::{Admit, Allowance, Pace};
use schemas::topics;
use tokio::time::MissedTickBehavior;

use super::{Tasks, heartbeat, run_stage};
use crate::{exit::Failure, parts::Parts};

/// The stages that bulk must not fill, in front of which room is measured.
const BEHIND: [&str; 4] = ["record", "scrape", "detect", "score"];

/// Starts the stage and its measuring.
///
/// # Errors
/// [`Failure::Configuration`] when a Kafka setting is wrong.
pub fn start(parts: &Parts, shutdown: &Shutdown, tasks: &mut Tasks) -> Result<()> {
    let config = &parts.settings.admit;
    let watched = BEHIND.map(|stage| Watched {
        group: topics::group(stage),
        topics: topics::input(stage)
            .map(str::to_owned)
            .into_iter()
            .collect(),
    });
    let monitor = Monitor::new(
        &parts.kafka,
        watched.into(),
        Vec::new(),
        parts.clock.clone(),
    );
    let mut monitor = monitor.map_err(|error| Failure::Configuration(error.to_string()))?;
    let allowance = Allowance::new(config.smallest_room);
    let mut pace = Pace::new(config);
    let mut ticks = tokio::time::interval(Duration::from_millis(config.interval_ms));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeat::start("admit", || serde_json::json!({}), parts, shutdown, tasks);
    let stage = Admit::new(allowance.clone());
    run_stage(stage, &parts.settings.stages.admit, parts, shutdown, tasks);
    let shutdown = shutdown.clone();
    tasks.spawn(async move {
        loop {
            tokio::select! { _ = ticks.tick() => {}, () = shutdown.wait() => return Ok(()) }
            let moved = allowance.moved();
            // With nothing to let follow there is nothing to measure for.
            if moved == 0 && !allowance.used_up() {
                continue;
            }
            match monitor.round().await.map(|lag| slowest(&lag)) {
                Ok(Some(lag)) => allowance.grant(pace.grant(moved, lag)),
                // What is not known is taken for full.
                Ok(None) => allowance.grant(0),
                Err(error) => {
                    tracing::warn!(%error, "bulk waits: how far the stages are behind is not known");
                    allowance.grant(0);
                }
            }
        }
    });
    Ok(())
}

/// Records that the slowest stage is behind; `None` where the broker does not tell of one.
fn slowest(lag: &Lag) -> Option<u64> {
    if !lag.complete() {
        return None;
    }
    let behind = lag.groups.iter().map(|group| {
        let lags = group
            .partitions
            .iter()
            .filter_map(|partition| partition.lag);
        lags.sum::<i64>()
    });
    behind.max().and_then(|lag| u64::try_from(lag).ok())
}
