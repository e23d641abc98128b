//! How far a consumer group has come, asked of the broker alone.

use std::{collections::BTreeMap, time::Duration};

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
};
use tokio::time::Instant;

const TIMEOUT: Duration = Duration::from_secs(10);
const TURN: Duration = Duration::from_millis(50);
/// Far longer than any recovery.
const PATIENCE: Duration = Duration::from_secs(150);

/// Committed offsets of a group on a topic, by partition; a partition without one is left out. Blocks its thread.
fn committed_now(bootstrap: &str, group: &str, topic: &str) -> Option<BTreeMap<i32, i64>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", group)
        .create()
        .ok()?;
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT).ok()?;
    let mut list = TopicPartitionList::new();
    for partition in metadata.topics().iter().flat_map(|t| t.partitions()) {
        list.add_partition(topic, partition.id());
    }
    let committed = consumer.committed_offsets(list, TIMEOUT).ok()?;
    let offsets = committed.elements();
    let offsets = offsets.iter().filter_map(|e| match e.offset() {
        Offset::Offset(offset) => Some((e.partition(), offset)),
        _ => None,
    });
    Some(offsets.collect())
}

/// Committed offsets of a group on a topic, by partition; asked until the broker answers.
pub(super) async fn committed(bootstrap: &str, group: &str, topic: &str) -> BTreeMap<i32, i64> {
    let (bootstrap, group, topic) = (bootstrap.to_owned(), group.to_owned(), topic.to_owned());
    let asking = tokio::task::spawn_blocking(move || {
        loop {
            if let Some(offsets) = committed_now(&bootstrap, &group, &topic) {
                return offsets;
            }
        }
    });
    asking.await.expect("a thread")
}

/// How long it takes until the group commits something new on the topic; `None` when it never does.
pub(super) async fn next_progress(bootstrap: &str, group: &str, topic: &str) -> Option<Duration> {
    let began = Instant::now();
    let before: i64 = committed(bootstrap, group, topic).await.values().sum();
    while began.elapsed() < PATIENCE {
        tokio::time::sleep(TURN).await;
        let now: i64 = committed(bootstrap, group, topic).await.values().sum();
        if now > before {
            return Some(began.elapsed());
        }
    }
    None
}
