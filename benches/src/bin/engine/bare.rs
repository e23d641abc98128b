//! The loop a competent engineer writes with rdkafka and nothing around it: poll, parse, write, produce; every 100 ms wait
//! for the acknowledgements and commit. One thread beside the client's own.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use benches::work::{Checked, Post};
use rdkafka::{
    ClientContext, Message as _, Offset, TopicPartitionList,
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
    message::{BorrowedMessage, DeliveryResult, Header, Headers as _, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext},
};
use schemas::Event as _;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    Delivery,
    leg::{COMMIT_MS, Place, Stop, Told},
    settings,
};

const TIMEOUT: Duration = Duration::from_secs(30);
/// Records between two looks at the delivery reports.
const POLL_EVERY: u32 = 256;

/// Counts what the broker did not take.
#[derive(Default)]
struct Reports {
    failed: AtomicU64,
}

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Runs until told to stop.
pub fn run(place: &Place, delivery: Delivery, stop: &Stop) -> Result<Told> {
    let consumer: BaseConsumer = settings::consumer(place).create()?;
    let mut sender = Sender::new(place, delivery)?;
    consumer.subscribe(&[&place.input])?;
    let interval = Duration::from_millis(COMMIT_MS);
    let mut due = Instant::now() + interval;
    // Next offset of every partition that was read since the last commit.
    let mut next = BTreeMap::new();
    let mut told = Told::default();
    while !stop.now() {
        let wait = due.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            sender.commit(&consumer, &mut next, &mut told)?;
            due = Instant::now() + interval;
        } else if let Some(message) = consumer.poll(wait).transpose()? {
            sender.work(&message)?;
            next.insert(message.partition(), message.offset() + 1);
        }
    }
    sender.commit(&consumer, &mut next, &mut told)?;
    if delivery == Delivery::AtLeastOnce {
        // The last commit may be under way.
        consumer.commit_consumer_state(CommitMode::Sync).ok();
    }
    Ok(told)
}

struct Sender<'a> {
    place: &'a Place,
    producer: BaseProducer<Reports>,
    delivery: Delivery,
    sent: u32,
    /// `ce_dataschema`, the same for every record.
    schema: String,
}

impl<'a> Sender<'a> {
    fn new(place: &'a Place, delivery: Delivery) -> Result<Self> {
        let mut config = settings::producer(place);
        if delivery == Delivery::ExactlyOnce {
            config.set("transactional.id", &place.name);
            config.set("transaction.timeout.ms", "10000");
            // The client wants it no longer than that.
            config.set("message.timeout.ms", "10000");
            // Success is what the commit says.
            config.set("delivery.report.only.error", "true");
        }
        let producer = BaseProducer::from_config_and_context(&config, Reports::default())?;
        if delivery == Delivery::ExactlyOnce {
            producer.init_transactions(TIMEOUT)?;
            producer.begin_transaction()?;
        }
        Ok(Self {
            place,
            producer,
            delivery,
            sent: 0,
            schema: schemas::envelope::data_schema::<Checked>(),
        })
    }

    /// Makes the output of a record and hands it to the client.
    fn work(&mut self, message: &BorrowedMessage<'_>) -> Result<()> {
        let (mut kind, mut trace) = (None, None);
        if let Some(headers) = message.headers() {
            for header in headers.iter() {
                match header.key {
                    "ce_type" => kind = header.value,
                    "traceparent" => trace = header.value,
                    _ => {}
                }
            }
        }
        ensure!(
            kind == Some(Post::TYPE.as_bytes()),
            "an input of another type"
        );
        let post: Post =
            serde_json::from_slice(message.payload().context("an input without value")?)?;
        let checked = Checked::from(post);
        let value = serde_json::to_vec(&checked)?;
        let time = checked.time().to_string();
        let mut id = Uuid::encode_buffer();
        let id = checked.id().hyphenated().encode_lower(&mut id);
        let mut headers = OwnedHeaders::new_with_capacity(9);
        let each = [
            ("ce_specversion", "1.0"),
            ("ce_id", id),
            ("ce_type", Checked::TYPE),
            ("ce_source", Checked::SOURCE),
            ("ce_time", &time),
            ("ce_subject", &checked.post_id),
            ("ce_dataschema", &self.schema),
            ("content-type", schemas::envelope::CONTENT_TYPE),
        ];
        for (key, value) in each {
            headers = headers.insert(Header {
                key,
                value: Some(value),
            });
        }
        if let Some(value) = trace {
            headers = headers.insert(Header {
                key: "traceparent",
                value: Some(value),
            });
        }
        let mut record = BaseRecord::to(&self.place.output)
            .key(&checked.post_id)
            .payload(&value)
            .headers(headers);
        while let Err((error, back)) = self.producer.send(record) {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(error.into());
            }
            self.producer.poll(Duration::from_millis(5));
            record = back;
        }
        self.sent += 1;
        if self.sent.is_multiple_of(POLL_EVERY) {
            self.producer.poll(Duration::ZERO);
        }
        Ok(())
    }

    /// Waits for the acknowledgements of all outputs, then commits what they were made of.
    fn commit(
        &self,
        consumer: &BaseConsumer,
        next: &mut BTreeMap<i32, i64>,
        told: &mut Told,
    ) -> Result<()> {
        if next.is_empty() {
            return Ok(());
        }
        let mut offsets = TopicPartitionList::with_capacity(next.len());
        for (partition, offset) in std::mem::take(next) {
            offsets.add_partition_offset(&self.place.input, partition, Offset::Offset(offset))?;
        }
        self.drain()?;
        if self.delivery == Delivery::AtLeastOnce {
            let failed = self.producer.context().failed.load(Ordering::Relaxed);
            ensure!(failed == 0, "{failed} outputs were not acknowledged");
            consumer.commit(&offsets, CommitMode::Async)?;
            told.commits += 1;
            return Ok(());
        }
        match self.transaction(consumer, &offsets) {
            Ok(()) => told.commits += 1,
            Err(KafkaError::Transaction(error)) if error.txn_requires_abort() => {
                self.producer.abort_transaction(TIMEOUT)?;
                told.aborted += 1;
                rewind(consumer)?;
            }
            Err(error) => return Err(error.into()),
        }
        self.producer.begin_transaction()?;
        Ok(())
    }

    /// Waits until nothing is under way. The client's own `flush` polls for 100 ms at a time, however soon all is done, and
    /// its `poll` turns without pause through the last millisecond it is given.
    fn drain(&self) -> Result<()> {
        let deadline = Instant::now() + TIMEOUT;
        while self.producer.in_flight_count() > 0 {
            ensure!(Instant::now() < deadline, "outputs are not acknowledged");
            self.producer.poll(Duration::ZERO);
            std::thread::park_timeout(Duration::from_millis(1));
        }
        Ok(())
    }

    fn transaction(
        &self,
        consumer: &BaseConsumer,
        offsets: &TopicPartitionList,
    ) -> Result<(), KafkaError> {
        let group = consumer.group_metadata().ok_or(KafkaError::Canceled)?;
        self.producer
            .send_offsets_to_transaction(offsets, &group, TIMEOUT)?;
        self.producer.commit_transaction(TIMEOUT)
    }
}

/// Back to what is committed: the outputs of what was read since then are gone.
fn rewind(consumer: &BaseConsumer) -> Result<()> {
    let mut target = TopicPartitionList::new();
    for place in consumer.committed(TIMEOUT)?.elements() {
        let offset = match place.offset() {
            Offset::Offset(offset) => Offset::Offset(offset),
            _ => Offset::Beginning,
        };
        target.add_partition_offset(place.topic(), place.partition(), offset)?;
    }
    consumer.seek_partitions(target, TIMEOUT)?;
    Ok(())
}
