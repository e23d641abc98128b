//! Analyses: projecting, claiming, finishing, deleting and reading them.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use schemas::{AnalysisResult, Submission};
use uuid::Uuid;

use super::{
    SqliteStore, feedback, items, listing,
    row::{Kept, analysis_row},
};
use crate::{
    Analyses, AnalysisRow, Claim, Finished, ListQuery, Page, ProgressStep, Result, Status,
    StorePolicy, Totals,
    facts::{Held, Verdict},
    values::{after, count, status_from, to_json},
};

/// Progress of a run that was claimed, in percent.
const CLAIMED_PERCENT: u8 = 10;

#[async_trait]
impl Analyses for SqliteStore {
    fn policy(&self) -> &StorePolicy {
        &self.policy
    }

    async fn project(&self, submissions: &[Submission], now: Timestamp) -> Result<()> {
        let (submissions, policy) = (submissions.to_vec(), self.policy.clone());
        self.writer
            .run(move |connection| {
                for submission in &submissions {
                    project(connection, submission, &policy, now)?;
                }
                Ok(())
            })
            .await
    }

    async fn own(&self, submission: &Submission, now: Timestamp) -> Result<()> {
        let submission = submission.clone();
        let expires_ms = after(now.as_millisecond(), self.policy.analysis_ttl_s);
        self.writer
            .run(move |connection| listing::own(connection, &submission, expires_ms))
            .await
    }

    async fn claim(
        &self,
        submission: &Submission,
        event_id: &str,
        now: Timestamp,
    ) -> Result<Claim> {
        let (submission, event_id) = (submission.clone(), event_id.to_owned());
        let policy = self.policy.clone();
        self.writer
            .run(move |connection| claim(connection, &submission, event_id, &policy, now))
            .await
    }

    async fn progress(&self, steps: &[ProgressStep]) -> Result<()> {
        let (steps, policy) = (steps.to_vec(), self.policy.clone());
        self.writer
            .run(move |connection| {
                for ProgressStep {
                    analysis_id,
                    run,
                    percent,
                } in steps
                {
                    let mut kept = Kept::load(connection, analysis_id, i64::MIN)?;
                    kept.facts.progressed(run, percent);
                    let expires_ms = after(run.started_ms, policy.analysis_ttl_s);
                    kept.save(connection, analysis_id, &policy, expires_ms)?;
                }
                Ok(())
            })
            .await
    }

    async fn finish(&self, result: &AnalysisResult, now: Timestamp) -> Result<Finished> {
        // Results are large: written as JSON here, so that the one writer need not.
        let text = to_json(result)?;
        let (result, policy) = (result.clone(), self.policy.clone());
        self.writer
            .run(move |connection| finish(connection, &result, &text, &policy, now))
            .await
    }

    async fn delete(&self, analysis_id: Uuid, now: Timestamp) -> Result<bool> {
        let policy = self.policy.clone();
        self.writer
            .run(move |connection| {
                let now_ms = now.as_millisecond();
                let mut kept = Kept::load(connection, analysis_id, now_ms)?;
                let shown = kept.facts.status(&policy).is_some();
                kept.facts.deleted(now);
                items::settle(
                    connection,
                    analysis_id,
                    Verdict::Deleted(now_ms),
                    false,
                    &policy,
                )?;
                feedback::forget(connection, analysis_id)?;
                let expires_ms = after(now_ms, policy.analysis_ttl_s);
                kept.save(connection, analysis_id, &policy, expires_ms)?;
                Ok(shown)
            })
            .await
    }

    async fn analysis(&self, analysis_id: Uuid, now: Timestamp) -> Result<Option<AnalysisRow>> {
        self.readers
            .run(move |connection| {
                connection
                    .prepare_cached(
                        "SELECT * FROM analysis_rows WHERE analysis_id = ?1 AND expires_ms > ?2",
                    )?
                    .query_row(params![analysis_id, now.as_millisecond()], |row| {
                        Ok(analysis_row(row))
                    })
                    .optional()?
                    .unwrap_or(Ok(None))
            })
            .await
    }

    async fn latest(&self, post_id: &str, now: Timestamp) -> Result<Option<Uuid>> {
        let post_id = post_id.to_owned();
        self.readers
            .run(move |connection| {
                let latest = connection
                    .prepare_cached(
                        "SELECT analysis_id FROM latest WHERE post_id = ?1 AND expires_ms > ?2",
                    )?
                    .query_row(params![post_id, now.as_millisecond()], |row| row.get(0))
                    .optional()?;
                Ok(latest)
            })
            .await
    }

    async fn list(&self, query: &ListQuery, now: Timestamp) -> Result<Page> {
        let query = query.clone();
        self.readers
            .run(move |connection| listing::page(connection, &query, now))
            .await
    }

    async fn totals(&self, now: Timestamp) -> Result<Totals> {
        self.readers
            .run(move |connection| {
                let mut statement = connection.prepare_cached(
                    "SELECT status, COUNT(*) FROM analyses WHERE expires_ms > ?1 AND status IS NOT NULL GROUP BY status",
                )?;
                let mut rows = statement.query(params![now.as_millisecond()])?;
                let mut totals = Totals::default();
                while let Some(row) = rows.next()? {
                    let status = status_from(&row.get::<_, String>(0)?)?;
                    *totals.of(status) = count(row.get(1)?)?;
                }
                Ok(totals)
            })
            .await
    }
}

fn project(
    connection: &Connection,
    submission: &Submission,
    policy: &StorePolicy,
    now: Timestamp,
) -> Result<()> {
    let (id, now_ms) = (submission.analysis_id, now.as_millisecond());
    let mut kept = Kept::load(connection, id, now_ms)?;
    kept.facts.submitted(submission);
    items::register(connection, submission, Status::Pending)?;
    let verdict = kept.facts.verdict(submission.run, policy);
    items::settle(connection, id, verdict, false, policy)?;
    let expires_ms = after(now_ms, policy.analysis_ttl_s);
    listing::own(connection, submission, expires_ms)?;
    kept.save(connection, id, policy, expires_ms)
}

fn claim(
    connection: &Connection,
    submission: &Submission,
    event_id: String,
    policy: &StorePolicy,
    now: Timestamp,
) -> Result<Claim> {
    let (id, run, now_ms) = (submission.analysis_id, submission.run, now.as_millisecond());
    items::register(connection, submission, Status::Processing)?;
    // Before the result can be there: who is told of it is asked then.
    listing::own(connection, submission, after(now_ms, policy.analysis_ttl_s))?;
    let mut kept = Kept::load(connection, id, now_ms)?;
    kept.facts.submitted(submission);
    let verdict = kept.facts.verdict(run, policy);
    let claim = match verdict {
        Verdict::Deleted(_) => Claim::Deleted,
        Verdict::Ended(_) => Claim::Finished,
        Verdict::Open => match kept.facts.live_claim(now) {
            Some(held) if held.event_id != event_id => Claim::Other,
            _ => Claim::Own,
        },
    };
    if claim == Claim::Own {
        kept.facts.claim = Some(Held {
            event_id,
            run_started_ms: run.started_ms,
            expires_ms: after(now_ms, policy.claim_ttl_s),
        });
        kept.facts.progressed(run, CLAIMED_PERCENT);
        items::began(connection, submission)?;
    }
    items::settle(connection, id, verdict, false, policy)?;
    kept.save(connection, id, policy, after(now_ms, policy.analysis_ttl_s))?;
    Ok(claim)
}

fn finish(
    connection: &Connection,
    result: &AnalysisResult,
    text: &str,
    policy: &StorePolicy,
    now: Timestamp,
) -> Result<Finished> {
    let (id, now_ms) = (result.analysis_id, now.as_millisecond());
    let mut kept = Kept::load(connection, id, now_ms)?;
    if kept.facts.voids(result.run.started_ms) {
        return Ok(Finished::Deleted);
    }
    let expires_ms = after(now_ms, policy.analysis_ttl_s);
    if kept.facts.finished(result) {
        connection
            .prepare_cached("INSERT OR REPLACE INTO results (analysis_id, result) VALUES (?1, ?2)")?
            .execute(params![id, text])?;
    }
    kept.save(connection, id, policy, expires_ms)?;
    let (verdict, replaces) = (Verdict::Ended(result.into()), result.supersedes.is_some());
    items::settle(connection, id, verdict, replaces, policy)?;
    Ok(Finished::Written {
        latest: becomes_latest(connection, result, expires_ms)?,
    })
}

/// Whether no run of the post that started later has ended. Of two that started in one millisecond the greater id counts.
fn becomes_latest(
    connection: &Connection,
    result: &AnalysisResult,
    expires_ms: i64,
) -> Result<bool> {
    let written = connection
        .prepare_cached(
            "INSERT INTO latest (post_id, run_ms, analysis_id, expires_ms) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (post_id) DO UPDATE
             SET run_ms = excluded.run_ms, analysis_id = excluded.analysis_id, expires_ms = excluded.expires_ms
             WHERE (excluded.run_ms, excluded.analysis_id) >= (latest.run_ms, latest.analysis_id)",
        )?
        .execute(params![
            result.post.post_id,
            result.run.started_ms,
            result.analysis_id,
            expires_ms
        ])?;
    Ok(written > 0)
}
