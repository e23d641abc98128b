//! Signs of life of a role, as rows that /health and /status read.

use std::time::Duration;

use engine::{EngineMetrics, lifecycle::Shutdown};
use schemas::topics;
use store::Heartbeat;

use super::Tasks;
use crate::parts::Parts;

/// A third of how long a sign of life is believed.
const EVERY: Duration = Duration::from_secs(10);

/// Starts giving them; `details`, an object, is asked each time. Those of a stage tell how far it is behind, too.
pub fn start(
    role: &'static str,
    details: impl Fn() -> serde_json::Value + Send + 'static,
    parts: &Parts,
    shutdown: &Shutdown,
    tasks: &mut Tasks,
) {
    let (store, clock, shutdown) = (
        parts.rows.store.clone(),
        parts.clock.clone(),
        shutdown.clone(),
    );
    let (instance, metrics) = (parts.instance.clone(), parts.engine_metrics.clone());
    tasks.spawn(async move {
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            tokio::select! { _ = ticks.tick() => {}, () = shutdown.wait() => return Ok(()) }
            let beat = Heartbeat {
                role: role.to_owned(),
                instance: instance.clone(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                at: clock.now(),
                details: with_backlog(role, details(), &metrics),
            };
            if let Err(error) = store.heartbeat(&beat, beat.at).await {
                tracing::warn!(%error, role, "no sign of life could be given");
            }
        }
    });
}

/// `lag` is what this instance has yet to settle of its partitions, `in_flight` the part of it that it works on, in records.
fn with_backlog(
    role: &str,
    mut details: serde_json::Value,
    metrics: &EngineMetrics,
) -> serde_json::Value {
    if let Some(details) = details.as_object_mut()
        && topics::STAGES.contains(&role)
    {
        let (lag, in_flight) = metrics.backlog(role);
        details.insert("lag".to_owned(), lag.into());
        details.insert("in_flight".to_owned(), in_flight.into());
    }
    details
}
