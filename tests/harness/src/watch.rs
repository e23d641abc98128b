//! A read-committed reader of the results topic that lives as long as what it watches.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rdkafka::Message as _;
use tokio::time::Instant;
use uuid::Uuid;

use crate::read::from_the_beginning;

/// Nothing new for so long means that nothing more will come.
const PATIENCE: Duration = Duration::from_secs(150);
const TURN: Duration = Duration::from_millis(100);

/// Counts results as they are committed.
pub struct Watch {
    seen: Arc<Mutex<HashMap<Uuid, Instant>>>,
    stop: Arc<AtomicBool>,
}

impl Watch {
    /// Begins to read at the topic's beginning. The broker may go away meanwhile.
    ///
    /// # Panics
    /// When the broker does not answer.
    pub async fn start(bootstrap: &str) -> Self {
        let bootstrap = bootstrap.to_owned();
        let topic = schemas::topics::RESULTS;
        let consumer = tokio::task::spawn_blocking(move || from_the_beginning(&bootstrap, topic));
        let (consumer, _) = consumer.await.expect("a consumer");
        let seen = Arc::new(Mutex::new(HashMap::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, stopped) = (Arc::clone(&seen), Arc::clone(&stop));
        let thread = std::thread::Builder::new().name("watch-results".to_owned());
        let reading = thread.spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                if let Some(Ok(message)) = consumer.poll(TURN) {
                    let id = message.key().and_then(|key| std::str::from_utf8(key).ok());
                    if let Some(id) = id.and_then(|id| id.parse().ok()) {
                        lock(&shared).entry(id).or_insert_with(Instant::now);
                    }
                }
            }
        });
        reading.expect("a thread");
        Self { seen, stop }
    }

    /// Analyses that have a result.
    #[must_use]
    pub fn count(&self) -> usize {
        lock(&self.seen).len()
    }

    /// When an analysis' first result was seen.
    #[must_use]
    pub fn at(&self, id: &Uuid) -> Option<Instant> {
        lock(&self.seen).get(id).copied()
    }

    /// Waits until so many analyses have a result, or until nothing new has come for long. Whether there are so many.
    pub async fn reach(&self, count: usize) -> bool {
        let (mut last, mut since) = (self.count(), Instant::now());
        while last < count {
            tokio::time::sleep(TURN).await;
            let now = self.count();
            if now > last {
                (last, since) = (now, Instant::now());
            } else if since.elapsed() > PATIENCE {
                return false;
            }
        }
        true
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn lock(seen: &Mutex<HashMap<Uuid, Instant>>) -> MutexGuard<'_, HashMap<Uuid, Instant>> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
