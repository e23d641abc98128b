//! What was read, what is done, and how far each partition may be committed. Pure bookkeeping: no I/O, no clock.
//!
//! Messages complete in any order. The frontier of a partition is the longest run of completed messages from its oldest one
//! that is not committed yet; only what lies behind the frontier leaves the ledger, outputs and offset together.

use std::collections::{BTreeMap, VecDeque};

use crate::topic_name::TopicName;

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic.
    pub topic: TopicName,
    /// The partition's number.
    pub partition: i32,
}

impl TopicPartition {
    /// A partition of a topic.
    pub fn new(topic: impl Into<TopicName>, partition: i32) -> Self {
        Self {
            topic: topic.into(),
            partition,
        }
    }
}

/// What lay behind the frontier of one partition.
#[derive(Debug, PartialEq, Eq)]
pub struct Taken<O> {
    /// The partition.
    pub at: TopicPartition,
    /// The assignment it was read under.
    pub epoch: u64,
    /// The offset to commit: of the last message taken, plus one.
    pub next_offset: i64,
    /// Outputs of the messages taken, in offset order.
    pub outputs: Vec<O>,
    /// Messages taken.
    pub records: usize,
    /// Bytes they held: their own and those of their outputs.
    pub bytes: usize,
}

#[derive(Debug)]
struct Entry<O> {
    offset: i64,
    bytes: usize,
    done: Option<O>,
}

#[derive(Debug)]
struct Partition<O> {
    epoch: u64,
    last: i64,
    entries: VecDeque<Entry<O>>,
}

impl<O> Partition<O> {
    /// The message of that offset. It lies just as far behind the oldest one as their offsets say, or nearer where there are gaps.
    fn entry(&mut self, offset: i64) -> Option<&mut Entry<O>> {
        let first = self.entries.front()?.offset;
        let farthest = usize::try_from(offset.checked_sub(first)?).ok()?;
        let there = |at: Option<&Entry<O>>| at.is_some_and(|entry| entry.offset == offset);
        let index = if there(self.entries.get(farthest)) {
            farthest
        } else {
            let entries = &self.entries;
            entries
                .binary_search_by_key(&offset, |entry| entry.offset)
                .ok()?
        };
        self.entries.get_mut(index)
    }
}

/// The ledger of one stage instance. `O` is what one message leaves behind.
#[derive(Debug)]
pub struct Ledger<O> {
    partitions: BTreeMap<TopicPartition, Partition<O>>,
    /// The last partition of which the last take took one more than of others: the next one begins behind it.
    last_turn: Option<TopicPartition>,
    records: usize,
    done: usize,
    bytes: usize,
}

impl<O> Default for Ledger<O> {
    fn default() -> Self {
        Self {
            partitions: BTreeMap::new(),
            last_turn: None,
            records: 0,
            done: 0,
            bytes: 0,
        }
    }
}

impl<O> Ledger<O> {
    /// Begins a partition anew. What an earlier assignment left is dropped, and so will be its completions.
    pub fn assign(&mut self, at: TopicPartition, epoch: u64) {
        self.revoke(&at);
        self.partitions.insert(
            at,
            Partition {
                epoch,
                last: -1,
                entries: VecDeque::new(),
            },
        );
    }

    /// The partitions whose messages are tracked.
    pub fn partitions(&self) -> impl Iterator<Item = &TopicPartition> {
        self.partitions.keys()
    }

    /// Forgets a partition that was revoked or lost.
    pub fn revoke(&mut self, at: &TopicPartition) {
        if let Some(partition) = self.partitions.remove(at) {
            self.records -= partition.entries.len();
            self.done -= partition
                .entries
                .iter()
                .filter(|e| e.done.is_some())
                .count();
            self.bytes -= partition.entries.iter().map(|e| e.bytes).sum::<usize>();
        }
    }

    /// A message was read under the assignment `epoch`: `bytes` is its size. Offsets may have gaps (transaction markers,
    /// compaction). The assignment it belongs to; `None`, and not tracked, when it was read before the partition's present
    /// assignment, when the partition isn't assigned, or when its offset doesn't grow.
    #[must_use]
    pub fn track(
        &mut self,
        at: &TopicPartition,
        epoch: u64,
        offset: i64,
        bytes: usize,
    ) -> Option<u64> {
        let partition = self.partitions.get_mut(at)?;
        if epoch < partition.epoch || offset <= partition.last {
            return None;
        }
        partition.last = offset;
        partition.entries.push_back(Entry {
            offset,
            bytes,
            done: None,
        });
        self.records += 1;
        self.bytes += bytes;
        Some(partition.epoch)
    }

    /// The assignment under which messages of this partition are tracked now.
    #[must_use]
    pub fn epoch(&self, at: &TopicPartition) -> Option<u64> {
        self.partitions.get(at).map(|partition| partition.epoch)
    }

    /// A message is done and leaves `outputs` of `bytes`. False, and nothing happens, when it belongs to an older
    /// assignment, is not tracked, or was completed before.
    pub fn complete(
        &mut self,
        at: &TopicPartition,
        epoch: u64,
        offset: i64,
        outputs: O,
        bytes: usize,
    ) -> bool {
        let Some(partition) = self.partitions.get_mut(at).filter(|p| p.epoch == epoch) else {
            return false;
        };
        let Some(entry) = partition.entry(offset) else {
            return false;
        };
        if entry.done.is_some() {
            return false;
        }
        entry.done = Some(outputs);
        entry.bytes += bytes;
        self.bytes += bytes;
        self.done += 1;
        true
    }

    /// Whether a message lies behind a frontier.
    #[must_use]
    pub fn has_frontier(&self) -> bool {
        self.partitions
            .values()
            .any(|p| p.entries.front().is_some_and(|entry| entry.done.is_some()))
    }

    /// Takes what lies behind the frontiers, at most `limit` messages: of every partition as many, or all it has where that is
    /// less. `admit` sees the outputs of each message in offset order; where it refuses, that partition's frontier ends for now.
    ///
    /// Keys keep their partition from topic to topic, so an even take is written to the next topic as batches of one size, and
    /// the fewest of them are larger than the client makes one. What is left over of such a one waits until it is acknowledged,
    /// and the client's thread turns without pause meanwhile.
    pub fn take(&mut self, limit: usize, mut admit: impl FnMut(&mut O) -> bool) -> Vec<Taken<O>> {
        let frontiers = self.frontiers(limit);
        let (share, mut one_more) = share(frontiers.iter().map(|(_, length)| *length), limit);
        let mut all = Vec::with_capacity(frontiers.len());
        for (at, length) in frontiers {
            let mut most = share;
            if length > share && one_more > 0 {
                most += 1;
                one_more -= 1;
                self.last_turn = Some(at.clone());
            }
            let Some(partition) = self.partitions.get_mut(&at) else {
                continue;
            };
            let mut taken = Taken {
                at,
                epoch: partition.epoch,
                next_offset: 0,
                outputs: Vec::with_capacity(length.min(most)),
                records: 0,
                bytes: 0,
            };
            while let Some(front) = partition.entries.front_mut() {
                if taken.records == most || !front.done.as_mut().is_some_and(&mut admit) {
                    break;
                }
                taken.next_offset = front.offset + 1;
                taken.records += 1;
                taken.bytes += front.bytes;
                taken
                    .outputs
                    .extend(partition.entries.pop_front().and_then(|entry| entry.done));
            }
            if taken.records > 0 {
                self.records -= taken.records;
                self.done -= taken.records;
                self.bytes -= taken.bytes;
                all.push(taken);
            }
        }
        all
    }

    /// The partitions with a frontier and how many messages lie behind it, at most `limit`; beginning behind the one that was
    /// the last to get more than its share.
    fn frontiers(&mut self, limit: usize) -> Vec<(TopicPartition, usize)> {
        let behind = |partition: &Partition<O>| {
            let entries = partition.entries.iter().take(limit);
            entries.take_while(|entry| entry.done.is_some()).count()
        };
        let all = self.partitions.iter();
        let mut all: Vec<_> = all
            .map(|(at, partition)| (at, behind(partition)))
            .filter(|(_, length)| *length > 0)
            .map(|(at, length)| (at.clone(), length))
            .collect();
        if let Some(last) = self.last_turn.take() {
            let behind = all.partition_point(|(at, _)| *at <= last);
            all.rotate_left(behind);
        }
        all
    }

    /// Messages tracked and not taken.
    #[must_use]
    pub const fn records(&self) -> usize {
        self.records
    }

    /// Messages completed and not taken, behind a frontier or not.
    #[must_use]
    pub const fn done(&self) -> usize {
        self.done
    }

    /// Bytes of messages tracked and not taken, and of their outputs.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }
}

/// How many of `limit` each of these lengths gets, when none gets more than another that wants more, and how many of those that
/// want more get one more.
fn share(lengths: impl Iterator<Item = usize>, limit: usize) -> (usize, usize) {
    let mut lengths: Vec<_> = lengths.collect();
    lengths.sort_unstable();
    let mut left = limit;
    for (length, sharers) in lengths.iter().zip((1..=lengths.len()).rev()) {
        let share = left / sharers;
        if *length > share {
            return (share, left % sharers);
        }
        left -= length;
    }
    (limit, 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(partition: i32) -> TopicPartition {
        TopicPartition::new("in", partition)
    }

    fn ledger(offsets: &[i64]) -> Ledger<String> {
        let mut ledger = Ledger::default();
        ledger.assign(at(0), 1);
        for offset in offsets {
            assert!(ledger.track(&at(0), 1, *offset, 10).is_some());
        }
        ledger
    }

    fn done(ledger: &mut Ledger<String>, offset: i64) -> bool {
        ledger.complete(&at(0), 1, offset, format!("out{offset}"), 3)
    }

    /// What was taken from partition 0: next offset and outputs.
    fn take(ledger: &mut Ledger<String>) -> Option<(i64, Vec<String>)> {
        let mut taken = ledger.take(usize::MAX, |_| true);
        assert!(taken.len() <= 1);
        taken.pop().map(|t| (t.next_offset, t.outputs))
    }

    fn outs(offsets: &[i64]) -> Vec<String> {
        offsets.iter().map(|o| format!("out{o}")).collect()
    }

    #[test]
    fn nothing_is_taken_before_the_oldest_message_is_done() {
        let mut ledger = ledger(&[5, 6, 7]);
        assert!(done(&mut ledger, 6) && done(&mut ledger, 7));
        assert!(!ledger.has_frontier());
        assert_eq!(take(&mut ledger), None);
    }

    #[test]
    fn completion_in_any_order_yields_outputs_in_offset_order_and_the_offset_after_them() {
        for order in [[5, 6, 7], [7, 6, 5], [6, 5, 7], [7, 5, 6]] {
            let mut ledger = ledger(&[5, 6, 7]);
            for offset in order {
                assert!(done(&mut ledger, offset));
            }
            assert!(ledger.has_frontier());
            assert_eq!(take(&mut ledger), Some((8, outs(&[5, 6, 7]))));
            assert_eq!(take(&mut ledger), None, "taken once");
        }
    }

    #[test]
    fn outputs_beyond_a_message_under_way_stay() {
        let mut ledger = ledger(&[5, 6, 7, 8]);
        for offset in [5, 6, 8] {
            done(&mut ledger, offset);
        }
        assert_eq!(take(&mut ledger), Some((7, outs(&[5, 6]))));
        done(&mut ledger, 7);
        assert_eq!(take(&mut ledger), Some((9, outs(&[7, 8]))));
    }

    #[test]
    fn gaps_in_offsets_are_no_messages() {
        let mut ledger = ledger(&[3, 9, 400]);
        for offset in [9, 3, 400] {
            assert!(done(&mut ledger, offset));
        }
        assert_eq!(take(&mut ledger), Some((401, outs(&[3, 9, 400]))));
    }

    #[test]
    fn offsets_that_do_not_grow_are_not_tracked() {
        let mut ledger = ledger(&[5]);
        assert!(ledger.track(&at(0), 1, 5, 10).is_none());
        assert!(ledger.track(&at(0), 1, 4, 10).is_none());
        assert_eq!((ledger.records(), ledger.bytes()), (1, 10));
    }

    #[test]
    fn a_completion_counts_once_and_only_for_a_tracked_message() {
        let mut ledger = ledger(&[5]);
        assert!(!done(&mut ledger, 6));
        assert!(done(&mut ledger, 5));
        assert!(!done(&mut ledger, 5));
        assert_eq!(ledger.bytes(), 13);
    }

    #[test]
    fn completions_of_an_older_assignment_are_dropped() {
        let mut ledger = ledger(&[5]);
        ledger.assign(at(0), 2);
        assert!(ledger.track(&at(0), 2, 5, 10).is_some());
        assert!(!ledger.complete(&at(0), 1, 5, "old".to_owned(), 3));
        assert!(ledger.complete(&at(0), 2, 5, "new".to_owned(), 3));
        assert_eq!(take(&mut ledger), Some((6, vec!["new".to_owned()])));
    }

    #[test]
    fn records_read_before_the_present_assignment_are_not_tracked() {
        let mut ledger = ledger(&[5]);
        ledger.assign(at(0), 3);
        assert!(ledger.track(&at(0), 2, 6, 10).is_none());
        assert!(
            ledger.track(&at(0), 4, 6, 10).is_some(),
            "a later assignment of others"
        );
        assert_eq!(ledger.epoch(&at(0)), Some(3));
    }

    #[test]
    fn a_revoked_partition_takes_its_counts_along_and_leaves_the_others() {
        let mut ledger = ledger(&[5, 6]);
        ledger.assign(at(1), 1);
        assert!(ledger.track(&at(1), 1, 0, 100).is_some());
        done(&mut ledger, 5);
        let counts = |l: &Ledger<String>| (l.records(), l.done(), l.bytes());
        assert_eq!(counts(&ledger), (3, 1, 123));
        ledger.revoke(&at(0));
        assert_eq!(counts(&ledger), (1, 0, 100));
        assert!(!done(&mut ledger, 6));
        assert!(ledger.track(&at(0), 1, 7, 10).is_none());
        assert_eq!(ledger.epoch(&at(0)), None);
    }

    #[test]
    fn a_refused_output_ends_the_frontier_of_its_partition_alone() {
        let mut ledger = ledger(&[5, 6, 7]);
        ledger.assign(at(1), 1);
        assert!(ledger.track(&at(1), 1, 0, 10).is_some());
        for offset in [5, 6, 7] {
            done(&mut ledger, offset);
        }
        ledger.complete(&at(1), 1, 0, "other".to_owned(), 0);
        let taken = ledger.take(usize::MAX, |output| output != "out6");
        let next: Vec<_> = taken
            .iter()
            .map(|t| (t.at.partition, t.next_offset))
            .collect();
        assert_eq!(next, [(0, 6), (1, 1)]);
        assert_eq!(ledger.records(), 2);
        assert_eq!(take(&mut ledger), Some((8, outs(&[6, 7]))));
        assert_eq!((ledger.records(), ledger.bytes()), (0, 0));
    }

    #[test]
    fn a_take_that_is_full_takes_as_many_of_each_partition_and_one_more_of_each_in_turn() {
        let mut ledger = Ledger::default();
        for (partition, length) in [(0, 3), (1, 1), (2, 9), (3, 9), (4, 0)] {
            ledger.assign(at(partition), 1);
            for offset in 0..length {
                assert!(ledger.track(&at(partition), 1, offset, 10).is_some());
                ledger.complete(&at(partition), 1, offset, "out".to_owned(), 0);
            }
        }
        let mut take = |limit| -> Vec<_> {
            let taken = ledger.take(limit, |_| true).into_iter();
            taken
                .map(|t| (t.at.partition, t.next_offset, t.records))
                .collect()
        };
        assert_eq!(take(2), [(0, 1, 1), (1, 1, 1)]);
        assert_eq!(take(7), [(2, 3, 3), (3, 2, 2), (0, 3, 2)]);
        assert_eq!(take(3), [(3, 4, 2), (2, 4, 1)]);
        assert_eq!(take(99), [(2, 9, 5), (3, 9, 5)]);
        assert_eq!(take(9), []);
    }

    proptest! {
        #[test]
        fn whatever_the_order_every_output_leaves_once_and_the_offset_never_passes_a_message_under_way(
            steps in proptest::collection::vec((0_i64..40, any::<bool>()), 0..200)
        ) {
            let mut ledger = ledger(&(0..40).collect::<Vec<_>>());
            let (mut finished, mut out) = (std::collections::BTreeSet::new(), Vec::new());
            let mut committed = 0;
            for (offset, commit) in steps {
                prop_assert_eq!(done(&mut ledger, offset), finished.insert(offset));
                if commit && let Some((next, outputs)) = take(&mut ledger) {
                    prop_assert!((0..next).all(|o| finished.contains(&o)));
                    prop_assert!(next > committed);
                    committed = next;
                    out.extend(outputs);
                }
            }
            prop_assert_eq!(out, outs(&(0..committed).collect::<Vec<_>>()));
            prop_assert_eq!(ledger.records() as i64, 40 - committed);
        }
    }
}
