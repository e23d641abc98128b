//! The work every leg of the engine bench does for a record: read a post of about 600 bytes of JSON into its type, and write
//! what was made of it, of about the same size, as JSON with as many headers.

use jiff::Timestamp;
use schemas::Event;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Post {
    /// The analysis it belongs to.
    pub analysis_id: Uuid,
    /// The shortcode, 11 characters; the key of its record.
    pub post_id: String,
    /// Who wrote it.
    pub author: Author,
    /// What it says.
    pub caption: String,
    /// Tags, without `#`.
    pub hashtags: Vec<String>,
    /// Hearts.
    pub likes: u64,
    /// Answers.
    pub comments: u64,
    /// When it was written.
    pub posted_at: Timestamp,
    /// When it was fetched.
    pub scraped_at: Timestamp,
    /// Its picture.
    pub media: Vec<Media>,
}

/// Who wrote a post.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Author {
    /// Handle.
    pub username: String,
    /// Readers.
    pub followers: u64,
    /// Whether the upstream vouches for the name.
    pub verified: bool,
}

/// A picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Media {
    /// Place among the post's media.
    pub index: u32,
    /// SHA-256 of its bytes, lower-case hex.
    pub sha256: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// What is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checked {
    /// Of the post.
    pub analysis_id: Uuid,
    /// Of the post.
    pub post_id: String,
    /// Of the post.
    pub author: Author,
    /// Of the post.
    pub caption: String,
    /// Of the post.
    pub hashtags: Vec<String>,
    /// Hearts and answers for each reader of the author.
    pub engagement: f64,
    /// Of the post.
    pub posted_at: Timestamp,
    /// Of the post.
    pub scraped_at: Timestamp,
    /// Of the post.
    pub media: Vec<Media>,
}

impl From<Post> for Checked {
    #[allow(
        clippy::cast_precision_loss,
        reason = "nobody has 2^52 readers or hearts"
    )]
    fn from(post: Post) -> Self {
        let reactions = (post.likes + post.comments) as f64;
        Self {
            engagement: reactions / post.author.followers.max(1) as f64,
            analysis_id: post.analysis_id,
            post_id: post.post_id,
            author: post.author,
            caption: post.caption,
            hashtags: post.hashtags,
            posted_at: post.posted_at,
            scraped_at: post.scraped_at,
            media: post.media,
        }
    }
}

impl Event for Post {
    const TYPE: &'static str = "trustcard.bench.post.v1";
    const SOURCE: &'static str = "/trustcard/bench";
    const SCHEMA: &'static str = "bench-post";

    fn id(&self) -> Uuid {
        Uuid::new_v5(&self.analysis_id, Self::TYPE.as_bytes())
    }

    fn key(&self) -> String {
        self.post_id.clone()
    }

    fn time(&self) -> Timestamp {
        self.scraped_at
    }
}

impl Event for Checked {
    const TYPE: &'static str = "trustcard.bench.checked.v1";
    const SOURCE: &'static str = "/trustcard/bench";
    const SCHEMA: &'static str = "bench-checked";

    fn id(&self) -> Uuid {
        Uuid::new_v5(&self.analysis_id, Self::TYPE.as_bytes())
    }

    fn key(&self) -> String {
        self.post_id.clone()
    }

    fn time(&self) -> Timestamp {
        self.scraped_at
    }
}
