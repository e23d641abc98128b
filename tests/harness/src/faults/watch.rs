//! A read-committed reader of the results topic that lives through a whole row.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
};
use tokio::time::Instant;
use uuid::Uuid;

/// Nothing new for so long means that nothing more will come.
const PATIENCE: Duration = Duration::from_secs(150);
const TURN: Duration = Duration::from_millis(100);

/// Counts results as they are committed.
pub(super) struct Watch {
    seen: Arc<Mutex<HashMap<Uuid, Instant>>>,
    stop: Arc<AtomicBool>,
}

impl Watch {
    /// Begins to read at the topic's beginning. The broker may go away meanwhile.
    pub(super) async fn start(bootstrap: &str) -> Self {
        let bootstrap = bootstrap.to_owned();
        let consumer = tokio::task::spawn_blocking(move || assigned(&bootstrap));
        let consumer = consumer.await.expect("a consumer");
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
    pub(super) fn count(&self) -> usize {
        lock(&self.seen).len()
    }

    /// When an analysis' first result was seen.
    pub(super) fn at(&self, id: &Uuid) -> Option<Instant> {
        lock(&self.seen).get(id).copied()
    }

    /// Waits until so many analyses have a result, or until nothing new has come for long. Whether there are so many.
    pub(super) async fn reach(&self, count: usize) -> bool {
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

fn assigned(bootstrap: &str) -> BaseConsumer {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "trustcard.tests.watch")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "50")
        .create()
        .expect("a consumer");
    let topic = schemas::topics::RESULTS;
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(30));
    let mut list = TopicPartitionList::new();
    for partition in metadata
        .expect("metadata")
        .topics()
        .iter()
        .flat_map(|t| t.partitions())
    {
        list.add_partition_offset(topic, partition.id(), Offset::Beginning)
            .expect("an offset");
    }
    consumer.assign(&list).expect("an assignment");
    consumer
}

fn lock(seen: &Mutex<HashMap<Uuid, Instant>>) -> MutexGuard<'_, HashMap<Uuid, Instant>> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
