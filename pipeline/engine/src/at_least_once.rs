//! Delivery at least once: outputs first, all acknowledged, then the offsets. A crash in between produces outputs again;
//! their ids are derived, so a reader can tell.

use std::time::Duration;

use async_trait::async_trait;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::{
    consumer::Offsets,
    delivery::{CommitSet, DeadLetterArchive, Delivery, DeliveryError},
    kafka::Kafka,
    producer::{Output, Producer},
};

/// How long a record may wait for its acknowledgement before its set is handed back and tried again.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) struct AtLeastOnce {
    archive: DeadLetterArchive,
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
            archive: DeadLetterArchive::new(kafka, client_id),
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
        if let Err(detail) = self.archive.keep(outputs.iter()).await {
            put_back(set, outputs.into_iter().zip(homes));
            return Err(detail);
        }
        let results = self.producer.send(&mut outputs).await;
        let mut failure = None;
        let refused = outputs
            .into_iter()
            .zip(homes)
            .zip(results)
            .filter_map(|(sent, result)| {
                let code = result.err()?;
                failure.get_or_insert_with(|| failed(&sent.0, code));
                Some(sent)
            });
        put_back(set, refused);
        failure.map_or(Ok(()), Err)
    }
}

/// Returns outputs to the parts they came from.
fn put_back(set: &mut CommitSet, outputs: impl Iterator<Item = (Output, usize)>) {
    for (output, home) in outputs {
        if let Some(part) = set.parts.get_mut(home) {
            part.outputs.push(vec![output]);
        }
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
        committed.map_err(|detail| DeliveryError::Again { set, detail })
    }
}
