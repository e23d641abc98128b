//! Reading single records of a log, many partitions at a time.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{Consumer as _, base_consumer::PartitionQueue},
    error::KafkaError,
    message::{BorrowedMessage, Message as _},
};
use schemas::retry::due_ms;
use tokio::time::Instant;

use super::{
    broker::{Client, Quiet},
    scan::{Found, Head},
};
use crate::{consumer::fetched::headers, ledger::TopicPartition};

/// Counting in a partition goes on next time after so many bytes.
const COUNT_BYTES: usize = 128 * 1024;
/// How long to wait when no partition has anything.
const IDLE: Duration = Duration::from_millis(2);

/// Something to read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job {
    /// From this offset on.
    pub(super) from: i64,
    /// Up to this one.
    pub(super) to: i64,
    /// All records; else the first alone.
    pub(super) count: bool,
}

/// A partition and the offset where reading began.
type Place = (TopicPartition, i64);

/// Reads; what was not found by `until`, or can't be read, is left out. Keys are partitions and first offsets.
pub(super) fn read(
    client: &Arc<Client>,
    jobs: impl Iterator<Item = (TopicPartition, Job)>,
    until: Instant,
) -> HashMap<Place, Found> {
    let mut wanted: BTreeMap<TopicPartition, BTreeMap<i64, Job>> = BTreeMap::new();
    for (at, job) in jobs {
        let same = wanted.entry(at).or_default().entry(job.from).or_insert(job);
        same.count |= job.count;
    }
    let mut all = HashMap::new();
    // A client reads a partition at one place at a time, and groups may stand at several.
    while !wanted.is_empty() && Instant::now() < until {
        let turn: Vec<_> = wanted
            .iter_mut()
            .filter_map(|(at, jobs)| Some((at.clone(), jobs.pop_first()?.1)))
            .collect();
        wanted.retain(|_, jobs| !jobs.is_empty());
        match read_at_once(client, turn, until) {
            Ok(found) => all.extend(found),
            Err(error) => tracing::debug!(%error, "records could not be read"),
        }
    }
    all
}

/// Reads each partition at one place.
fn read_at_once(
    client: &Arc<Client>,
    jobs: Vec<(TopicPartition, Job)>,
    until: Instant,
) -> Result<Vec<(Place, Found)>, KafkaError> {
    let mut start = TopicPartitionList::with_capacity(jobs.len());
    let mut readers = Vec::with_capacity(jobs.len());
    for (at, job) in jobs {
        // Each partition gets a queue of its own, before anything flows: the end of a partition is told without its topic.
        let Some(queue) = client.split_partition_queue(&at.topic, at.partition) else {
            continue;
        };
        start.add_partition_offset(&at.topic, at.partition, Offset::Offset(job.from))?;
        readers.push(Reader {
            at,
            job,
            queue,
            bytes: 0,
            found: Found {
                head: None,
                records: 0,
                to: job.from,
            },
        });
    }
    client.assign(&start)?;
    let mut done = Vec::with_capacity(readers.len());
    while !readers.is_empty() && Instant::now() < until {
        let mut idle = true;
        let mut index = 0;
        while let Some(reader) = readers.get_mut(index) {
            let step = reader.step();
            idle &= matches!(step, Step::Nothing);
            match step {
                Step::Nothing => index += 1,
                Step::Read => {}
                Step::Done => {
                    let reader = readers.swap_remove(index);
                    done.push(((reader.at, reader.job.from), reader.found));
                }
                Step::Failed => drop(readers.swap_remove(index)),
            }
        }
        // The client's own events; nothing else comes this way.
        let _ = client.poll(if idle { IDLE } else { Duration::ZERO });
    }
    drop(readers);
    client.unassign()?;
    Ok(done)
}

enum Step {
    Nothing,
    Read,
    Done,
    Failed,
}

struct Reader {
    at: TopicPartition,
    job: Job,
    queue: PartitionQueue<Quiet>,
    bytes: usize,
    found: Found,
}

impl Reader {
    fn step(&mut self) -> Step {
        match self.queue.poll(Duration::ZERO) {
            None => Step::Nothing,
            Some(Ok(message)) => {
                if take(&message, self.job, &mut self.found, &mut self.bytes) {
                    Step::Done
                } else {
                    Step::Read
                }
            }
            Some(Err(KafkaError::PartitionEOF(_))) => {
                self.found.to = self.job.to;
                Step::Done
            }
            Some(Err(error)) => {
                tracing::debug!(%error, at = ?self.at, from = self.job.from, "a record could not be read");
                Step::Failed
            }
        }
    }
}

/// Takes in a record; whether that was all.
fn take(message: &BorrowedMessage<'_>, job: Job, found: &mut Found, bytes: &mut usize) -> bool {
    let offset = message.offset();
    if offset >= job.to {
        found.to = job.to;
        return true;
    }
    if offset < job.from {
        return false;
    }
    if found.head.is_none() {
        found.head = Some(Head {
            offset,
            timestamp_ms: message.timestamp().to_millis().unwrap_or_default(),
            due_ms: due_ms(&headers(message).0),
            seen: Instant::now(),
        });
    }
    found.records += 1;
    found.to = offset + 1;
    *bytes += message.payload_len() + message.key_len();
    !job.count || found.to == job.to || *bytes > COUNT_BYTES
}
