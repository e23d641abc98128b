//! A producer of transactions. Its calls block, so it lives on a thread of its own and is handed one transaction at a time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use rdkafka::{consumer::ConsumerGroupMetadata, error::KafkaError};
use tokio::sync::oneshot;

use crate::{kafka::Kafka, ledger::TopicPartition, producer::Output};

mod client;
mod delivery;
mod worker;

pub(crate) use delivery::Transactional;
use worker::Worker;

/// Outputs of a transaction; made one by one while they are sent.
pub(crate) type Outputs = Box<dyn Iterator<Item = Output> + Send>;

/// How far one partition was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) at: TopicPartition,
    /// The assignment it was read under.
    pub(crate) epoch: u64,
    /// The offset to commit: of the last record, plus one.
    pub(crate) next_offset: i64,
    /// What is written beside it.
    pub(crate) note: Option<String>,
}

/// Somebody whose offsets a transaction commits.
pub(crate) trait Member: Send + Sync + 'static {
    /// What the broker checks offsets against, as it is now. Asked for right before the offsets are sent.
    ///
    /// # Errors
    /// When these positions must not be committed any more, because they belong to somebody else now: the transaction is
    /// aborted then.
    fn metadata(&self, positions: &[Position]) -> Result<ConsumerGroupMetadata, String>;
}

/// Offsets that a transaction commits.
pub(crate) struct Offsets {
    pub(crate) member: Arc<dyn Member>,
    pub(crate) positions: Vec<Position>,
}

/// Why a transaction was not committed, or may not have been.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TransactionError {
    /// It was aborted: nothing of it will ever be read.
    #[error("{0}")]
    Aborted(String),
    /// Nobody knows how it ended, or the producer failed for good. There is a new producer with the same id, and its
    /// initialisation is over: the transaction is committed or aborted for good by now, and the committed offsets say which.
    #[error("{0}")]
    Rebuilt(String),
    /// Another producer has the same id. Nothing more can be written.
    #[error("another producer has taken over this transactional id")]
    Fenced,
    /// The producer is being closed.
    #[error("the producer is being closed")]
    Closed,
    /// A setting is wrong.
    #[error("the producer can't be made, check the Kafka settings: {0}")]
    Settings(KafkaError),
}

/// A transaction that was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Committed {
    /// The commit took so long that a first copy of it may still be on its way, sent over a connection that was lost: there
    /// is a new producer, which such a copy can't reach.
    pub(crate) rebuilt: bool,
}

/// The time a transaction and its steps may take.
#[derive(Debug, Clone, Copy)]
struct Times {
    /// Until all outputs are acknowledged.
    outputs: Duration,
    /// Until the offsets are in, from the beginning.
    offsets: Duration,
    /// For the commit itself, or for an abort.
    end: Duration,
}

impl Times {
    /// Shares of `transaction.timeout.ms` such that every step is over before the broker aborts what is open and fences its
    /// producer.
    fn new(transaction: Duration) -> Self {
        Self {
            outputs: transaction.mul_f64(0.4),
            offsets: transaction.mul_f64(0.6),
            end: transaction.mul_f64(0.3),
        }
    }
}

/// A transaction to be made, and who wants to know.
struct Job {
    outputs: Outputs,
    offsets: Option<Offsets>,
    reply: oneshot::Sender<Result<Committed, TransactionError>>,
}

/// A producer of transactions with one transactional id.
///
/// Dropped, it ends as soon as the step under way is over. What it leaves open is aborted by the next producer with its id, or by
/// the broker once the transaction's time is over.
pub(crate) struct TransactionalProducer {
    work: mpsc::Sender<Job>,
    closing: Closing,
}

/// Tells the thread to end when it is dropped.
struct Closing(Arc<AtomicBool>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl TransactionalProducer {
    /// Makes a producer and waits until its initialisation is over: whatever an earlier one with this id had left open is
    /// ended then, and that one is fenced. Waits for a broker as long as it takes.
    ///
    /// # Errors
    /// When a setting is wrong.
    pub(crate) async fn open(
        kafka: &Kafka,
        id: &str,
        client_id: &str,
        transaction_timeout: Duration,
    ) -> Result<Self, TransactionError> {
        let closing = Closing(Arc::default());
        let (work, jobs) = mpsc::channel();
        let (opened_in, opened) = oneshot::channel();
        let worker = Worker::new(
            kafka.clone(),
            kafka.transactional(id, client_id, transaction_timeout),
            id.to_owned(),
            Times::new(transaction_timeout),
            Arc::clone(&closing.0),
        );
        std::thread::Builder::new()
            .name(format!("commit-{client_id}"))
            .spawn(move || worker.run(opened_in, &jobs))
            .map_err(|_| TransactionError::Closed)?;
        opened.await.unwrap_or(Err(TransactionError::Closed))?;
        Ok(Self { work, closing })
    }

    /// One transaction: all of `outputs` and `offsets`, or nothing. On any error the caller reads on from the committed
    /// offsets, or ends.
    pub(crate) async fn commit(
        &mut self,
        outputs: Outputs,
        offsets: Option<Offsets>,
    ) -> Result<Committed, TransactionError> {
        let (reply, replied) = oneshot::channel();
        let job = Job {
            outputs,
            offsets,
            reply,
        };
        if self.closing.0.load(Ordering::Relaxed) || self.work.send(job).is_err() {
            return Err(TransactionError::Closed);
        }
        replied.await.unwrap_or(Err(TransactionError::Closed))
    }
}
