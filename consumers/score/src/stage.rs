//! The stage: detections in, the terminal result out, on `results` and, when it is the post's newest, on `results.latest`.

use std::sync::Arc;

use async_trait::async_trait;
use engine::{Gate, GateState, GateWatch, Message, Outcome, SharedClock, Stage, StageError};
use futures::future::join_all;
use schemas::dead_letter::DeadLetter;
use schemas::events::result::Failure;
use schemas::{AnalysisResult, Detections, Reason, Record, topics};
use store::{Finished, Store, StoreError};

use crate::{Metrics, Scorer};

pub(crate) const NAME: &str = "score";

/// The score stage.
pub struct ScoreStage {
    scorer: Scorer,
    store: Arc<dyn Store>,
    clock: SharedClock,
    metrics: Metrics,
    gate: Gate,
}

impl ScoreStage {
    /// A stage that scores with `scorer` and writes to `store`.
    #[must_use]
    pub fn new(
        scorer: Scorer,
        store: Arc<dyn Store>,
        clock: SharedClock,
        metrics: Metrics,
    ) -> Self {
        Self {
            scorer,
            store,
            clock,
            metrics,
            gate: Gate::open(),
        }
    }

    async fn score(&self, message: &Message<Detections>) -> Outcome {
        // A text takes milliseconds; between two of them others may run.
        tokio::task::yield_now().await;
        let result = self.scorer.assess(&message.event, message.meta.timestamp);
        let finished = self.store.finish(&result, self.clock.now()).await;
        let outcome = settle(&result, finished);
        if matches!(outcome, Outcome::Forward(_)) {
            self.metrics.observe(&result);
        }
        outcome
    }
}

/// What becomes of a message once the store has answered for its result.
fn settle(result: &AnalysisResult, finished: Result<Finished, StoreError>) -> Outcome {
    match finished {
        Ok(Finished::Written { latest }) => result
            .records(latest)
            .map_or(Outcome::Reject(Reason::SchemaMismatch), Outcome::Forward),
        Ok(Finished::Deleted) => Outcome::Skip(Reason::Deleted),
        Err(error) => {
            tracing::warn!(analysis_id = %result.analysis_id, %error, "store");
            Outcome::retry(Reason::StoreUnavailable)
        }
    }
}

/// While the store is away results wait in the topic; the posts are not at fault, so one at a time tries the way.
fn gate_after(outcomes: &[Outcome]) -> GateState {
    let away = Outcome::retry(Reason::StoreUnavailable);
    if outcomes.contains(&away) {
        GateState::Probe
    } else {
        GateState::Open
    }
}

#[async_trait]
impl Stage for ScoreStage {
    type In = Detections;

    fn name(&self) -> &'static str {
        NAME
    }

    fn input(&self) -> &'static str {
        topics::DETECTIONS
    }

    async fn process(&self, batch: &[Message<Detections>]) -> Result<Vec<Outcome>, StageError> {
        let outcomes = join_all(batch.iter().map(|message| self.score(message))).await;
        self.gate.set(gate_after(&outcomes));
        Ok(outcomes)
    }

    async fn on_dead_letter(
        &self,
        message: &Message<Detections>,
        letter: &DeadLetter,
    ) -> Result<Vec<Record>, StageError> {
        let detections = &message.event;
        let failure = Failure {
            code: letter.code,
            message: letter.code.sentence().to_owned(),
            stage: NAME.to_owned(),
        };
        let run = (detections.analysis_id, detections.run, &detections.post);
        let records = store::fail(
            &*self.store,
            run,
            failure,
            message.meta.timestamp,
            self.clock.now(),
        )
        .await
        .map_err(|error| StageError::new(Reason::StoreUnavailable, error))?;
        if !records.is_empty() {
            self.metrics.observe_dead_letter();
        }
        Ok(records)
    }

    fn gate(&self) -> GateWatch {
        self.gate.watch()
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use schemas::PostRef;
    use schemas::identity::{Run, derive};

    use super::*;

    #[test]
    fn a_store_that_is_away_is_tried_again_one_message_at_a_time() {
        let post = PostRef {
            post_id: "a".to_owned(),
            url: "https://www.instagram.com/p/a/".to_owned(),
        };
        let failure = Failure {
            code: Reason::NothingCompleted,
            message: String::new(),
            stage: NAME.to_owned(),
        };
        let at = Timestamp::UNIX_EPOCH;
        let result = AnalysisResult::failed(derive(&["a"]), Run::submitted(at), post, failure, at);
        let away = settle(&result, Err(StoreError::Unavailable("stalled".to_owned())));
        assert_eq!(away, Outcome::retry(Reason::StoreUnavailable));
        let written = settle(&result, Ok(Finished::Written { latest: false }));
        assert_eq!(gate_after(std::slice::from_ref(&written)), GateState::Open);
        assert_eq!(gate_after(&[written, away]), GateState::Probe);
    }
}
