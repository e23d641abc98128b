//! Facts of an analysis to and from its row.

use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};
use schemas::{AnalysisResult, PostRef, Run};
use uuid::Uuid;

use crate::{
    AnalysisRow, Ended, Result, Status, StoreError, StorePolicy, Work,
    facts::{Facts, Held},
    values::{cause_from, cause_name, from_json, outcome_from, time},
};

/// A row under change.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) facts: Facts,
    loaded: Facts,
    expires_ms: i64,
}

impl Kept {
    /// The row of an analysis; one that expired before `now_ms` is removed and counts as absent.
    pub(super) fn load(connection: &Connection, id: Uuid, now_ms: i64) -> Result<Self> {
        let found = connection
            .prepare_cached("SELECT * FROM analyses WHERE analysis_id = ?1")?
            .query_row(params![id], |row| {
                Ok((facts(row), row.get::<_, i64>("expires_ms")?))
            })
            .optional()?;
        let (facts, expires_ms) = match found {
            Some((facts, expires_ms)) if expires_ms > now_ms => (facts?, expires_ms),
            Some(_) => {
                remove(connection, id)?;
                (Facts::default(), i64::MIN)
            }
            None => (Facts::default(), i64::MIN),
        };
        Ok(Self {
            loaded: facts.clone(),
            facts,
            expires_ms,
        })
    }

    /// Writes what has changed, if anything has, and keeps the row at least until `expires_ms`.
    pub(super) fn save(
        self,
        connection: &Connection,
        id: Uuid,
        policy: &StorePolicy,
        expires_ms: i64,
    ) -> Result<()> {
        if self.facts == self.loaded {
            return Ok(());
        }
        if self.facts == Facts::default() {
            return remove(connection, id);
        }
        if self.facts.ended.is_none() && self.loaded.ended.is_some() {
            remove_result(connection, id)?;
        }
        let expires_ms = self.expires_ms.max(expires_ms);
        let (before, after) = (self.loaded.status(policy), self.facts.status(policy));
        // Most steps of a run touch no indexed column; leaving the indexes alone halves what they cost.
        let indexed = expires_ms != self.expires_ms
            || before != after
            || self.loaded.created_ms != self.facts.created_ms;
        write(connection, id, &self.facts, after, expires_ms, indexed)
    }
}

/// Writes a row; with `indexed` false, of one that exists, all but the columns that are indexed.
fn write(
    connection: &Connection,
    id: Uuid,
    facts: &Facts,
    status: Option<Status>,
    expires_ms: i64,
    indexed: bool,
) -> Result<()> {
    let post_ts = facts.post.as_ref().map(|(ts, _)| ts);
    let post = facts.post.as_ref().map(|(_, post)| post);
    let (work, ended, claim) = (facts.work, facts.ended, facts.claim.as_ref());
    let values: [&dyn ToSql; 18] = [
        &id,
        &post.map(|post| &post.post_id),
        &post.map(|post| &post.url),
        &post_ts,
        &facts.pending_ms,
        &work.map(|work| work.run.started_ms),
        &work.map(|work| cause_name(work.run.cause)),
        &work.map(|work| work.percent),
        &ended.map(|ended| ended.run_started_ms),
        &ended.map(|ended| ended.outcome.name()),
        &ended.map(|ended| ended.completed_ms),
        &claim.map(|held| &held.event_id),
        &claim.map(|held| held.run_started_ms),
        &claim.map(|held| held.expires_ms),
        &facts.deleted_ms,
        &facts.created_ms,
        &status.map(Status::name),
        &expires_ms,
    ];
    let (sql, values) = if indexed {
        (WRITE, values.as_slice())
    } else {
        (WRITE_UNINDEXED, &values[..15])
    };
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

const WRITE: &str = "INSERT OR REPLACE INTO analyses (analysis_id, post_id, url, post_ts, pending_ms, work_ms, work_cause,
         work_percent, result_ms, result_outcome, result_completed_ms, claim_event, claim_ms, claim_expires_ms, deleted_ms,
         created_ms, status, expires_ms)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)";
const WRITE_UNINDEXED: &str = "UPDATE analyses SET post_id = ?2, url = ?3, post_ts = ?4, pending_ms = ?5, work_ms = ?6,
         work_cause = ?7, work_percent = ?8, result_ms = ?9, result_outcome = ?10, result_completed_ms = ?11,
         claim_event = ?12, claim_ms = ?13, claim_expires_ms = ?14, deleted_ms = ?15
     WHERE analysis_id = ?1";

/// Removes an analysis with everything kept of it.
pub(super) fn remove(connection: &Connection, id: Uuid) -> Result<()> {
    remove_result(connection, id)?;
    connection
        .prepare_cached("DELETE FROM analyses WHERE analysis_id = ?1")?
        .execute(params![id])?;
    Ok(())
}

fn remove_result(connection: &Connection, id: Uuid) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM results WHERE analysis_id = ?1")?
        .execute(params![id])?;
    Ok(())
}

/// Derives every status again when the setting it depends on is not the one the file was last used with.
pub(super) fn apply_policy(connection: &mut Connection, policy: &StorePolicy) -> Result<()> {
    let setting = i64::try_from(policy.failed_reusable_s).unwrap_or(i64::MAX);
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let before: Option<i64> = transaction
        .query_row(
            "SELECT value FROM settings WHERE name = 'failed_reusable_s'",
            [],
            |row| row.get(0),
        )
        .optional()?;
    if before == Some(setting) {
        return Ok(());
    }
    let failed: Vec<(Uuid, i64)> = transaction
        .prepare("SELECT analysis_id, expires_ms FROM analyses WHERE result_outcome = 'failed'")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (id, expires_ms) in failed {
        let kept = Kept::load(&transaction, id, i64::MIN)?;
        let status = kept.facts.status(policy);
        write(&transaction, id, &kept.facts, status, expires_ms, true)?;
    }
    transaction.execute(
        "INSERT OR REPLACE INTO settings (name, value) VALUES ('failed_reusable_s', ?1)",
        params![setting],
    )?;
    transaction.commit()?;
    Ok(())
}

/// Reads a row of the view `analysis_rows`; `None` where there is nothing to show.
pub(super) fn analysis_row(row: &Row<'_>) -> Result<Option<AnalysisRow>> {
    let facts = facts(row)?;
    let analysis_id: Uuid = row.get("analysis_id")?;
    let (Some((_, post)), Some(created_ms), Some(pending_run_ms)) =
        (&facts.post, facts.created_ms, facts.pending_run_ms())
    else {
        return Ok(None);
    };
    let result = match (facts.ended, row.get::<_, Option<String>>("result")?) {
        (None, _) => None,
        (Some(_), Some(text)) => Some(from_json::<AnalysisResult>("a result", &text)?),
        (Some(_), None) => {
            return Err(StoreError::Corrupt(format!(
                "the result of analysis {analysis_id} is missing"
            )));
        }
    };
    Ok(Some(AnalysisRow {
        analysis_id,
        post: post.clone(),
        created_at: time(created_ms)?,
        pending_run_ms,
        work: facts.work,
        result,
    }))
}

fn facts(row: &Row<'_>) -> Result<Facts> {
    let post = match (row.get("post_ts")?, row.get("post_id")?, row.get("url")?) {
        (Some(ts), Some(post_id), Some(url)) => Some((ts, PostRef { post_id, url })),
        _ => None,
    };
    let work = match (
        row.get("work_ms")?,
        row.get::<_, Option<String>>("work_cause")?,
        row.get("work_percent")?,
    ) {
        (Some(started_ms), Some(cause), Some(percent)) => Some(Work {
            run: Run {
                started_ms,
                cause: cause_from(&cause)?,
            },
            percent,
        }),
        _ => None,
    };
    let ended = match (
        row.get("result_ms")?,
        row.get::<_, Option<String>>("result_outcome")?,
        row.get("result_completed_ms")?,
    ) {
        (Some(run_started_ms), Some(outcome), Some(completed_ms)) => Some(Ended {
            outcome: outcome_from(&outcome)?,
            run_started_ms,
            completed_ms,
        }),
        _ => None,
    };
    let claim = match (
        row.get("claim_event")?,
        row.get("claim_ms")?,
        row.get("claim_expires_ms")?,
    ) {
        (Some(event_id), Some(run_started_ms), Some(expires_ms)) => Some(Held {
            event_id,
            run_started_ms,
            expires_ms,
        }),
        _ => None,
    };
    Ok(Facts {
        post,
        created_ms: row.get("created_ms")?,
        pending_ms: row.get("pending_ms")?,
        work,
        ended,
        claim,
        deleted_ms: row.get("deleted_ms")?,
    })
}
