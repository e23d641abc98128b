//! Accepted submissions that no result answers yet. The embedded broker forgets everything when the process ends; a start
//! publishes these again.

use rusqlite::{Connection, params};
use schemas::{Event, Submission};
use uuid::Uuid;

use super::SqliteStore;
use crate::{
    Result,
    values::{batch_place, from_json, to_json},
};

impl SqliteStore {
    /// Accepted submissions whose analysis has no terminal result for them, in the order of their event ids, after that of
    /// `after`, at most `limit`. Fewer than `limit` means that there are no more.
    ///
    /// # Errors
    /// When the store does not answer, or a row can't be read back.
    pub async fn unfinished(&self, after: Option<Uuid>, limit: u32) -> Result<Vec<Submission>> {
        // An id of zeros is never derived, so it stands before every other.
        let after = after.unwrap_or(Uuid::nil());
        self.readers
            .run(move |connection| {
                let mut statement = connection.prepare_cached(
                    "SELECT submission FROM outbox WHERE event_id > ?1 ORDER BY event_id LIMIT ?2",
                )?;
                let mut rows = statement.query(params![after, limit])?;
                let mut submissions = Vec::new();
                while let Some(row) = rows.next()? {
                    submissions.push(from_json(
                        "an accepted submission",
                        &row.get::<_, String>(0)?,
                    )?);
                }
                Ok(submissions)
            })
            .await
    }
}

pub(super) fn keep(connection: &Connection, submission: &Submission) -> Result<()> {
    let (batch_id, place) = batch_place(submission).unzip();
    connection
        .prepare_cached(
            "INSERT INTO outbox (event_id, analysis_id, run_ms, batch_id, place, submission)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (event_id) DO NOTHING",
        )?
        .execute(params![
            submission.id(),
            submission.analysis_id,
            submission.run.started_ms,
            batch_id,
            place,
            to_json(submission)?
        ])?;
    Ok(())
}

pub(super) fn forget(connection: &Connection, submission: &Submission) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM outbox WHERE event_id = ?1")?
        .execute(params![submission.id()])?;
    Ok(())
}

/// Starts of the earliest and the newest submission kept of an analysis.
pub(super) fn earliest_and_newest(
    connection: &Connection,
    analysis_id: Uuid,
) -> Result<Option<(i64, i64)>> {
    let (earliest, newest): (Option<i64>, Option<i64>) = connection
        .prepare_cached("SELECT MIN(run_ms), MAX(run_ms) FROM outbox WHERE analysis_id = ?1")?
        .query_row(params![analysis_id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(earliest.zip(newest))
}
