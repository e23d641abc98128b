//! Reads given ranges of a topic once, without being a group's member.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    config::FromClientConfigAndContext as _,
    consumer::{Consumer as _, ConsumerContext, ConsumerGroupMetadata, StreamConsumer},
    error::{KafkaError, RDKafkaErrorCode},
    message::{BorrowedMessage, Message as _},
};

use super::{BATCH_BYTES, CopyError, Ranges, Source};
use crate::{
    consumer::fetched::record,
    kafka::Kafka,
    transactional::{Member, Position},
};

/// Without a record or an answer for this long the broker counts as away.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// How long a batch that has begun waits for another record.
const LINGER: Duration = Duration::from_millis(20);

/// Tells of errors, but not of the ends of partitions, which a client that is dropped calls errors too.
struct Ends;

impl ClientContext for Ends {
    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
            tracing::warn!(%error, reason, "kafka client");
        }
    }
}

impl ConsumerContext for Ends {}

/// Reads ranges of a topic.
pub struct Reader {
    consumer: Arc<StreamConsumer<Ends>>,
    topic: String,
    /// Ends of the partitions that are still read.
    open: BTreeMap<i32, i64>,
    /// Of each partition the offset before which everything was given out.
    next: BTreeMap<i32, i64>,
    /// Read, and to be given out first.
    kept: Option<Source>,
}

impl Reader {
    /// A reader of `ranges`. Nothing is committed by it; `group` is only whose progress this reading is.
    ///
    /// # Errors
    /// When a setting is wrong.
    pub fn open(
        kafka: &Kafka,
        topic: &str,
        group: &str,
        ranges: &Ranges,
    ) -> Result<Self, CopyError> {
        let mut config = kafka.consumer("trustcard-copy", group);
        config.set("enable.partition.eof", "true");
        config.set("statistics.interval.ms", "0");
        let consumer = StreamConsumer::from_config_and_context(&config, Ends)?;
        let mut list = TopicPartitionList::new();
        let mut open = BTreeMap::new();
        for (partition, range) in ranges.iter().filter(|(_, range)| !range.is_empty()) {
            list.add_partition_offset(topic, *partition, Offset::Offset(range.start))?;
            open.insert(*partition, range.end);
        }
        consumer.assign(&list)?;
        Ok(Self {
            consumer: Arc::new(consumer),
            topic: topic.to_owned(),
            next: ranges.iter().map(|(p, range)| (*p, range.start)).collect(),
            open,
            kept: None,
        })
    }

    /// Commits offsets for the group.
    pub(super) fn member(&self) -> Arc<dyn Member> {
        Arc::new(Outsider(Arc::clone(&self.consumer)))
    }

    /// Of each partition the offset before which everything was given out.
    #[must_use]
    pub const fn next(&self) -> &BTreeMap<i32, i64> {
        &self.next
    }

    /// The next records, at most `most`; none when everything was read.
    ///
    /// # Errors
    /// When the broker can't be read.
    pub async fn batch(&mut self, most: usize) -> Result<Vec<Source>, CopyError> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < most && bytes < BATCH_BYTES {
            let wait = if batch.is_empty() { PATIENCE } else { LINGER };
            let source = match self.kept.take() {
                Some(source) => source,
                None if self.open.is_empty() => break,
                None => match tokio::time::timeout(wait, self.one()).await {
                    Ok(Ok(Some(source))) => source,
                    Ok(Ok(None)) => continue,
                    Ok(Err(error)) => return Err(error),
                    Err(_) if batch.is_empty() => return Err(CopyError::Stalled),
                    Err(_) => break,
                },
            };
            let size = source.record.size();
            if !batch.is_empty() && bytes + size > BATCH_BYTES {
                self.kept = Some(source);
                break;
            }
            bytes += size;
            self.next.insert(source.partition, source.offset + 1);
            batch.push(source);
        }
        Ok(batch)
    }

    /// One record, or `None` when only an end was reached.
    async fn one(&mut self) -> Result<Option<Source>, CopyError> {
        let message = match self.consumer.recv().await {
            Ok(message) => message,
            Err(KafkaError::PartitionEOF(partition)) => {
                self.finish(partition)?;
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let (partition, offset) = (message.partition(), message.offset());
        match self.open.get(&partition) {
            Some(end) if offset < *end => {
                let last = offset + 1 == *end;
                let source = detach(&message);
                drop(message);
                if last {
                    self.open.remove(&partition);
                    self.pause(partition)?;
                }
                Ok(Some(source))
            }
            _ => {
                drop(message);
                self.finish(partition)?;
                Ok(None)
            }
        }
    }

    /// Nothing before the end of this partition is left: behind the last record only marks of transactions may be.
    fn finish(&mut self, partition: i32) -> Result<(), CopyError> {
        if let Some(end) = self.open.remove(&partition) {
            let next = self.next.entry(partition).or_insert(end);
            *next = end.max(*next);
            self.pause(partition)?;
        }
        Ok(())
    }

    fn pause(&self, partition: i32) -> Result<(), CopyError> {
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, partition);
        Ok(self.consumer.pause(&list)?)
    }
}

/// Commits offsets for a group it is no member of.
struct Outsider(Arc<StreamConsumer<Ends>>);

impl Member for Outsider {
    fn metadata(&self, _: &[Position]) -> Result<ConsumerGroupMetadata, String> {
        let metadata = self.0.group_metadata();
        metadata.ok_or_else(|| "the consumer has no group".to_owned())
    }
}

fn detach(message: &BorrowedMessage<'_>) -> Source {
    let (record, exact) = record(message);
    Source {
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis().unwrap_or_default(),
        record,
        exact,
    }
}
