//! How far the stages are behind, for the page that shows it: asked of the broker when somebody looks, and not otherwise.

use std::{sync::Arc, time::Duration};

use engine::lag::{Lag, Monitor};
use tokio::{sync::Mutex, time::Instant};

/// However many look, the broker is asked this seldom.
const FRESH: Duration = Duration::from_secs(1);
/// Longest wait; the first round asks for more than later ones.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is known of it. Clones are one and the same.
#[derive(Clone)]
pub struct LiveLag(Arc<Mutex<Last>>);

struct Last {
    monitor: Monitor,
    /// `None` where the broker did not answer.
    found: Option<(Instant, Option<Arc<Lag>>)>,
}

impl LiveLag {
    /// Asks by this monitor, which is nobody else's.
    #[must_use]
    pub fn new(monitor: Monitor) -> Self {
        Self(Arc::new(Mutex::new(Last {
            monitor,
            found: None,
        })))
    }

    /// How far they are behind now; `None` when the broker does not tell in time.
    pub async fn now(&self) -> Option<Arc<Lag>> {
        // A round goes on to its end when nobody waits for it any more: one that is broken off ends the monitor.
        let looking = tokio::spawn(look(self.0.clone()));
        tokio::time::timeout(PATIENCE, looking).await.ok()?.ok()?
    }
}

async fn look(last: Arc<Mutex<Last>>) -> Option<Arc<Lag>> {
    let mut last = last.lock().await;
    if let Some((at, lag)) = &last.found
        && at.elapsed() < FRESH
    {
        return lag.clone();
    }
    let round = last.monitor.round().await;
    let lag = round
        .inspect_err(|error| tracing::debug!(%error, "lag is not known"))
        .ok()
        .map(Arc::new);
    last.found = Some((Instant::now(), lag.clone()));
    lag
}
