//! Records of retry topics that are not due yet. Each partition has its due times in order, so the head holds back the rest:
//! that partition alone is paused until then, and the runner hears nothing of it.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use super::{Fetched, tenure::Tenure};
use crate::{clock::SharedClock, ledger::TopicPartition};

/// A topic to read.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) topic: Arc<str>,
    /// For a retry topic: the longest its records wait.
    pub(crate) delay: Option<Duration>,
}

/// What one partition holds back.
#[derive(Debug)]
struct Waiting {
    /// The tenure it was read in.
    epoch: u64,
    due: Instant,
    /// The head, and what had come behind it before the partition was paused.
    records: VecDeque<Fetched>,
}

pub(super) struct Held {
    clock: SharedClock,
    sources: Arc<[Source]>,
    tenure: Arc<Tenure>,
    waiting: HashMap<TopicPartition, Waiting>,
}

impl Held {
    pub(super) fn new(clock: SharedClock, sources: Arc<[Source]>, tenure: Arc<Tenure>) -> Self {
        Self {
            clock,
            sources,
            tenure,
            waiting: HashMap::new(),
        }
    }

    /// The record, when it may be worked on now. When not, it is kept, and its partition has to be paused if this answers so.
    pub(super) fn admit(&mut self, record: Fetched) -> Result<Fetched, Pause> {
        let Some(delay) = self.delay(&record.at.topic) else {
            return Ok(record);
        };
        let epoch = self.tenure.epoch(&record.at).unwrap_or_default();
        if let Some(waiting) = self.waiting.get_mut(&record.at) {
            if waiting.epoch == epoch {
                waiting.records.push_back(record);
                return Err(Pause::Already);
            }
            self.waiting.remove(&record.at);
        }
        let Some(wait) = self.wait(&record, delay) else {
            return Ok(record);
        };
        let at = record.at.clone();
        let waiting = Waiting {
            epoch,
            due: Instant::now() + wait,
            records: VecDeque::from([record]),
        };
        self.waiting.insert(at.clone(), waiting);
        Err(Pause::Now(at))
    }

    /// How long a record still waits. The wall clock says whether it is due; how long that may take at most is known without
    /// it, so that a clock that was set back delays nothing.
    fn wait(&self, record: &Fetched, delay: Duration) -> Option<Duration> {
        let due = schemas::retry::due_ms(&record.headers)?;
        let now = self.clock.now().as_millisecond();
        let wait = u64::try_from(due.saturating_sub(now)).unwrap_or(0);
        (wait > 0).then(|| Duration::from_millis(wait).min(delay))
    }

    fn delay(&self, topic: &str) -> Option<Duration> {
        let source = self.sources.iter().find(|source| *source.topic == *topic)?;
        source.delay
    }

    /// Records that are due by now, and the partitions that wait for nothing more.
    pub(super) fn due(&mut self) -> (Vec<Fetched>, Vec<TopicPartition>) {
        let now = Instant::now();
        let due = self
            .waiting
            .iter()
            .filter(|(_, waiting)| waiting.due <= now);
        let due: Vec<_> = due.map(|(at, _)| at.clone()).collect();
        let (mut records, mut free) = (Vec::new(), Vec::new());
        for at in due {
            let Some(mut waiting) = self.waiting.remove(&at) else {
                continue;
            };
            if !self.tenure.holds(&at, waiting.epoch) {
                continue;
            }
            let delay = self.delay(&at.topic).unwrap_or_default();
            // The head has waited long enough, whatever the wall clock says; those behind it are asked.
            records.extend(waiting.records.pop_front());
            let mut next = None;
            while let Some(record) = waiting.records.front() {
                next = self.wait(record, delay);
                if next.is_some() {
                    break;
                }
                records.extend(waiting.records.pop_front());
            }
            match next {
                Some(wait) => {
                    waiting.due = now + wait;
                    self.waiting.insert(at, waiting);
                }
                None => free.push(at),
            }
        }
        (records, free)
    }

    /// When something becomes due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.waiting.values().map(|waiting| waiting.due).min()
    }

    /// Whether a partition must stay paused.
    pub(super) fn holds(&self, at: &TopicPartition) -> bool {
        let waiting = self.waiting.get(at);
        waiting.is_some_and(|waiting| self.tenure.holds(at, waiting.epoch))
    }

    /// Forgets everything: it will be read again.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }
}

/// A record is not due.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pause {
    /// Its partition has to be paused.
    Now(TopicPartition),
    /// Its partition was paused before.
    Already,
}
