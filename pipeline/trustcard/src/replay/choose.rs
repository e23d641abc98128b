//! Which detections are scored again.

use jiff::Timestamp;
use schemas::{Detections, Input, Record, Run, ToScore, identity::RunCause, rerun::rerun};
use store::{AnalysisRow, Store, StoreError};
use uuid::Uuid;

/// What becomes of a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Choice {
    /// It is scored again, as this record, for this analysis.
    Again(Record, Uuid),
    /// It is itself a rescoring.
    Replay,
    /// Its analysis was deleted or has expired.
    Gone,
    /// A later run of its analysis, or a later analysis of its post, exists.
    Superseded,
    /// It has no result yet; whoever scores it uses the rules of today anyway.
    Unfinished,
    /// It is a deletion.
    Deletion,
    /// It carries no detections that this program reads.
    Unreadable,
}

impl Choice {
    /// What it counts as.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Again(..) => "copied",
            Self::Replay => "skipped: itself a replay",
            Self::Gone => "skipped: deleted or expired",
            Self::Superseded => "skipped: superseded",
            Self::Unfinished => "skipped: not scored yet",
            Self::Deletion => "skipped: a deletion",
            Self::Unreadable => "skipped: not readable",
        }
    }
}

/// What becomes of a record in the rescoring `run`.
///
/// # Errors
/// When the store does not answer.
pub async fn choose(
    record: &Record,
    run: Run,
    store: &dyn Store,
    now: Timestamp,
) -> Result<Choice, StoreError> {
    let event = match ToScore::read(&record.headers, record.value.as_deref()) {
        Ok(ToScore::Detected(event)) => *event,
        Ok(ToScore::Deleted(_)) => return Ok(Choice::Deletion),
        Err(_) => return Ok(Choice::Unreadable),
    };
    if event.run.cause == RunCause::Rescore {
        return Ok(Choice::Replay);
    }
    let row = match store.analysis(event.analysis_id, now).await {
        Ok(Some(row)) => row,
        Ok(None) => return Ok(Choice::Gone),
        Err(StoreError::Corrupt(_)) => return Ok(Choice::Unreadable),
        Err(error) => return Err(error),
    };
    let replaced = match newest(&row, &event, run) {
        Ok(replaced) => replaced,
        Err(choice) => return Ok(*choice),
    };
    let latest = store.latest(&event.post.post_id, now).await?;
    if latest.is_some_and(|latest| latest != event.analysis_id) {
        return Ok(Choice::Superseded);
    }
    let again = rerun::<Detections>(record, run, replaced);
    Ok(again.map_or(Choice::Unreadable, |record| {
        Choice::Again(record, event.analysis_id)
    }))
}

/// The run whose result a rescoring of these detections would replace, if they are the newest. Earlier rescorings don't
/// supersede what they were made from.
fn newest(row: &AnalysisRow, event: &Detections, run: Run) -> Result<Run, Box<Choice>> {
    let Some(result) = &row.result else {
        return Err(Box::new(Choice::Unfinished));
    };
    let this = event.run.started_ms;
    let begun = row.work.map_or(this, |work| work.run.started_ms);
    let ended = result.run.started_ms;
    let by_another = ended > this && result.run.cause != RunCause::Rescore;
    if begun > this || by_another || ended >= run.started_ms {
        return Err(Box::new(Choice::Superseded));
    }
    if ended < this {
        return Err(Box::new(Choice::Unfinished));
    }
    Ok(result.run)
}

#[cfg(test)]
mod tests;
