//! Delivery exactly once: outputs and offsets of a set in one transaction.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{Member, Offsets, Position, TransactionError, TransactionalProducer};
use crate::{
    delivery::{CommitSet, DeadLetterArchive, Delivery, DeliveryError},
    kafka::Kafka,
    metrics::StageMetrics,
};

pub(crate) struct Transactional {
    producer: TransactionalProducer,
    archive: DeadLetterArchive,
    metrics: StageMetrics,
    member: Arc<dyn Member>,
}

impl Transactional {
    /// The producer of a stage. To be made before the stage joins its group, so that what an earlier instance of the same name
    /// left open is over before anybody asks for committed offsets.
    pub(crate) async fn open(
        kafka: &Kafka,
        stage: &str,
        transaction_timeout: Duration,
    ) -> Result<TransactionalProducer, TransactionError> {
        let id = kafka.instance().transactional_id(stage);
        TransactionalProducer::open(kafka, &id, stage, transaction_timeout).await
    }

    pub(crate) fn new(
        producer: TransactionalProducer,
        kafka: &Kafka,
        stage: &str,
        member: Arc<dyn Member>,
        metrics: StageMetrics,
    ) -> Self {
        Self {
            producer,
            archive: DeadLetterArchive::new(kafka, stage),
            metrics,
            member,
        }
    }
}

#[async_trait]
impl Delivery for Transactional {
    async fn commit(&mut self, set: CommitSet) -> Result<(), DeliveryError> {
        if let Err(detail) = self.archive.keep(set.outputs()).await {
            return Err(DeliveryError::Again { set, detail });
        }
        let positions = set.parts.iter().map(|part| Position {
            at: part.at.clone(),
            epoch: part.epoch,
            next_offset: part.next_offset,
            note: None,
        });
        let offsets = Offsets {
            member: Arc::clone(&self.member),
            positions: positions.collect(),
        };
        let outputs = set.parts.into_iter().flat_map(|part| part.outputs);
        let outputs = Box::new(outputs.flatten());
        let transactions = &self.metrics.transactions;
        match self.producer.commit(outputs, Some(offsets)).await {
            Ok(committed) => {
                transactions.committed.inc();
                transactions.rebuilt.inc_by(u64::from(committed.rebuilt));
                Ok(())
            }
            Err(TransactionError::Fenced) => {
                transactions.fenced.inc();
                Err(DeliveryError::Fenced)
            }
            Err(error @ TransactionError::Aborted(_)) => {
                transactions.aborted.inc();
                Err(DeliveryError::Rewind {
                    detail: error.to_string(),
                })
            }
            Err(error) => {
                transactions.rebuilt.inc();
                Err(DeliveryError::Rewind {
                    detail: error.to_string(),
                })
            }
        }
    }
}
