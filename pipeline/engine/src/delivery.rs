//! How a commit interval reaches the broker: outputs and offsets together, through one interface, whatever the guarantee.

use std::sync::Arc;

use async_trait::async_trait;
use schemas::{Record, topics};
use serde::{Deserialize, Serialize};

use crate::{
    archive::Archive,
    kafka::Kafka,
    ledger::{Taken, TopicPartition},
    producer::Output,
};

/// How often a reader of committed records meets what one message leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guarantee {
    /// Outputs and offsets of an interval are one Kafka transaction. The embedded broker has none: there it is
    /// [`Guarantee::AtLeastOnce`].
    #[default]
    ExactlyOnce,
    /// Outputs first, then offsets: after a crash in between, outputs appear again, with the same ids.
    AtLeastOnce,
}

/// What one message leaves behind.
pub(crate) type Outputs = Vec<Output>;

/// What is committed together: for each partition the outputs behind its frontier and the offset after them.
#[derive(Debug, Default)]
pub(crate) struct CommitSet {
    pub(crate) parts: Vec<Taken<Outputs>>,
}

impl CommitSet {
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Messages it settles.
    pub(crate) fn records(&self) -> usize {
        self.parts.iter().map(|part| part.records).sum()
    }

    /// Bytes it holds.
    pub(crate) fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.bytes).sum()
    }

    /// Everything it produces.
    pub(crate) fn outputs(&self) -> impl Iterator<Item = &Output> {
        self.parts.iter().flat_map(|part| &part.outputs).flatten()
    }

    /// The same, to be changed.
    pub(crate) fn outputs_mut(&mut self) -> impl Iterator<Item = &mut Output> {
        let outputs = self.parts.iter_mut().flat_map(|part| &mut part.outputs);
        outputs.flatten()
    }

    /// The offsets to commit.
    pub(crate) fn offsets(&self) -> Vec<(TopicPartition, i64)> {
        let offsets = self.parts.iter();
        offsets.map(|p| (p.at.clone(), p.next_offset)).collect()
    }
}

/// A set was not committed.
#[derive(Debug)]
pub(crate) enum DeliveryError {
    /// No offset has moved; `set` is what is left to be done of it. The caller drops what it no longer owns and hands the rest
    /// in again.
    Again { set: CommitSet, detail: String },
    /// Whatever was read and is not committed has to be read again from the committed offsets, which are settled by now.
    Rewind { detail: String },
    /// Another instance has taken over.
    Fenced,
}

/// Brings commit sets to the broker, one at a time.
#[async_trait]
pub(crate) trait Delivery: Send + 'static {
    /// Produces the outputs and commits the offsets of a set.
    ///
    /// # Errors
    /// When that was not done, with what has to be done now.
    async fn commit(&mut self, set: CommitSet) -> Result<(), DeliveryError>;
}

/// Keeps the dead letters of a stage where the cluster has a second home for them.
pub(crate) struct DeadLetterArchive {
    topic: String,
    archive: Option<Arc<dyn Archive>>,
}

impl DeadLetterArchive {
    pub(crate) fn new(kafka: &Kafka, stage: &str) -> Self {
        Self {
            topic: topics::dead_letters(stage),
            archive: kafka.archive().cloned(),
        }
    }

    /// Keeps the dead letters among `outputs`, which must not be produced before that.
    pub(crate) async fn keep<'a>(
        &self,
        outputs: impl Iterator<Item = &'a Output>,
    ) -> Result<(), String> {
        let Some(archive) = &self.archive else {
            return Ok(());
        };
        let letters: Vec<Record> = outputs
            .filter(|output| output.topic == self.topic)
            .map(Output::whole)
            .collect();
        if letters.is_empty() {
            return Ok(());
        }
        archive.keep(letters).await
    }
}
