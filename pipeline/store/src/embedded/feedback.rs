//! Votes on analyses.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::SqliteStore;
use crate::{
    Feedback, Result, Vote, Votes,
    values::{after, opinion_from, time},
};

#[async_trait]
impl Feedback for SqliteStore {
    async fn vote(&self, vote: &Vote) -> Result<bool> {
        let vote = vote.clone();
        let at_ms = vote.at.as_millisecond();
        let expires_ms = after(at_ms, self.policy.analysis_ttl_s);
        self.writer
            .run(move |connection| {
                let key = params![vote.analysis_id, vote.voter, at_ms];
                connection
                    .prepare_cached(
                        "DELETE FROM votes WHERE analysis_id = ?1 AND voter = ?2 AND expires_ms <= ?3",
                    )?
                    .execute(key)?;
                // The id of the vote that stands, this one's or an earlier one's.
                let stands: Uuid = connection
                    .prepare_cached(
                        "INSERT INTO votes (analysis_id, voter, feedback_id, opinion, comment, at_ms, expires_ms)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                         ON CONFLICT (analysis_id, voter) DO UPDATE SET voter = voter RETURNING feedback_id",
                    )?
                    .query_row(
                        params![
                            vote.analysis_id,
                            vote.voter,
                            vote.feedback_id,
                            vote.opinion.name(),
                            vote.comment,
                            at_ms,
                            expires_ms
                        ],
                        |row| row.get(0),
                    )?;
                Ok(stands == vote.feedback_id)
            })
            .await
    }

    async fn votes(&self, analysis_id: Uuid, comments: usize, now: Timestamp) -> Result<Votes> {
        self.readers
            .run(move |connection| {
                let mut statement = connection.prepare_cached(
                    "SELECT opinion, comment, at_ms FROM votes WHERE analysis_id = ?1 AND expires_ms > ?2",
                )?;
                let mut rows = statement.query(params![analysis_id, now.as_millisecond()])?;
                let mut votes = Vec::new();
                while let Some(row) = rows.next()? {
                    let opinion = opinion_from(&row.get::<_, String>(0)?)?;
                    votes.push((opinion, row.get(1)?, time(row.get(2)?)?));
                }
                Ok(Votes::count(votes, comments))
            })
            .await
    }
}

/// Forgets the votes on an analysis.
pub(super) fn forget(connection: &Connection, analysis_id: Uuid) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM votes WHERE analysis_id = ?1")?
        .execute(params![analysis_id])?;
    Ok(())
}
