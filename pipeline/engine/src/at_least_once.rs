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

    /// Sends every output of the set; those that were acknowledged leave it. They are sent from where they are: a list of all of
    /// them, made anew for every set, cost more memory than they do.
    async fn produce(&mut self, set: &mut CommitSet) -> Result<(), String> {
        self.archive.keep(set.outputs()).await?;
        let refused = self.producer.send(set.outputs_mut()).await;
        let mut refused = refused.into_iter().peekable();
        let mut failure = None;
        let mut place = 0;
        for outputs in set.parts.iter_mut().flat_map(|part| &mut part.outputs) {
            outputs.retain(|output| {
                let here = refused.next_if(|(index, _)| *index == place);
                place += 1;
                let Some((_, code)) = here else { return false };
                failure.get_or_insert_with(|| failed(output, code));
                true
            });
        }
        failure.map_or(Ok(()), Err)
    }
}

fn failed(output: &Output, code: RDKafkaErrorCode) -> String {
    format!("a record for {} was not accepted: {code}", output.topic)
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
