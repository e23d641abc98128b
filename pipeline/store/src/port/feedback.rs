//! What readers think of an analysis.

use async_trait::async_trait;
use jiff::Timestamp;
pub use schemas::events::feedback::Opinion;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Result;

/// Asked by the API.
#[async_trait]
pub trait Feedback: Send + Sync {
    /// Takes a vote; `false` when its voter has voted on that analysis before, and then nothing changes. Of many at once one is
    /// taken; the same vote again is the same vote. Votes are kept as long as analyses; a deletion takes them along.
    async fn vote(&self, vote: &Vote) -> Result<bool>;

    /// All votes on an analysis, counted, and the `comments` newest with a comment, newest first. Reads every vote.
    async fn votes(&self, analysis_id: Uuid, comments: usize, now: Timestamp) -> Result<Votes>;
}

/// A vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vote {
    /// Its id.
    pub feedback_id: Uuid,
    /// What it is on.
    pub analysis_id: Uuid,
    /// Whose it is: a name from which nobody learns an address or a key.
    pub voter: String,
    /// What the voter thinks.
    pub opinion: Opinion,
    /// Why; `None` where the voter does not say.
    pub comment: Option<String>,
    /// When it was given, to the millisecond.
    pub at: Timestamp,
}

/// The votes on an analysis.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Votes {
    /// How many there are of each opinion.
    pub summary: VoteSummary,
    /// The newest with a comment, newest first.
    pub comments: Vec<VoteComment>,
}

/// Votes by opinion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, ToSchema)]
pub struct VoteSummary {
    /// All of them.
    pub total_votes: u64,
    /// Right.
    pub accurate: u64,
    /// Leads astray.
    pub misleading: u64,
    /// Wrong.
    #[serde(rename = "false")]
    pub wrong: u64,
}

/// A comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoteComment {
    /// What the voter thinks.
    pub opinion: Opinion,
    /// Why.
    pub comment: String,
    /// When it was said.
    pub at: Timestamp,
}

impl Votes {
    /// Counts votes, of which each gives opinion, comment and time; keeps the `most` newest comments.
    pub(crate) fn count(
        votes: impl IntoIterator<Item = (Opinion, Option<String>, Timestamp)>,
        most: usize,
    ) -> Self {
        let mut counted = Self::default();
        for (opinion, comment, at) in votes {
            let summary = &mut counted.summary;
            summary.total_votes += 1;
            *match opinion {
                Opinion::Accurate => &mut summary.accurate,
                Opinion::Misleading => &mut summary.misleading,
                Opinion::False => &mut summary.wrong,
            } += 1;
            let Some(comment) = comment else { continue };
            // Of the same moment the one read first stands first.
            let place = counted.comments.partition_point(|one| one.at >= at);
            if place < most {
                let comment = VoteComment {
                    opinion,
                    comment,
                    at,
                };
                counted.comments.insert(place, comment);
                counted.comments.truncate(most);
            }
        }
        counted
    }
}
