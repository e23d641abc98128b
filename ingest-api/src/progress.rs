//! Batches that are listened to. However many listen to a batch, its rows are counted once in an interval, and at most
//! [`COUNTS`] batches at once: with many of them the interval grows. A listener holds the newest count and nothing more, so that a
//! slow one misses counts in between and costs no memory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use engine::{SharedClock, lifecycle::Shutdown};
use prometheus::{IntGauge, Registry};
use serde::{Deserialize, Serialize};
use store::{BatchProgress, Store};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::MissedTickBehavior,
};
use uuid::Uuid;

/// Batches that are counted at once.
const COUNTS: usize = 8;

/// How progress is told as a stream of events (`[api.events]`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventsConfig {
    /// A batch that is listened to is counted this often, in milliseconds.
    pub interval_ms: u64,
    /// A listener is told that it is not forgotten this often, in milliseconds.
    pub heartbeat_ms: u64,
    /// Most listeners of one replica.
    pub max_listeners: usize,
}

impl Default for EventsConfig {
    fn default() -> Self {
        Self {
            interval_ms: 1_000,
            heartbeat_ms: 15_000,
            max_listeners: 10_000,
        }
    }
}

impl EventsConfig {
    /// Everything that is wrong with it, each a sentence that begins with its key.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (key, value) in [
            ("interval_ms", self.interval_ms),
            ("heartbeat_ms", self.heartbeat_ms),
        ] {
            if !(10..=60_000).contains(&value) {
                problems.push(format!("api.events.{key} must be 10 to 60000, not {value}"));
            }
        }
        if self.max_listeners > 1_000_000 {
            let most = self.max_listeners;
            problems.push(format!(
                "api.events.max_listeners must be at most 1000000, not {most}"
            ));
        }
        problems
    }
}

/// The newest count of a batch.
type Count = Arc<BatchProgress>;

/// Counts batches for those who listen. Clones are one and the same.
#[derive(Clone)]
pub struct Progress(Arc<Inner>);

struct Inner {
    config: EventsConfig,
    store: Arc<dyn Store>,
    clock: SharedClock,
    ending: Shutdown,
    watched: Mutex<HashMap<Uuid, watch::Sender<Count>>>,
    counts: Semaphore,
    places: Arc<Semaphore>,
    listeners: IntGauge,
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Progress")
    }
}

impl Progress {
    /// Nobody listens yet. Its metric is `trustcard_batch_listeners`.
    ///
    /// # Errors
    /// When the metric's name is taken.
    pub fn new(
        config: &EventsConfig,
        store: Arc<dyn Store>,
        clock: SharedClock,
        ending: Shutdown,
        registry: &Registry,
    ) -> prometheus::Result<Self> {
        let listeners = IntGauge::new(
            "trustcard_batch_listeners",
            "Streams of a batch's events that are open.",
        )?;
        registry.register(Box::new(listeners.clone()))?;
        Ok(Self(Arc::new(Inner {
            places: Arc::new(Semaphore::new(config.max_listeners)),
            config: config.clone(),
            store,
            clock,
            ending,
            watched: Mutex::default(),
            counts: Semaphore::new(COUNTS),
            listeners,
        })))
    }

    /// Its settings.
    #[must_use]
    pub fn config(&self) -> &EventsConfig {
        &self.0.config
    }

    /// Ends all streams.
    pub fn end(&self) {
        self.0.ending.begin();
    }

    /// A listener of the batch that has this count now; `None` when there is no place for one more.
    #[must_use]
    pub fn listen(&self, now: BatchProgress) -> Option<Listener> {
        let place = Arc::clone(&self.0.places).try_acquire_owned().ok()?;
        self.0.listeners.inc();
        Some(Listener {
            count: self.watch(now),
            ending: self.0.ending.clone(),
            begun: false,
            listeners: self.0.listeners.clone(),
            _place: place,
        })
    }

    fn watch(&self, now: BatchProgress) -> watch::Receiver<Count> {
        let batch_id = now.batch.batch_id;
        let mut watched = self.watched();
        if let Some(sender) = watched.get(&batch_id) {
            let receiver = sender.subscribe();
            sender.send_replace(Arc::new(now));
            return receiver;
        }
        let (sender, receiver) = watch::channel(Arc::new(now));
        watched.insert(batch_id, sender.clone());
        drop(watched);
        let this = self.clone();
        tokio::spawn(async move { this.count(batch_id, sender).await });
        receiver
    }

    /// Counts a batch until nobody listens any more, or all of it has ended. While the store does not tell, what was told stands.
    async fn count(self, batch_id: Uuid, sender: watch::Sender<Count>) {
        let mut ticks = tokio::time::interval(Duration::from_millis(self.0.config.interval_ms));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.0.ending.wait() => {}
            }
            {
                // Under the lock, so that nobody begins to listen to what is not counted any more.
                let mut watched = self.watched();
                let over = sender.borrow().completed_at.is_some() || self.0.ending.begun();
                if over || sender.receiver_count() == 0 {
                    watched.remove(&batch_id);
                    return;
                }
            }
            let Ok(_turn) = self.0.counts.acquire().await else {
                return;
            };
            match self.0.store.batch(batch_id, self.0.clock.now()).await {
                Ok(Some(count)) => {
                    sender.send_if_modified(|told| {
                        let news = **told != count;
                        if news {
                            *told = Arc::new(count);
                        }
                        news
                    });
                }
                Ok(None) => {
                    self.watched().remove(&batch_id);
                    return;
                }
                Err(error) => tracing::warn!(%error, %batch_id, "a batch could not be counted"),
            }
        }
    }

    fn watched(&self) -> MutexGuard<'_, HashMap<Uuid, watch::Sender<Count>>> {
        self.0
            .watched
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hears of one batch.
#[derive(Debug)]
pub struct Listener {
    count: watch::Receiver<Count>,
    ending: Shutdown,
    begun: bool,
    listeners: IntGauge,
    _place: OwnedSemaphorePermit,
}

impl Listener {
    /// The newest count: at once the first time, then when it has changed. `None` when the batch is counted no more.
    pub async fn next(&mut self) -> Option<Count> {
        if std::mem::replace(&mut self.begun, true) {
            tokio::select! {
                changed = self.count.changed() => changed.ok()?,
                () = self.ending.wait() => return None,
            }
        }
        Some(Arc::clone(&self.count.borrow_and_update()))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.listeners.dec();
    }
}
