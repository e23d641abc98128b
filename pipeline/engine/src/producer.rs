//! Sends many records and waits for all of their acknowledgements at once: delivery reports are counted by callback, one
//! wake-up a set.

use std::{
    borrow::Cow,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rdkafka::{
    ClientConfig, ClientContext, Statistics,
    config::FromClientConfigAndContext,
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, Message, OwnedHeaders},
    producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer},
    util::IntoOpaque,
};
use schemas::Record;
use tokio::sync::oneshot;

use crate::{
    client_metrics::ClientWatch,
    consumer::fetched::readable,
    embedded::meter::{Full, Meter, Ticket},
    kafka::Kafka,
    packed::Packed,
};

/// How long to wait before trying again when librdkafka's own queue is full.
const QUEUE_FULL_WAIT: Duration = Duration::from_millis(5);

/// A record on its way out.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) topic: Cow<'static, str>,
    pub(crate) record: Packed,
    /// Headers exactly as they were consumed, to go before those of the record, where [`Packed`] can't express them.
    pub(crate) raw_headers: Option<OwnedHeaders>,
    ticket: Option<Ticket>,
}

impl From<Record> for Output {
    fn from(record: Record) -> Self {
        Self {
            record: Packed::from(&record),
            topic: record.topic,
            raw_headers: None,
            ticket: None,
        }
    }
}

impl Output {
    /// Makes sure there is room for it; always, where nobody measures.
    pub(crate) fn reserve(&mut self, meter: Option<&Meter>) -> Result<(), Full> {
        if let (None, Some(meter)) = (&self.ticket, meter) {
            self.ticket = meter.reserve(&self.topic, &self.record)?;
        }
        Ok(())
    }

    /// Gives reserved room back.
    pub(crate) fn release(&mut self) {
        self.ticket = None;
    }

    /// The record with all its headers; a null value becomes an empty one.
    pub(crate) fn whole(&self) -> Record {
        let mut record = self.record.unpacked(self.topic.clone());
        if let Some(raw) = &self.raw_headers {
            record.headers.splice(..0, readable(raw).0);
        }
        record
    }

    /// As the client takes it: for this partition or the one of its key, with something that comes back with the report.
    pub(crate) fn as_base<T: IntoOpaque>(
        &self,
        partition: Option<i32>,
        delivery_opaque: T,
    ) -> BaseRecord<'_, [u8], [u8], T> {
        let headers = self.raw_headers.clone();
        let headers =
            headers.unwrap_or_else(|| OwnedHeaders::new_with_capacity(self.record.header_count()));
        let headers = self.record.pairs().fold(headers, |headers, (name, value)| {
            headers.insert(Header {
                key: std::str::from_utf8(name).unwrap_or_default(),
                value: Some(value),
            })
        });
        BaseRecord {
            topic: &self.topic,
            partition,
            payload: self.record.value(),
            key: self.record.key(),
            timestamp: None,
            headers: Some(headers),
            delivery_opaque,
        }
    }
}

/// A producer whose records are acknowledged by all in-sync replicas.
pub(crate) struct Producer {
    config: ClientConfig,
    kafka: Kafka,
    client: Mutex<Arc<ThreadedProducer<Reports>>>,
}

impl Producer {
    /// A producer; a record that is not acknowledged within `message_timeout` counts as failed.
    pub(crate) fn new(
        kafka: &Kafka,
        client_id: &str,
        message_timeout: Duration,
    ) -> Result<Self, KafkaError> {
        let config = kafka.producer(client_id, message_timeout);
        let client =
            ThreadedProducer::from_config_and_context(&config, Reports(kafka.client_watch()))?;
        Ok(Self {
            config,
            kafka: kafka.clone(),
            client: Mutex::new(Arc::new(client)),
        })
    }

    fn client(&self) -> Arc<ThreadedProducer<Reports>> {
        Arc::clone(&self.client.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// An idempotent client is of no use after a fatal error: another one takes its place. Records may be repeated then,
    /// none is lost.
    fn replace_if_fatal(&self, used: &Arc<ThreadedProducer<Reports>>) {
        let Some((_, fatal)) = used.client().fatal_error() else {
            return;
        };
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&client, used) {
            return;
        }
        let reports = Reports(self.kafka.client_watch());
        match ThreadedProducer::from_config_and_context(&self.config, reports) {
            Ok(another) => {
                tracing::warn!(fatal, "the producer has failed for good and was made anew");
                *client = Arc::new(another);
            }
            Err(error) => tracing::error!(fatal, %error,
                "the producer has failed for good and can't be made anew; tried again with the next records"),
        }
    }

    /// Sends all, then waits for all. What was not accepted: its place among them, in order, and why. After a fatal error the next
    /// call has a new client.
    pub(crate) async fn send<'a>(
        &self,
        outputs: impl Iterator<Item = &'a mut Output> + Send,
    ) -> Vec<(usize, RDKafkaErrorCode)> {
        let client = self.client();
        let (done, all_done) = oneshot::channel();
        let set = Arc::new(Set {
            // One more than were sent, so that it can't be done before all are.
            left: AtomicUsize::new(1),
            failed: Mutex::new(Vec::new()),
            done: Mutex::new(Some(done)),
        });
        for (index, output) in outputs.enumerate() {
            set.left.fetch_add(1, Ordering::Relaxed);
            let ticket = output.ticket.take();
            let partition = ticket.as_ref().map(Ticket::partition);
            let report = Box::new(Report {
                set: Arc::clone(&set),
                index,
                ticket,
            });
            let mut record = output.as_base(partition, report);
            while let Err((error, back)) = client.send(record) {
                match error.rdkafka_error_code() {
                    Some(RDKafkaErrorCode::QueueFull) => {
                        record = back;
                        tokio::time::sleep(QUEUE_FULL_WAIT).await;
                    }
                    code => {
                        set.fail(index, code.unwrap_or(RDKafkaErrorCode::Fail));
                        set.one_done();
                        break;
                    }
                }
            }
        }
        set.one_done();
        // The set outlives its records, and every record is reported, if only as purged.
        let _ = all_done.await;
        let mut failed =
            std::mem::take(&mut *set.failed.lock().unwrap_or_else(PoisonError::into_inner));
        if !failed.is_empty() {
            failed.sort_unstable_by_key(|(index, _)| *index);
            self.replace_if_fatal(&client);
        }
        failed
    }

    /// Asks the brokers for metadata; blocks for at most `timeout`.
    pub(crate) fn reach(&self, timeout: Duration) -> Result<(), KafkaError> {
        self.client()
            .client()
            .fetch_metadata(None, timeout)
            .map(drop)
    }
}

/// Records sent together.
struct Set {
    left: AtomicUsize,
    failed: Mutex<Vec<(usize, RDKafkaErrorCode)>>,
    done: Mutex<Option<oneshot::Sender<()>>>,
}

impl Set {
    fn fail(&self, index: usize, code: RDKafkaErrorCode) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.push((index, code));
    }

    fn one_done(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            let done = self
                .done
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            let _ = done.map(|done| done.send(()));
        }
    }
}

/// What travels with a record through librdkafka.
struct Report {
    set: Arc<Set>,
    index: usize,
    ticket: Option<Ticket>,
}

struct Reports(ClientWatch);

impl ClientContext for Reports {
    fn stats(&self, statistics: Statistics) {
        self.0.show(&statistics);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Report>;

    fn delivery(&self, result: &DeliveryResult<'_>, mut report: Box<Report>) {
        match result {
            Ok(message) => {
                if let Some(ticket) = report.ticket.take() {
                    ticket.appended(message.offset());
                }
            }
            Err((error, _)) => {
                let code = error.rdkafka_error_code();
                report
                    .set
                    .fail(report.index, code.unwrap_or(RDKafkaErrorCode::Fail));
            }
        }
        report.set.one_done();
    }
}
