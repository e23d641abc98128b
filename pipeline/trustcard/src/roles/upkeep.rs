//! Removes what has outlived its time from the embedded store, a little at a time.

use std::time::Duration;

use engine::lifecycle::Shutdown;

use super::Tasks;
use crate::parts::Parts;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(60);
/// Rows removed in one statement; small, so that nobody waits for it.
const STEP: u32 = 500;

/// Starts it; a store that forgets by itself needs none.
pub fn start(parts: &Parts, shutdown: &Shutdown, tasks: &mut Tasks) {
    let Some(store) = parts.rows.embedded.clone() else {
        return;
    };
    let (clock, shutdown) = (parts.clock.clone(), shutdown.clone());
    tasks.spawn(async move {
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            tokio::select! { _ = ticks.tick() => {}, () = shutdown.wait() => return Ok(()) }
            loop {
                match store.sweep(clock.now(), STEP).await {
                    Ok(0) => break,
                    Ok(removed) => tracing::debug!(removed, "expired rows"),
                    Err(error) => {
                        tracing::warn!(%error, "expired rows could not be removed; tried again later");
                        break;
                    }
                }
            }
        }
    });
}
