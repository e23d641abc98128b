//! Signs of life of a role, as rows that /health and /status read.

use std::time::Duration;

use engine::lifecycle::Shutdown;
use store::Heartbeat;

use super::Tasks;
use crate::parts::Parts;

/// A third of how long a sign of life is believed.
const EVERY: Duration = Duration::from_secs(10);

/// Starts giving them; `details` is asked each time.
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
    let instance = parts.instance.clone();
    tasks.spawn(async move {
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            tokio::select! { _ = ticks.tick() => {}, () = shutdown.wait() => return Ok(()) }
            let beat = Heartbeat {
                role: role.to_owned(),
                instance: instance.clone(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                at: clock.now(),
                details: details(),
            };
            if let Err(error) = store.heartbeat(&beat, beat.at).await {
                tracing::warn!(%error, role, "no sign of life could be given");
            }
        }
    });
}
