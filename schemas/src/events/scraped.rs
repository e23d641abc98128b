//! `trustcard.posts`: a post was read, its media stored.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Event, PostRef, Reason, Run};

/// A scraped post on its way to the models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PostScraped {
    /// The analysis.
    pub analysis_id: Uuid,
    /// Its run.
    pub run: Run,
    /// The run whose end this run replaces; absent where a submission began the run.
    pub supersedes: Option<Run>,
    /// The post.
    pub post: PostRef,
    /// When the post was read from the upstream; earlier than the run when it was reused.
    pub scraped_at: Timestamp,
    /// Whether an earlier scrape was reused.
    pub reused: bool,
    /// What the post holds.
    pub content: Post,
}

/// What a post holds. Absent fields were hidden or not given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Post {
    /// Photo, carousel, video or reel.
    pub kind: PostKind,
    /// The adapter that read it: `web`, `embed` or `session`.
    pub adapter: String,
    /// The caption as written.
    pub caption: Option<String>,
    /// Who posted it.
    pub author: Option<Author>,
    /// When it was posted.
    pub taken_at: Option<Timestamp>,
    /// Likes; absent when hidden.
    pub like_count: Option<u64>,
    /// Comments.
    pub comment_count: Option<u64>,
    /// Plays of a video.
    pub play_count: Option<u64>,
    /// Name of the place.
    pub location: Option<String>,
    /// User names of co-authors.
    #[serde(default)]
    pub coauthors: Vec<String>,
    /// Whether it is marked as a paid partnership.
    #[serde(default)]
    pub is_paid_partnership: bool,
    /// The site's own label for AI-made content, kept as evidence of provenance.
    pub gen_ai_label: Option<String>,
    /// Pictures and videos in the post's order; a video is followed by its thumbnail.
    pub media: Vec<Media>,
}

impl Post {
    /// A post of which no more is known than this.
    #[must_use]
    pub fn bare(kind: PostKind, adapter: impl Into<String>) -> Self {
        Self {
            kind,
            adapter: adapter.into(),
            caption: None,
            author: None,
            taken_at: None,
            like_count: None,
            comment_count: None,
            play_count: None,
            location: None,
            coauthors: Vec::new(),
            is_paid_partnership: false,
            gen_ai_label: None,
            media: Vec::new(),
        }
    }
}

/// Kinds of posts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PostKind {
    /// One picture.
    Photo,
    /// Several pictures or videos.
    Carousel,
    /// A video.
    Video,
    /// A short vertical video.
    Reel,
}

/// Who posted it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Author {
    /// User name, without the @.
    pub username: String,
    /// Name shown.
    pub full_name: Option<String>,
    /// Whether the site has verified the account.
    #[serde(default)]
    pub is_verified: bool,
}

/// One picture or video of a post.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Media {
    /// Place among the post's media, from 0; a thumbnail has its video's.
    pub index: u32,
    /// What it is.
    pub kind: MediaKind,
    /// Where its bytes are; absent when it could not be fetched.
    pub blob: Option<BlobRef>,
    /// Why it could not be fetched.
    pub failure: Option<Reason>,
    /// Pixels, as the upstream says.
    pub width: Option<u32>,
    /// Pixels, as the upstream says.
    pub height: Option<u32>,
    /// Length of a video in seconds.
    pub duration_s: Option<f64>,
}

/// Kinds of media.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A video file.
    Video,
    /// The still that stands for a video.
    Thumbnail,
}

/// A file in the media store, found by its content.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct BlobRef {
    /// SHA-256 of the bytes, lower-case hex.
    pub sha256: String,
    /// Length in bytes.
    pub bytes: u64,
    /// Media type found in the bytes themselves, such as `image/jpeg`.
    pub content_type: String,
}

impl Event for PostScraped {
    const TYPE: &'static str = "trustcard.post.scraped.v1";
    const SOURCE: &'static str = "/trustcard/scrape";
    const SCHEMA: &'static str = "post-scraped";

    fn id(&self) -> Uuid {
        self.run.event_id(Self::TYPE, self.analysis_id)
    }

    fn key(&self) -> String {
        self.post.post_id.clone()
    }

    fn time(&self) -> Timestamp {
        self.scraped_at
    }
}
