//! What a read-committed reader of a topic sees, from its beginning to its present end.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
    message::Headers as _,
};
use tokio::time::Instant;

/// A record as it stands on its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value.
    pub value: Option<Bytes>,
    /// Its headers; a null value is `None`.
    pub headers: Vec<(String, Option<Bytes>)>,
}

const TIMEOUT: Duration = Duration::from_secs(30);
const TURN: Duration = Duration::from_millis(20);

/// Every committed record of a topic, in the order of each partition; a transaction that has written to it is waited for, as
/// a broker tells the producer of a commit before every partition knows of it. Blocks its thread.
///
/// # Panics
/// When the broker does not answer, the topic is not there, or a transaction stays open.
#[must_use]
pub fn topic(bootstrap: &str, topic: &str) -> Vec<Seen> {
    let (consumer, partitions) = from_the_beginning(bootstrap, topic);
    wait_for_transactions(&consumer, bootstrap, topic, partitions);
    let (mut seen, mut ended) = (BTreeMap::new(), BTreeSet::new());
    while ended.len() < partitions {
        match consumer.poll(TIMEOUT) {
            Some(Ok(message)) => {
                let at = (message.partition(), message.offset());
                let record = Seen {
                    partition: message.partition(),
                    offset: message.offset(),
                    timestamp_ms: message.timestamp().to_millis().unwrap_or_default(),
                    key: message.key().map(Bytes::copy_from_slice),
                    value: message.payload().map(Bytes::copy_from_slice),
                    headers: message.headers().map_or_else(Vec::new, |headers| {
                        let owned = headers
                            .iter()
                            .map(|h| (h.key.to_owned(), h.value.map(Bytes::copy_from_slice)));
                        owned.collect()
                    }),
                };
                // A client that has lost its broker may give a record again.
                seen.insert(at, record);
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => _ = ended.insert(partition),
            Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::BrokerTransportFailure))) => {
            }
            Some(Err(error)) => panic!("{topic}: {error}"),
            None => panic!("{topic}: the broker has gone silent"),
        }
    }
    seen.into_values().collect()
}

/// The same, from a thread that may block.
///
/// # Panics
/// As [`topic`].
pub async fn all(bootstrap: &str, name: &str) -> Vec<Seen> {
    let (bootstrap, name) = (bootstrap.to_owned(), name.to_owned());
    let reading = tokio::task::spawn_blocking(move || topic(&bootstrap, &name));
    reading.await.expect("a reader")
}

/// Until what stands on every partition now is decided: the last stable offset has reached its present end.
fn wait_for_transactions(reader: &BaseConsumer, bootstrap: &str, topic: &str, partitions: usize) {
    let uncommitted = consumer(bootstrap, "read_uncommitted");
    let end = |consumer: &BaseConsumer, partition| {
        let (_, end) = consumer
            .fetch_watermarks(topic, partition, TIMEOUT)
            .expect("the ends of a partition");
        end
    };
    let deadline = Instant::now() + 2 * TIMEOUT;
    for partition in (0..).take(partitions) {
        let written = end(&uncommitted, partition);
        while end(reader, partition) < written {
            assert!(
                Instant::now() < deadline,
                "{topic}/{partition}: a transaction stays open"
            );
            // It has nothing to read; this is a wait.
            let _ = uncommitted.poll(TURN);
        }
    }
}

/// A read-committed consumer at the beginning of every partition of a topic, and how many those are; it says where each ends.
/// Blocks its thread.
///
/// # Panics
/// When the broker does not answer, or the topic is not there.
#[must_use]
pub fn from_the_beginning(bootstrap: &str, topic: &str) -> (BaseConsumer, usize) {
    let consumer = consumer(bootstrap, "read_committed");
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT);
    let metadata = metadata.expect("metadata");
    let partitions = metadata.topics().iter().flat_map(|t| t.partitions());
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition_offset(topic, partition.id(), Offset::Beginning)
            .expect("an offset");
    }
    assert!(list.count() > 0, "{topic} is not there");
    consumer.assign(&list).expect("an assignment");
    (consumer, list.count())
}

fn consumer(bootstrap: &str, isolation: &str) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "trustcard.tests.read")
        .set("isolation.level", isolation)
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "50")
        .create()
        .expect("a consumer")
}
