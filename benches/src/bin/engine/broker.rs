//! The broker, as the coordinator sees it: topics, committed offsets, what is really in an output topic.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{
        AdminClient, AdminOptions, ConfigSource, NewTopic, ResourceSpecifier, TopicReplication,
    },
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
};
use serde_json::{Map, Value};
use tokio::{runtime::Runtime, time::Instant};

const TIMEOUT: Duration = Duration::from_secs(30);

/// A broker.
pub struct Broker {
    bootstrap: String,
    runtime: Runtime,
    admin: AdminClient<DefaultClientContext>,
}

impl Broker {
    /// Nothing is asked of it yet.
    pub fn new(bootstrap: &str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let admin = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .create()?;
        Ok(Self {
            bootstrap: bootstrap.to_owned(),
            runtime,
            admin,
        })
    }

    /// Where it is.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Creates a topic that keeps everything until it is deleted, and whose files go soon after that.
    pub fn create(&self, topic: &str, partitions: i32) -> Result<()> {
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1))
            .set("retention.ms", "-1")
            .set("retention.bytes", "-1")
            .set("file.delete.delay.ms", "1000");
        let created = self
            .runtime
            .block_on(self.admin.create_topics([&new], &options()))?;
        for result in created {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, code)) => bail!("topic {topic} can't be created: {code}"),
            }
        }
        // A new topic's partitions have no leader for a moment.
        let deadline = Instant::now() + TIMEOUT;
        while let Err(error) = self.records(topic) {
            ensure!(
                Instant::now() < deadline,
                "topic {topic} is not ready: {error}"
            );
        }
        Ok(())
    }

    /// Deletes topics; those that are not there are as wanted.
    pub fn delete(&self, topics: &[&str]) -> Result<()> {
        let deleted = self
            .runtime
            .block_on(self.admin.delete_topics(topics, &options()))?;
        for result in deleted {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
                Err((topic, code)) => bail!("topic {topic} can't be deleted: {code}"),
            }
        }
        Ok(())
    }

    /// Settings of the broker that are not Kafka's defaults.
    pub fn settings(&self) -> Result<Value> {
        let id = self
            .admin
            .inner()
            .fetch_metadata(None, TIMEOUT)?
            .brokers()
            .first()
            .context("no broker answers")?
            .id();
        let asked = [ResourceSpecifier::Broker(id)];
        let described = self
            .runtime
            .block_on(self.admin.describe_configs(&asked, &options()))?;
        let mut settings = Map::new();
        for resource in described {
            let resource = resource.map_err(|code| anyhow::anyhow!("broker settings: {code}"))?;
            for entry in resource.entries {
                if !matches!(entry.source, ConfigSource::Default) {
                    settings.insert(entry.name, entry.value.into());
                }
            }
        }
        Ok(settings.into())
    }

    /// Offsets a topic has given out, transaction markers and aborted records included.
    pub fn records(&self, topic: &str) -> Result<u64> {
        let reader = self.reader("bench.look", "read_uncommitted")?;
        let mut all = 0;
        for partition in 0..partitions(&reader, topic)? {
            let (_, high) = reader.fetch_watermarks(topic, partition, TIMEOUT)?;
            all += u64::try_from(high)?;
        }
        Ok(all)
    }

    /// A member of nothing that can be asked what a group has committed.
    pub fn group(&self, group: &str, topic: &str) -> Result<Group> {
        // Otherwise a commit that is part of an open transaction would have to be waited for.
        let reader = self.reader(group, "read_uncommitted")?;
        let mut asked = TopicPartitionList::new();
        for partition in 0..partitions(&reader, topic)? {
            asked.add_partition(topic, partition);
        }
        Ok(Group { reader, asked })
    }

    /// How many records a reader of that isolation level sees in a topic.
    pub fn count(&self, topic: &str, isolation: &str) -> Result<u64> {
        let reader = self.reader("bench.count", isolation)?;
        let mut from = TopicPartitionList::new();
        let partitions = partitions(&reader, topic)?;
        for partition in 0..partitions {
            from.add_partition_offset(topic, partition, Offset::Beginning)?;
        }
        reader.assign(&from)?;
        let (mut count, mut ended) = (0, vec![false; usize::try_from(partitions)?]);
        while ended.contains(&false) {
            match reader.poll(TIMEOUT) {
                Some(Ok(_)) => count += 1,
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    if let Some(end) = ended.get_mut(usize::try_from(partition)?) {
                        *end = true;
                    }
                }
                Some(Err(error)) => return Err(error.into()),
                None => bail!("{topic} can't be read to its end"),
            }
        }
        Ok(count)
    }

    fn reader(&self, group: &str, isolation: &str) -> Result<BaseConsumer> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap)
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("isolation.level", isolation);
        Ok(config.create()?)
    }
}

/// What a group has committed of one topic.
pub struct Group {
    reader: BaseConsumer,
    asked: TopicPartitionList,
}

impl Group {
    /// Records behind the committed offsets: all that is done, since inputs begin at 0 and have no gaps.
    pub fn done(&self) -> Result<u64> {
        let committed = self.reader.committed_offsets(self.asked.clone(), TIMEOUT)?;
        let offsets = committed.elements().into_iter().map(|e| e.offset());
        let offsets = offsets.map(|offset| match offset {
            Offset::Offset(offset) => u64::try_from(offset).unwrap_or_default(),
            _ => 0,
        });
        Ok(offsets.sum())
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(TIMEOUT))
}

fn partitions(reader: &BaseConsumer, topic: &str) -> Result<i32> {
    let metadata = reader.fetch_metadata(Some(topic), TIMEOUT)?;
    let count = metadata
        .topics()
        .first()
        .map_or(0, |t| t.partitions().len());
    if count == 0 {
        bail!("topic {topic} is not there");
    }
    Ok(i32::try_from(count)?)
}
