//! Records of retry topics that are not due yet. Each partition has its due times in order, so the head holds back the rest:
//! that partition alone is paused until then, and the runner hears nothing of it.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use super::{Fetched, tenure::Tenure};
use crate::{clock::SharedClock, ledger::TopicPartition, topic_name::TopicName};

/// A topic to read.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) topic: TopicName,
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
        let due = schemas::retry::due_ms(&record.record.headers())?;
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use jiff::Timestamp;
    use schemas::{Record, retry::Retry};

    use super::*;
    use crate::clock::Clock;

    /// A wall clock that a test sets, milliseconds.
    struct Wall(Mutex<i64>);

    impl Clock for Wall {
        fn now(&self) -> Timestamp {
            Timestamp::from_millisecond(*self.0.lock().unwrap()).unwrap()
        }
    }

    const NOW: i64 = 1_000_000_000;
    const DELAY: Duration = Duration::from_secs(30);

    fn held() -> (Held, Arc<Wall>, Arc<Tenure>) {
        let wall = Arc::new(Wall(Mutex::new(NOW)));
        let tenure = Arc::new(Tenure::default());
        tenure.begin(&[at("in", 0), at("retry", 0), at("retry", 1)], 1);
        let source = |topic: &str, delay| Source {
            topic: topic.into(),
            delay,
        };
        let sources = [source("in", None), source("retry", Some(DELAY))];
        let clock = SharedClock::clone(&(Arc::clone(&wall) as SharedClock));
        let held = Held::new(clock, Arc::from(sources), Arc::clone(&tenure));
        (held, wall, tenure)
    }

    fn at(topic: &str, partition: i32) -> TopicPartition {
        TopicPartition::new(topic, partition)
    }

    fn record(topic: &str, partition: i32, offset: i64, due_ms: i64) -> Fetched {
        let retry = Retry {
            due_ms,
            attempts: 1,
            first_failure: Timestamp::UNIX_EPOCH,
            topic: "in".to_owned(),
            partition: 0,
            offset,
            timestamp_ms: 0,
        };
        let original = Record {
            topic: "in".into(),
            key: None,
            value: None,
            headers: Vec::new(),
        };
        let record = retry.record("echo", 1, original);
        Fetched::of(at(topic, partition), offset, &record)
    }

    fn due(held: &mut Held) -> (Vec<i64>, Vec<i32>) {
        let (records, free) = held.due();
        let offsets = records.iter().map(|record| record.offset).collect();
        (offsets, free.iter().map(|at| at.partition).collect())
    }

    #[tokio::test(start_paused = true)]
    async fn a_record_that_is_not_due_holds_back_its_partition_alone_until_then() {
        let (mut held, wall, _) = held();
        assert!(
            held.admit(record("in", 0, 0, NOW + 1)).is_ok(),
            "no retry topic"
        );
        assert!(held.admit(record("retry", 0, 1, NOW)).is_ok(), "due");
        let refused = held.admit(record("retry", 0, 2, NOW + 5_000));
        assert_eq!(refused.err(), Some(Pause::Now(at("retry", 0))));
        let behind = held.admit(record("retry", 0, 3, NOW + 6_000));
        assert_eq!(behind.err(), Some(Pause::Already));
        assert!(
            held.admit(record("retry", 1, 1, NOW)).is_ok(),
            "another partition"
        );
        assert!(held.holds(&at("retry", 0)) && !held.holds(&at("retry", 1)));
        assert_eq!(due(&mut held), (vec![], vec![]));
        *wall.0.lock().unwrap() += 5_000;
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(due(&mut held), (vec![2], vec![]), "the next one waits on");
        *wall.0.lock().unwrap() += 1_000;
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(due(&mut held), (vec![3], vec![0]));
        assert_eq!(held.next_due(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_steps_an_hour_delays_no_record_beyond_the_delay_of_its_tier() {
        let hour = 3_600_000;
        let (mut held, wall, _) = held();
        *wall.0.lock().unwrap() = NOW - hour;
        assert!(held.admit(record("retry", 0, 1, NOW + 30_000)).is_err());
        tokio::time::advance(DELAY).await;
        assert_eq!(due(&mut held), (vec![1], vec![0]));
        *wall.0.lock().unwrap() = NOW + hour;
        assert!(
            held.admit(record("retry", 0, 2, NOW + 30_000)).is_ok(),
            "early"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_held_back_for_an_assignment_that_is_gone_never_comes_up() {
        let (mut held, _, tenure) = held();
        let waits =
            |held: &mut Held, offset| held.admit(record("retry", 0, offset, NOW + 10)).is_err();
        assert!(waits(&mut held, 7));
        tenure.end(&[at("retry", 0)]);
        assert!(!held.holds(&at("retry", 0)));
        tenure.begin(&[at("retry", 0)], 2);
        assert!(!held.holds(&at("retry", 0)));
        assert!(waits(&mut held, 5), "read again from the committed offset");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(due(&mut held), (vec![5], vec![0]));
    }
}
