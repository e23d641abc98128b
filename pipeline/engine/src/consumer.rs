//! Reading topics as a member of a group. One thread does nothing but poll, so the broker always hears from this member,
//! whatever the stage is doing; everything it learns goes over channels to the runner.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
        mpsc::SyncSender,
    },
    time::Duration,
};

use rdkafka::{
    Offset, TopicPartitionList,
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerGroupMetadata},
    error::KafkaError,
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    clock::SharedClock,
    kafka::Kafka,
    ledger::TopicPartition,
    metrics::StageMetrics,
    transactional::{Member, Position},
};

mod complaints;
mod context;
pub(crate) mod fetched;
mod held;
mod poll;
mod tenure;

use context::Context;
pub(crate) use fetched::Fetched;
pub(crate) use held::Source;
pub(crate) use tenure::Tenure;

/// Batches of records that may wait for the runner; together with [`poll::MAX_BATCH`] this bounds what lies between the two.
const WAITING_BATCHES: usize = 2;

/// The consumer can't go on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConsumerError {
    /// A setting is wrong.
    #[error("the consumer can't be made, check the Kafka settings: {0}")]
    Settings(KafkaError),
    /// Records between the committed offset and the oldest one the broker has are gone, or the topic was made anew.
    #[error(
        "the committed offset of group {group} lies outside of what topic {topic} holds: records were lost by retention, or \
         the topic was recreated. Nothing is skipped silently; set the group's offset by hand, then start again"
    )]
    OffsetOutOfRange {
        /// The consumer group.
        group: String,
        /// What it reads.
        topic: String,
    },
    /// Another member has joined under this one's configured name.
    #[error(
        "fenced: another member of the group has the same name; give each instance a name of its own"
    )]
    Fenced,
    /// The client has given up for good.
    #[error("the Kafka client has failed for good: {0}")]
    Fatal(String),
    /// The poll thread is gone.
    #[error("the poll thread has ended unexpectedly")]
    Ended,
}

/// What happened to the assignment.
#[derive(Debug)]
pub(crate) enum Control {
    /// These partitions are ours and positioned; records read from now on carry at least this epoch.
    Assigned {
        partitions: Vec<TopicPartition>,
        epoch: u64,
    },
    /// These partitions are about to go; the poll thread waits, for a bounded time, until `done` is told.
    Revoking { done: SyncSender<()> },
    /// As ordered, these partitions, all there are, are read again from their committed offsets; their records carry at least
    /// this epoch.
    Rewound {
        partitions: Vec<TopicPartition>,
        epoch: u64,
    },
    /// These partitions are gone.
    Gone { partitions: Vec<TopicPartition> },
    /// The consumer has ended with an error.
    Failed(ConsumerError),
}

/// Records in the order they were read.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) epoch: u64,
    pub(crate) records: Vec<Fetched>,
}

/// What the runner tells the poll thread.
#[derive(Debug, Default)]
struct Orders {
    hold: AtomicBool,
    close: AtomicBool,
    rewind: AtomicBool,
}

/// How to be a member of a group.
pub(crate) struct Membership {
    pub(crate) client_id: &'static str,
    pub(crate) group: String,
    /// What to read; the first is the input, the others its retry topics.
    pub(crate) sources: Vec<Source>,
    /// How long the poll thread waits for the runner's last commit when partitions are revoked.
    pub(crate) drain: Duration,
    pub(crate) clock: SharedClock,
}

/// A member of a group. Leaves the group when dropped, at the poll thread's next turn.
#[derive(Debug)]
pub(crate) struct Consumer {
    pub(crate) control: mpsc::UnboundedReceiver<Control>,
    pub(crate) batches: mpsc::Receiver<Batch>,
    orders: Arc<Orders>,
    offsets: Offsets,
    ended: oneshot::Receiver<()>,
}

impl Consumer {
    /// Joins a group.
    pub(crate) fn join(
        kafka: &Kafka,
        membership: Membership,
        metrics: StageMetrics,
    ) -> Result<Self, ConsumerError> {
        let Membership {
            client_id,
            group,
            sources,
            drain,
            clock,
        } = membership;
        let (control_in, control) = mpsc::unbounded_channel();
        let (batches_in, batches) = mpsc::channel(WAITING_BATCHES);
        let (ended_in, ended) = oneshot::channel();
        let orders = Arc::new(Orders::default());
        let tenure = Arc::new(Tenure::default());
        let sources: Arc<[Source]> = sources.into();
        let context = Context::new(
            Arc::clone(&sources),
            Arc::clone(&tenure),
            control_in.clone(),
            drain,
            metrics.clone(),
            kafka.client_watch(),
        );
        let config = kafka.member(client_id, &group);
        let consumer = BaseConsumer::from_config_and_context(&config, context)
            .map_err(ConsumerError::Settings)?;
        let topics: Vec<&str> = sources.iter().map(|source| &*source.topic).collect();
        consumer
            .subscribe(&topics)
            .map_err(ConsumerError::Settings)?;
        let consumer = Arc::new(consumer);
        let offsets = Offsets {
            consumer: Arc::downgrade(&consumer),
            tenure: Arc::clone(&tenure),
        };
        let held = held::Held::new(clock, sources, Arc::clone(&tenure));
        let poll = poll::Poll::new(
            consumer,
            group,
            held,
            poll::Wires {
                tenure,
                control: control_in,
                batches: batches_in,
                orders: Arc::clone(&orders),
            },
            metrics,
        );
        let runtime = tokio::runtime::Handle::current();
        std::thread::Builder::new()
            .name(format!("poll-{client_id}"))
            .spawn(move || {
                poll.run(&runtime);
                let _ = ended_in.send(());
            })
            .map_err(|error| ConsumerError::Fatal(error.to_string()))?;
        Ok(Self {
            control,
            batches,
            orders,
            offsets,
            ended,
        })
    }

    /// Pauses all partitions, or lets them go on.
    pub(crate) fn hold(&self, hold: bool) {
        self.orders.hold.store(hold, Ordering::Relaxed);
    }

    /// Reads everything again from the committed offsets; [`Control::Rewound`] says when that is done.
    pub(crate) fn rewind(&self) {
        self.orders.rewind.store(true, Ordering::Relaxed);
    }

    /// Which partitions are this member's.
    pub(crate) fn tenure(&self) -> Arc<Tenure> {
        Arc::clone(&self.offsets.tenure)
    }

    /// Commits offsets of this member.
    pub(crate) fn offsets(&self) -> Offsets {
        self.offsets.clone()
    }

    /// Leaves the group and waits until that is done. Nothing is committed any more.
    pub(crate) async fn leave(mut self) {
        self.orders.close.store(true, Ordering::Relaxed);
        // Nobody will answer a revocation from here on; with the channel closed the poll thread does not wait for one.
        self.control.close();
        self.batches.close();
        let _ = (&mut self.ended).await;
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.orders.close.store(true, Ordering::Relaxed);
    }
}

/// Commits offsets of a member of a group.
#[derive(Debug, Clone)]
pub(crate) struct Offsets {
    consumer: Weak<BaseConsumer<Context>>,
    tenure: Arc<Tenure>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Context")
    }
}

impl Offsets {
    /// Commits, and waits for the broker's answer on a thread that may block.
    pub(crate) async fn commit(&self, offsets: Vec<(TopicPartition, i64)>) -> Result<(), String> {
        let consumer = self.consumer.clone();
        let committed = tokio::task::spawn_blocking(move || {
            let consumer = consumer.upgrade().ok_or("the group was left")?;
            let mut list = TopicPartitionList::with_capacity(offsets.len());
            for (at, offset) in &offsets {
                list.add_partition_offset(&at.topic, at.partition, Offset::Offset(*offset))
                    .map_err(|error| error.to_string())?;
            }
            consumer
                .commit(&list, CommitMode::Sync)
                .map_err(|error| format!("offsets were not committed: {error}"))
        });
        committed.await.map_err(|error| error.to_string())?
    }
}

impl Member for Offsets {
    /// The metadata are taken before it is checked whose the partitions are: the broker refuses them once the group has
    /// moved on, and before that nobody else can have been given what is ours now.
    fn metadata(&self, positions: &[Position]) -> Result<ConsumerGroupMetadata, String> {
        let consumer = self.consumer.upgrade().ok_or("the group was left")?;
        let metadata = consumer.group_metadata().ok_or("the group was left")?;
        let lost = positions
            .iter()
            .find(|position| !self.tenure.holds(&position.at, position.epoch));
        match lost {
            None => Ok(metadata),
            Some(lost) => Err(format!(
                "partition {} of {} was taken away meanwhile",
                lost.at.partition, lost.at.topic
            )),
        }
    }
}
