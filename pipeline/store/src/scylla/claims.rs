//! Claims: a row a grant, so that one that was given back or has expired never stands in the way of the next.
//!
//! Within a process claims of one analysis take turns. Between processes the partition's owner is the only one whose
//! transaction commits, so two grants of one analysis never lead to two results; where two stand all the same, the one of the
//! earlier run counts, for everyone who looks.

use jiff::Timestamp;
use schemas::{Event, Submission};
use uuid::Uuid;

use super::{
    ScyllaStore,
    facts::{Loaded, step},
    rows::ttl,
};
use crate::{Claim, Result, Status, facts::Verdict, rank, values::after};

/// Progress of a run that was claimed, in percent.
const CLAIMED_PERCENT: u8 = 10;

/// A grant: `ce_id` of the submission, when it expires, the start of its run.
type Grant = (String, i64, i64);

impl ScyllaStore {
    pub(super) async fn claim_run(
        &self,
        submission: &Submission,
        event_id: &str,
        now: Timestamp,
    ) -> Result<Claim> {
        let (id, run, now_ms) = (submission.analysis_id, submission.run, now.as_millisecond());
        let _turn = self.turn(id).await;
        futures::try_join!(
            self.register(submission, Status::Processing),
            self.project_facts(submission, now_ms),
            // Before the result can be there: who is told of it is asked then.
            self.put_owner(submission),
        )?;
        let (mut loaded, grants) = futures::try_join!(self.load(id, now_ms), self.grants(id))?;
        let verdict = loaded.facts.verdict(run, &self.policy);
        let claim = match verdict {
            Verdict::Deleted(_) => Claim::Deleted,
            Verdict::Ended(_) => Claim::Finished,
            Verdict::Open => {
                let holder = holder(&grants, &loaded, now_ms);
                let free = holder.is_none_or(|holder| holder == event_id);
                if free && self.grant(submission, event_id, &loaded, now_ms).await? {
                    Claim::Own
                } else {
                    Claim::Other
                }
            }
        };
        if claim == Claim::Own {
            futures::try_join!(
                self.put_progress(id, run, CLAIMED_PERCENT, now_ms),
                self.began(submission),
            )?;
            loaded.starts.insert(run.started_ms);
            loaded.facts.progressed(run, CLAIMED_PERCENT);
        }
        self.put_start(id, run.started_ms, &mut loaded, now_ms)
            .await?;
        futures::try_join!(
            self.settle_one(submission, verdict),
            self.relist(id, &loaded, run.started_ms, now_ms),
        )?;
        Ok(claim)
    }

    /// Gives back what was granted to a submission.
    pub(super) async fn give_back(&self, submission: &Submission) -> Result<()> {
        let event_id = submission.id().to_string();
        let timestamp = rank::timestamp(submission.run.started_ms, step::GIVEN_BACK);
        for (event, expires_ms, _) in self.grants(submission.analysis_id).await? {
            if event == event_id {
                let values = (timestamp, submission.analysis_id, event, expires_ms);
                self.write(&self.statements.drop_claim, values).await?;
            }
        }
        Ok(())
    }

    /// Writes a grant and looks whether it is the one that counts.
    async fn grant(
        &self,
        submission: &Submission,
        event_id: &str,
        loaded: &Loaded,
        now_ms: i64,
    ) -> Result<bool> {
        let (id, run_ms) = (submission.analysis_id, submission.run.started_ms);
        let values = (
            id,
            event_id,
            after(now_ms, self.policy.claim_ttl_s),
            run_ms,
            ttl(self.policy.claim_ttl_s),
            rank::timestamp(run_ms, step::CLAIMED),
        );
        self.write(&self.statements.put_claim, values).await?;
        let grants = self.grants(id).await?;
        let own = holder(&grants, loaded, now_ms) == Some(event_id);
        if !own {
            self.give_back(submission).await?;
        }
        Ok(own)
    }

    async fn grants(&self, id: Uuid) -> Result<Vec<Grant>> {
        self.rows(&self.statements.claims, (id,)).await
    }
}

/// Whose claim keeps others from working now.
fn holder<'a>(grants: &'a [Grant], loaded: &Loaded, now_ms: i64) -> Option<&'a str> {
    let ended = loaded.facts.ended.map(|ended| ended.run_started_ms);
    grants
        .iter()
        .filter(|(_, expires_ms, run_ms)| {
            *expires_ms > now_ms && ended < Some(*run_ms) && !loaded.facts.voids(*run_ms)
        })
        .min_by_key(|(event_id, _, run_ms)| (*run_ms, event_id))
        .map(|(event_id, ..)| event_id.as_str())
}
