//! Listings: everything by its creation, or what one holder of keys submitted by the newest submission.

use jiff::Timestamp;
use rusqlite::{Connection, params};
use schemas::Submission;
use uuid::Uuid;

use super::row::analysis_row;
use crate::{ListCursor, ListQuery, Page, Result, Status};

const ALL: &str = "SELECT *, created_ms AS place_ms FROM analysis_rows WHERE ?6 IS NULL AND ?1 IS NULL AND status IS NOT NULL
     AND (created_ms, analysis_id) < (?2, ?3) AND expires_ms > ?4 ORDER BY created_ms DESC, analysis_id DESC LIMIT ?5";
const BY_STATUS: &str = "SELECT *, created_ms AS place_ms FROM analysis_rows WHERE ?6 IS NULL AND status = ?1
     AND (created_ms, analysis_id) < (?2, ?3) AND expires_ms > ?4 ORDER BY created_ms DESC, analysis_id DESC LIMIT ?5";
/// An analysis that was deleted since the owner submitted it is not the owner's any more, whoever submitted it again.
const OWNED: &str = "SELECT a.*, o.submitted_ms AS place_ms FROM owned o JOIN analysis_rows a ON a.analysis_id = o.analysis_id
     WHERE o.owner = ?6 AND (o.submitted_ms, o.analysis_id) < (?2, ?3) AND a.status IS NOT NULL AND (?1 IS NULL OR a.status = ?1)
     AND a.created_ms <= o.submitted_ms AND a.expires_ms > ?4 ORDER BY o.submitted_ms DESC, o.analysis_id DESC LIMIT ?5";

/// A page. Three statements, because each has an index of its own.
pub(super) fn page(connection: &Connection, query: &ListQuery, now: Timestamp) -> Result<Page> {
    let sql = match (&query.owner, query.status) {
        (Some(_), _) => OWNED,
        (None, Some(_)) => BY_STATUS,
        (None, None) => ALL,
    };
    let after = query.after.unwrap_or(ListCursor {
        created_ms: i64::MAX,
        analysis_id: Uuid::max(),
    });
    let mut statement = connection.prepare_cached(sql)?;
    let mut found = statement.query(params![
        query.status.map(Status::name),
        after.created_ms,
        after.analysis_id,
        now.as_millisecond(),
        i64::from(query.limit) + 1,
        query.owner,
    ])?;
    let limit = query.limit as usize;
    let (mut rows, mut last, mut next) = (Vec::new(), None, None);
    while let Some(row) = found.next()? {
        if rows.len() == limit {
            next = last;
            break;
        }
        last = Some(ListCursor {
            created_ms: row.get("place_ms")?,
            analysis_id: row.get("analysis_id")?,
        });
        rows.extend(analysis_row(row)?);
    }
    Ok(Page { rows, next })
}

/// Notes whose submission it is.
pub(super) fn own(connection: &Connection, submission: &Submission, expires_ms: i64) -> Result<()> {
    let Some(owner) = &submission.owner else {
        return Ok(());
    };
    connection
        .prepare_cached(
            "INSERT INTO owned (owner, analysis_id, submitted_ms, expires_ms) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (owner, analysis_id) DO UPDATE
             SET submitted_ms = MAX(submitted_ms, excluded.submitted_ms), expires_ms = MAX(expires_ms, excluded.expires_ms)",
        )?
        .execute(params![
            owner,
            submission.analysis_id,
            submission.run.started_ms,
            expires_ms
        ])?;
    Ok(())
}
