//! A stage's topics, retry topics among them, on the embedded broker or on a real one, and ways to see what lies there.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Deref,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::{Headers, Message as _, OwnedHeaders, OwnedMessage},
    producer::{BaseProducer, BaseRecord, Producer},
};
use schemas::{Header, dead_letter::DeadLetter, topics};
use trustcard_engine::{
    EmbeddedBroker, Guarantee, Halt, HaltStore, Kafka, Message, Outcome, RunnerConfig,
    admin::{TopicSpec, Topics},
};
use uuid::Uuid;

use crate::support::{Note, PATIENCE, Rig, Started, TestStage, config, topic};

/// A stage of a name of its own and its topics.
pub struct Ground {
    _broker: Option<EmbeddedBroker>,
    rig: Rig,
    pub stage: &'static str,
    pub input: &'static str,
    pub out: String,
    guarantee: Guarantee,
}

impl Deref for Ground {
    type Target = Rig;

    fn deref(&self) -> &Rig {
        &self.rig
    }
}

/// Everything a producer chose: key, value, headers with null values told from empty ones.
pub type Bytewise = (
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    Vec<(String, Option<Vec<u8>>)>,
);

pub fn bytewise(message: &OwnedMessage, without_last: usize) -> Bytewise {
    let mut headers: Vec<_> = message.headers().map_or_else(Vec::new, |headers| {
        let all = headers.iter();
        all.map(|h| (h.key.to_owned(), h.value.map(<[u8]>::to_vec)))
            .collect()
    });
    headers.truncate(headers.len() - without_last);
    let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    (owned(message.key()), owned(message.payload()), headers)
}

/// The headers of a message, a null value as an empty one.
pub fn headers(message: &OwnedMessage) -> Vec<Header> {
    let headers = message.headers().into_iter().flat_map(Headers::iter);
    headers
        .map(|h| Header::new(h.key.to_owned(), h.value.unwrap_or_default().to_vec()))
        .collect()
}

pub fn letter(message: &OwnedMessage) -> DeadLetter {
    DeadLetter::read(&headers(message)).unwrap().0
}

/// The id of the note a message holds.
pub fn id(message: &OwnedMessage) -> u32 {
    let note: Note = schemas::decode(&headers(message), message.payload()).unwrap();
    note.id
}

pub fn ids(messages: &[OwnedMessage]) -> Vec<u32> {
    let mut ids: Vec<u32> = messages.iter().map(id).collect();
    ids.sort_unstable();
    ids
}

impl Ground {
    pub fn embedded(partitions: u32) -> Self {
        let (stage, input, out) = ("echo", "in", "out".to_owned());
        let mut all = vec![
            topic(input, partitions, &[&topics::group(stage)]),
            topic(&out, 1, &[]),
            topic(&topics::dead_letters(stage), 1, &[]),
        ];
        let retries = topics::retries(stage);
        all.extend(
            retries
                .iter()
                .map(|name| topic(name, partitions, &[&topics::group(stage)])),
        );
        let broker = EmbeddedBroker::start(&all).unwrap();
        Self {
            rig: Rig::on(broker.kafka().clone()),
            _broker: Some(broker),
            stage,
            input,
            out,
            guarantee: Guarantee::AtLeastOnce,
        }
    }

    /// On the real broker, without the topics for which `missing` holds.
    pub async fn real(partitions: u32, missing: impl Fn(&str) -> bool) -> Self {
        let variable = std::env::var("TRUSTCARD_TEST_KAFKA");
        let bootstrap = variable.unwrap_or_else(|_| "127.0.0.1:19092".to_owned());
        let name = format!("test-{}", Uuid::new_v4().simple());
        let ground = Self {
            rig: Rig::on(Kafka::new(bootstrap, BTreeMap::new())),
            _broker: None,
            input: format!("{name}.in").leak(),
            out: format!("{name}.out"),
            stage: name.leak(),
            guarantee: Guarantee::ExactlyOnce,
        };
        let mut names = topics::retries(ground.stage);
        names.extend([
            ground.input.to_owned(),
            ground.out.clone(),
            topics::dead_letters(ground.stage),
        ]);
        names.retain(|name| !missing(name));
        for name in &names {
            ground.create(name, partitions).await;
        }
        ground
    }

    /// Creates a topic of the real broker.
    pub async fn create(&self, name: &str, partitions: u32) {
        let spec = TopicSpec {
            name: name.to_owned(),
            partitions,
            replication: 1,
            config: BTreeMap::new(),
        };
        let topics = Topics::new(&self.kafka).unwrap();
        let specs = [spec];
        let wanted = topics.differences(&specs).await;
        let wanted = wanted.expect("no Kafka answers: run `make servers-up`");
        assert_eq!(topics.mend(&specs, &wanted).await.unwrap(), []);
    }

    /// The same topics, on which stages remember in `halts` that they stopped themselves.
    pub fn with_halts(mut self, halts: &Arc<Halts>) -> Self {
        let halts: Arc<dyn HaltStore> = halts.clone();
        self.rig.kafka = self.rig.kafka.clone().with_halts(halts);
        self
    }

    /// Two quick attempts in process, and three retry topics that wait for parts of a second.
    pub fn config(&self) -> RunnerConfig {
        let mut config = config();
        config.delivery = self.guarantee;
        config.retry.attempts = 2;
        config.retry_topics_ms = vec![150, 300, 600];
        config
    }

    /// Starts the stage under this ground's names.
    pub fn run(&self, stage: TestStage, config: RunnerConfig) -> Started {
        self.rig.start(stage.named(self.stage, self.input), config)
    }

    pub fn forward(&self) -> impl Fn(&Message<Note>) -> Outcome + Send + Sync + 'static {
        let out = self.out.clone();
        move |message| Outcome::Forward(vec![schemas::encode(out.clone(), &message.event).unwrap()])
    }

    pub async fn dead(&self) -> Vec<OwnedMessage> {
        self.read(&topics::dead_letters(self.stage)).await
    }

    /// What a read-committed reader finds on a topic now.
    pub async fn read(&self, topic: &str) -> Vec<OwnedMessage> {
        let (bootstrap, topic) = (self.kafka.bootstrap().to_owned(), topic.to_owned());
        let read = tokio::task::spawn_blocking(move || {
            let reader: BaseConsumer = ClientConfig::new()
                .set("bootstrap.servers", bootstrap)
                .set("group.id", format!("reader-{}", Uuid::new_v4()))
                .set("isolation.level", "read_committed")
                .set("enable.partition.eof", "true")
                .create()
                .unwrap();
            let metadata = reader.fetch_metadata(Some(&topic), PATIENCE).unwrap();
            let partitions = metadata.topics()[0].partitions();
            let mut list = TopicPartitionList::new();
            for partition in partitions {
                list.add_partition_offset(&topic, partition.id(), Offset::Beginning)
                    .unwrap();
            }
            reader.assign(&list).unwrap();
            // An end is told again when a transaction has ended behind it.
            let (mut found, mut ended) = (Vec::new(), BTreeSet::new());
            while ended.len() < partitions.len() {
                match reader.poll(PATIENCE).expect("an answer of the broker") {
                    Ok(message) => found.push(message.detach()),
                    Err(KafkaError::PartitionEOF(partition)) => _ = ended.insert(partition),
                    Err(error) => panic!("{topic}: {error}"),
                }
            }
            found
        });
        read.await.unwrap()
    }

    /// Records of the input that the group has committed.
    pub async fn done(&self) -> usize {
        let bootstrap = self.kafka.bootstrap().to_owned();
        let (group, input) = (topics::group(self.stage), self.input);
        let done = tokio::task::spawn_blocking(move || {
            let looker: BaseConsumer = ClientConfig::new()
                .set("bootstrap.servers", bootstrap)
                .set("group.id", group)
                .create()
                .unwrap();
            let metadata = looker.fetch_metadata(Some(input), PATIENCE).unwrap();
            let mut list = TopicPartitionList::new();
            for partition in metadata.topics()[0].partitions() {
                list.add_partition(input, partition.id());
            }
            let committed = looker.committed_offsets(list, PATIENCE).unwrap();
            let offsets = committed.elements();
            let offsets = offsets.iter().map(|e| match e.offset() {
                Offset::Offset(offset) => offset,
                _ => 0,
            });
            offsets.sum::<i64>()
        });
        usize::try_from(done.await.unwrap()).unwrap()
    }

    /// Sends one record as raw as the client allows to a partition of the input.
    pub async fn send_raw(
        &self,
        partition: i32,
        timestamp_ms: i64,
        (key, value, headers): (&'static str, Vec<u8>, OwnedHeaders),
    ) {
        let (bootstrap, input) = (self.kafka.bootstrap().to_owned(), self.input);
        let sent = tokio::task::spawn_blocking(move || {
            let producer: BaseProducer = ClientConfig::new()
                .set("bootstrap.servers", bootstrap)
                .create()
                .unwrap();
            let record = BaseRecord::to(input)
                .partition(partition)
                .timestamp(timestamp_ms)
                .headers(headers);
            producer
                .send(record.key(key).payload(&value))
                .map_err(|(error, _)| error)
                .unwrap();
            producer.flush(PATIENCE)
        });
        sent.await.unwrap().unwrap();
    }
}

/// Remembers halts for as long as the test runs, over restarts of the stage.
#[derive(Default)]
pub struct Halts(Mutex<BTreeMap<String, Halt>>);

impl Halts {
    pub fn of(&self, stage: &str) -> Option<Halt> {
        self.0.lock().unwrap().get(stage).cloned()
    }

    pub fn release(&self, stage: &str) {
        assert!(self.0.lock().unwrap().remove(stage).is_some());
    }
}

#[async_trait]
impl HaltStore for Halts {
    async fn halt(&self, stage: &str, halt: &Halt) -> Result<(), String> {
        let mut halts = self.0.lock().unwrap();
        halts.insert(stage.to_owned(), halt.clone());
        Ok(())
    }

    async fn halted(&self, stage: &str) -> Result<Option<Halt>, String> {
        Ok(self.of(stage))
    }
}
