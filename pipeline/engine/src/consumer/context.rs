//! What librdkafka calls back: rebalances, statistics, errors. Runs on the poll thread.

use std::{
    sync::{Arc, Mutex, PoisonError, mpsc::sync_channel},
    time::Duration,
};

use rdkafka::{
    ClientContext, Statistics, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext, RebalanceProtocol},
    error::{KafkaError, KafkaResult},
    types::RDKafkaRespErr,
};
use tokio::sync::mpsc::UnboundedSender;

use super::{Control, held::Source, tenure::Tenure};
use crate::{
    client_metrics::ClientWatch, ledger::TopicPartition, metrics::StageMetrics,
    topic_name::TopicName,
};

pub(crate) struct Context {
    sources: Arc<[Source]>,
    tenure: Arc<Tenure>,
    control: UnboundedSender<Control>,
    drain: Duration,
    metrics: StageMetrics,
    watch: ClientWatch,
    /// An assignment whose positions are not resolved yet.
    assigning: Mutex<Option<TopicPartitionList>>,
}

impl Context {
    pub(super) fn new(
        sources: Arc<[Source]>,
        tenure: Arc<Tenure>,
        control: UnboundedSender<Control>,
        drain: Duration,
        metrics: StageMetrics,
        watch: ClientWatch,
    ) -> Self {
        Self {
            sources,
            tenure,
            control,
            drain,
            metrics,
            watch,
            assigning: Mutex::new(None),
        }
    }

    /// Takes the assignment that waits for its positions; [`Context::put_back`] if they can't be had yet.
    pub(super) fn take_assignment(&self) -> Option<TopicPartitionList> {
        self.lock().take()
    }

    pub(super) fn put_back(&self, assignment: TopicPartitionList) {
        *self.lock() = Some(assignment);
    }

    /// The partitions of a list, all of which are of topics that are read.
    pub(super) fn partitions(&self, list: &TopicPartitionList) -> Vec<TopicPartition> {
        let elements = list.elements();
        elements
            .iter()
            .filter_map(|e| Some(TopicPartition::new(self.topic(e.topic())?, e.partition())))
            .collect()
    }

    /// A topic that is read, by its name.
    pub(super) fn topic(&self, name: &str) -> Option<TopicName> {
        let mut sources = self.sources.iter();
        let source = sources.find(|source| *source.topic == *name)?;
        Some(source.topic)
    }

    /// The name of what is read, for people.
    pub(super) fn input(&self) -> &str {
        self.sources.first().map_or("", |source| &source.topic)
    }

    /// These partitions go before they were even begun.
    fn forget(&self, gone: &[TopicPartition]) {
        if let Some(list) = self.take_assignment() {
            let mut left = TopicPartitionList::new();
            for at in self.partitions(&list) {
                if !gone.contains(&at) {
                    left.add_partition(&at.topic, at.partition);
                }
            }
            self.put_back(left);
        }
    }

    fn unassign(&self, consumer: &BaseConsumer<Self>, gone: &[TopicPartition]) -> KafkaResult<()> {
        if !incremental(consumer) {
            return consumer.unassign();
        }
        // What was still to be begun can't be given back.
        let mut list = TopicPartitionList::new();
        for at in self.partitions(&consumer.assignment()?) {
            if gone.contains(&at) {
                list.add_partition(&at.topic, at.partition);
            }
        }
        consumer.incremental_unassign(&list)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<TopicPartitionList>> {
        self.assigning
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Context {
    fn stats(&self, statistics: Statistics) {
        let topics = self.sources.iter();
        let topics = topics.filter_map(|source| statistics.topics.get(&*source.topic));
        let partitions = topics.flat_map(|topic| topic.partitions.values());
        // Records behind the high watermark that this member has not read yet; a position is negative until it is known.
        let unread = partitions.map(|partition| {
            let read = partition.app_offset.max(partition.committed_offset);
            match read {
                0.. => (partition.hi_offset - read).max(0),
                _ => 0,
            }
        });
        self.metrics.backlog().set_unread(unread.sum());
        self.watch.show(&statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, topic = self.input(), "kafka client");
    }
}

impl ConsumerContext for Context {
    /// Assignment is only noted here and done by the poll loop, because it must ask the broker for positions. Revocation
    /// waits for the runner's last commit; nothing else blocks.
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        event: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        if event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.put_back(list.clone());
            return;
        }
        let partitions = self.partitions(list);
        self.forget(&partitions);
        if !consumer.assignment_lost() {
            let (done, told) = sync_channel(1);
            if self.control.send(Control::Revoking { done }).is_ok() {
                let _ = told.recv_timeout(self.drain);
            }
        }
        self.tenure.end(&partitions);
        if let Err(error) = self.unassign(consumer, &partitions) {
            tracing::warn!(%error, topic = self.input(), "partitions could not be given back");
        }
        let _ = self.control.send(Control::Gone { partitions });
    }
}

/// Whether assignments name only what changes.
pub(super) fn incremental(consumer: &BaseConsumer<Context>) -> bool {
    matches!(
        consumer.rebalance_protocol(),
        RebalanceProtocol::Cooperative
    )
}
