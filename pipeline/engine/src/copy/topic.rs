//! Where a topic begins and ends, and how far a group has come on it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
};

use super::{CopyError, Mark, Marks, Ranges, reader::PATIENCE};
use crate::kafka::Kafka;

/// Asks the cluster as `group`, on a thread that may block.
pub(super) async fn ask<T: Send + 'static>(
    kafka: &Kafka,
    group: &str,
    question: impl FnOnce(&BaseConsumer) -> Result<T, CopyError> + Send + 'static,
) -> Result<T, CopyError> {
    let mut config = kafka.consumer("trustcard-copy", group);
    config.set("statistics.interval.ms", "0");
    let asked = tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = config.create()?;
        question(&consumer)
    });
    asked.await.map_err(|_| CopyError::Interrupted)?
}

fn partitions(consumer: &BaseConsumer, topic: &str) -> Result<Vec<i32>, CopyError> {
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let topics = metadata.topics().iter();
    let partitions: Vec<i32> = topics
        .filter(|found| found.name() == topic)
        .flat_map(|found| found.partitions().iter().map(|partition| partition.id()))
        .collect();
    if partitions.is_empty() {
        return Err(CopyError::NoSuchTopic(topic.to_owned()));
    }
    Ok(partitions)
}

/// The offsets of a topic that can be read now: from the oldest record to the last one whose transaction has ended.
///
/// # Errors
/// When the cluster does not answer or has no such topic.
pub async fn bounds(kafka: &Kafka, topic: &str) -> Result<Ranges, CopyError> {
    let topic = topic.to_owned();
    ask(kafka, "trustcard.look", move |consumer| {
        let mut bounds = Ranges::new();
        for partition in partitions(consumer, &topic)? {
            // Of a read-committed client the high watermark is the last stable offset.
            let (low, high) = consumer.fetch_watermarks(&topic, partition, PATIENCE)?;
            bounds.insert(partition, low..high);
        }
        Ok(bounds)
    })
    .await
}

/// The first offset of each partition whose record is not older than `at`; a partition without one is left out.
///
/// # Errors
/// When the cluster does not answer or has no such topic.
pub async fn offsets_at(
    kafka: &Kafka,
    topic: &str,
    at: Timestamp,
) -> Result<BTreeMap<i32, i64>, CopyError> {
    let topic = topic.to_owned();
    ask(kafka, "trustcard.look", move |consumer| {
        let mut wanted = TopicPartitionList::new();
        for partition in partitions(consumer, &topic)? {
            let at = Offset::Offset(at.as_millisecond());
            wanted.add_partition_offset(&topic, partition, at)?;
        }
        let found = consumer.offsets_for_times(wanted, PATIENCE)?;
        let mut offsets = BTreeMap::new();
        for element in found.elements() {
            element.error()?;
            if let Offset::Offset(offset) = element.offset() {
                offsets.insert(element.partition(), offset);
            }
        }
        Ok(offsets)
    })
    .await
}

/// The committed offsets of a group on a topic; a partition on which it has committed nothing is left out.
///
/// # Errors
/// When the cluster does not answer or has no such topic.
pub async fn progress(kafka: &Kafka, topic: &str, group: &str) -> Result<Marks, CopyError> {
    let topic = topic.to_owned();
    ask(kafka, group, move |consumer| {
        let mut wanted = TopicPartitionList::new();
        for partition in partitions(consumer, &topic)? {
            wanted.add_partition(&topic, partition);
        }
        let mut marks = Marks::new();
        for element in consumer.committed_offsets(wanted, PATIENCE)?.elements() {
            element.error()?;
            if let Offset::Offset(offset) = element.offset() {
                let note = element.metadata().to_owned();
                marks.insert(element.partition(), Mark { offset, note });
            }
        }
        Ok(marks)
    })
    .await
}
