//! Facts of an analysis to and from its partition.

use std::collections::BTreeSet;

use schemas::{AnalysisResult, PostRef, Run, Submission};
use scylla::DeserializeRow;
use uuid::Uuid;

use super::{ScyllaStore, rows::ttl};
use crate::{
    Ended, Result, StorePolicy,
    facts::Facts,
    rank,
    values::{after, cause_from, outcome_from},
};

/// Length of an era, in milliseconds: a day, less than any row lives.
const ERA_MS: i64 = 24 * 3600 * 1000;

/// The era a moment belongs to.
pub(super) fn era(now_ms: i64) -> i32 {
    i32::try_from(now_ms.div_euclid(ERA_MS)).unwrap_or(i32::MAX)
}

/// Ranks within a run, between those of [`rank`].
pub(super) mod step {
    /// An accepted submission was projected or taken back: above every rank of [`super::pending`].
    pub(in super::super) const PROJECTED: i64 = 20;
    /// A claim was granted, and given back.
    pub(in super::super) const CLAIMED: i64 = 30;
    pub(in super::super) const GIVEN_BACK: i64 = 31;
    /// Progress of 0 percent.
    pub(in super::super) const PROGRESS: i64 = 100;
}

/// The timestamp of a submission's cells. Two submissions of one run may name the post differently (`/p/`, `/reel/`), and
/// cells with equal timestamps would be told apart by when they expire; so the length of the name is part of the rank.
pub(super) fn pending(run_ms: i64, url: &str) -> i64 {
    let tie = i64::try_from(url.len() % 16).unwrap_or(0);
    rank::timestamp(run_ms, rank::PENDING + tie)
}

/// A row of the partition.
#[derive(Debug, DeserializeRow)]
pub(super) struct FactRow {
    run_ms: Option<i64>,
    event_id: Option<String>,
    era: Option<i32>,
    post_id: Option<String>,
    url: Option<String>,
    pending_ms: Option<i64>,
    pending_kept_ms: Option<i64>,
    deleted_ms: Option<i64>,
    name: Option<String>,
    cause: Option<String>,
    percent: Option<i32>,
    outcome: Option<String>,
    completed_ms: Option<i64>,
    kept_ms: Option<i64>,
}

/// What was read of an analysis.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) facts: Facts,
    /// Starts that have a row.
    pub(super) starts: BTreeSet<i64>,
    /// The newest start that was projected, not only accepted.
    pub(super) projected_ms: Option<i64>,
    /// The era of the newest result.
    ended_era: i32,
}

impl Loaded {
    /// Merges rows, without those that have expired by `now_ms`.
    fn merge(rows: &[FactRow], now_ms: i64, policy: &StorePolicy) -> Result<Self> {
        let alive = |kept: Option<i64>| {
            kept.is_some_and(|kept_ms| after(kept_ms, policy.analysis_ttl_s) > now_ms)
        };
        let mut loaded = Self::default();
        let Some(first) = rows.first() else {
            return Ok(loaded);
        };
        loaded.facts.deleted_ms = first.deleted_ms;
        let post = |url: &Option<String>| {
            let (post_id, url) = (first.post_id.clone()?, url.clone()?);
            Some(PostRef { post_id, url })
        };
        if let (Some(run), Some(post)) = (first.pending_ms, post(&first.url))
            && alive(first.pending_kept_ms)
            && !loaded.facts.voids(run)
        {
            loaded.facts.pending(run, &post);
            loaded.projected_ms = Some(run);
        }
        for row in rows {
            let (Some(run), Some(event_id), Some(era)) = (row.run_ms, &row.event_id, row.era)
            else {
                continue;
            };
            if !alive(row.kept_ms) || loaded.facts.voids(run) {
                continue;
            }
            loaded.starts.insert(run);
            loaded.facts.began(run);
            let post = post(&row.name);
            if !event_id.is_empty() {
                if let Some(post) = post {
                    loaded.facts.pending(run, &post);
                }
                continue;
            }
            if let (Some(cause), Some(percent)) = (&row.cause, row.percent) {
                let run = Run {
                    started_ms: run,
                    cause: cause_from(cause)?,
                };
                let percent = u8::try_from(percent).unwrap_or(u8::MAX);
                loaded.facts.progressed(run, percent);
            }
            if let (Some(outcome), Some(completed_ms), Some(post)) =
                (&row.outcome, row.completed_ms, post)
            {
                let ended = Ended {
                    outcome: outcome_from(outcome)?,
                    run_started_ms: run,
                    completed_ms,
                };
                if loaded.facts.ended(ended, &post) {
                    loaded.ended_era = era;
                }
            }
        }
        Ok(loaded)
    }

    /// Whether a run that starts then is earlier than every one that has a row.
    pub(super) fn is_earliest(&self, run_ms: i64) -> bool {
        !self.facts.voids(run_ms) && self.starts.first().is_none_or(|first| run_ms < *first)
    }
}

impl ScyllaStore {
    /// Reads the facts of an analysis; what has expired by `now_ms` counts as absent.
    pub(super) async fn load(&self, id: Uuid, now_ms: i64) -> Result<Loaded> {
        let rows: Vec<FactRow> = self.rows(&self.statements.facts, (id,)).await?;
        Loaded::merge(&rows, now_ms, &self.policy)
    }

    /// The text of the newest result.
    pub(super) async fn result_text(&self, id: Uuid, loaded: &Loaded) -> Result<Option<String>> {
        let Some(ended) = loaded.facts.ended else {
            return Ok(None);
        };
        let key = (id, ended.run_started_ms, loaded.ended_era);
        let row: Option<(Option<String>,)> = self.row(&self.statements.result, key).await?;
        Ok(row.and_then(|(text,)| text))
    }

    pub(super) async fn put_pending(&self, submission: &Submission, now_ms: i64) -> Result<()> {
        let (run_ms, post) = (submission.run.started_ms, &submission.post);
        let values = (
            ttl(self.policy.analysis_ttl_s),
            pending(run_ms, &post.url),
            &post.post_id,
            &post.url,
            run_ms,
            now_ms,
            submission.analysis_id,
        );
        self.write(&self.statements.put_pending, values).await
    }

    pub(super) async fn put_accepted(
        &self,
        submission: &Submission,
        event_id: &str,
        now_ms: i64,
    ) -> Result<()> {
        let (run_ms, post) = (submission.run.started_ms, &submission.post);
        let values = (
            submission.analysis_id,
            run_ms,
            event_id,
            era(now_ms),
            &post.post_id,
            &post.url,
            now_ms,
            ttl(self.policy.analysis_ttl_s),
            pending(run_ms, &post.url),
        );
        self.write(&self.statements.put_accepted, values).await
    }

    /// Removes the row of a submission that was only accepted.
    pub(super) async fn drop_accepted(&self, submission: &Submission, event: &str) -> Result<()> {
        let run_ms = submission.run.started_ms;
        let timestamp = rank::timestamp(run_ms, step::PROJECTED);
        let values = (timestamp, submission.analysis_id, run_ms, event);
        self.write(&self.statements.drop_accepted, values).await
    }

    /// Notes a start that is earlier than those known.
    pub(super) async fn put_start(
        &self,
        id: Uuid,
        run_ms: i64,
        loaded: &mut Loaded,
        now_ms: i64,
    ) -> Result<()> {
        if !loaded.is_earliest(run_ms) {
            return Ok(());
        }
        let ttl = ttl(self.policy.analysis_ttl_s);
        let timestamp = rank::timestamp(run_ms, rank::PENDING);
        let values = (id, run_ms, era(now_ms), now_ms, ttl, timestamp);
        self.write(&self.statements.put_start, values).await?;
        loaded.starts.insert(run_ms);
        loaded.facts.began(run_ms);
        Ok(())
    }

    pub(super) async fn put_result(
        &self,
        result: &AnalysisResult,
        text: &str,
        now_ms: i64,
    ) -> Result<()> {
        let ended = Ended::from(result);
        let run_ms = ended.run_started_ms;
        let values = (
            ttl(self.policy.analysis_ttl_s),
            rank::timestamp(run_ms, rank::TERMINAL),
            &result.post.post_id,
            &result.post.url,
            ended.outcome.name(),
            ended.completed_ms,
            text,
            now_ms,
            result.analysis_id,
            run_ms,
            era(now_ms),
        );
        self.write(&self.statements.put_result, values).await
    }

    /// Notes how far a run has come. Later steps have later timestamps, so that none goes back.
    pub(super) async fn put_progress(
        &self,
        id: Uuid,
        run: Run,
        percent: u8,
        now_ms: i64,
    ) -> Result<()> {
        let percent = percent.clamp(1, 99);
        let values = (
            ttl(self.policy.analysis_ttl_s),
            rank::timestamp(run.started_ms, step::PROGRESS + i64::from(percent)),
            crate::values::cause_name(run.cause),
            i32::from(percent),
            now_ms,
            id,
            run.started_ms,
            era(now_ms),
        );
        self.write(&self.statements.put_progress, values).await
    }

    /// Marks an analysis as deleted and removes what began before.
    pub(super) async fn put_deleted(&self, id: Uuid, now_ms: i64) -> Result<()> {
        let timestamp = rank::timestamp(now_ms, rank::DELETE);
        let ttl = ttl(self.policy.analysis_ttl_s);
        let values = (ttl, timestamp, now_ms, id);
        self.write(&self.statements.put_deleted, values).await?;
        let statements = &self.statements;
        futures::try_join!(
            self.write(&statements.drop_pending, (timestamp, id)),
            self.write(&statements.drop_runs, (timestamp, id, now_ms)),
        )?;
        Ok(())
    }
}
