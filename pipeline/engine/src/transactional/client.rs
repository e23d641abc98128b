//! The calls of one transactional client, and what their failures mean.

use std::{
    cell::Cell,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rdkafka::{
    ClientConfig, ClientContext, Offset, Statistics, TopicPartitionList,
    config::FromClientConfigAndContext,
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Message as _},
    producer::{BaseProducer, Producer as _, ProducerContext},
};
use tokio::time::Instant;

use super::{Offsets, Outputs};
use crate::{client_metrics::ClientWatch, kafka::RETRY_BACKOFF_MS, producer::Output};

/// How long to wait at a time for something the client does by itself.
const MOMENT: Duration = Duration::from_millis(1);
/// How long a broker may take, after it has answered a commit, to finish that transaction; until then it refuses to begin the
/// next one.
const SETTLING: Duration = Duration::from_millis(25);
/// How long one abort may block before delivery reports must be served, which it waits for.
const ABORT_SLICE: Duration = Duration::from_millis(50);
/// A commit that took this long may have been sent twice: after a lost connection the client sends it again by itself, but
/// not before [`RETRY_BACKOFF_MS`], of which it may draw a fifth less (`RD_KAFKA_RETRY_JITTER_PERCENT`).
const SENT_TWICE: Duration = Duration::from_millis(RETRY_BACKOFF_MS / 4 * 3);

/// What has to be done after a step failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The transaction can't succeed: abort it.
    Abort(String),
    /// The client can't go on, or nobody knows what the broker has done: make it anew.
    Unknown(String),
    /// Somebody else has the transactional id.
    Fenced,
}

/// Hears from the client what its calls don't say.
struct Watch {
    /// The first record of this transaction that was not accepted.
    failed: Mutex<Option<String>>,
    statistics: ClientWatch,
}

impl ClientContext for Watch {
    fn stats(&self, statistics: Statistics) {
        self.statistics.show(&statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "transactional producer");
    }
}

impl ProducerContext for Watch {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, record)) = result {
            let detail = format!(
                "a record for {} was not accepted: {}",
                record.topic(),
                error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail)
            );
            let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            failed.get_or_insert(detail);
        }
    }
}

impl Watch {
    fn failed(&self) -> Option<String> {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.take()
    }
}

pub(super) struct Client {
    producer: BaseProducer<Watch>,
    /// When the last transaction was committed.
    committed: Cell<Option<Instant>>,
}

impl Client {
    pub(super) fn new(config: &ClientConfig, statistics: ClientWatch) -> Result<Self, KafkaError> {
        let watch = Watch {
            failed: Mutex::default(),
            statistics,
        };
        let producer = BaseProducer::from_config_and_context(config, watch)?;
        Ok(Self {
            producer,
            committed: Cell::new(None),
        })
    }

    /// Serves what the client has to tell.
    pub(super) fn serve(&self) {
        self.producer.poll(Duration::ZERO);
    }

    /// Fences earlier producers with this id and ends what they left open. May be called again after a timeout.
    pub(super) fn init(&self, timeout: Duration) -> Result<(), Init> {
        self.producer.init_transactions(timeout).map_err(|error| {
            let detail = error.to_string();
            match &error {
                KafkaError::Transaction(e) if e.is_retriable() && !e.is_fatal() => {
                    Init::Again(detail)
                }
                _ => Init::Failed(detail),
            }
        })
    }

    pub(super) fn begin(&self) -> Result<(), Failure> {
        self.producer.client().context().failed();
        self.producer
            .begin_transaction()
            .map_err(|error| self.judge(&error))
    }

    /// Sends all, then waits until all are acknowledged.
    pub(super) fn send(&self, outputs: Outputs, until: Instant) -> Result<(), Failure> {
        let mut any = false;
        for output in outputs {
            self.send_one(&output, until)?;
            any = true;
        }
        // Outputs find out quickly when the last transaction is over; offsets alone would wait for a whole backoff.
        while !any && self.settling() {
            self.wait_a_moment();
        }
        while self.producer.in_flight_count() > 0 {
            self.in_time(until, "outputs were not acknowledged in time")?;
            self.wait_a_moment();
        }
        self.accepted()
    }

    /// Lets the client do what it does by itself. Its own `poll` turns without pause through the last millisecond it is given.
    fn wait_a_moment(&self) {
        self.serve();
        std::thread::park_timeout(MOMENT);
    }

    fn settling(&self) -> bool {
        let committed = self.committed.get();
        committed.is_some_and(|at| at.elapsed() < SETTLING)
    }

    fn send_one(&self, output: &Output, until: Instant) -> Result<(), Failure> {
        let mut record = output.as_base(None, ());
        while let Err((error, back)) = self.producer.send(record) {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(self.judge(&error));
            }
            self.in_time(until, "the client's queue did not empty in time")?;
            record = back;
            self.wait_a_moment();
        }
        Ok(())
    }

    fn in_time(&self, until: Instant, late: &str) -> Result<(), Failure> {
        self.accepted()?;
        if Instant::now() >= until {
            return Err(Failure::Abort(late.to_owned()));
        }
        Ok(())
    }

    /// Whether no record was refused so far.
    fn accepted(&self) -> Result<(), Failure> {
        match self.producer.client().context().failed() {
            None => Ok(()),
            Some(_) if self.fenced() => Err(Failure::Fenced),
            Some(detail) => Err(Failure::Abort(detail)),
        }
    }

    pub(super) fn offsets(&self, offsets: &Offsets, until: Instant) -> Result<(), Failure> {
        let mut list = TopicPartitionList::with_capacity(offsets.positions.len());
        for position in &offsets.positions {
            let mut element = list.add_partition(&position.at.topic, position.at.partition);
            element
                .set_offset(Offset::Offset(position.next_offset))
                .map_err(|error| Failure::Abort(error.to_string()))?;
            if let Some(note) = &position.note {
                element.set_metadata(note);
            }
        }
        loop {
            let metadata = offsets.member.metadata(&offsets.positions);
            let metadata = metadata.map_err(Failure::Abort)?;
            let left = until.saturating_duration_since(Instant::now());
            let sent = self
                .producer
                .send_offsets_to_transaction(&list, &metadata, left);
            let Err(error) = sent else {
                return Ok(());
            };
            if !retriable(&error) {
                return Err(self.judge(&error));
            }
            self.in_time(until, "offsets were not taken in time")?;
            self.wait_a_moment();
        }
    }

    /// Commits. Whether the request may have been sent twice.
    ///
    /// # Errors
    /// Never [`Failure::Abort`]: from here on a commit may be on its way to the broker, and this client can't take it back.
    pub(super) fn commit(&self, timeout: Duration) -> Result<bool, Failure> {
        let asked = Instant::now();
        self.producer
            .commit_transaction(timeout)
            .map_err(|error| match self.judge(&error) {
                Failure::Abort(detail) => Failure::Unknown(detail),
                other => other,
            })?;
        self.committed.set(Some(Instant::now()));
        Ok(asked.elapsed() >= SENT_TWICE)
    }

    /// Aborts; on an error the client must be made anew.
    pub(super) fn abort(&self, timeout: Duration) -> Result<(), Failure> {
        let until = Instant::now() + timeout;
        loop {
            let Err(error) = self.producer.abort_transaction(ABORT_SLICE) else {
                return Ok(());
            };
            let again = retriable(&error) && Instant::now() < until;
            if !again {
                return Err(match self.judge(&error) {
                    Failure::Abort(detail) => Failure::Unknown(detail),
                    other => other,
                });
            }
            self.wait_a_moment();
        }
    }

    fn judge(&self, error: &KafkaError) -> Failure {
        let detail = error.to_string();
        if self.fenced() || error.rdkafka_error_code().is_some_and(fences) {
            return Failure::Fenced;
        }
        match error {
            KafkaError::Transaction(e) if e.is_fatal() => Failure::Unknown(detail),
            KafkaError::Transaction(e) if e.txn_requires_abort() => Failure::Abort(detail),
            // A record that was refused on the spot has done nothing yet.
            KafkaError::MessageProduction(_) if self.producer.client().fatal_error().is_none() => {
                Failure::Abort(detail)
            }
            _ => Failure::Unknown(detail),
        }
    }

    fn fenced(&self) -> bool {
        let fatal = self.producer.client().fatal_error();
        fatal.is_some_and(|(code, _)| fences(code))
    }
}

/// How initialising failed.
pub(super) enum Init {
    /// The same client may try on.
    Again(String),
    /// Another client is needed.
    Failed(String),
}

fn retriable(error: &KafkaError) -> bool {
    matches!(error, KafkaError::Transaction(e) if e.is_retriable() && !e.is_fatal())
}

const fn fences(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::Fenced
            | RDKafkaErrorCode::ProducerFenced
            | RDKafkaErrorCode::InvalidProducerEpoch
    )
}
