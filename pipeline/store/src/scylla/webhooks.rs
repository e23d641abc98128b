//! Where holders of keys want to be told, and what became of it.

use async_trait::async_trait;
use jiff::Timestamp;
use schemas::Submission;
use uuid::Uuid;

use super::{
    ScyllaStore,
    rows::{Work, all, ttl},
};
use crate::{
    Attempted, OpenBatch, Owner, Result, Webhook, Webhooks, rank,
    values::{DAY_MS, after, count, kind_from, kinds_from, status_code, time},
};

/// Partitions of the batches that nobody was told of.
const SHARDS: i32 = 16;
/// Days of attempts that are read at once.
const DAYS: usize = 8;

/// An attempt without its webhook.
type Columns = (i64, Uuid, String, Uuid, i32, Option<i32>, Option<String>);

#[async_trait]
impl Webhooks for ScyllaStore {
    async fn add_webhook(&self, webhook: &Webhook) -> Result<()> {
        let kinds: Vec<&str> = webhook.kinds.iter().map(|kind| kind.name()).collect();
        let values = (
            webhook.webhook_id,
            &webhook.holder,
            &webhook.url,
            kinds,
            webhook.created_at.as_millisecond(),
        );
        self.write(&self.statements.put_webhook, values).await
    }

    async fn webhooks(&self) -> Result<Vec<Webhook>> {
        let rows: Vec<(Uuid, String, String, Vec<String>, i64)> =
            self.rows(&self.statements.webhooks, ()).await?;
        let webhooks = rows
            .into_iter()
            .map(|(webhook_id, holder, url, kinds, created_ms)| {
                Ok(Webhook {
                    webhook_id,
                    holder,
                    url,
                    kinds: kinds_from(&kinds),
                    created_at: time(created_ms)?,
                })
            });
        let mut webhooks = webhooks.collect::<Result<Vec<_>>>()?;
        webhooks.sort_by_key(|webhook| (webhook.created_at, webhook.webhook_id));
        Ok(webhooks)
    }

    async fn drop_webhook(&self, webhook_id: Uuid) -> Result<()> {
        self.write(&self.statements.drop_webhook, (webhook_id,))
            .await
    }

    async fn log_attempt(&self, attempt: &Attempted) -> Result<()> {
        let at_ms = attempt.at.as_millisecond();
        let values = (
            attempt.webhook_id,
            at_ms.div_euclid(DAY_MS),
            at_ms,
            attempt.message_id,
            attempt.kind.name(),
            attempt.subject,
            i32::try_from(attempt.attempt).unwrap_or(i32::MAX),
            attempt.status.map(i32::from),
            &attempt.problem,
            ttl(self.policy.webhook_log_s),
        );
        self.write(&self.statements.put_webhook_attempt, values)
            .await
    }

    async fn attempts(
        &self,
        webhook_id: Uuid,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<Attempted>> {
        let now_ms = now.as_millisecond();
        let oldest = now_ms.saturating_sub(after(0, self.policy.webhook_log_s));
        // A replica's clock may be ahead of this one's.
        let days: Vec<i64> = (oldest.div_euclid(DAY_MS)..=now_ms.div_euclid(DAY_MS) + 1)
            .rev()
            .collect();
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let most = i32::try_from(limit).unwrap_or(i32::MAX);
        let mut found = Vec::new();
        for days in days.chunks(DAYS) {
            let one = |day: &i64| -> Work<'_, Vec<Columns>> {
                let key = (webhook_id, *day, most);
                Box::pin(async move { self.rows(&self.statements.webhook_attempts, key).await })
            };
            let read = all(days.iter().map(one).collect()).await?.concat();
            found.extend(read.into_iter().filter(|(at_ms, ..)| *at_ms > oldest));
            if found.len() >= wanted {
                break;
            }
        }
        found.sort_by_key(|(at_ms, message_id, ..)| (std::cmp::Reverse(*at_ms), *message_id));
        found.truncate(wanted);
        let attempts = found.into_iter().map(
            |(at_ms, message_id, kind, subject, attempt, status, problem)| {
                Ok(Attempted {
                    webhook_id,
                    message_id,
                    kind: kind_from(&kind)?,
                    subject,
                    attempt: u32::try_from(count(i64::from(attempt))?).unwrap_or(u32::MAX),
                    at: time(at_ms)?,
                    status: status.map(status_code).transpose()?,
                    problem,
                })
            },
        );
        attempts.collect()
    }

    async fn owners(&self, analysis_id: Uuid) -> Result<Vec<Owner>> {
        let rows: Vec<(String, i64)> = self.rows(&self.statements.owners, (analysis_id,)).await?;
        let owners = rows.into_iter().map(|(holder, submitted_ms)| Owner {
            holder,
            submitted_ms,
        });
        Ok(owners.collect())
    }

    async fn open_batches(&self) -> Result<Vec<OpenBatch>> {
        let one = |shard: i32| -> Work<'_, Vec<(Uuid, String)>> {
            Box::pin(async move { self.rows(&self.statements.open_batches, (shard,)).await })
        };
        let rows = all((0..SHARDS).map(one).collect()).await?.concat();
        let batches = rows
            .into_iter()
            .map(|(batch_id, holder)| OpenBatch { batch_id, holder });
        Ok(batches.collect())
    }

    async fn close_batch(&self, batch_id: Uuid) -> Result<()> {
        let key = (shard(batch_id), batch_id);
        self.write(&self.statements.drop_open_batch, key).await
    }
}

impl ScyllaStore {
    /// Notes whose submission it is.
    pub(super) async fn put_owner(&self, submission: &Submission) -> Result<()> {
        let Some(owner) = &submission.owner else {
            return Ok(());
        };
        let run_ms = submission.run.started_ms;
        let values = (
            submission.analysis_id,
            owner,
            run_ms,
            ttl(self.policy.analysis_ttl_s),
            rank::timestamp(run_ms, rank::PENDING),
        );
        self.write(&self.statements.put_owner, values).await
    }

    /// Notes that its holder is to be told when this batch has ended.
    pub(super) async fn open_batch(&self, batch_id: Uuid, holder: &str) -> Result<()> {
        let values = (
            shard(batch_id),
            batch_id,
            holder,
            ttl(self.policy.analysis_ttl_s),
        );
        self.write(&self.statements.put_open_batch, values).await
    }
}

fn shard(batch_id: Uuid) -> i32 {
    i32::from(batch_id.as_bytes()[15]) % SHARDS
}
