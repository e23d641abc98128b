//! What becomes of a dead letter that is sent back.
//!
//! Where its analysis had ended as failed by it, the record becomes part of a new run: a run has exactly one end. Where nobody
//! could read it, or its run has no end, it goes back as it was; a deletion still voids it then, because its run began before.

use jiff::Timestamp;
use schemas::{
    Detections, PostScraped, Record, Run, Submission,
    dead_letter::{DeadLetter, replays, sent_back},
    decode,
    events::result::Outcome,
    identity::RunCause,
    rerun::{Step, rerun},
    retry::Retry,
    topics,
};
use store::{AnalysisRow, ProgressStep, Store, StoreError};

use super::letter::Letter;

/// Progress of a run whose post has been detected, percent.
const DETECTED: u8 = 60;

/// What becomes of a letter.
#[derive(Debug, Clone, PartialEq)]
pub enum Fate {
    /// It is sent, as part of a new run.
    NewRun(Record, Option<ProgressStep>),
    /// It is sent as it was.
    AsItWas(Record),
    /// There is nothing to do any more.
    Superseded,
    /// Its code was not asked for, or it was dealt with before.
    NotAsked,
    /// It can't be sent.
    Refused(&'static str),
}

impl Fate {
    /// What it counts as.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NewRun(..) => "sent in a new run",
            Self::AsItWas(_) => "sent as it was",
            Self::Superseded => "superseded: a later run or a result exists",
            Self::NotAsked => "not asked for",
            Self::Refused(_) => "refused",
        }
    }

    /// The record to send.
    #[must_use]
    pub const fn record(&self) -> Option<&Record> {
        match self {
            Self::NewRun(record, _) | Self::AsItWas(record) => Some(record),
            _ => None,
        }
    }
}

/// Decides about letters.
pub struct Judge<'a> {
    /// Whose letters.
    pub stage: &'a str,
    /// Asked about their analyses.
    pub store: &'a dyn Store,
    /// The run they become part of.
    pub run: Run,
    /// Letters that were sent back this often are refused.
    pub cap: u32,
    /// The time.
    pub now: Timestamp,
}

impl Judge<'_> {
    /// What becomes of a letter.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn fate(&self, letter: &Letter) -> Result<Fate, StoreError> {
        let Some(told) = &letter.told else {
            return Ok(Fate::Refused("it says nothing of its origin"));
        };
        let own = letter.original_headers();
        if topics::input(self.stage) != Some(told.topic.as_str()) {
            return Ok(Fate::Refused("it does not come from this stage's input"));
        }
        if replays(own) >= self.cap {
            return Ok(Fate::Refused("it was sent back too often (--cap)"));
        }
        if !letter.exact {
            return Ok(Fate::Refused("a header of it can't be copied exactly"));
        }
        let back = Record {
            topic: told.topic.clone().into(),
            headers: sent_back(own),
            ..letter.record.clone()
        };
        match self.stage {
            "detect" => self.step::<PostScraped>(back).await,
            "score" => self.step::<Detections>(back).await,
            "webhook" => Ok(Fate::AsItWas(self.told_again(back, told))),
            _ => self.step::<Submission>(back).await,
        }
    }

    /// A result must not stand on its topic twice: other consumers read it too. So it goes to the stage's own retry topic, due at once.
    fn told_again(&self, back: Record, told: &DeadLetter) -> Record {
        let retry = Retry {
            due_ms: self.now.as_millisecond(),
            attempts: 0,
            first_failure: told.first_failure,
            topic: told.topic.clone(),
            partition: told.partition,
            offset: told.offset,
            timestamp_ms: told.timestamp_ms,
        };
        retry.record(self.stage, 1, back)
    }

    async fn step<E: Step>(&self, back: Record) -> Result<Fate, StoreError> {
        let Ok(event) = decode::<E>(&back.headers, back.value.as_deref()) else {
            return Ok(Fate::AsItWas(back));
        };
        let (id, run) = (event.analysis_id(), event.run());
        let row = match self.store.analysis(id, self.now).await {
            Ok(row) => row,
            Err(StoreError::Corrupt(_)) => {
                return Ok(Fate::Refused("the row of its analysis can't be read"));
            }
            Err(error) => return Err(error),
        };
        // Unknown or deleted: in its own run it does no harm.
        let Some(row) = row else {
            return Ok(Fate::AsItWas(back));
        };
        match end_of(&row, run) {
            End::Later | End::Completed => return Ok(Fate::Superseded),
            // A projection that failed ended nothing. Its record goes to the scraper as well, and only as another run's does
            // it meet the claim of the one that is under way.
            End::None if self.stage != "record" => return Ok(Fate::AsItWas(back)),
            End::None | End::Failed => {}
        }
        if self.run.started_ms <= run.started_ms {
            return Ok(Fate::Refused("its run begins in the future"));
        }
        let Ok(again) = rerun::<E>(&back, self.run, run) else {
            return Ok(Fate::AsItWas(back));
        };
        // The score stage alone writes no row before the end; without one nobody could tell that this run came last.
        let step = (self.stage == "score").then_some(ProgressStep {
            analysis_id: id,
            run: self.run,
            percent: DETECTED,
        });
        Ok(Fate::NewRun(again, step))
    }
}

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    None,
    Failed,
    Completed,
    /// A later run has begun.
    Later,
}

fn end_of(row: &AnalysisRow, run: Run) -> End {
    let begun = row.work.map(|work| work.run.started_ms);
    let ended = row.result.as_ref();
    let newest = begun.max(ended.map(|result| result.run.started_ms));
    if newest > Some(run.started_ms) {
        return End::Later;
    }
    match ended.filter(|result| result.run.started_ms == run.started_ms) {
        Some(result) if result.status == Outcome::Completed => End::Completed,
        Some(_) => End::Failed,
        None => End::None,
    }
}

/// The run of letters that are sent back now.
#[must_use]
pub fn run_at(now: Timestamp) -> Run {
    Run {
        started_ms: now.as_millisecond(),
        cause: RunCause::DeadLetterReplay,
    }
}

#[cfg(test)]
mod tests;
