//! A committed offset of a group that nobody is a member of.

use std::time::Duration;

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
};
use tokio::time::Instant;

use crate::wait::DEADLINE;

/// Commits an offset for `group`, however long its coordinator takes to be there: the first
/// commit a broker takes makes the topic it is kept in, which is loaded before it is used.
/// Blocks its thread.
///
/// # Panics
/// When the broker refuses it, or has no coordinator within [`DEADLINE`].
pub fn offset(bootstrap: &str, group: &str, (topic, partition, offset): (&str, i32, i64)) {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", group)
        .create()
        .expect("a consumer");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(offset))
        .expect("an offset");
    let until = Instant::now() + DEADLINE;
    while let Err(error) = consumer.commit(&list, CommitMode::Sync) {
        let loading = matches!(
            error,
            KafkaError::ConsumerCommit(
                RDKafkaErrorCode::CoordinatorLoadInProgress
                    | RDKafkaErrorCode::CoordinatorNotAvailable
                    | RDKafkaErrorCode::NotCoordinator
            )
        );
        assert!(loading && Instant::now() < until, "{group}: {error}");
        // Has no partitions, so this only waits.
        drop(consumer.poll(Duration::from_millis(50)));
    }
}
