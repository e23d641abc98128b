//! Analyses: projecting, claiming, finishing, deleting and reading them.

use async_trait::async_trait;
use jiff::Timestamp;
use schemas::{AnalysisResult, Event, Submission, events::submission::Origin};
use uuid::Uuid;

use super::{
    ScyllaStore,
    rows::{Work, all, ttl},
};
use crate::{
    Analyses, AnalysisRow, Claim, Finished, ListQuery, Page, ProgressStep, Result, Status,
    StoreError, StorePolicy, Totals,
    facts::Verdict,
    rank,
    values::{after, from_json, time, to_json},
};

#[async_trait]
impl Analyses for ScyllaStore {
    fn policy(&self) -> &StorePolicy {
        &self.policy
    }

    async fn project(&self, submissions: &[Submission], now: Timestamp) -> Result<()> {
        let now_ms = now.as_millisecond();
        let one = |submission| -> Work<'_> { Box::pin(self.project_one(submission, now_ms)) };
        all(submissions.iter().map(one).collect()).await?;
        Ok(())
    }

    async fn own(&self, submission: &Submission, now: Timestamp) -> Result<()> {
        self.put_owned(submission, now.as_millisecond()).await
    }

    async fn claim(
        &self,
        submission: &Submission,
        event_id: &str,
        now: Timestamp,
    ) -> Result<Claim> {
        self.claim_run(submission, event_id, now).await
    }

    async fn progress(&self, steps: &[ProgressStep]) -> Result<()> {
        let one = |step: &ProgressStep| -> Work<'_> {
            let ProgressStep {
                analysis_id,
                run,
                percent,
            } = *step;
            Box::pin(self.put_progress(analysis_id, run, percent, run.started_ms))
        };
        all(steps.iter().map(one).collect()).await?;
        Ok(())
    }

    async fn finish(&self, result: &AnalysisResult, now: Timestamp) -> Result<Finished> {
        let (id, now_ms) = (result.analysis_id, now.as_millisecond());
        let text = to_json(result)?;
        // Written before anything is read: who deletes or waits at the same time sees it, or is seen here.
        self.put_result(result, &text, now_ms).await?;
        let loaded = self.load(id, now_ms).await?;
        let run_ms = result.run.started_ms;
        if loaded.facts.voids(run_ms) {
            return Ok(Finished::Deleted);
        }
        let (latest, (), ()) = futures::try_join!(
            self.becomes_latest(result, now_ms),
            self.settle(
                id,
                Verdict::Ended(result.into()),
                result.supersedes.is_some()
            ),
            self.relist(id, &loaded, run_ms, now_ms),
        )?;
        Ok(Finished::Written { latest })
    }

    async fn delete(&self, analysis_id: Uuid, now: Timestamp) -> Result<bool> {
        let now_ms = now.as_millisecond();
        let before = self.load(analysis_id, now_ms).await?;
        let shown = before.facts.status(&self.policy).is_some();
        self.put_deleted(analysis_id, now_ms).await?;
        self.settle(analysis_id, Verdict::Deleted(now_ms), false)
            .await?;
        self.drop_votes(analysis_id).await?;
        let after = self.load(analysis_id, now_ms).await?;
        if let Some(created_ms) = before.facts.created_ms
            && after.facts.created_ms != Some(created_ms)
        {
            let timestamp = rank::timestamp(now_ms, rank::DELETE);
            self.unlist(analysis_id, created_ms, timestamp).await?;
        }
        if let Some(created_ms) = after.facts.created_ms {
            self.relist(analysis_id, &after, created_ms, now_ms).await?;
        }
        Ok(shown)
    }

    async fn analysis(&self, analysis_id: Uuid, now: Timestamp) -> Result<Option<AnalysisRow>> {
        let loaded = self.load(analysis_id, now.as_millisecond()).await?;
        let facts = &loaded.facts;
        let (Some((_, post)), Some(created_ms), Some(pending_run_ms)) =
            (&facts.post, facts.created_ms, facts.pending_run_ms())
        else {
            return Ok(None);
        };
        let result = match (facts.ended, self.result_text(analysis_id, &loaded).await?) {
            (None, _) => None,
            (Some(_), Some(text)) => Some(from_json::<AnalysisResult>("a result", &text)?),
            // Its outcome is there: it was deleted, or expired, between the two reads.
            (Some(_), None) => {
                return Err(StoreError::Unavailable(format!(
                    "analysis {analysis_id} changed while it was read"
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

    async fn latest(&self, post_id: &str, now: Timestamp) -> Result<Option<Uuid>> {
        let rows: Vec<(i64, Uuid, i64)> = self.rows(&self.statements.latest, (post_id,)).await?;
        let alive = rows
            .iter()
            .find(|row| after(row.2, self.policy.analysis_ttl_s) > now.as_millisecond());
        Ok(alive.map(|row| row.1))
    }

    async fn list(&self, query: &ListQuery, now: Timestamp) -> Result<Page> {
        self.page(query, now).await
    }

    async fn totals(&self, now: Timestamp) -> Result<Totals> {
        self.count(now.as_millisecond()).await
    }
}

impl ScyllaStore {
    /// Writes what a submission says of its analysis, and removes the row it had while it was only accepted.
    pub(super) async fn project_facts(&self, submission: &Submission, now_ms: i64) -> Result<()> {
        self.put_pending(submission, now_ms).await?;
        match submission.origin {
            Origin::Single { .. } => {
                let event_id = submission.id().to_string();
                self.drop_accepted(submission, &event_id).await
            }
            Origin::Batch { .. } => Ok(()),
        }
    }

    async fn project_one(&self, submission: &Submission, now_ms: i64) -> Result<()> {
        let (id, run) = (submission.analysis_id, submission.run);
        futures::try_join!(
            self.register(submission, Status::Pending),
            self.project_facts(submission, now_ms),
            self.put_owned(submission, now_ms),
        )?;
        let mut loaded = self.load(id, now_ms).await?;
        self.put_start(id, run.started_ms, &mut loaded, now_ms)
            .await?;
        let verdict = loaded.facts.verdict(run, &self.policy);
        futures::try_join!(
            self.settle_one(submission, verdict),
            self.relist(id, &loaded, run.started_ms, now_ms),
        )?;
        Ok(())
    }

    /// Whether no run of the post that started later has ended. Of two that started in one millisecond the greater id counts.
    async fn becomes_latest(&self, result: &AnalysisResult, now_ms: i64) -> Result<bool> {
        let (run_ms, post_id) = (result.run.started_ms, &result.post.post_id);
        let timestamp = rank::timestamp(run_ms, rank::TERMINAL);
        let ttl = ttl(self.policy.analysis_ttl_s);
        let values = (post_id, run_ms, result.analysis_id, now_ms, ttl, timestamp);
        self.write(&self.statements.put_latest, values).await?;
        let rows: Vec<(i64, Uuid, i64)> = self.rows(&self.statements.latest, (post_id,)).await?;
        let newest = rows.first().map(|row| (row.0, row.1));
        if newest != Some((run_ms, result.analysis_id)) {
            return Ok(false);
        }
        if rows.get(1).is_some_and(|older| older.0 < run_ms) {
            self.write(&self.statements.drop_latest, (timestamp, post_id, run_ms))
                .await?;
        }
        Ok(true)
    }
}
