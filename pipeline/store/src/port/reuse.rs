//! What is kept so that work is done once: scraped posts and detectors' answers.

use async_trait::async_trait;
use jiff::Timestamp;
use schemas::events::scraped::Post;
use serde_json::Value;

use super::Result;

/// Asked by the stages so that work is done once.
#[async_trait]
pub trait Reuse: Send + Sync {
    /// The post as scraped, if that was recent enough and it was not forgotten since.
    async fn post(&self, post_id: &str, now: Timestamp) -> Result<Option<KeptPost>>;

    /// Keeps a scraped post; an earlier scrape never replaces a later one.
    async fn keep_post(&self, post_id: &str, post: &KeptPost) -> Result<()>;

    /// Forgets a post as it was scraped until `now`.
    async fn forget_post(&self, post_id: &str, now: Timestamp) -> Result<()>;

    /// Forgets every post as it was scraped until `now`: one write, however many there are.
    async fn forget_posts(&self, now: Timestamp) -> Result<()>;

    /// When every post was forgotten last, to the millisecond.
    async fn posts_forgotten_at(&self) -> Result<Option<Timestamp>>;

    /// The answer of `detector` on these bytes, if one is kept. `detector` names the models and their versions, such as
    /// `picture:clip-linear@1`; what its answer looks like is its own matter.
    async fn finding(&self, sha256: &str, detector: &str, now: Timestamp) -> Result<Option<Value>>;

    /// Keeps an answer.
    async fn keep_finding(
        &self,
        sha256: &str,
        detector: &str,
        finding: &Value,
        now: Timestamp,
    ) -> Result<()>;
}

/// A scraped post that may be reused.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptPost {
    /// When it was read from the upstream.
    pub scraped_at: Timestamp,
    /// What it holds.
    pub content: Post,
}
