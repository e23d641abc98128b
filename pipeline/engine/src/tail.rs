//! Reading a topic without being a group: for people who want to look, not for work. Commits nothing.

use std::time::Duration;

use futures::Stream;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{Consumer as _, StreamConsumer},
    error::KafkaError,
};
use schemas::Record;

use crate::{consumer::fetched::record, kafka::Kafka};

/// How long to wait for the topic's metadata.
const METADATA_TIMEOUT: Duration = Duration::from_secs(10);

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// At the oldest record the broker still has.
    Beginning,
    /// At the next record written.
    End,
}

/// The topic can't be read.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    /// The broker can't be reached, or a setting is wrong.
    #[error("{0}; check the broker's address and the Kafka settings")]
    Kafka(#[from] KafkaError),
    /// There is no such topic.
    #[error("topic {0} does not exist on this broker")]
    NoSuchTopic(String),
    /// The runtime is shutting down.
    #[error("interrupted")]
    Interrupted,
}

/// The records of a topic, as they come, for as long as the stream is held. Order holds within a partition.
///
/// # Errors
/// When the broker does not answer or has no such topic.
pub async fn tail(
    kafka: &Kafka,
    topic: &str,
    from: From,
) -> Result<impl Stream<Item = Result<Record, TailError>> + Send + use<>, TailError> {
    let mut config = kafka.consumer("trustcard-tail", "trustcard.tail");
    // A looker-on that fell behind a rolling window goes on with what is there.
    config.set("auto.offset.reset", "earliest");
    config.set("statistics.interval.ms", "0");
    let consumer: StreamConsumer = config.create()?;
    let topic = topic.to_owned();
    let opened = tokio::task::spawn_blocking(move || open(consumer, &topic, from)).await;
    let consumer = opened.map_err(|_| TailError::Interrupted)??;
    Ok(futures::stream::unfold(consumer, |consumer| async {
        let next = consumer.recv().await.map(|message| record(&message).0);
        Some((next.map_err(TailError::from), consumer))
    }))
}

fn open(consumer: StreamConsumer, topic: &str, from: From) -> Result<StreamConsumer, TailError> {
    let metadata = consumer.fetch_metadata(Some(topic), METADATA_TIMEOUT)?;
    let partitions: Vec<i32> = metadata
        .topics()
        .iter()
        .filter(|found| found.name() == topic)
        .flat_map(|found| found.partitions().iter().map(|p| p.id()))
        .collect();
    if partitions.is_empty() {
        return Err(TailError::NoSuchTopic(topic.to_owned()));
    }
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        // The end is asked for now, so that nothing written after this returns is missed.
        let offset = match from {
            From::Beginning => Offset::Beginning,
            From::End => Offset::Offset(
                consumer
                    .fetch_watermarks(topic, partition, METADATA_TIMEOUT)?
                    .1,
            ),
        };
        list.add_partition_offset(topic, partition, offset)?;
    }
    consumer.assign(&list)?;
    Ok(consumer)
}
