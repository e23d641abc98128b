//! What a stage is: it gets a batch of typed messages and returns exactly one outcome for each, in order. It never commits,
//! produces, sleeps or reads the environment; the runner does all that around it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use schemas::{Input, Reason, Record, dead_letter::DeadLetter};

use crate::{gate::GateWatch, topic_name::TopicName};

/// A decoded record and where it came from.
#[derive(Debug, Clone)]
pub struct Message<E> {
    /// What it says.
    pub event: E,
    /// Where it came from.
    pub meta: Meta,
}

/// Where a record came from.
#[derive(Debug, Clone)]
pub struct Meta {
    /// The topic it was read from: the stage's input or one of its retry topics.
    pub topic: TopicName,
    /// Its partition there.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Its timestamp on the stage's input, whatever it was read from; the time to derive results from, so that a redo writes
    /// the same bytes.
    pub timestamp: Timestamp,
    /// `ce_id`, as it stands in the record.
    pub event_id: Arc<str>,
    /// How often it has been tried, on all topics together, this time included: 1 the first time.
    pub attempt: u32,
}

/// What became of one message.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Done: produce these records.
    Forward(Vec<Record>),
    /// Done, and nothing to say.
    Skip(Reason),
    /// Try again later, a few times in process, then by way of the retry topics, and to the dead-letter topic in the end.
    Retry {
        /// Why.
        reason: Reason,
        /// The shortest wait, if one was asked for (a Retry-After).
        after: Option<Duration>,
    },
    /// Never try again: to the dead-letter topic.
    Reject(Reason),
}

impl Outcome {
    /// Try again after the usual backoff.
    #[must_use]
    pub const fn retry(reason: Reason) -> Self {
        Self::Retry {
            reason,
            after: None,
        }
    }
}

/// The stage itself broke: it settles no message of the batch, and the runner tries them again, each in a batch of its own,
/// so that a message at fault becomes a dead letter alone.
#[derive(Debug, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct StageError {
    /// Code for metrics and, should the attempts run out, for the dead letters.
    pub reason: Reason,
    /// What happened, for the log.
    pub detail: String,
}

impl StageError {
    /// An error of the stage.
    pub fn new(reason: Reason, detail: impl std::fmt::Display) -> Self {
        Self {
            reason,
            detail: detail.to_string(),
        }
    }
}

/// One step of the pipeline.
#[async_trait]
pub trait Stage: Send + Sync + 'static {
    /// What it reads.
    type In: Input;

    /// Its name: in metrics, in the consumer group, in dead letters.
    fn name(&self) -> &'static str;

    /// The topic it reads.
    fn input(&self) -> &'static str;

    /// Works on a batch. The answer has one outcome for each message, in the order of the batch.
    ///
    /// # Errors
    /// When the stage itself is broken and no message was settled. Verdicts on messages are outcomes, not errors.
    async fn process(&self, batch: Vec<Message<Self::In>>) -> Result<Vec<Outcome>, StageError>;

    /// Called before a message that could be read goes to the dead-letter topic, with the records that must travel in the
    /// same commit interval as the dead letter. May be called again for the same message after a redo.
    ///
    /// # Errors
    /// When it could not be done; the runner tries again and the offset does not move.
    async fn on_dead_letter(
        &self,
        message: &Message<Self::In>,
        letter: &DeadLetter,
    ) -> Result<Vec<Record>, StageError> {
        let _ = (message, letter);
        Ok(Vec::new())
    }

    /// Whether input may flow. The runner pauses its partitions while the gate is not open, and failures seen then do not
    /// count as attempts.
    fn gate(&self) -> GateWatch {
        GateWatch::always_open()
    }
}
