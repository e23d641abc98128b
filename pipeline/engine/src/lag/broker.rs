//! What the brokers are asked. All calls block, each for a bounded time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::{KafkaError, KafkaResult},
};
use tokio::time::Instant;

use crate::{kafka::Kafka, ledger::TopicPartition, topic_name::TopicName};

/// How long one request may take, retries of the client included.
pub(super) const REQUEST: Duration = Duration::from_secs(5);
/// Group id of the clients that ask for no group's commits. No such group comes to be.
const NOBODY: &str = "trustcard.monitor";
/// Groups whose commits are asked for at once.
const AT_ONCE: usize = 8;

/// Lag can't be told.
#[derive(Debug, thiserror::Error)]
pub enum LagError {
    /// A setting is wrong.
    #[error("the Kafka client can't be made, check the Kafka settings: {0}")]
    Settings(KafkaError),
    /// No broker answers.
    #[error("the broker at {bootstrap} does not answer: {error}")]
    Unreachable {
        /// Its address as configured.
        bootstrap: String,
        /// What the client says.
        error: KafkaError,
    },
    /// The runtime is shutting down.
    #[error("interrupted")]
    Interrupted,
}

/// Keeps the client's own words for those who debug: what fails is told once, by who asked.
pub(super) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(?level, facility, message, "kafka client");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka client");
    }
}

impl ConsumerContext for Quiet {}

pub(super) type Client = BaseConsumer<Quiet>;

/// Partitions of each topic that has any; `false` for one without leader.
pub(super) type Topics = BTreeMap<TopicName, Vec<(i32, bool)>>;

/// Clients of one cluster.
pub(super) struct Broker {
    kafka: Kafka,
    /// Sees everything up to the high watermark.
    pub(super) uncommitted: Arc<Client>,
    /// Sees what a read-committed consumer sees, up to the last stable offset.
    pub(super) committed: Arc<Client>,
    groups: BTreeMap<String, Client>,
}

impl Broker {
    pub(super) fn new(kafka: Kafka) -> Result<Self, LagError> {
        Ok(Self {
            uncommitted: Arc::new(client(&kafka, NOBODY, "read_uncommitted")?),
            committed: Arc::new(client(&kafka, NOBODY, "read_committed")?),
            groups: BTreeMap::new(),
            kafka,
        })
    }

    /// All topics but Kafka's own.
    pub(super) fn topics(&self) -> Result<Topics, LagError> {
        // Also lets the clients say what happened to their connections, which would pile up otherwise.
        for client in self.groups.values() {
            drain(client);
        }
        drain(&self.committed);
        drain(&self.uncommitted);
        let metadata = self.uncommitted.fetch_metadata(None, REQUEST);
        let metadata = metadata.map_err(|error| LagError::Unreachable {
            bootstrap: self.kafka.bootstrap().to_owned(),
            error,
        })?;
        let topics = metadata.topics().iter();
        let ours = topics.filter(|topic| !topic.name().starts_with("__"));
        let partitions = ours.map(|topic| {
            let partitions = topic.partitions().iter();
            let mut partitions: Vec<_> = partitions.map(|p| (p.id(), p.leader() >= 0)).collect();
            partitions.sort_unstable();
            (TopicName::from(topic.name()), partitions)
        });
        Ok(partitions.filter(|(_, p)| !p.is_empty()).collect())
    }

    /// Names of all groups the brokers know, dead ones with commits included.
    pub(super) fn group_names(&self) -> KafkaResult<Vec<String>> {
        let list = self.uncommitted.fetch_group_list(None, REQUEST)?;
        let names = list.groups().iter().map(|group| group.name().to_owned());
        Ok(names.collect())
    }

    /// Watches these groups and no others.
    pub(super) fn watch(&mut self, groups: &BTreeSet<String>) -> Result<(), LagError> {
        self.groups.retain(|group, _| groups.contains(group));
        for group in groups {
            if !self.groups.contains_key(group) {
                // Uncommitted: asked for a stable offset, a broker answers only once no commit is in flight, which behind an
                // open transaction is never. What it says otherwise is the last commit that counts.
                let client = client(&self.kafka, group, "read_uncommitted")?;
                self.groups.insert(group.clone(), client);
            }
        }
        Ok(())
    }

    /// What each watched group has committed; partitions without commit are left out.
    pub(super) fn commits(
        &self,
        topics: &Topics,
    ) -> BTreeMap<String, KafkaResult<BTreeMap<TopicPartition, i64>>> {
        let all: Vec<TopicPartition> = topics
            .iter()
            .flat_map(|(topic, partitions)| {
                let at = |(partition, _): &(i32, bool)| TopicPartition::new(*topic, *partition);
                partitions.iter().map(at)
            })
            .collect();
        let groups: Vec<_> = self.groups.iter().collect();
        let mut answers = BTreeMap::new();
        for some in groups.chunks(AT_ONCE) {
            std::thread::scope(|scope| {
                let asked: Vec<_> = some
                    .iter()
                    .map(|(group, client)| (group, scope.spawn(|| commits(client, &all))))
                    .collect();
                for (group, thread) in asked {
                    let answer = thread.join().unwrap_or(Err(KafkaError::Canceled));
                    answers.insert((*group).clone(), answer);
                }
            });
        }
        answers
    }
}

fn client(kafka: &Kafka, group: &str, isolation: &str) -> Result<Client, LagError> {
    let config = kafka.observer("trustcard-monitor", group, isolation);
    BaseConsumer::from_config_and_context(&config, Quiet).map_err(LagError::Settings)
}

/// Takes what waits on a client's main queue: errors, which are told to [`Quiet`].
fn drain(client: &Client) {
    while client.poll(Duration::ZERO).is_some() {}
}

fn list(at: &[TopicPartition], offset: Offset) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(at.len());
    for at in at {
        list.add_partition_offset(&at.topic, at.partition, offset)?;
    }
    Ok(list)
}

fn commits(client: &Client, at: &[TopicPartition]) -> KafkaResult<BTreeMap<TopicPartition, i64>> {
    if at.is_empty() {
        return Ok(BTreeMap::new());
    }
    let answer = client.committed_offsets(list(at, Offset::Invalid)?, REQUEST)?;
    known(&answer)
}

/// Offsets by partition; partitions without one are left out.
///
/// # Errors
/// That of the first partition with an error.
fn known(list: &TopicPartitionList) -> KafkaResult<BTreeMap<TopicPartition, i64>> {
    let mut offsets = BTreeMap::new();
    for one in list.elements() {
        one.error()?;
        if let Offset::Offset(offset) = one.offset() {
            offsets.insert(TopicPartition::new(one.topic(), one.partition()), offset);
        }
    }
    Ok(offsets)
}

/// Where partitions begin ([`Offset::Beginning`]) or end ([`Offset::End`]) as `client` sees it; those whose leader does not say
/// are left out.
pub(super) fn offsets(
    client: &Client,
    at: &[TopicPartition],
    which: Offset,
    until: Instant,
) -> BTreeMap<TopicPartition, i64> {
    let ask = |at: &[TopicPartition]| {
        let left = until.saturating_duration_since(Instant::now()).min(REQUEST);
        // To the protocol the two are timestamps (KIP-79), so one request to each leader answers for all its partitions.
        known(&client.offsets_for_times(list(at, which)?, left)?)
    };
    if at.is_empty() {
        return BTreeMap::new();
    }
    match ask(at) {
        Ok(offsets) => offsets,
        // One partition's error hides all answers, so they are asked for topic by topic.
        Err(error) => {
            tracing::debug!(%error, "offsets of all topics at once could not be had");
            let topics = at.chunk_by(|a, b| a.topic == b.topic);
            topics
                .filter_map(|topic| ask(topic).ok())
                .flatten()
                .collect()
        }
    }
}
