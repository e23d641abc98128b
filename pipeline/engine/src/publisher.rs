//! Publishing from outside a stage: room is reserved first, for all records or for none, and each record's own
//! acknowledgement is told.

use std::{sync::Arc, time::Duration};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use schemas::Record;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Span;

use crate::{
    kafka::Kafka,
    producer::{Output, Producer},
    telemetry::propagation,
};

/// The publisher could not be made: its settings are wrong.
#[derive(Debug, thiserror::Error)]
#[error("the producer can't be made, check the Kafka settings: {0}")]
pub struct PublisherError(#[from] KafkaError);

/// There is no room for these records now; none of them was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// The embedded broker has no room.
    #[error(transparent)]
    Broker(#[from] crate::embedded::Full),
    /// Too many records are waiting for the broker's acknowledgement.
    #[error("too many records wait for the broker's acknowledgement; try again later")]
    Queue,
}

/// The broker did not acknowledge a record in time, or refused it. It may have been written all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the broker did not acknowledge the record: {0}")]
pub struct PublishError(RDKafkaErrorCode);

/// Publishes records. Clones are one and the same.
#[derive(Clone)]
pub struct Publisher(Arc<Inner>);

struct Inner {
    kafka: Kafka,
    producer: Producer,
    room: Arc<Semaphore>,
}

impl Publisher {
    /// A publisher. A record that is not acknowledged within `ack_timeout` fails; at most `max_waiting` records wait for
    /// their acknowledgement at once.
    ///
    /// # Errors
    /// When a Kafka setting is wrong. That no broker can be reached is no error here.
    pub fn new(
        kafka: &Kafka,
        client_id: &str,
        ack_timeout: Duration,
        max_waiting: usize,
    ) -> Result<Self, PublisherError> {
        Ok(Self(Arc::new(Inner {
            kafka: kafka.clone(),
            producer: Producer::new(kafka, client_id, ack_timeout)?,
            room: Arc::new(Semaphore::new(max_waiting.min(Semaphore::MAX_PERMITS))),
        })))
    }

    /// Reserves room for all of `records`. They join the trace of the current span.
    ///
    /// # Errors
    /// When there is no room for all of them; then none is reserved.
    pub fn reserve(&self, records: Vec<Record>) -> Result<Reserved, Full> {
        let (reserved, mut refused) = self.reserve_each(records);
        match refused.pop() {
            None => Ok(reserved),
            Some((_, full)) => Err(full),
        }
    }

    /// Reserves room for each of `records` by itself; they join the trace of the current span. Beside what there is room for: the
    /// place of each record there is none for, in order, and why.
    pub fn reserve_each(&self, records: Vec<Record>) -> (Reserved, Vec<(usize, Full)>) {
        // The same for all of them.
        let trace = propagation::header_of(&Span::current());
        let mut reserved = Reserved {
            publisher: self.clone(),
            outputs: Vec::with_capacity(records.len()),
            room: None,
        };
        let mut refused = Vec::new();
        for (place, mut record) in records.into_iter().enumerate() {
            propagation::join(trace.clone(), &mut record.headers);
            if let Err(full) = self.reserve_one(record, &mut reserved) {
                refused.push((place, full));
            }
        }
        (reserved, refused)
    }

    fn reserve_one(&self, record: Record, reserved: &mut Reserved) -> Result<(), Full> {
        let room = Arc::clone(&self.0.room).try_acquire_owned();
        let room = room.map_err(|_| Full::Queue)?;
        let mut output = Output::from(record);
        output.reserve(self.0.kafka.meter())?;
        reserved.outputs.push(output);
        match &mut reserved.room {
            Some(all) => all.merge(room),
            none => *none = Some(room),
        }
        Ok(())
    }

    /// Whether a broker answers within `timeout`.
    pub async fn broker_reachable(&self, timeout: Duration) -> bool {
        let publisher = self.clone();
        let asked = tokio::task::spawn_blocking(move || publisher.0.producer.reach(timeout));
        matches!(asked.await, Ok(Ok(())))
    }
}

/// Records there is room for. Dropped unpublished, the room is given back.
#[must_use = "nothing is published yet"]
pub struct Reserved {
    publisher: Publisher,
    outputs: Vec<Output>,
    room: Option<OwnedSemaphorePermit>,
}

impl Reserved {
    /// Sends all records, then waits for all acknowledgements; at most for about the publisher's timeout. One result for
    /// each record, in order.
    pub async fn publish(mut self) -> Vec<Result<(), PublishError>> {
        let mut results = vec![Ok(()); self.outputs.len()];
        let sent = self.publisher.0.producer.send(self.outputs.iter_mut());
        for (index, code) in sent.await {
            if let Some(result) = results.get_mut(index) {
                *result = Err(PublishError(code));
            }
        }
        results
    }
}
