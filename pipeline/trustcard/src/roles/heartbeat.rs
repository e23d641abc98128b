//! Signs of life of a role, as rows that /health and /status read.

use std::time::Duration;

use engine::{EngineMetrics, lifecycle::Shutdown};
use schemas::topics;
use store::Heartbeat;
use tokio::time::Instant;

use super::Tasks;
use crate::parts::Parts;

/// A third of how long a sign of life is believed.
const EVERY: Duration = Duration::from_secs(10);

/// Starts giving them; `details`, an object, is asked each time. Those of a stage tell how far it is behind and how fast it works, too.
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
        let mut pace = Pace::begin(0);
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            tokio::select! { _ = ticks.tick() => {}, () = shutdown.wait() => return Ok(()) }
            let beat = Heartbeat {
                role: role.to_owned(),
                instance: instance.clone(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                at: clock.now(),
                details: with_work(role, details(), &metrics, &mut pace),
            };
            if let Err(error) = store.heartbeat(&beat, beat.at).await {
                tracing::warn!(%error, role, "no sign of life could be given");
            }
        }
    });
}

/// How fast an instance of a stage works.
struct Pace {
    since: Instant,
    settled: u64,
}

impl Pace {
    /// From now on, with so many records settled before.
    fn begin(settled: u64) -> Self {
        Self {
            since: Instant::now(),
            settled,
        }
    }

    /// Records a second since it began, or was asked the last time; to a tenth.
    fn until_now(&mut self, settled: u64) -> f64 {
        let before = std::mem::replace(self, Self::begin(settled));
        let seconds = before.since.elapsed().as_secs_f64().max(0.001);
        let records = settled.saturating_sub(before.settled) as f64;
        (records / seconds * 10.0).round() / 10.0
    }
}

/// `lag` is what this instance has yet to settle of its partitions, `in_flight` the part of it that it works on, in records;
/// `per_second` what it settled a second since the last sign of life; `dead_letters` those that it wrote since it began.
fn with_work(
    role: &str,
    mut details: serde_json::Value,
    metrics: &EngineMetrics,
    pace: &mut Pace,
) -> serde_json::Value {
    if let Some(details) = details.as_object_mut()
        && topics::STAGES.contains(&role)
    {
        let (lag, in_flight) = metrics.backlog(role);
        let per_second = pace.until_now(metrics.settled(role));
        details.insert("lag".to_owned(), lag.into());
        details.insert("in_flight".to_owned(), in_flight.into());
        details.insert("per_second".to_owned(), per_second.into());
        details.insert("dead_letters".to_owned(), metrics.rejected(role).into());
    }
    details
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_pace_is_that_since_it_was_asked_the_last_time() {
        let mut pace = Pace::begin(5);
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(pace.until_now(30), 2.5);
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(pace.until_now(31), 0.3);
        assert_eq!(pace.until_now(0), 0.0, "never negative");
    }
}
