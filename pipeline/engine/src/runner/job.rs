//! One message on its way through a stage.

use bytes::Bytes;
use jiff::Timestamp;
use schemas::{Reason, Record, dead_letter::DeadLetter};

use crate::{
    consumer::Fetched,
    delivery::Outputs,
    producer::Output,
    stage::{Message, Outcome},
};

/// A consumed record and what is known of it so far.
#[derive(Debug)]
pub(super) struct Job<E> {
    pub(super) source: Fetched,
    /// The assignment it was read under.
    pub(super) epoch: u64,
    /// What it says, once decoded: a repeated attempt does not parse again.
    pub(super) message: Option<Message<E>>,
    /// Attempts that failed and count.
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

impl<E> Job<E> {
    pub(super) const fn new(source: Fetched, epoch: u64) -> Self {
        Self {
            source,
            epoch,
            message: None,
            failures: 0,
            first_failure: None,
            alone: false,
            letter: None,
            untold: 0,
        }
    }

    pub(super) const fn key(&self) -> Option<&Bytes> {
        self.source.key.as_ref()
    }

    /// Whether it must have a batch to itself.
    pub(super) const fn single(&self) -> bool {
        self.alone || self.letter.is_some()
    }

    /// The dead letter of this message.
    pub(super) fn dead_letter(&self, stage: &str, code: Reason, now: Timestamp) -> DeadLetter {
        DeadLetter {
            topic: self.source.at.topic.to_string(),
            partition: self.source.at.partition,
            offset: self.source.offset,
            timestamp_ms: self.source.timestamp_ms,
            stage: stage.to_owned(),
            code,
            attempts: self.failures.max(1),
            first_failure: self.first_failure.unwrap_or(now),
            last_failure: now,
        }
    }

    /// What it leaves behind as a dead letter, together with what must travel along.
    pub(super) fn buried(&mut self, letter: &DeadLetter, extra: Vec<Record>) -> Outputs {
        let raw_headers = self.source.raw_headers.take();
        let headers = match raw_headers {
            Some(_) => Vec::new(),
            None => std::mem::take(&mut self.source.headers),
        };
        let mut first = Output::from(letter.record(Record {
            topic: letter.topic.clone(),
            key: self.source.key.clone(),
            value: self.source.value.clone(),
            headers,
        }));
        first.raw_headers = raw_headers;
        let extra = extra.into_iter().map(Output::from);
        std::iter::once(first).chain(extra).collect()
    }
}

/// How a turn of a job ended.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The stage decided.
    Outcome(Outcome),
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
pub(super) struct Finished<E> {
    pub(super) jobs: Vec<(Job<E>, Verdict)>,
    /// How long the stage took for all of them.
    pub(super) elapsed: std::time::Duration,
}
