//! Accepting submissions before they are published, and taking back what the broker refused.

use async_trait::async_trait;
use jiff::Timestamp;
use schemas::{Event, Submission};

use super::{
    ScyllaStore,
    rows::{Work, all, ttl},
};
use crate::{
    Intake, NewBatch, Result, rank,
    values::{ChunkItem, batch_place, chunks, to_json},
};

#[async_trait]
impl Intake for ScyllaStore {
    async fn accept(
        &self,
        submissions: &[Submission],
        batch: Option<&NewBatch>,
        now: Timestamp,
    ) -> Result<()> {
        let now_ms = now.as_millisecond();
        let singles = submissions.iter().filter(|s| batch_place(s).is_none());
        let one = |submission| -> Work<'_> { Box::pin(self.accept_single(submission, now_ms)) };
        all(singles.map(one).collect()).await?;
        match batch {
            Some(batch) => self.accept_batch(batch, submissions, now_ms).await,
            None => Ok(()),
        }
    }

    async fn retract(&self, submissions: &[Submission]) -> Result<()> {
        let one = |submission| -> Work<'_> { Box::pin(self.retract_one(submission)) };
        all(submissions.iter().map(one).collect()).await?;
        Ok(())
    }
}

impl ScyllaStore {
    async fn accept_single(&self, submission: &Submission, now_ms: i64) -> Result<()> {
        let id = submission.analysis_id;
        let event_id = submission.id().to_string();
        self.put_accepted(submission, &event_id, now_ms).await?;
        let loaded = self.load(id, now_ms).await?;
        self.relist(id, &loaded, submission.run.started_ms, now_ms)
            .await
    }

    /// Chunks first: a batch that can be read is whole.
    async fn accept_batch(
        &self,
        batch: &NewBatch,
        submissions: &[Submission],
        now_ms: i64,
    ) -> Result<()> {
        let chunks = chunks(batch, submissions);
        let starts = submissions
            .iter()
            .map(|submission| submission.run.started_ms);
        let run_ms = starts.fold(now_ms, i64::min);
        let last = chunks.keys().next_back().map_or(0, |last| last + 1);
        let ttl = ttl(self.policy.analysis_ttl_s);
        let timestamp = rank::timestamp(run_ms, rank::PENDING);
        let one = |(chunk, items): (u32, Vec<ChunkItem>)| -> Work<'_> {
            Box::pin(async move {
                let values = (
                    ttl,
                    timestamp,
                    i32::try_from(items.len()).unwrap_or(i32::MAX),
                    to_json(&items)?,
                    batch.batch_id,
                    i32::try_from(chunk).unwrap_or(i32::MAX),
                );
                self.write(&self.statements.put_chunk, values).await
            })
        };
        all(chunks.into_iter().map(one).collect()).await?;
        let values = (
            batch.batch_id,
            &batch.owner,
            i64::from(batch.duplicates),
            i64::from(batch.rejected),
            i32::try_from(last).unwrap_or(i32::MAX),
            now_ms,
            now_ms,
            ttl,
            timestamp,
        );
        self.write(&self.statements.put_batch, values).await?;
        match &batch.owner {
            Some(holder) => self.open_batch(batch.batch_id, holder).await,
            None => Ok(()),
        }
    }

    async fn retract_one(&self, submission: &Submission) -> Result<()> {
        // Its record may have come through all the same and been claimed. Its claim must not keep others waiting.
        self.give_back(submission).await?;
        if batch_place(submission).is_some() {
            return self.retract_item(submission).await;
        }
        let (id, run_ms) = (submission.analysis_id, submission.run.started_ms);
        let event_id = submission.id().to_string();
        self.drop_accepted(submission, &event_id).await?;
        let loaded = self.load(id, i64::MIN).await?;
        if loaded.facts.created_ms == Some(run_ms) {
            return Ok(());
        }
        self.unlist(id, run_ms, rank::timestamp(run_ms, rank::DELETE))
            .await?;
        match loaded.facts.created_ms {
            Some(created_ms) => self.relist(id, &loaded, created_ms, created_ms).await,
            None => Ok(()),
        }
    }
}
