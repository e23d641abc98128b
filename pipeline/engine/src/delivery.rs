//! How a commit interval reaches the broker: outputs and offsets together, through one interface, whatever the guarantee.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
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

    /// The offsets to commit.
    pub(crate) fn offsets(&self) -> Vec<(TopicPartition, i64)> {
        let offsets = self.parts.iter();
        offsets.map(|p| (p.at.clone(), p.next_offset)).collect()
    }
}

/// A set was not committed. No offset has moved; `set` is what is left to be done of it.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub(crate) struct DeliveryError {
    pub(crate) set: CommitSet,
    pub(crate) detail: String,
}

/// Brings commit sets to the broker, one at a time.
#[async_trait]
pub(crate) trait Delivery: Send + 'static {
    /// Produces the outputs and commits the offsets of a set.
    ///
    /// # Errors
    /// With what is left of the set; the caller drops what it no longer owns and hands the rest in again.
    async fn commit(&mut self, set: CommitSet) -> Result<(), DeliveryError>;
}
