//! Copying: records of one topic, looked at one by one, into topics, in transactions. How far it has come are the offsets of a
//! group of its own, committed in the transaction that holds the copies, so a copy that was interrupted goes on where it
//! stopped, and no other group is touched. Two copies of one group can't run at once: the later one fences the earlier.
//!
//! What to read, what becomes of each record and how progress is written down is the [`Copier`]'s to say.

use std::{collections::BTreeMap, num::NonZeroU32, ops::Range, time::Duration};

use async_trait::async_trait;
use rdkafka::error::KafkaError;
use schemas::Record;

use crate::kafka::Kafka;

mod pace;
mod reader;
mod session;
mod topic;

pub use reader::Reader;
pub use topic::{bounds, offsets_at, progress};

/// Most records in one transaction.
const BATCH_RECORDS: usize = 200;
/// Most bytes in one transaction, unless one record alone is larger.
const BATCH_BYTES: usize = 4 << 20;
/// Times in a row that a copy is taken up again after an interruption.
const RESUMPTIONS: u32 = 5;
/// How long the cluster may take to give leave to write.
const OPENING: Duration = Duration::from_secs(60);
/// Before it is taken up again.
const PAUSE: Duration = Duration::from_secs(2);

/// A record as it lies on its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its timestamp, in milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// Key, value and headers.
    pub record: Record,
    /// Whether `record` says all there is: a header with a null value comes as an empty one, and one whose name is not UTF-8
    /// is left out.
    pub exact: bool,
}

/// How far a group has come on one partition, as its committed offset says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The offset.
    pub offset: i64,
    /// What the copier has written beside it; at most 4 KB.
    pub note: String,
}

/// Marks by partition.
pub type Marks = BTreeMap<i32, Mark>;
/// Offsets to read by partition, the end not included.
pub type Ranges = BTreeMap<i32, Range<i64>>;

/// What becomes of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is written as this one.
    Copy(Record),
    /// Nothing is written.
    Pass,
}

/// What is copied, and as what.
#[async_trait]
pub trait Copier: Send {
    /// What to read, given how far the group has come. Asked at the start and after every interruption. Marks that are
    /// returned are committed before anything is read, so that a later start finds them.
    ///
    /// # Errors
    /// In words, when it can't be said; the copy ends.
    async fn begin(&mut self, marks: &Marks) -> Result<(Ranges, Option<Marks>), String>;

    /// One decision for each record, in order. After an interruption it may be asked again about the same records.
    ///
    /// # Errors
    /// In words, when it can't be decided; the copy ends, and what was decided before stands.
    async fn decide(&mut self, records: &[Source]) -> Result<Vec<Decision>, String>;

    /// The first `count` of the records decided last are done with, and will not come again.
    async fn done(&mut self, count: usize);

    /// The mark that says: of `partition` everything before `next` is done with.
    fn mark(&self, partition: i32, next: i64) -> Mark;
}

/// How to copy.
#[derive(Debug, Clone)]
pub struct CopyConfig {
    /// The topic to read.
    pub topic: String,
    /// The group whose offsets are the progress.
    pub group: String,
    /// Under which no two copies run at once.
    pub transactional_id: String,
    /// Copies to write at most; then it ends, and a later start goes on.
    pub max: Option<u64>,
    /// Copies a second at most.
    pub rate: Option<NonZeroU32>,
    /// Only look: nothing is written and no mark moves.
    pub dry_run: bool,
}

/// How a copy ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Everything was read.
    AtTheEnd,
    /// As many were written as were asked for, and there is more to read.
    AtMost,
}

/// Why a copy could not go on. What it has written is complete, and a later start goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The cluster can't be reached, or does not do as asked.
    #[error("{0}; check the broker's address and the Kafka settings")]
    Kafka(#[from] KafkaError),
    /// There is no such topic.
    #[error("topic {0} does not exist on this broker")]
    NoSuchTopic(String),
    /// A transaction could not be committed.
    #[error("a transaction could not be committed: {0}")]
    Write(String),
    /// Nothing was read for too long.
    #[error("the broker gave no record for {} s", reader::PATIENCE.as_secs())]
    Stalled,
    /// Another copy of the same group has begun.
    #[error("another process has taken over this copy")]
    Fenced,
    /// The copier could not decide.
    #[error("{0}")]
    Copier(String),
    /// The runtime is shutting down.
    #[error("interrupted")]
    Interrupted,
}

impl CopyError {
    /// Whether taking it up again may help.
    const fn passes(&self) -> bool {
        matches!(self, Self::Kafka(_) | Self::Write(_) | Self::Stalled)
    }
}

/// Copies until there is nothing left to read or enough was written.
///
/// # Errors
/// See [`CopyError`]; an interruption is met a few times before it is told.
pub async fn copy(
    kafka: &Kafka,
    config: &CopyConfig,
    copier: &mut dyn Copier,
) -> Result<Ended, CopyError> {
    let mut written = 0;
    let mut failures = 0;
    // A cluster that does not answer at all is told at once: a transactional producer would wait for it.
    topic::bounds(kafka, &config.topic).await?;
    loop {
        let before = written;
        let ended = session::run(kafka, config, copier, &mut written).await;
        let Err(error) = ended else {
            return ended;
        };
        failures = if written > before { 1 } else { failures + 1 };
        if !error.passes() || failures > RESUMPTIONS {
            return Err(error);
        }
        tracing::warn!(topic = config.topic, group = config.group, %error, failures, "copy interrupted; it is taken up again");
        tokio::time::sleep(PAUSE).await;
    }
}
