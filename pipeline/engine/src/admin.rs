//! Topics as they are and as they should be: looks at them, makes what is missing, raises what may be raised, and names the
//! rest. Nothing is ever shrunk or deleted.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use rdkafka::{
    admin::{
        AdminClient, AdminOptions, AlterConfig, ConfigSource, NewPartitions, NewTopic,
        ResourceSpecifier, TopicReplication,
    },
    client::DefaultClientContext,
    error::{KafkaError, RDKafkaErrorCode},
};
use tokio::time::{Instant, sleep};

use crate::kafka::Kafka;

mod difference;

pub use difference::{Difference, Remedy, differences};

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How long a change may take until every broker shows it.
const VISIBLE_WITHIN: Duration = Duration::from_secs(15);
/// How often to look meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A topic as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// Partitions, at least 1.
    pub partitions: u32,
    /// Copies of each partition, at least 1.
    pub replication: u16,
    /// Settings of the topic, as the broker names them. Others are left as they are.
    pub config: BTreeMap<String, String>,
}

/// A topic as the brokers have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicState {
    /// Its name.
    pub name: String,
    /// Partitions.
    pub partitions: u32,
    /// Copies of the partition that has the fewest.
    pub replication: u16,
    /// Settings in effect, those of the broker included.
    pub config: BTreeMap<String, String>,
    /// Names of the settings that are the topic's own.
    own: BTreeSet<String>,
}

/// What was asked of the brokers could not be done.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The brokers can't be reached, or a setting of the client is wrong.
    #[error("{0}; check the broker's address and the Kafka settings")]
    Kafka(#[from] KafkaError),
    /// The brokers refused.
    #[error(
        "topic {topic}: the broker refused: {code}; check the topic's settings and the rights of this client"
    )]
    Refused {
        /// The topic.
        topic: String,
        /// Why.
        code: RDKafkaErrorCode,
        /// What to do.
        advice: &'static str,
    },
    /// The runtime is shutting down.
    #[error("interrupted")]
    Interrupted,
}

/// A client that looks at topics and changes them.
#[derive(Clone)]
pub struct Topics(Arc<AdminClient<DefaultClientContext>>);

impl std::fmt::Debug for Topics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Topics")
    }
}

impl Topics {
    /// A client; nothing is asked yet.
    ///
    /// # Errors
    /// When a setting is wrong.
    pub fn new(kafka: &Kafka) -> Result<Self, AdminError> {
        Ok(Self(Arc::new(kafka.admin("trustcard-topics").create()?)))
    }

    /// Those of `names` that do not exist, in order.
    ///
    /// # Errors
    /// When the brokers don't answer.
    pub async fn missing(&self, names: &[String]) -> Result<Vec<String>, AdminError> {
        let there = self.sizes().await?;
        let missing = names.iter().filter(|name| !there.contains_key(*name));
        Ok(missing.cloned().collect())
    }

    /// Those of `names` that exist, by name.
    ///
    /// # Errors
    /// When the brokers don't answer, or don't let this client look.
    pub async fn describe(
        &self,
        names: &[String],
    ) -> Result<BTreeMap<String, TopicState>, AdminError> {
        let mut there = self.sizes().await?;
        there.retain(|name, _| names.contains(name));
        let asked: Vec<_> = there
            .keys()
            .map(|name| ResourceSpecifier::Topic(name))
            .collect();
        if asked.is_empty() {
            return Ok(BTreeMap::new());
        }
        let answers = self.0.describe_configs(&asked, &options()).await?;
        let mut states = BTreeMap::new();
        for ((name, (partitions, replication)), answer) in there.iter().zip(answers) {
            let answer = match answer {
                // Deleted between the two questions.
                Err(RDKafkaErrorCode::UnknownTopicOrPartition) => continue,
                answer => answer.map_err(|code| refused(name, code))?,
            };
            let own = answer.entries.iter();
            let own = own.filter(|entry| entry.source == ConfigSource::DynamicTopic);
            let own = own.map(|entry| entry.name.clone()).collect();
            let config = answer.entries.into_iter();
            let config = config.filter_map(|entry| Some((entry.name, entry.value?)));
            let state = TopicState {
                name: name.clone(),
                partitions: *partitions,
                replication: *replication,
                config: config.collect(),
                own,
            };
            states.insert(name.clone(), state);
        }
        Ok(states)
    }

    /// What of `specs` is otherwise on the brokers.
    ///
    /// # Errors
    /// When the brokers don't answer, or don't let this client look.
    pub async fn differences(&self, specs: &[TopicSpec]) -> Result<Vec<Difference>, AdminError> {
        let names: Vec<String> = specs.iter().map(|spec| spec.name.clone()).collect();
        let found = self.describe(&names).await?;
        let all = specs
            .iter()
            .flat_map(|spec| differences(spec, found.get(&spec.name)));
        Ok(all.collect())
    }

    /// Mends those of `wanted` that have a remedy, and gives what is still otherwise afterwards. A difference that somebody
    /// else has mended meanwhile is no error, so several may do this at once.
    ///
    /// # Errors
    /// When the brokers don't answer or refuse; what was done before stands.
    pub async fn mend(
        &self,
        specs: &[TopicSpec],
        wanted: &[Difference],
    ) -> Result<Vec<Difference>, AdminError> {
        let of = |remedy: Remedy| {
            specs.iter().filter(move |spec| {
                let mut its = wanted.iter().filter(|one| one.topic() == spec.name);
                its.any(|one| one.remedy() == remedy)
            })
        };
        self.create(of(Remedy::Create)).await?;
        self.raise(of(Remedy::AddPartitions)).await?;
        self.configure(of(Remedy::SetConfig)).await?;
        // Brokers learn of a change one after another; and a refused setting shows itself only by not being there.
        let until = Instant::now() + VISIBLE_WITHIN;
        loop {
            let left = self.differences(specs).await?;
            let waiting = left
                .iter()
                .any(|one| wanted.contains(one) && one.remedy() != Remedy::Refuse);
            if !waiting || Instant::now() >= until {
                return Ok(left);
            }
            sleep(LOOK_EVERY).await;
        }
    }

    async fn create(&self, specs: impl Iterator<Item = &TopicSpec>) -> Result<(), AdminError> {
        let topics: Vec<_> = specs
            .map(|spec| NewTopic {
                name: &spec.name,
                num_partitions: i32::try_from(spec.partitions).unwrap_or(i32::MAX),
                replication: TopicReplication::Fixed(spec.replication.into()),
                config: pairs(&spec.config).collect(),
            })
            .collect();
        if topics.is_empty() {
            return Ok(());
        }
        let done = self.0.create_topics(&topics, &options()).await?;
        all_done(done, &[RDKafkaErrorCode::TopicAlreadyExists])
    }

    async fn raise(&self, specs: impl Iterator<Item = &TopicSpec>) -> Result<(), AdminError> {
        let topics: Vec<_> = specs
            .map(|spec| NewPartitions::new(&spec.name, spec.partitions as usize))
            .collect();
        if topics.is_empty() {
            return Ok(());
        }
        let done = self.0.create_partitions(&topics, &options()).await?;
        // Invalid: somebody else has raised it meanwhile.
        all_done(done, &[RDKafkaErrorCode::InvalidPartitions])
    }

    /// Sets what is wanted. The request replaces all of a topic's own settings, so those that nobody asked about go along.
    async fn configure(&self, specs: impl Iterator<Item = &TopicSpec>) -> Result<(), AdminError> {
        let specs: Vec<&TopicSpec> = specs.collect();
        if specs.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = specs.iter().map(|spec| spec.name.clone()).collect();
        let found = self.describe(&names).await?;
        let changes: Vec<_> = specs
            .iter()
            .filter_map(|spec| {
                let state = found.get(&spec.name)?;
                let kept = pairs(&state.config).filter(|(key, _)| state.own.contains(*key));
                Some(AlterConfig {
                    specifier: ResourceSpecifier::Topic(&spec.name),
                    entries: kept.chain(pairs(&spec.config)).collect(),
                })
            })
            .collect();
        self.0.alter_configs(&changes, &options()).await?;
        Ok(())
    }

    /// Partitions and copies of every topic. All are asked for: asking for one by name may create it.
    async fn sizes(&self) -> Result<BTreeMap<String, (u32, u16)>, AdminError> {
        let client = Arc::clone(&self.0);
        let asked =
            tokio::task::spawn_blocking(move || client.inner().fetch_metadata(None, TIMEOUT));
        let metadata = asked.await.map_err(|_| AdminError::Interrupted)??;
        let topics = metadata
            .topics()
            .iter()
            .filter(|topic| topic.error().is_none());
        let sizes = topics.map(|topic| {
            let partitions = topic.partitions();
            let copies = partitions
                .iter()
                .map(|partition| partition.replicas().len());
            let size = (
                u32::try_from(partitions.len()).unwrap_or(u32::MAX),
                u16::try_from(copies.min().unwrap_or(0)).unwrap_or(u16::MAX),
            );
            (topic.name().to_owned(), size)
        });
        Ok(sizes.collect())
    }
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(TIMEOUT))
        .operation_timeout(Some(TIMEOUT))
}

fn pairs(config: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    config
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
}

fn all_done(
    results: Vec<Result<String, (String, RDKafkaErrorCode)>>,
    as_good: &[RDKafkaErrorCode],
) -> Result<(), AdminError> {
    for result in results {
        match result {
            Err((topic, code)) if !as_good.contains(&code) => return Err(refused(&topic, code)),
            _ => {}
        }
    }
    Ok(())
}

fn refused(topic: &str, code: RDKafkaErrorCode) -> AdminError {
    use RDKafkaErrorCode::{
        ClusterAuthorizationFailed, InvalidReplicationFactor, TopicAuthorizationFailed,
    };
    let advice = match code {
        InvalidReplicationFactor => "there are fewer brokers than copies are wanted",
        ClusterAuthorizationFailed | TopicAuthorizationFailed => {
            "allow this client to describe, create and alter topics and their configuration"
        }
        _ => "check the topic's settings",
    };
    AdminError::Refused {
        topic: topic.to_owned(),
        code,
        advice,
    }
}
