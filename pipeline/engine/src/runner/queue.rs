//! Which messages may run now. Messages of one key run one at a time and in order; what a batch holds has distinct keys.
//!
//! A key is busy from the moment its first message is queued until that message is settled for good; messages of a busy key
//! wait behind it, a retry keeps its key busy.

use std::{
    collections::{BTreeMap, HashMap, VecDeque, hash_map::Entry},
    hash::{BuildHasherDefault, Hasher},
};

use tokio::time::Instant;

use super::job::{BoxedJob, Job};
use crate::ledger::TopicPartition;

/// A key, as the queue knows it: its hash, which is one number where the key is a part of the whole record's memory, and is made by
/// the thread that read it. Two keys of
/// one hash wait for each other, which is rare and breaks nothing.
pub(super) type Lane = u64;

/// Takes a [`Lane`] for its own hash.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, lane: Lane) {
        self.0 = lane;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[derive(Default)]
pub(super) struct Queue {
    ready: VecDeque<BoxedJob>,
    /// Every busy key, with the messages behind the one that keeps it busy.
    busy: HashMap<Lane, VecDeque<BoxedJob>, BuildHasherDefault<AsItIs>>,
    /// Messages that wait for their next attempt, by when it is due; the number keeps equal times apart.
    retries: BTreeMap<(Instant, u64), BoxedJob>,
    retried: u64,
}

impl Queue {
    /// A message that was just read.
    pub(super) fn push(&mut self, job: BoxedJob) {
        if let Some(lane) = job.source.key_hash {
            match self.busy.entry(lane) {
                Entry::Occupied(mut busy) => {
                    busy.get_mut().push_back(job);
                    return;
                }
                Entry::Vacant(free) => free.insert(VecDeque::new()),
            };
        }
        self.ready.push_back(job);
    }

    /// Messages that wait for nothing but their turn.
    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// A message of this key is settled for good: the next one may run.
    pub(super) fn release(&mut self, lane: Option<Lane>) {
        let Some(lane) = lane else { return };
        if let Entry::Occupied(mut busy) = self.busy.entry(lane) {
            match busy.get_mut().pop_front() {
                Some(next) => self.ready.push_back(next),
                None => {
                    busy.remove();
                }
            }
        }
    }

    /// A message that keeps its key and runs again at once.
    pub(super) fn again(&mut self, job: BoxedJob) {
        self.ready.push_front(job);
    }

    /// A message that keeps its key and runs again at `due`.
    pub(super) fn again_at(&mut self, job: BoxedJob, due: Instant) {
        self.retried += 1;
        self.retries.insert((due, self.retried), job);
    }

    /// Makes ready what is due by now.
    pub(super) fn wake(&mut self, now: Instant) {
        while let Some(first) = self.retries.first_entry() {
            if first.key().0 > now {
                break;
            }
            self.ready.push_back(first.remove());
        }
    }

    /// When the next retry is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.retries.first_key_value().map(|((due, _), _)| *due)
    }

    /// Whether nothing could run now, not even a retry that is due.
    pub(super) fn starved(&self, now: Instant) -> bool {
        self.ready.is_empty() && self.next_due().is_none_or(|due| due > now)
    }

    /// The next batch of at most `max` messages.
    pub(super) fn next_batch(&mut self, max: usize) -> Option<Vec<BoxedJob>> {
        let first = self.ready.pop_front()?;
        let mut batch = Vec::with_capacity(max.min(self.ready.len() + 1));
        let single = first.single();
        batch.push(first);
        while !single && batch.len() < max && self.ready.front().is_some_and(|job| !job.single()) {
            batch.extend(self.ready.pop_front());
        }
        Some(batch)
    }

    /// Drops every queued message of these partitions.
    pub(super) fn drop_partitions(&mut self, gone: &[TopicPartition]) {
        let is_gone = |job: &Job| gone.contains(&job.source.at);
        for behind in self.busy.values_mut() {
            behind.retain(|job| !is_gone(job));
        }
        let mut lanes = Vec::new();
        self.ready.retain(|job| {
            if is_gone(job) {
                lanes.extend(job.source.key_hash);
            }
            !is_gone(job)
        });
        self.retries.retain(|_, job| {
            if is_gone(job) {
                lanes.extend(job.source.key_hash);
            }
            !is_gone(job)
        });
        for lane in lanes {
            self.release(Some(lane));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use schemas::Record;

    use super::*;
    use crate::consumer::Fetched;

    fn job(partition: i32, offset: i64, key: &'static str) -> BoxedJob {
        let record = Record {
            topic: "in".into(),
            key: (!key.is_empty()).then(|| Bytes::from_static(key.as_bytes())),
            value: None,
            headers: Vec::new(),
        };
        let source = Fetched::of(TopicPartition::new("in", partition), offset, &record);
        Box::new(Job::new(source, 1, 0))
    }

    fn queue(jobs: Vec<BoxedJob>) -> Queue {
        let mut queue = Queue::default();
        jobs.into_iter().for_each(|job| queue.push(job));
        queue
    }

    /// Offsets of the next batch.
    fn batch(queue: &mut Queue, max: usize) -> Vec<i64> {
        let jobs = queue.next_batch(max).unwrap_or_default();
        jobs.iter().map(|job| job.source.offset).collect()
    }

    /// Settles a message of this key.
    fn settle(queue: &mut Queue, key: &'static str) {
        queue.release(job(0, 0, key).source.key_hash);
    }

    #[test]
    fn a_batch_holds_distinct_keys_and_a_key_goes_on_only_when_its_message_is_settled() {
        let mut queue = queue(vec![
            job(0, 1, "a"),
            job(0, 2, "a"),
            job(0, 3, "b"),
            job(0, 4, "a"),
        ]);
        assert_eq!(batch(&mut queue, 10), [1, 3]);
        assert_eq!(batch(&mut queue, 10), [0_i64; 0]);
        settle(&mut queue, "a");
        assert_eq!(batch(&mut queue, 10), [2]);
        settle(&mut queue, "b");
        settle(&mut queue, "a");
        assert_eq!(batch(&mut queue, 10), [4]);
        settle(&mut queue, "a");
        assert!(queue.busy.is_empty(), "a settled key costs nothing");
    }

    #[test]
    fn messages_without_key_wait_for_nobody() {
        let mut queue = queue(vec![job(0, 1, ""), job(0, 2, ""), job(0, 3, "")]);
        assert_eq!(batch(&mut queue, 2), [1, 2]);
        assert_eq!(batch(&mut queue, 2), [3]);
    }

    #[test]
    fn a_message_that_must_be_alone_shares_no_batch() {
        let mut queue = queue(vec![job(0, 1, "a")]);
        let mut alone = job(0, 2, "b");
        alone.alone = true;
        queue.push(alone);
        queue.push(job(0, 3, "c"));
        assert_eq!(batch(&mut queue, 10), [1]);
        assert_eq!(batch(&mut queue, 10), [2]);
        assert_eq!(batch(&mut queue, 10), [3]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_retry_keeps_its_key_until_it_is_due_and_settled() {
        let mut queue = queue(vec![job(0, 1, "a"), job(0, 2, "a")]);
        let now = Instant::now();
        let first = queue.next_batch(1).unwrap().remove(0);
        queue.again_at(first, now + Duration::from_secs(1));
        queue.wake(now);
        assert!(queue.starved(now));
        assert_eq!(batch(&mut queue, 1), [0_i64; 0]);
        queue.wake(now + Duration::from_secs(1));
        assert_eq!(batch(&mut queue, 10), [1]);
        assert_eq!(queue.next_due(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn partitions_that_are_gone_leave_nothing_behind() {
        let mut queue = queue(vec![
            job(0, 1, "a"),
            job(0, 2, "a"),
            job(1, 7, "b"),
            job(0, 3, "c"),
        ]);
        let first = queue.next_batch(1).unwrap().remove(0);
        queue.again_at(first, Instant::now());
        queue.drop_partitions(&[TopicPartition::new("in", 0)]);
        assert_eq!(queue.next_due(), None);
        assert_eq!(batch(&mut queue, 10), [7]);
        assert_eq!(queue.busy.len(), 1, "only the key under way");
    }
}
