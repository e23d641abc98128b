//! Topics and a stage of the test's own on a shared broker.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use prometheus::{Encoder, Registry, TextEncoder};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
    producer::{BaseProducer, Producer as _},
};
use schemas::{Record, topics};
use tokio::task::JoinHandle;
use trustcard_engine::{
    EngineMetrics, GroupConfig, Instance, Kafka, Message, Outcome, Publisher, Runner, RunnerConfig,
    RunnerError, SystemClock,
    lifecycle::{Readiness, Shutdown},
};
use uuid::Uuid;

use crate::support::{Note, PATIENCE, TestStage, read, to, until};

/// Where the shared broker is.
fn bootstrap() -> String {
    std::env::var("TRUSTCARD_TEST_KAFKA").unwrap_or_else(|_| "127.0.0.1:19092".to_owned())
}

/// A stage's topics on a real broker.
pub struct Rig {
    pub bootstrap: String,
    pub stage: &'static str,
    pub input: &'static str,
    pub output: &'static str,
    group: GroupConfig,
}

impl Rig {
    /// On the shared broker; input and output of so many partitions.
    pub async fn new(partitions: i32) -> Self {
        Self::at(bootstrap(), partitions).await
    }

    pub async fn at(bootstrap: String, partitions: i32) -> Self {
        let run = Uuid::new_v4().simple().to_string();
        let name = |kind: &str| -> &'static str { format!("{kind}-{run}").leak() };
        let rig = Self {
            bootstrap,
            stage: name("echo"),
            input: name("in"),
            output: name("out"),
            group: GroupConfig::default(),
        };
        let dead = topics::dead_letters(rig.stage);
        rig.create(&[(rig.input, partitions), (rig.output, 2), (&dead, 1)])
            .await;
        rig
    }

    pub fn with_group(mut self, group: GroupConfig) -> Self {
        self.group = group;
        self
    }

    pub async fn create(&self, topics: &[(&str, i32)]) {
        let admin: AdminClient<DefaultClientContext> = self.client().create().unwrap();
        let topics = topics
            .iter()
            .map(|(name, partitions)| NewTopic::new(name, *partitions, TopicReplication::Fixed(1)));
        let topics: Vec<_> = topics.collect();
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(20)));
        let made = tokio::time::timeout(PATIENCE, admin.create_topics(&topics, &options)).await;
        for made in made
            .unwrap()
            .expect("no broker answers: run make servers-up")
        {
            made.unwrap();
        }
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        config
    }

    /// Takes over the transactional id of the stage's instance of that name.
    pub async fn take_over(&self, name: &str) {
        let mut config = self.client();
        config.set(
            "transactional.id",
            format!("trustcard.{}.{name}", self.stage),
        );
        let taken = tokio::task::spawn_blocking(move || {
            let producer: BaseProducer = config.create()?;
            producer.init_transactions(PATIENCE)
        });
        taken.await.unwrap().unwrap();
    }

    pub fn kafka(&self) -> Kafka {
        self.kafka_at(&self.bootstrap)
    }

    /// The same cluster, entered by another address.
    pub fn kafka_at(&self, bootstrap: &str) -> Kafka {
        Kafka::new(bootstrap, BTreeMap::new()).with_group(self.group)
    }

    pub async fn publish(&self, notes: &[Note]) {
        self.send(notes.iter().map(|note| to(self.input, note)).collect())
            .await;
    }

    pub async fn send(&self, records: Vec<Record>) {
        let publisher =
            Publisher::new(&self.kafka(), "test", Duration::from_secs(30), 1_000_000).unwrap();
        for result in publisher.reserve(records).unwrap().publish().await {
            result.unwrap();
        }
    }

    /// A message goes on as it is.
    pub fn forward(&self) -> impl Fn(&Message<Note>) -> Outcome + Send + Sync + Clone + 'static {
        let output = self.output;
        move |message| Outcome::Forward(vec![to(output, &message.event)])
    }

    /// Starts an instance with a name of its own.
    pub fn start(&self, stage: TestStage, config: RunnerConfig) -> Started {
        self.start_on(self.kafka(), stage, config)
    }

    pub fn start_as(&self, name: &str, stage: TestStage, config: RunnerConfig) -> Started {
        let kafka = self.kafka().with_instance(Instance::named(name));
        self.start_on(kafka, stage, config)
    }

    pub fn start_on(&self, kafka: Kafka, stage: TestStage, config: RunnerConfig) -> Started {
        let (shutdown, registry) = (Shutdown::new(), Registry::new());
        let readiness = Readiness::new();
        let runner = Runner::new(
            Arc::new(stage.named(self.stage, self.input)),
            &kafka,
            config,
            &EngineMetrics::new(&registry).unwrap(),
            Arc::new(SystemClock),
            readiness.part(self.stage, "joining"),
        );
        let handle = tokio::spawn(runner.run(shutdown.clone()));
        Started {
            shutdown,
            registry,
            readiness,
            stage: self.stage,
            handle,
        }
    }

    /// The notes a read-committed reader finds in the output, in no order.
    pub async fn notes(&self) -> Vec<Note> {
        self.committed(self.output).await.iter().map(read).collect()
    }

    /// Ids of those, sorted.
    pub async fn ids(&self) -> Vec<u32> {
        let mut ids: Vec<u32> = self.notes().await.iter().map(|note| note.id).collect();
        ids.sort_unstable();
        ids
    }

    /// Waits until the output has so many records, and makes sure that they are these, each once.
    pub async fn complete(&self, notes: u32) {
        let wanted = usize::try_from(notes).unwrap();
        until("all outputs are there", async || {
            self.ids().await.len() >= wanted
        })
        .await;
        assert_eq!(self.ids().await, (0..notes).collect::<Vec<_>>());
    }

    /// What a read-committed reader finds in a topic now.
    pub async fn committed(&self, topic: &str) -> Vec<Record> {
        let mut config = self.client();
        config
            .set("group.id", "reader")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("isolation.level", "read_committed");
        let topic = topic.to_owned();
        tokio::task::spawn_blocking(move || {
            let reader: BaseConsumer = config.create().unwrap();
            let metadata = reader.fetch_metadata(Some(&topic), PATIENCE).unwrap();
            let mut list = TopicPartitionList::new();
            for partition in metadata.topics()[0].partitions() {
                list.add_partition_offset(&topic, partition.id(), Offset::Beginning)
                    .unwrap();
            }
            reader.assign(&list).unwrap();
            // An end is told again when a transaction has ended behind it.
            let (mut records, mut ended) = (Vec::new(), BTreeSet::new());
            while ended.len() < list.count() {
                match reader.poll(PATIENCE).expect("a record or the end") {
                    Ok(message) => records.push(record(&message)),
                    Err(KafkaError::PartitionEOF(partition)) => _ = ended.insert(partition),
                    Err(error) => panic!("{error}"),
                }
            }
            records
        })
        .await
        .unwrap()
    }

    /// Sum of the group's committed offsets of a topic; offsets, so that markers count too.
    pub async fn offset(&self, topic: &str) -> i64 {
        let mut config = self.client();
        config.set("group.id", topics::group(self.stage));
        let topic = topic.to_owned();
        tokio::task::spawn_blocking(move || {
            let looker: BaseConsumer = config.create().unwrap();
            let metadata = looker.fetch_metadata(Some(&topic), PATIENCE).unwrap();
            let mut list = TopicPartitionList::new();
            for partition in metadata.topics()[0].partitions() {
                list.add_partition(&topic, partition.id());
            }
            let committed = looker.committed_offsets(list, PATIENCE).unwrap();
            let offsets = committed.elements();
            let offsets = offsets.iter().map(|e| e.offset().to_raw().unwrap_or(0));
            offsets.map(|offset| offset.max(0)).sum()
        })
        .await
        .unwrap()
    }

    /// Waits until the group has committed so many records of its input, to which only whole batches were published.
    pub async fn settled(&self, records: u32) {
        until("the input is committed", async || {
            self.offset(self.input).await == i64::from(records)
        })
        .await;
    }
}

fn record(message: &rdkafka::message::BorrowedMessage<'_>) -> Record {
    use rdkafka::message::Headers as _;
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        let headers = headers.iter();
        headers
            .map(|h| schemas::Header::new(h.key.to_owned(), h.value.unwrap_or_default().to_vec()))
            .collect()
    });
    Record {
        topic: message.topic().to_owned().into(),
        key: message.key().map(|key| key.to_vec().into()),
        value: message.payload().map(|value| value.to_vec().into()),
        headers,
    }
}

/// An instance under way. Dropped, it is gone without a last commit.
pub struct Started {
    pub shutdown: Shutdown,
    pub readiness: Readiness,
    registry: Registry,
    stage: &'static str,
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

    pub fn ended(&self) -> bool {
        self.handle.is_finished()
    }

    /// How many transactions ended so.
    pub fn transactions(&self, outcome: &str) -> u64 {
        let line = format!(
            "trustcard_transactions_total{{outcome=\"{outcome}\",task_name=\"{}\"}} ",
            self.stage
        );
        let mut text = Vec::new();
        TextEncoder::new()
            .encode(&self.registry.gather(), &mut text)
            .unwrap();
        let text = String::from_utf8(text).unwrap();
        let found = text.lines().find_map(|found| found.strip_prefix(&line));
        found.map_or(0, |count| count.parse().unwrap())
    }

    /// Waits until it has partitions.
    pub async fn ready(&self) {
        until("it has partitions", async || {
            self.readiness.missing().is_empty()
        })
        .await;
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        self.handle.abort();
    }
}
