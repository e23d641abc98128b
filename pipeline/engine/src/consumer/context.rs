//! What librdkafka calls back: rebalances, statistics, errors. Runs on the poll thread.

use std::{
    sync::{Arc, Mutex, PoisonError, mpsc::sync_channel},
    time::Duration,
};

use rdkafka::{
    ClientContext, Statistics, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::KafkaError,
    types::RDKafkaRespErr,
};
use tokio::sync::mpsc::UnboundedSender;

use super::Control;
use crate::{ledger::TopicPartition, metrics::StageMetrics};

pub(crate) struct Context {
    topic: Arc<str>,
    control: UnboundedSender<Control>,
    drain: Duration,
    metrics: StageMetrics,
    /// An assignment whose positions are not resolved yet.
    assigning: Mutex<Option<TopicPartitionList>>,
}

impl Context {
    pub(super) fn new(
        topic: Arc<str>,
        control: UnboundedSender<Control>,
        drain: Duration,
        metrics: StageMetrics,
    ) -> Self {
        Self {
            topic,
            control,
            drain,
            metrics,
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

    pub(super) fn partitions(&self, list: &TopicPartitionList) -> Vec<TopicPartition> {
        let elements = list.elements_for_topic(&self.topic);
        elements
            .iter()
            .map(|e| TopicPartition::new(Arc::clone(&self.topic), e.partition()))
            .collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<TopicPartitionList>> {
        self.assigning
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Context {
    fn stats(&self, statistics: Statistics) {
        let Some(topic) = statistics.topics.get(&*self.topic) else {
            return;
        };
        // Records behind the high watermark that this member has not read yet; a position is negative until it is known.
        let unread = topic.partitions.values().map(|partition| {
            let read = partition.app_offset.max(partition.committed_offset);
            match read {
                0.. => (partition.hi_offset - read).max(0),
                _ => 0,
            }
        });
        self.metrics.backlog().set_unread(unread.sum());
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, topic = &*self.topic, "kafka client");
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
        self.take_assignment();
        let partitions = self.partitions(list);
        if !consumer.assignment_lost() {
            let (done, told) = sync_channel(1);
            if self.control.send(Control::Revoking { done }).is_ok() {
                let _ = told.recv_timeout(self.drain);
            }
        }
        let _ = self.control.send(Control::Gone { partitions });
        if let Err(error) = consumer.unassign() {
            tracing::warn!(%error, topic = &*self.topic, "partitions could not be given back");
        }
    }
}
