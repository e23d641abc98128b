//! The stage: detections in, the terminal result out, on `results` and, when it is the post's newest, on `results.latest`. A deletion
//! comes the same way, behind the detections that were there before it; it becomes a tombstone where the result went.

use std::sync::Arc;

use async_trait::async_trait;
use engine::{
    Gate, GateState, GateWatch, Message, Outcome, SharedClock, Stage, StageError, telemetry::LOGGED,
};
use futures::future::join_all;
use jiff::Timestamp;
use schemas::dead_letter::DeadLetter;
use schemas::events::result::Failure;
use schemas::{AnalysisResult, Deletion, Detections, Reason, Record, ToScore, topics};
use store::{Finished, Store, StoreError};
use tracing::Instrument as _;
use uuid::Uuid;

use crate::{Metrics, Scorer};

pub(crate) const NAME: &str = "score";

/// The score stage.
pub struct ScoreStage {
    scorer: Scorer,
    store: Arc<dyn Store>,
    clock: SharedClock,
    metrics: Metrics,
    output_limit: usize,
    gate: Gate,
}

impl ScoreStage {
    /// A stage that scores with `scorer` and writes to `store`. `output_limit` is its runner's `output_limit_bytes`: a result
    /// whose records are larger fails before the store hears of it.
    #[must_use]
    pub fn new(
        scorer: Scorer,
        store: Arc<dyn Store>,
        clock: SharedClock,
        metrics: Metrics,
        output_limit: usize,
    ) -> Self {
        Self {
            scorer,
            store,
            clock,
            metrics,
            output_limit,
            gate: Gate::open(),
        }
    }

    async fn outcome(&self, message: &Message<ToScore>) -> Result<Outcome, StoreError> {
        match &message.event {
            ToScore::Detected(detections) => self.score(detections, message.meta.timestamp).await,
            ToScore::Deleted(deletion) => self.delete(deletion).await,
        }
    }

    async fn score(&self, detections: &Detections, at: Timestamp) -> Result<Outcome, StoreError> {
        // A text takes milliseconds; between two of them others may run.
        tokio::task::yield_now().await;
        let result = self.scorer.assess(detections, at);
        let mut records = match self.records(&result) {
            Ok(records) => records,
            Err(reason) => return Ok(Outcome::Reject(reason)),
        };
        match self.store.finish(&result, self.clock.now()).await? {
            Finished::Written { latest } => {
                records.retain(|record| latest || record.topic != topics::RESULTS_LATEST);
                self.metrics.observe(&result);
                Ok(Outcome::Forward(records))
            }
            Finished::Deleted => Ok(Outcome::Skip(Reason::Deleted)),
        }
    }

    /// Tells the readers of results. Whoever deleted has marked the analysis; where that failed, it is done here, and nowhere
    /// else: a mark made again would take along what readers have said of a later result.
    async fn delete(&self, deletion: &Deletion) -> Result<Outcome, StoreError> {
        let (id, at) = (deletion.analysis_id, deletion.deleted_at);
        let now = self.clock.now();
        if let Some(row) = self.store.analysis(id, now).await? {
            let at_ms = at.as_millisecond();
            if row.created_at.as_millisecond() <= at_ms {
                self.store.delete(id, at).await?;
            } else if row
                .result
                .is_some_and(|result| result.run.started_ms > at_ms)
            {
                // Told again after the result of a later submission: that one stands.
                return Ok(Outcome::Skip(Reason::Superseded));
            }
        }
        let latest = self.store.latest(&deletion.post.post_id, now).await?;
        Ok(match deletion.tombstones(latest == Some(id)) {
            Ok(tombstones) => Outcome::Forward(tombstones),
            Err(_) => Outcome::Reject(Reason::SchemaMismatch),
        })
    }

    /// All records a result may go out as. What the runner would refuse is refused here, before the store is told of the
    /// result, so that the two never disagree.
    fn records(&self, result: &AnalysisResult) -> Result<Vec<Record>, Reason> {
        let records = result.records(true).map_err(|_| Reason::SchemaMismatch)?;
        if records
            .iter()
            .any(|record| record.size() > self.output_limit)
        {
            return Err(Reason::OutputTooLarge);
        }
        Ok(records)
    }
}

/// While the store is away results wait in the topic; the posts are not at fault, so one at a time tries the way. A row that
/// can't be read is no reason to: the store has answered, and the attempt must count, or its partition would never go on.
fn gate_after(scored: &[Result<Outcome, StoreError>]) -> GateState {
    let away = scored
        .iter()
        .any(|scored| matches!(scored, Err(StoreError::Unavailable(_))));
    if away {
        GateState::Probe
    } else {
        GateState::Open
    }
}

fn analysis_of(event: &ToScore) -> Uuid {
    match event {
        ToScore::Detected(detections) => detections.analysis_id,
        ToScore::Deleted(deletion) => deletion.analysis_id,
    }
}

#[async_trait]
impl Stage for ScoreStage {
    type In = ToScore;

    fn name(&self) -> &'static str {
        NAME
    }

    fn input(&self) -> &'static str {
        topics::DETECTIONS
    }

    async fn process(&self, batch: Vec<Message<ToScore>>) -> Result<Vec<Outcome>, StageError> {
        let scored = batch.iter().map(|message| {
            let id = message.event.analysis_id();
            let span = tracing::error_span!(target: LOGGED, "analysis", analysis_id = %id);
            self.outcome(message).instrument(span)
        });
        let scored = join_all(scored).await;
        self.gate.set(gate_after(&scored));
        let outcomes = scored.into_iter().zip(batch).map(|(scored, message)| {
            scored.unwrap_or_else(|error| {
                tracing::warn!(analysis_id = %analysis_of(&message.event), %error, "store");
                Outcome::retry(Reason::StoreUnavailable)
            })
        });
        Ok(outcomes.collect())
    }

    async fn on_dead_letter(
        &self,
        message: &Message<ToScore>,
        letter: &DeadLetter,
    ) -> Result<Vec<Record>, StageError> {
        // A deletion ends no run. Its letter is what is left to be sent back.
        let ToScore::Detected(detections) = &message.event else {
            return Ok(Vec::new());
        };
        let failure = Failure {
            code: letter.code,
            message: letter.code.sentence().to_owned(),
            stage: NAME.to_owned(),
        };
        let run = (
            detections.analysis_id,
            detections.run,
            detections.supersedes,
            &detections.post,
        );
        let at = message.meta.timestamp;
        let times = (at, self.clock.now());
        store::fail(&*self.store, run, failure, times, &self.metrics.ends)
            .await
            .map_err(|error| StageError::new(Reason::StoreUnavailable, error))
    }

    fn gate(&self) -> GateWatch {
        self.gate.watch()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_store_that_is_away_makes_messages_go_one_at_a_time() {
        let away = || Err(StoreError::Unavailable("stalled".to_owned()));
        let corrupt = || Err(StoreError::Corrupt("no outcome".to_owned()));
        let written = || Ok(Outcome::Forward(Vec::new()));
        assert_eq!(gate_after(&[written()]), GateState::Open);
        assert_eq!(gate_after(&[written(), away()]), GateState::Probe);
        assert_eq!(gate_after(&[corrupt()]), GateState::Open);
        assert_eq!(gate_after(&[corrupt(), away()]), GateState::Probe);
    }
}
