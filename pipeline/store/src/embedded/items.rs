//! Items of batches: registered when they are projected or claimed, and told how their analysis ended.
//!
//! An item that has ended stays so, but for one: its analysis failed, and a run that takes the place of the failed one (a
//! dead letter sent back, a rescoring) completed. Items of a batch that is gone are not written.

use rusqlite::{Connection, params};
use schemas::Submission;
use uuid::Uuid;

use crate::{
    Result, Status, StorePolicy,
    facts::Verdict,
    values::{RETRACTED, batch_place},
};

// Each names the condition of the index that finds its rows: a status told as a parameter, or an OR, would read every item there is.
/// Ends the items of an analysis that wait. Parameters: the analysis, the last start that it answers, the status, when, `reused`
/// unless it stays.
pub(super) const END_WAITING: &str =
    "UPDATE items SET status = ?3, ended_ms = ?4, reused = COALESCE(?5, reused)
     WHERE analysis_id = ?1 AND run_ms <= ?2 AND status IN ('pending', 'processing')";

/// Ends anew the items of an analysis that failed since it was last deleted. Parameters: as above, without status and `reused`.
pub(super) const END_FAILED: &str =
    "UPDATE items SET status = 'completed', ended_ms = ?3
     WHERE analysis_id = ?1 AND run_ms <= ?2 AND status = 'failed' AND
       run_ms > COALESCE((SELECT deleted_ms FROM analyses WHERE analyses.analysis_id = ?1), run_ms - 1)";

/// Writes an item that waits; one that went further already stays as it is.
pub(super) fn register(
    connection: &Connection,
    submission: &Submission,
    status: Status,
) -> Result<()> {
    let Some((batch_id, place)) = batch_place(submission) else {
        return Ok(());
    };
    connection
        .prepare_cached(
            "INSERT INTO items (batch_id, place, analysis_id, run_ms, status, reused)
             SELECT ?1, ?2, ?3, ?4, ?5, 1 WHERE EXISTS (SELECT 1 FROM batches WHERE batch_id = ?1)
             ON CONFLICT (batch_id, place) DO UPDATE SET status = excluded.status WHERE items.status = 'pending'",
        )?
        .execute(params![
            batch_id,
            place,
            submission.analysis_id,
            submission.run.started_ms,
            status.name()
        ])?;
    Ok(())
}

/// Notes that an item's own submission does the work.
pub(super) fn began(connection: &Connection, submission: &Submission) -> Result<()> {
    if let Some((batch_id, place)) = batch_place(submission) {
        connection
            .prepare_cached("UPDATE items SET reused = 0 WHERE batch_id = ?1 AND place = ?2")?
            .execute(params![batch_id, place])?;
    }
    Ok(())
}

/// Tells every submission of the analysis that `verdict` answers: items end, and nothing of them is published again. Where
/// the verdict is a completion that `replaces` another end, items that had failed end as completed.
pub(super) fn settle(
    connection: &Connection,
    analysis_id: Uuid,
    verdict: Verdict,
    replaces: bool,
    policy: &StorePolicy,
) -> Result<()> {
    let (status, until_ms, ended_ms, reused) = match verdict {
        Verdict::Open => return Ok(()),
        Verdict::Ended(ended) => (
            Status::from(ended.outcome),
            ended.holds_until(policy),
            ended.completed_ms,
            None,
        ),
        Verdict::Deleted(deleted_ms) => (Status::Failed, deleted_ms, deleted_ms, Some(false)),
    };
    // An accepted item may not be projected yet. Once it leaves the outbox nobody would project it after a restart, so its
    // row is written here.
    connection
        .prepare_cached(
            "INSERT INTO items (batch_id, place, analysis_id, run_ms, status, reused)
             SELECT batch_id, place, analysis_id, run_ms, 'pending', 1 FROM outbox
             WHERE analysis_id = ?1 AND run_ms <= ?2
               AND EXISTS (SELECT 1 FROM batches WHERE batches.batch_id = outbox.batch_id)
             ON CONFLICT (batch_id, place) DO NOTHING",
        )?
        .execute(params![analysis_id, until_ms])?;
    connection
        .prepare_cached("DELETE FROM outbox WHERE analysis_id = ?1 AND run_ms <= ?2")?
        .execute(params![analysis_id, until_ms])?;
    connection.prepare_cached(END_WAITING)?.execute(params![
        analysis_id,
        until_ms,
        status.name(),
        ended_ms,
        reused
    ])?;
    if replaces && status == Status::Completed {
        connection
            .prepare_cached(END_FAILED)?
            .execute(params![analysis_id, until_ms, ended_ms])?;
    }
    Ok(())
}

/// Marks an item as taken back.
pub(super) fn retract(connection: &Connection, submission: &Submission) -> Result<()> {
    let Some((batch_id, place)) = batch_place(submission) else {
        return Ok(());
    };
    connection
        .prepare_cached(
            "INSERT INTO items (batch_id, place, analysis_id, run_ms, status, reused)
             SELECT ?1, ?2, ?3, ?4, ?5, 0 WHERE EXISTS (SELECT 1 FROM batches WHERE batch_id = ?1)
             ON CONFLICT (batch_id, place) DO UPDATE SET status = excluded.status",
        )?
        .execute(params![
            batch_id,
            place,
            submission.analysis_id,
            submission.run.started_ms,
            RETRACTED
        ])?;
    Ok(())
}
