//! The upstream: the port through which a post is read, and the adapters behind it.

use std::time::Duration;

use async_trait::async_trait;
use schemas::{PostRef, Reason, events::scraped::Post};
use url::Url;

use crate::circuit::Ticket;

mod answers;
mod chain;
mod embed;
mod embed_page;
mod media_shape;
mod session;
mod shortcode;
mod site;
mod web;

pub use chain::connect;

/// Reads posts.
#[async_trait]
pub trait Upstream: Send + Sync {
    /// Reads one post; its media are named, not fetched. No request is sent once `leave` does not stand any more.
    ///
    /// # Errors
    /// What the answer meant, see [`UpstreamError`].
    async fn fetch(&self, post: &PostRef, leave: &Ticket) -> Result<FetchedPost, UpstreamError>;
}

/// A post as read.
#[derive(Debug, Clone, PartialEq)]
pub struct FetchedPost {
    /// What it holds. No entry of `media` has a blob yet; one that can't be fetched at all has its failure already.
    pub post: Post,
    /// Where each entry of `post.media` is to be fetched from; `None` for one that failed already. As long as `post.media`.
    pub sources: Vec<Option<Url>>,
}

/// The ways to a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adapter {
    /// The anonymous query by shortcode.
    Web,
    /// The page that other sites embed.
    Embed,
    /// The media info by number, with the operator's session.
    Session,
}

impl Adapter {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Web, Self::Embed, Self::Session];

    /// The name in posts, labels and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Embed => "embed",
            Self::Session => "session",
        }
    }
}

/// What an answer without a post meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// The post is deleted, private or blocked, and the upstream said so.
    #[error("the post is deleted, private or blocked")]
    Unavailable,
    /// The post was read and holds nothing to analyse.
    #[error("the post holds neither text nor media")]
    Undecodable,
    /// We are asked to slow down.
    #[error("the upstream asks to slow down")]
    Throttled {
        /// For how long, if it said so.
        retry_after: Option<Duration>,
    },
    /// The answer is none this version knows: their fault, a retired id or a new shape.
    #[error("the {} answer has an unknown shape ({detail}); if it lasts, check upstream.doc_id", adapter.name())]
    ShapeChanged {
        /// Whose answer.
        adapter: Adapter,
        /// What was unexpected.
        detail: String,
    },
    /// The anonymous way is closed: sent to the login page, or 403 with a fresh CSRF token.
    #[error("the upstream wants a login")]
    LoginWall,
    /// The operator's session is refused.
    #[error("the operator's session is refused; put a fresh cookie in upstream.session_id")]
    SessionInvalid,
    /// The operator's account must be confirmed by its owner.
    #[error("the operator's account must be confirmed by its owner in a browser")]
    Challenge,
    /// The upstream failed by itself.
    #[error("the upstream answered {status}")]
    Failed {
        /// HTTP status, 500 to 599.
        status: u16,
    },
    /// The circuit opened before the request was sent.
    #[error("the circuit opened before the request was sent")]
    CircuitOpen,
    /// No answer in time.
    #[error("the upstream did not answer in time")]
    Timeout,
    /// No connection.
    #[error("the upstream can't be reached: {detail}")]
    Unreachable {
        /// Why.
        detail: String,
    },
}

impl UpstreamError {
    /// The stable code.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Unavailable => Reason::PostUnavailable,
            Self::Undecodable => Reason::PostUndecodable,
            Self::Throttled { .. } => Reason::UpstreamRateLimited,
            Self::ShapeChanged { .. } => Reason::UpstreamShapeChanged,
            Self::LoginWall | Self::Failed { .. } => Reason::UpstreamError,
            Self::SessionInvalid => Reason::SessionInvalid,
            Self::Challenge => Reason::SessionChallenge,
            Self::CircuitOpen => Reason::CircuitOpen,
            Self::Timeout => Reason::UpstreamTimeout,
            Self::Unreachable { .. } => Reason::UpstreamUnreachable,
        }
    }

    /// The name of its kind, for metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Undecodable => "undecodable",
            Self::Throttled { .. } => "throttled",
            Self::ShapeChanged { .. } => "shape_changed",
            Self::LoginWall => "login_wall",
            Self::SessionInvalid => "session_invalid",
            Self::Challenge => "session_challenge",
            Self::Failed { .. } => "failed",
            Self::CircuitOpen => "circuit_open",
            Self::Timeout => "timeout",
            Self::Unreachable { .. } => "unreachable",
        }
    }

    /// Whether asking again can't help: the run ends with a failed result. The upstream itself works.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Unavailable | Self::Undecodable)
    }

    /// Whether it says something about the upstream whatever the post: no post makes it unreachable, slow, broken or throttled.
    /// Shapes, logins and refusals may be a matter of the one post that was asked for.
    #[must_use]
    pub const fn is_upstreams_own(&self) -> bool {
        matches!(
            self,
            Self::Throttled { .. } | Self::Failed { .. } | Self::Timeout | Self::Unreachable { .. }
        )
    }

    /// The shortest wait that was asked for.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after } => *retry_after,
            _ => None,
        }
    }

    /// Whether a way that needs less of the upstream may still work. Not when it asked to slow down or can't be reached: another
    /// request would only add to that.
    const fn other_way_may_work(&self) -> bool {
        matches!(
            self,
            Self::ShapeChanged { .. }
                | Self::LoginWall
                | Self::SessionInvalid
                | Self::Challenge
                | Self::Failed { .. }
        )
    }
}
