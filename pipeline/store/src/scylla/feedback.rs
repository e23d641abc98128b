//! Votes on analyses. Of many at once by one voter one must be taken, so these are lightweight transactions; what became of one
//! is told by a read that sees all of them, whether or not the answer to the write arrived.

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    ScyllaStore,
    rows::{Work, all, ttl},
};
use crate::{
    Feedback, Result, StoreError, Vote, Votes,
    values::{after, opinion_from, time},
};

/// Partitions of an analysis' votes.
const SHARDS: i32 = 16;

#[async_trait]
impl Feedback for ScyllaStore {
    async fn vote(&self, vote: &Vote) -> Result<bool> {
        let (id, shard, voter) = (vote.analysis_id, shard(&vote.voter), &vote.voter);
        let values = (
            id,
            shard,
            voter,
            vote.feedback_id,
            vote.opinion.name(),
            &vote.comment,
            vote.at.as_millisecond(),
            ttl(self.policy.analysis_ttl_s),
        );
        let written = self.write(&self.statements.put_vote, values).await;
        let key = (id, shard, voter);
        let stands: Option<(Uuid,)> = self.row(&self.statements.vote, key).await?;
        match (stands, written) {
            (Some((feedback_id,)), _) => Ok(feedback_id == vote.feedback_id),
            (None, Err(error)) => Err(error),
            // A deletion came between the two.
            (None, Ok(())) => Err(StoreError::Unavailable(format!(
                "analysis {id} changed while a vote was taken"
            ))),
        }
    }

    async fn votes(&self, analysis_id: Uuid, comments: usize, now: Timestamp) -> Result<Votes> {
        let one = |shard: i32| -> Work<'_, Vec<(String, Option<String>, i64)>> {
            Box::pin(self.rows(&self.statements.votes, (analysis_id, shard)))
        };
        let shards = all((0..SHARDS).map(one).collect()).await?;
        let now_ms = now.as_millisecond();
        let live = shards
            .into_iter()
            .flatten()
            .filter(|(_, _, at_ms)| after(*at_ms, self.policy.analysis_ttl_s) > now_ms);
        let votes = live
            .map(|(opinion, comment, at_ms)| Ok((opinion_from(&opinion)?, comment, time(at_ms)?)));
        Ok(Votes::count(votes.collect::<Result<Vec<_>>>()?, comments))
    }
}

impl ScyllaStore {
    /// Forgets the votes on an analysis.
    pub(super) async fn drop_votes(&self, analysis_id: Uuid) -> Result<()> {
        let one = |shard: i32| -> Work<'_> {
            Box::pin(self.write(&self.statements.drop_votes, (analysis_id, shard)))
        };
        all((0..SHARDS).map(one).collect()).await.map(|_| ())
    }
}

fn shard(voter: &str) -> i32 {
    let sum: u32 = voter.bytes().map(u32::from).sum();
    i32::try_from(sum % SHARDS.unsigned_abs()).unwrap_or(0)
}
