//! Which partitions are this member's, and which of them a commit is under way for. Shared by the poll thread, the runner and
//! the delivery, each of which learns of a change at another time.
//!
//! Two things must never happen: that offsets of a partition are committed after somebody else may have begun to read it, and
//! that a partition is read from its committed offset while a commit of an earlier tenure is still to come.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::ledger::TopicPartition;

#[derive(Debug, Default)]
pub(crate) struct Tenure(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The partitions that are ours, with the epoch since which they are.
    owned: HashMap<TopicPartition, u64>,
    committing: HashSet<TopicPartition>,
}

impl Tenure {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These are ours from now on.
    pub(super) fn begin(&self, partitions: &[TopicPartition], epoch: u64) {
        let owned = partitions.iter().map(|at| (at.clone(), epoch));
        self.lock().owned.extend(owned);
    }

    /// These are not ours any more.
    pub(super) fn end(&self, partitions: &[TopicPartition]) {
        let mut state = self.lock();
        for at in partitions {
            state.owned.remove(at);
        }
    }

    /// Since when a partition is ours.
    pub(super) fn epoch(&self, at: &TopicPartition) -> Option<u64> {
        self.lock().owned.get(at).copied()
    }

    /// Whether a partition is still ours, without a break since `epoch`.
    pub(crate) fn holds(&self, at: &TopicPartition, epoch: u64) -> bool {
        self.epoch(at) == Some(epoch)
    }

    /// Whether a commit that concerns one of these is under way.
    pub(super) fn committing(&self, partitions: &[TopicPartition]) -> bool {
        let state = self.lock();
        partitions.iter().any(|at| state.committing.contains(at))
    }

    /// A commit begins: removes from `parts` those whose partition is not ours any more. `of` tells partition and epoch.
    pub(crate) fn begin_commit<T>(
        &self,
        parts: &mut Vec<T>,
        of: impl Fn(&T) -> (&TopicPartition, u64),
    ) {
        let mut state = self.lock();
        parts.retain(|part| {
            let (at, epoch) = of(part);
            state.owned.get(at) == Some(&epoch)
        });
        state.committing = parts.iter().map(|part| of(part).0.clone()).collect();
    }

    /// The commit is over.
    pub(crate) fn end_commit(&self) {
        self.lock().committing.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(partition: i32) -> TopicPartition {
        TopicPartition::new("in", partition)
    }

    fn commit(tenure: &Tenure, parts: &[(i32, u64)]) -> Vec<i32> {
        let mut parts: Vec<_> = parts.iter().map(|(p, epoch)| (at(*p), *epoch)).collect();
        tenure.begin_commit(&mut parts, |(at, epoch)| (at, *epoch));
        parts.iter().map(|(at, _)| at.partition).collect()
    }

    #[test]
    fn what_is_not_ours_or_was_not_without_a_break_is_not_committed() {
        let tenure = Tenure::default();
        tenure.begin(&[at(0), at(1)], 1);
        tenure.begin(&[at(2)], 2);
        assert_eq!(
            commit(&tenure, &[(0, 1), (1, 1), (2, 2), (3, 1)]),
            [0, 1, 2]
        );
        tenure.end(&[at(0), at(1)]);
        tenure.begin(&[at(1)], 3);
        assert_eq!(commit(&tenure, &[(0, 1), (1, 1), (2, 2)]), [2]);
        assert!(tenure.holds(&at(1), 3) && !tenure.holds(&at(1), 1));
    }

    #[test]
    fn a_partition_waits_for_the_commit_that_concerns_it_and_for_no_other() {
        let tenure = Tenure::default();
        tenure.begin(&[at(0), at(1)], 1);
        commit(&tenure, &[(0, 1)]);
        tenure.end(&[at(0)]);
        assert!(tenure.committing(&[at(0), at(2)]));
        assert!(!tenure.committing(&[at(1), at(2)]));
        tenure.end_commit();
        assert!(!tenure.committing(&[at(0)]));
    }
}
