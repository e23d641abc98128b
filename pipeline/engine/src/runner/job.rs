//! One message on its way through a stage.

use std::time::Duration;

use jiff::Timestamp;
use rdkafka::message::{Headers as _, OwnedHeaders};
use schemas::{Reason, Record, dead_letter::DeadLetter, retry::Retry};

use crate::{consumer::Fetched, delivery::Outputs, producer::Output};

/// A job, which changes hands half a dozen times, moves as a pointer.
pub(super) type BoxedJob = Box<Job>;

/// A consumed record and what is known of it so far.
#[derive(Debug)]
pub(super) struct Job {
    /// As it was before it ever failed, but for its place, where it lies now: on the stage's input or on a retry topic.
    pub(super) source: Fetched,
    /// The tier of the retry topic it was read from; 0 for the stage's input.
    pub(super) tier: usize,
    /// What a retry topic told of it.
    earlier: Option<Retry>,
    /// The assignment it was read under.
    pub(super) epoch: u64,
    /// Attempts that failed and count, since it was read.
    pub(super) failures: u32,
    /// When the first attempt failed, whether or not it counts.
    pub(super) first_failure: Option<Timestamp>,
    /// Runs in a batch of its own, because a batch with it in has panicked or failed.
    pub(super) alone: bool,
    /// It is on its way to the dead-letter topic.
    pub(super) letter: Option<DeadLetter>,
    /// How often the stage could not be told of its dead letter.
    pub(super) untold: u32,
}

impl Job {
    /// A record that was just read, from the retry topic of tier `tier` or (0) from the stage's input.
    pub(super) fn new(mut source: Fetched, epoch: u64, tier: usize) -> Self {
        let earlier = if tier > 0 {
            unwrapped(&mut source)
        } else {
            None
        };
        Self {
            first_failure: earlier.as_ref().map(|earlier| earlier.first_failure),
            source,
            tier,
            earlier,
            epoch,
            failures: 0,
            alone: false,
            letter: None,
            untold: 0,
        }
    }

    /// Whether it must have a batch to itself.
    pub(super) const fn single(&self) -> bool {
        self.alone || self.letter.is_some()
    }

    /// Attempts that failed and count, on all topics together.
    pub(super) fn attempts(&self) -> u32 {
        let earlier = self.earlier.as_ref().map_or(0, |earlier| earlier.attempts);
        earlier.saturating_add(self.failures)
    }

    /// Its timestamp on the topic it came from first, in milliseconds since the Unix epoch.
    pub(super) fn timestamp_ms(&self) -> i64 {
        let earlier = self.earlier.as_ref();
        earlier.map_or(self.source.timestamp_ms, |earlier| earlier.timestamp_ms)
    }

    /// Whether a retry topic gives it back as it is. The client can't take headers off again where a name is not UTF-8.
    pub(super) fn may_be_postponed(&self) -> bool {
        let source = &self.source;
        let raw = source.raw_headers.as_ref();
        raw.is_none_or(|raw| raw.count() == source.record.header_count())
    }

    /// What is known of it, for a retry topic.
    pub(super) fn retry(&self, due_ms: i64, now: Timestamp) -> Retry {
        let (topic, partition, offset) = self.origin();
        Retry {
            due_ms,
            attempts: self.attempts(),
            first_failure: self.first_failure.unwrap_or(now),
            topic,
            partition,
            offset,
            timestamp_ms: self.timestamp_ms(),
        }
    }

    /// Topic, partition and offset it came from first.
    fn origin(&self) -> (String, i32, i64) {
        match &self.earlier {
            Some(first) => (first.topic.clone(), first.partition, first.offset),
            None => {
                let at = &self.source.at;
                (at.topic.to_string(), at.partition, self.source.offset)
            }
        }
    }

    /// The dead letter of this message.
    pub(super) fn dead_letter(&self, stage: &str, code: Reason, now: Timestamp) -> DeadLetter {
        let (topic, partition, offset) = self.origin();
        DeadLetter {
            topic,
            partition,
            offset,
            timestamp_ms: self.timestamp_ms(),
            stage: stage.to_owned(),
            code,
            attempts: self.attempts().max(1),
            first_failure: self.first_failure.unwrap_or(now),
            last_failure: now,
        }
    }

    /// What it leaves behind as a dead letter, together with what must travel along.
    pub(super) fn buried(&mut self, letter: &DeadLetter, extra: Vec<Record>) -> Outputs {
        let first = self.output(|original| letter.record(original));
        let extra = extra.into_iter().map(Output::from);
        std::iter::once(first).chain(extra).collect()
    }

    /// What it leaves behind for a retry topic of the stage.
    pub(super) fn postponed(&mut self, stage: &str, tier: usize, retry: &Retry) -> Outputs {
        vec![self.output(|original| retry.record(stage, tier, original))]
    }

    /// The record itself, with further headers behind its own.
    fn output(&mut self, add: impl FnOnce(Record) -> Record) -> Output {
        let source = &mut self.source;
        let raw_headers = source.raw_headers.take();
        let mut record = source.record.unpacked(source.at.topic.into());
        if raw_headers.is_some() {
            record.headers.clear();
        }
        let mut output = Output::from(add(record));
        output.raw_headers = raw_headers;
        output
    }
}

/// Takes the headers of a retry off a record; `None`, and the record stays as it is, when it has none that can be read.
fn unwrapped(source: &mut Fetched) -> Option<Retry> {
    let headers = source.record.headers();
    let (told, original) = Retry::read(&headers)?;
    let own = original.len();
    if let Some(raw) = &source.raw_headers {
        if raw.count() != source.record.header_count() {
            return None;
        }
        let kept = OwnedHeaders::new_with_capacity(own);
        let kept = raw.iter().take(own).fold(kept, OwnedHeaders::insert);
        source.raw_headers = Some(kept);
    }
    source.record.keep_headers(own);
    Some(told)
}

/// How a turn of a job ended.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The stage is done with it and leaves this behind, `bytes` together.
    Forward { outputs: Outputs, bytes: usize },
    /// The stage is done with it and has nothing to say.
    Skip(Reason),
    /// The stage wants it again later.
    Retry {
        /// Why.
        reason: Reason,
        /// The shortest wait, if one was asked for.
        after: Option<Duration>,
    },
    /// The stage never wants it again.
    Reject(Reason),
    /// The record can't be read.
    Undecodable(Reason),
    /// The stage settled nothing.
    Broken {
        /// Why.
        reason: Reason,
        /// Whether other messages were in the batch, so that any of them may be at fault.
        shared: bool,
    },
    /// The stage panicked.
    Panicked,
    /// The stage was told of the dead letter; these records travel with it.
    Buried(Vec<Record>),
    /// The stage could not be told of the dead letter.
    NotBuried,
}

/// Jobs whose turn has ended.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) jobs: Vec<(BoxedJob, Verdict)>,
    /// How long the stage took for all of them.
    pub(super) elapsed: Duration,
}
