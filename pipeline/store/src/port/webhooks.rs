//! Where holders of keys want to be told, of what, and what became of it.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jiff::Timestamp;
use schemas::webhook::Kind;
use uuid::Uuid;

use super::Result;

/// Asked by the API and by the webhook stage.
#[async_trait]
pub trait Webhooks: Send + Sync {
    /// Keeps a webhook. Kept again, it is as it was made.
    async fn add_webhook(&self, webhook: &Webhook) -> Result<()>;

    /// Every webhook there is, by age.
    async fn webhooks(&self) -> Result<Vec<Webhook>>;

    /// Forgets a webhook. What was logged of it is kept as long as it would have been.
    async fn drop_webhook(&self, webhook_id: Uuid) -> Result<()>;

    /// Logs an attempt; kept for [`crate::StorePolicy::webhook_log_s`]. The same again is the same.
    async fn log_attempt(&self, attempt: &Attempted) -> Result<()>;

    /// Attempts of a webhook, the newest first, at most `limit`.
    async fn attempts(
        &self,
        webhook_id: Uuid,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<Attempted>>;

    /// Who submitted an analysis with a key.
    async fn owners(&self, analysis_id: Uuid) -> Result<Vec<Owner>>;

    /// Batches of holders of keys that were not closed, in no order.
    async fn open_batches(&self) -> Result<Vec<OpenBatch>>;

    /// Nobody needs to be told of this batch any more.
    async fn close_batch(&self, batch_id: Uuid) -> Result<()>;
}

/// Where a holder wants to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its id.
    pub webhook_id: Uuid,
    /// Whose it is.
    pub holder: String,
    /// Where to.
    pub url: String,
    /// Of what.
    pub kinds: BTreeSet<Kind>,
    /// When it was made, to the millisecond.
    pub created_at: Timestamp,
}

/// An attempt to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempted {
    /// Which webhook.
    pub webhook_id: Uuid,
    /// The message: the same in each of its attempts.
    pub message_id: Uuid,
    /// What it tells of.
    pub kind: Kind,
    /// The analysis or the batch.
    pub subject: Uuid,
    /// Which attempt it was, from 1.
    pub attempt: u32,
    /// When, to the millisecond.
    pub at: Timestamp,
    /// The status that was answered; `None` when nothing was.
    pub status: Option<u16>,
    /// What went wrong; `None` when it was taken.
    pub problem: Option<String>,
}

/// A holder that submitted an analysis.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// The holder.
    pub holder: String,
    /// The start of its newest submission, in milliseconds since the Unix epoch.
    pub submitted_ms: i64,
}

/// A batch that nobody was told of yet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpenBatch {
    /// The batch.
    pub batch_id: Uuid,
    /// Whose it is.
    pub holder: String,
}
