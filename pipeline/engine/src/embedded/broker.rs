//! The broker itself: librdkafka's mock cluster, spoken to over TCP on loopback by the same client code as a real one.
//!
//! It lives in memory only, knows transactions by name alone, and answers no admin requests: topics are made here.

use std::{collections::BTreeMap, sync::mpsc, thread};

use rdkafka::mocking::MockCluster;

use super::meter::Meter;
use crate::kafka::Kafka;

/// Client settings that suit a broker in the same process.
const SETTINGS: [(&str, &str); 4] = [
    // Nothing is gained over loopback.
    ("compression.type", "none"),
    // A fetch that found nothing is answered after this time, even if records come in meanwhile.
    ("fetch.wait.max.ms", "20"),
    // A rebalance that not all members noticed takes as long as a session, so both are short.
    ("session.timeout.ms", "6000"),
    ("heartbeat.interval.ms", "500"),
];

/// A topic of the embedded broker.
#[derive(Debug, Clone)]
pub struct EmbeddedTopic {
    /// Its name.
    pub name: String,
    /// Its partitions, at least 1.
    pub partitions: u32,
    /// Groups that must have read a record before it may be lost. Without any the topic is a rolling window: the newest
    /// records, and never full.
    pub required_groups: Vec<String>,
}

/// The embedded broker could not be started.
#[derive(Debug, thiserror::Error)]
#[error("the embedded broker could not be started: {0}")]
pub struct BrokerError(String);

/// A broker in this process. It ends, and everything in it is gone, when this is dropped.
#[derive(Debug)]
pub struct EmbeddedBroker {
    kafka: Kafka,
    stop: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl EmbeddedBroker {
    /// Starts a broker with these topics on a loopback port of its own.
    ///
    /// # Errors
    /// When the port or a topic can't be made.
    pub fn start(topics: &[EmbeddedTopic]) -> Result<Self, BrokerError> {
        let wanted: Vec<(String, u32)> = topics
            .iter()
            .map(|topic| (topic.name.clone(), topic.partitions))
            .collect();
        let (started, address) = mpsc::channel();
        let (stop, stopped) = mpsc::channel::<()>();
        // The cluster can't move between threads, so it gets one, which does nothing but hold it.
        let thread = thread::Builder::new()
            .name("embedded-broker".to_owned())
            .spawn(move || match cluster(&wanted) {
                Ok(cluster) => {
                    let _ = started.send(Ok(cluster.bootstrap_servers()));
                    let _ = stopped.recv();
                }
                Err(error) => {
                    let _ = started.send(Err(error));
                }
            })
            .map_err(|error| BrokerError(error.to_string()))?;
        let bootstrap = address
            .recv()
            .unwrap_or_else(|_| Err("its thread ended".to_owned()))
            .map_err(BrokerError)?;
        let meter = Meter::new(topics.iter().map(|topic| {
            let groups = topic.required_groups.as_slice();
            (topic.name.as_str(), topic.partitions, groups)
        }));
        tracing::info!(
            bootstrap,
            transactions = false,
            durable = false,
            "embedded broker started"
        );
        let settings = SETTINGS.map(|(key, value)| (key.to_owned(), value.to_owned()));
        Ok(Self {
            kafka: Kafka::new(bootstrap, BTreeMap::from(settings)).with_meter(meter),
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// How to reach it. Everything that produces to it must be made from this, so that the meter sees it.
    #[must_use]
    pub const fn kafka(&self) -> &Kafka {
        &self.kafka
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn cluster(
    topics: &[(String, u32)],
) -> Result<MockCluster<'static, rdkafka::producer::DefaultProducerContext>, String> {
    let cluster = MockCluster::new(1).map_err(|error| error.to_string())?;
    for (name, partitions) in topics {
        let partitions = i32::try_from(*partitions).unwrap_or(i32::MAX);
        cluster
            .create_topic(name, partitions, 1)
            .map_err(|error| format!("topic {name}: {error}"))?;
    }
    Ok(cluster)
}
