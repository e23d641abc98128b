//! How full the embedded broker is. librdkafka's mock cluster keeps 5 MiB or 100,000 record sets a partition and then drops
//! the oldest silently, read or not; so everything this process produces is counted here first, and refused in time.
//!
//! Counting errs on the safe side: every record counts as a record set of its own, uncompressed, with all the overhead it
//! could have, from before it is sent until the slowest group that needs it has committed past it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use super::partitioner;
use crate::packed::Packed;

/// Half of the 5 MiB that librdkafka's mock partition holds (`rdkafka_mock.c`, `max_size`).
const MAX_BYTES: usize = 5 * 1024 * 1024 / 2;
/// Half of the 100,000 record sets that it holds (`max_cnt`).
const MAX_RECORDS: usize = 50_000;
/// Bytes a record set of one record adds to it: batch header 61, record header at most 36 (KIP-98 message format v2), and
/// room for a `traceparent` added later.
const RECORD_OVERHEAD: usize = 61 + 36 + 70;
/// Bytes a header adds to its name and value: two lengths of at most five bytes each.
const HEADER_OVERHEAD: usize = 10;

/// The broker has no room for these records until its consumers have read on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{topic} is full: its consumers are behind; try again later")]
pub struct Full {
    /// The topic without room.
    pub topic: String,
}

/// Counts what the embedded broker holds. Clones are one and the same.
#[derive(Debug, Clone)]
pub struct Meter(Arc<HashMap<String, Arc<Topic>>>);

#[derive(Debug)]
struct Topic {
    partitions: Vec<Mutex<Partition>>,
    next: AtomicU32,
}

/// One partition of a topic that must not lose a record.
#[derive(Debug)]
struct Partition {
    /// Committed offset of each group that needs the topic; none for a rolling window.
    groups: Vec<(String, i64)>,
    /// Size of each acknowledged record that a group still needs, by offset.
    log: BTreeMap<i64, usize>,
    bytes: usize,
    records: usize,
}

impl Partition {
    fn rolling(&self) -> bool {
        self.groups.is_empty()
    }

    fn reserve(&mut self, bytes: usize) -> bool {
        let fits = self.bytes + bytes <= MAX_BYTES && self.records < MAX_RECORDS;
        if fits {
            self.bytes += bytes;
            self.records += 1;
        }
        fits
    }

    fn release(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.records -= 1;
    }

    fn appended(&mut self, offset: i64, bytes: usize) {
        if offset < self.slowest() || self.log.insert(offset, bytes).is_some() {
            self.release(bytes);
        }
    }

    fn passed(&mut self, group: &str, offset: i64) {
        let Some((_, committed)) = self.groups.iter_mut().find(|(name, _)| name == group) else {
            return;
        };
        *committed = offset.max(*committed);
        let kept = self.log.split_off(&self.slowest());
        for (_, bytes) in std::mem::replace(&mut self.log, kept) {
            self.release(bytes);
        }
    }

    fn slowest(&self) -> i64 {
        self.groups.iter().map(|(_, o)| *o).min().unwrap_or(0)
    }
}

impl Meter {
    /// A meter over topics: name, number of partitions, and the groups that must have read a record before it may be lost.
    /// A topic without such groups is a rolling window and never full.
    pub(super) fn new<'a>(topics: impl Iterator<Item = (&'a str, u32, &'a [String])>) -> Self {
        let topics = topics.map(|(name, count, groups)| {
            let partition = || Partition {
                groups: groups.iter().map(|group| (group.clone(), 0)).collect(),
                log: BTreeMap::new(),
                bytes: 0,
                records: 0,
            };
            let topic = Topic {
                partitions: (0..count).map(|_| Mutex::new(partition())).collect(),
                next: AtomicU32::new(0),
            };
            (name.to_owned(), Arc::new(topic))
        });
        Self(Arc::new(topics.collect()))
    }

    /// Room for `record` on `topic`, where it must then go to the partition of the ticket. `None` for a topic that the broker was
    /// not started with.
    ///
    /// # Errors
    /// When there is no room.
    pub(crate) fn reserve(&self, topic: &str, record: &Packed) -> Result<Option<Ticket>, Full> {
        let Some(known) = self.0.get(topic) else {
            return Ok(None);
        };
        let count = u32::try_from(known.partitions.len()).unwrap_or(u32::MAX);
        let partition = match record.key() {
            Some(key) => partitioner::partition(key, count),
            None => known.next.fetch_add(1, Ordering::Relaxed) % count.max(1),
        };
        let bytes = record.size() + RECORD_OVERHEAD + record.header_count() * HEADER_OVERHEAD;
        let mut ticket = Ticket {
            topic: Arc::clone(known),
            partition: partition.cast_signed(),
            bytes,
            held: false,
        };
        let room = ticket.with(|p| (!p.rolling()).then(|| p.reserve(bytes)));
        match room {
            Some(None) => Ok(Some(ticket)),
            Some(Some(true)) => {
                ticket.held = true;
                Ok(Some(ticket))
            }
            Some(Some(false)) | None => Err(Full {
                topic: topic.to_owned(),
            }),
        }
    }

    /// A group has committed `offset` of a partition.
    pub(crate) fn passed(&self, group: &str, topic: &str, partition: i32, offset: i64) {
        if let Some(partition) = self.0.get(topic).and_then(|t| t.partition(partition)) {
            lock(partition).passed(group, offset);
        }
    }
}

impl Topic {
    fn partition(&self, partition: i32) -> Option<&Mutex<Partition>> {
        self.partitions.get(usize::try_from(partition).ok()?)
    }
}

fn lock(partition: &Mutex<Partition>) -> std::sync::MutexGuard<'_, Partition> {
    partition.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Room for one record; given back when dropped, unless the record was appended.
#[derive(Debug)]
pub(crate) struct Ticket {
    topic: Arc<Topic>,
    partition: i32,
    bytes: usize,
    held: bool,
}

impl Ticket {
    /// The partition the room is in.
    pub(crate) const fn partition(&self) -> i32 {
        self.partition
    }

    /// The record stands in the log at `offset`; its room is given back once every group has passed it.
    pub(crate) fn appended(mut self, offset: i64) {
        if std::mem::take(&mut self.held) {
            self.with(|p| p.appended(offset, self.bytes));
        }
    }

    fn with<T>(&self, f: impl FnOnce(&mut Partition) -> T) -> Option<T> {
        self.topic
            .partition(self.partition)
            .map(|p| f(&mut lock(p)))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.held {
            self.with(|p| p.release(self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use schemas::Record;

    use super::*;

    fn meter(groups: &[&str]) -> Meter {
        let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
        Meter::new([("t", 1, groups.as_slice())].into_iter())
    }

    fn record(bytes: usize) -> Packed {
        Packed::from(&Record {
            topic: "t".into(),
            key: Some("k".into()),
            value: Some(vec![0; bytes].into()),
            headers: Vec::new(),
        })
    }

    /// Room for one record of `bytes`.
    fn take(meter: &Meter, bytes: usize) -> Option<Ticket> {
        meter.reserve("t", &record(bytes)).ok().flatten()
    }

    #[test]
    fn a_partition_is_full_at_half_of_what_the_broker_holds_in_bytes() {
        let meter = meter(&["g"]);
        let size = record(1_000_000).size() + RECORD_OVERHEAD;
        let held: Vec<_> = std::iter::from_fn(|| take(&meter, 1_000_000)).collect();
        assert_eq!(held.len(), MAX_BYTES / size);
        let full = meter.reserve("t", &record(1_000_000));
        assert_eq!(
            full.err(),
            Some(Full {
                topic: "t".to_owned()
            })
        );
        assert!(take(&meter, 1_000).is_some(), "a small one still fits");
    }

    #[test]
    fn a_partition_is_full_at_half_of_what_the_broker_holds_in_record_sets() {
        let meter = Meter::new([("t", 1, ["g".to_owned()].as_slice())].into_iter());
        let topic = &meter.0["t"];
        for _ in 0..MAX_RECORDS {
            assert!(lock(&topic.partitions[0]).reserve(1));
        }
        assert!(take(&meter, 0).is_none());
    }

    #[test]
    fn room_of_a_record_never_appended_comes_back() {
        let meter = meter(&["g"]);
        let first = take(&meter, 2_000_000);
        assert!(first.is_some());
        assert!(take(&meter, 2_000_000).is_none());
        drop(first);
        assert!(take(&meter, 2_000_000).is_some());
    }

    #[test]
    fn room_comes_back_when_the_slowest_group_has_passed_and_not_before() {
        let meter = meter(&["fast", "slow"]);
        for offset in 0..2 {
            take(&meter, 1_200_000).unwrap().appended(offset);
        }
        meter.passed("fast", "t", 0, 2);
        assert!(take(&meter, 1_200_000).is_none());
        meter.passed("slow", "t", 0, 1);
        let third = take(&meter, 1_200_000);
        assert!(third.is_some());
        assert!(take(&meter, 1_200_000).is_none(), "only one was passed");
    }

    #[test]
    fn groups_that_are_not_required_free_nothing_and_offsets_never_go_back() {
        let meter = meter(&["g"]);
        take(&meter, 2_000_000).unwrap().appended(0);
        meter.passed("other", "t", 0, 9);
        assert!(take(&meter, 2_000_000).is_none());
        meter.passed("g", "t", 0, 1);
        meter.passed("g", "t", 0, 0);
        take(&meter, 2_000_000).unwrap().appended(0);
        assert!(
            take(&meter, 2_000_000).is_some(),
            "an offset passed already"
        );
    }

    #[test]
    fn a_rolling_window_is_never_full() {
        let meter = meter(&[]);
        for offset in 0..100 {
            take(&meter, 1_000_000).unwrap().appended(offset);
        }
        assert!(take(&meter, 1_000_000).is_some());
    }

    #[test]
    fn unknown_topics_and_partitions_are_left_alone() {
        let meter = meter(&["g"]);
        meter.passed("g", "elsewhere", 0, 1);
        meter.passed("g", "t", 7, 1);
        assert!(meter.reserve("elsewhere", &record(1)).unwrap().is_none());
    }
}
