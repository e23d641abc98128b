//! Delivery at least once: outputs first, all acknowledged, then the offsets. A crash in between produces outputs again;
//! their ids are derived, so a reader can tell.

use std::time::Duration;

use async_trait::async_trait;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::{
    consumer::Offsets,
    delivery::{CommitSet, Delivery, DeliveryError},
    kafka::Kafka,
    producer::{Output, Producer},
};

/// How long a record may wait for its acknowledgement before its set is handed back and tried again.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) struct AtLeastOnce {
    kafka: Kafka,
    client_id: String,
    producer: Producer,
    offsets: Offsets,
}

impl AtLeastOnce {
    pub(crate) fn new(
        kafka: &Kafka,
        client_id: &str,
        offsets: Offsets,
    ) -> Result<Self, KafkaError> {
        Ok(Self {
            kafka: kafka.clone(),
            client_id: client_id.to_owned(),
            producer: Producer::new(kafka, client_id, MESSAGE_TIMEOUT)?,
            offsets,
        })
    }

    /// Sends every output of the set; those that were acknowledged leave it.
    async fn produce(&mut self, set: &mut CommitSet) -> Result<(), String> {
        let mut outputs = Vec::new();
        let mut homes = Vec::new();
        for (home, part) in set.parts.iter_mut().enumerate() {
            for output in part.outputs.drain(..).flatten() {
                outputs.push(output);
                homes.push(home);
            }
        }
        if outputs.is_empty() {
            return Ok(());
        }
        let results = self.producer.send(&mut outputs).await;
        let mut failure = None;
        for ((output, home), result) in outputs.into_iter().zip(homes).zip(results) {
            if let Err(code) = result {
                failure.get_or_insert_with(|| failed(&output, code));
                if let Some(part) = set.parts.get_mut(home) {
                    part.outputs.push(vec![output]);
                }
            }
        }
        let Some(failure) = failure else {
            return Ok(());
        };
        if let Some(fatal) = self.producer.fatal() {
            // An idempotent producer is of no use after a fatal error; outputs may be repeated, none is lost.
            match Producer::new(&self.kafka, &self.client_id, MESSAGE_TIMEOUT) {
                Ok(producer) => self.producer = producer,
                Err(error) => return Err(format!("{fatal}; a new producer: {error}")),
            }
        }
        Err(failure)
    }
}

fn failed(output: &Output, code: RDKafkaErrorCode) -> String {
    format!(
        "a record for {} was not accepted: {code}",
        output.record.topic
    )
}

#[async_trait]
impl Delivery for AtLeastOnce {
    async fn commit(&mut self, mut set: CommitSet) -> Result<(), DeliveryError> {
        let produced = self.produce(&mut set).await;
        let committed = match produced {
            Ok(()) => self.offsets.commit(set.offsets()).await,
            Err(detail) => Err(detail),
        };
        committed.map_err(|detail| DeliveryError { set, detail })
    }
}
