//! A broker, a stage made of a closure, and ways to look at what came of it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, future::BoxFuture};
use jiff::Timestamp;
use prometheus::{Encoder, Registry, TextEncoder};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::OwnedMessage,
};
use schemas::{Event, Record, dead_letter::DeadLetter, topics};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use trustcard_engine::{
    EmbeddedBroker, EmbeddedTopic, EngineMetrics, GateWatch, Guarantee, Kafka, Message, Outcome,
    Publisher, Runner, RunnerConfig, RunnerError, Stage, StageError, SystemClock,
    lifecycle::{Readiness, Shutdown},
    tail::{From, tail},
};
use uuid::Uuid;

pub const STAGE: &str = "echo";
pub const IN: &str = "in";
pub const OUT: &str = "out";
/// Far beyond what anything here takes; reached only when something is broken.
pub const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Note {
    pub id: u32,
    pub key: String,
    pub text: String,
}

impl Event for Note {
    const TYPE: &'static str = "test.note.v1";
    const SOURCE: &'static str = "/test";
    const SCHEMA: &'static str = "note";

    fn id(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.id))
    }

    fn key(&self) -> String {
        self.key.clone()
    }

    fn time(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

/// A note with a key of its own.
pub fn note(id: u32) -> Note {
    Note {
        id,
        key: format!("key-{id}"),
        text: String::new(),
    }
}

pub fn notes(ids: std::ops::Range<u32>) -> Vec<Note> {
    ids.map(note).collect()
}

/// Text that does not compress well.
pub fn noise(bytes: usize) -> String {
    let words = std::iter::repeat_with(|| Uuid::new_v4().simple().to_string());
    words.take(bytes / 32 + 1).collect()
}

pub fn to(topic: &str, note: &Note) -> Record {
    schemas::encode(topic.to_owned(), note).unwrap()
}

/// Forwards a message as it is.
pub fn forward(message: &Message<Note>) -> Outcome {
    Outcome::Forward(vec![to(OUT, &message.event)])
}

type Work = dyn Fn(Vec<Message<Note>>) -> BoxFuture<'static, Result<Vec<Outcome>, StageError>>
    + Send
    + Sync;
type Bury = dyn Fn(u32, &DeadLetter) -> Result<Vec<Record>, StageError> + Send + Sync;

/// A stage made of closures.
pub struct TestStage {
    work: Box<Work>,
    bury: Box<Bury>,
    gate: GateWatch,
    name: &'static str,
    input: &'static str,
}

impl TestStage {
    pub fn new<F, R>(work: F) -> Self
    where
        F: Fn(Vec<Message<Note>>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Vec<Outcome>, StageError>> + Send + 'static,
    {
        Self {
            work: Box::new(move |batch| Box::pin(work(batch))),
            bury: Box::new(|_, _| Ok(Vec::new())),
            gate: GateWatch::always_open(),
            name: STAGE,
            input: IN,
        }
    }

    /// A stage that decides message by message, at once.
    pub fn each(decide: impl Fn(&Message<Note>) -> Outcome + Send + Sync + 'static) -> Self {
        Self::new(move |batch| {
            let outcomes = batch.iter().map(&decide).collect();
            async move { Ok(outcomes) }
        })
    }

    pub fn on_dead_letter(
        mut self,
        bury: impl Fn(u32, &DeadLetter) -> Result<Vec<Record>, StageError> + Send + Sync + 'static,
    ) -> Self {
        self.bury = Box::new(bury);
        self
    }

    /// A stage of another name that reads another topic.
    pub fn named(mut self, name: &'static str, input: &'static str) -> Self {
        (self.name, self.input) = (name, input);
        self
    }

    pub fn gate(mut self, gate: GateWatch) -> Self {
        self.gate = gate;
        self
    }
}

#[async_trait]
impl Stage for TestStage {
    type In = Note;

    fn name(&self) -> &'static str {
        self.name
    }

    fn input(&self) -> &'static str {
        self.input
    }

    async fn process(&self, batch: Vec<Message<Note>>) -> Result<Vec<Outcome>, StageError> {
        (self.work)(batch).await
    }

    async fn on_dead_letter(
        &self,
        message: &Message<Note>,
        letter: &DeadLetter,
    ) -> Result<Vec<Record>, StageError> {
        (self.bury)(message.event.id, letter)
    }

    fn gate(&self) -> GateWatch {
        self.gate.clone()
    }
}

/// Quick retries and no retry topics, so that tests don't wait. At least once, because librdkafka's mock cluster shows readers
/// what was not committed.
pub fn config() -> RunnerConfig {
    let mut config = RunnerConfig {
        delivery: Guarantee::AtLeastOnce,
        retry_topics_ms: Vec::new(),
        ..RunnerConfig::default()
    };
    config.retry.initial_ms = 1;
    config.retry.max_ms = 5;
    config
}

/// A broker with one input, one output and a dead-letter topic.
pub struct Rig {
    /// Holds the broker; it ends with the rig.
    _broker: Option<EmbeddedBroker>,
    pub kafka: Kafka,
    pub registry: Registry,
    pub readiness: Readiness,
    metrics: EngineMetrics,
}

impl Rig {
    /// `in` of so many partitions, read by the stage's group; `out` and dead letters are rolling windows of one partition.
    pub fn new(partitions: u32) -> Self {
        Self::with(&[
            topic(IN, partitions, &[&topics::group(STAGE)]),
            topic(OUT, 1, &[]),
            topic(&topics::dead_letters(STAGE), 1, &[]),
        ])
    }

    pub fn with(topics: &[EmbeddedTopic]) -> Self {
        let broker = EmbeddedBroker::start(topics).unwrap();
        let kafka = broker.kafka().clone();
        Self {
            _broker: Some(broker),
            ..Self::on(kafka)
        }
    }

    /// On a broker that belongs to somebody else.
    pub fn on(kafka: Kafka) -> Self {
        let registry = Registry::new();
        Self {
            _broker: None,
            kafka,
            metrics: EngineMetrics::new(&registry).unwrap(),
            registry,
            readiness: Readiness::new(),
        }
    }

    pub fn publisher(&self) -> Publisher {
        Publisher::new(&self.kafka, "test", Duration::from_secs(10), 100_000).unwrap()
    }

    pub async fn publish(&self, notes: &[Note]) {
        self.send(notes.iter().map(|note| to(IN, note)).collect())
            .await;
    }

    pub async fn send(&self, records: Vec<Record>) {
        let reserved = self.publisher().reserve(records).unwrap();
        for result in reserved.publish().await {
            result.unwrap();
        }
    }

    pub fn start(&self, stage: TestStage, config: RunnerConfig) -> Started {
        let shutdown = Shutdown::new();
        let runner = Runner::new(
            Arc::new(stage),
            &self.kafka,
            config,
            &self.metrics,
            Arc::new(SystemClock),
            self.readiness.part(STAGE, "joining"),
        );
        let handle = tokio::spawn(runner.run(shutdown.clone()));
        Started { shutdown, handle }
    }

    /// All records of a topic, as they are now, partition by partition in no order.
    pub async fn contents(&self, topic: &str) -> Vec<Record> {
        let count = self.written(topic).await;
        let all = tail(&self.kafka, topic, From::Beginning).await.unwrap();
        let all: Vec<_> = tokio::time::timeout(PATIENCE, all.take(count).collect::<Vec<_>>())
            .await
            .unwrap();
        all.into_iter().map(Result::unwrap).collect()
    }

    /// Ids of the notes of a topic, sorted.
    pub async fn ids(&self, topic: &str) -> Vec<u32> {
        let records = self.contents(topic).await;
        let mut ids: Vec<u32> = records.iter().map(|record| read(record).id).collect();
        ids.sort_unstable();
        ids
    }

    /// Dead letters, with the record each of them keeps.
    pub async fn dead_letters(&self) -> Vec<(DeadLetter, Record)> {
        let records = self.contents(&topics::dead_letters(STAGE)).await;
        let letters = records.into_iter().map(|record| {
            let (letter, headers) = DeadLetter::read(&record.headers).unwrap();
            let headers = headers.to_vec();
            (letter, Record { headers, ..record })
        });
        letters.collect()
    }

    /// All records of a topic as the client gives them, with their places, times and raw headers.
    pub async fn raw(&self, topic: &str) -> Vec<OwnedMessage> {
        let count = self.written(topic).await;
        let (bootstrap, topic) = (self.kafka.bootstrap().to_owned(), topic.to_owned());
        tokio::task::spawn_blocking(move || {
            let reader: BaseConsumer = ClientConfig::new()
                .set("bootstrap.servers", bootstrap)
                .set("group.id", "raw")
                .create()
                .unwrap();
            let metadata = reader.fetch_metadata(Some(&topic), PATIENCE).unwrap();
            let mut list = TopicPartitionList::new();
            for partition in metadata.topics()[0].partitions() {
                list.add_partition_offset(&topic, partition.id(), Offset::Beginning)
                    .unwrap();
            }
            reader.assign(&list).unwrap();
            (0..count)
                .map(|_| reader.poll(PATIENCE).unwrap().unwrap().detach())
                .collect()
        })
        .await
        .unwrap()
    }

    /// Records ever written to a topic.
    pub async fn written(&self, topic: &str) -> usize {
        let ends = self.look(topic, |looker, topic, partition| {
            looker
                .fetch_watermarks(topic, partition, PATIENCE)
                .unwrap()
                .1
        });
        usize::try_from(ends.await.into_values().sum::<i64>()).unwrap()
    }

    /// Committed offset of the stage's group by partition; none where it never committed.
    pub async fn committed(&self) -> BTreeMap<i32, i64> {
        let committed = self.look(IN, |looker, topic, partition| {
            let mut list = TopicPartitionList::new();
            list.add_partition(topic, partition);
            let list = looker.committed_offsets(list, PATIENCE).unwrap();
            match list.elements()[0].offset() {
                Offset::Offset(offset) => offset,
                _ => -1,
            }
        });
        let committed = committed.await.into_iter();
        committed.filter(|(_, offset)| *offset >= 0).collect()
    }

    /// Waits until the group has committed so many records.
    pub async fn settled(&self, records: usize) {
        let records = i64::try_from(records).unwrap();
        until("all records are committed", async || {
            self.committed().await.values().sum::<i64>() == records
        })
        .await;
    }

    async fn look<T: Send + 'static>(
        &self,
        topic: &str,
        ask: impl Fn(&BaseConsumer, &str, i32) -> T + Send + 'static,
    ) -> BTreeMap<i32, T> {
        let (bootstrap, topic) = (self.kafka.bootstrap().to_owned(), topic.to_owned());
        tokio::task::spawn_blocking(move || {
            let looker: BaseConsumer = ClientConfig::new()
                .set("bootstrap.servers", bootstrap)
                .set("group.id", topics::group(STAGE))
                .create()
                .unwrap();
            let metadata = looker.fetch_metadata(Some(&topic), PATIENCE).unwrap();
            let partitions = metadata.topics()[0].partitions().iter().map(|p| p.id());
            partitions
                .map(|partition| (partition, ask(&looker, &topic, partition)))
                .collect()
        })
        .await
        .unwrap()
    }

    /// The value of a metric line, such as `name{label="x"}`.
    pub fn metric(&self, line: &str) -> f64 {
        let mut text = Vec::new();
        TextEncoder::new()
            .encode(&self.registry.gather(), &mut text)
            .unwrap();
        let text = String::from_utf8(text).unwrap();
        let value = text
            .lines()
            .find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().unwrap())
    }
}

/// A stage under way. Dropped, it is gone without a last commit.
pub struct Started {
    pub shutdown: Shutdown,
    handle: JoinHandle<Result<(), RunnerError>>,
}

impl Started {
    /// Asks it to drain and waits for its end.
    pub async fn drain(mut self) -> Result<(), RunnerError> {
        self.shutdown.begin();
        self.end().await
    }

    /// Waits for its end.
    pub async fn end(&mut self) -> Result<(), RunnerError> {
        tokio::time::timeout(PATIENCE, &mut self.handle)
            .await
            .unwrap()
            .unwrap()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

pub fn topic(name: &str, partitions: u32, groups: &[&str]) -> EmbeddedTopic {
    EmbeddedTopic {
        name: name.to_owned(),
        partitions,
        required_groups: groups.iter().map(ToString::to_string).collect(),
    }
}

pub fn read(record: &Record) -> Note {
    schemas::decode(&record.headers, record.value.as_deref()).unwrap()
}

/// Waits until a condition holds.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waited = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waited).await;
    assert!(waited.is_ok(), "waited in vain: {what}");
}

/// A list that closures of a stage write to.
pub type Log<T> = Arc<Mutex<Vec<T>>>;
