//! The `record` stage: writes and repairs the rows of accepted submissions, because a batch is accepted without a row per item.

use std::sync::Arc;

use async_trait::async_trait;
use engine::{Gate, GateState, GateWatch, Message, Outcome, SharedClock, Stage, StageError};
use schemas::{Reason, Submission, topics};
use store::{Store, StoreError};

/// Projects submissions into the store.
pub struct Record {
    store: Arc<dyn Store>,
    clock: SharedClock,
    gate: Gate,
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record")
            .field("gate", &self.gate)
            .finish_non_exhaustive()
    }
}

impl Record {
    /// A stage that writes to `store`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: SharedClock) -> Self {
        Self {
            store,
            clock,
            gate: Gate::open(),
        }
    }
}

#[async_trait]
impl Stage for Record {
    type In = Submission;

    fn name(&self) -> &'static str {
        "record"
    }

    fn input(&self) -> &'static str {
        topics::SUBMISSIONS
    }

    async fn process(&self, batch: Vec<Message<Submission>>) -> Result<Vec<Outcome>, StageError> {
        let submissions: Vec<Submission> = batch.into_iter().map(|message| message.event).collect();
        match self.store.project(&submissions, self.clock.now()).await {
            Ok(()) => {
                self.gate.set(GateState::Open);
                Ok(submissions
                    .iter()
                    .map(|_| Outcome::Forward(Vec::new()))
                    .collect())
            }
            Err(error) => {
                // While the store is away submissions wait in the topic; they are not at fault.
                if matches!(error, StoreError::Unavailable(_)) {
                    self.gate.set(GateState::Probe);
                }
                Err(StageError::new(Reason::StoreUnavailable, error))
            }
        }
    }

    fn gate(&self) -> GateWatch {
        self.gate.watch()
    }
}
