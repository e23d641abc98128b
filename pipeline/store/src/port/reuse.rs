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

    /// Pictures that `detector` answered on and that may look like this one: those whose hash shares a band with it, each
    /// once, in any order, and of very many only some.
    async fn alike(
        &self,
        detector: &str,
        appearance: &Appearance,
        now: Timestamp,
    ) -> Result<Vec<KeptAppearance>>;

    /// Keeps what the picture of these bytes looks like, for as long as an answer on it.
    async fn keep_appearance(
        &self,
        detector: &str,
        kept: &KeptAppearance,
        now: Timestamp,
    ) -> Result<()>;
}

/// What a picture looks like, in so few bytes that what compression does to it is not among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appearance {
    /// Pictures that look alike differ in few bits.
    pub hash: u64,
    /// Its grey levels, on a grid.
    pub cells: Vec<u8>,
}

impl Appearance {
    /// The bands of its hash, each with its place: of two hashes that differ in three bits or fewer, at least one is the same.
    #[must_use]
    pub fn bands(&self) -> [i32; 4] {
        std::array::from_fn(|place| {
            let value = (self.hash >> (16 * place)) & 0xffff;
            (place as i32) << 16 | value as i32
        })
    }
}

/// A picture that a detector answered on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAppearance {
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// What it looks like.
    pub appearance: Appearance,
}

/// Each picture once, though several bands have led to it.
pub(crate) fn each_once(mut found: Vec<KeptAppearance>) -> Vec<KeptAppearance> {
    found.sort_unstable_by(|a, b| a.sha256.cmp(&b.sha256));
    found.dedup_by(|a, b| a.sha256 == b.sha256);
    found
}

/// A scraped post that may be reused.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptPost {
    /// When it was read from the upstream.
    pub scraped_at: Timestamp,
    /// What it holds.
    pub content: Post,
}
