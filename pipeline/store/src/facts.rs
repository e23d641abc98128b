//! What is kept of one analysis, and how facts that arrive in any order come out the same. Pure: no SQL, no clock.

use jiff::Timestamp;
use schemas::{AnalysisResult, PostRef, Run, Submission};

use crate::{Ended, Status, StorePolicy, Work, rank, state_of};

/// What is kept of one analysis: of each kind of fact the newest, and none that a deletion voids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The post as the newest submission or result names it, with that write's timestamp.
    pub(crate) post: Option<(i64, PostRef)>,
    /// Earliest start of a run.
    pub(crate) created_ms: Option<i64>,
    /// Start of the newest submission's run.
    pub(crate) pending_ms: Option<i64>,
    pub(crate) work: Option<Work>,
    pub(crate) ended: Option<Ended>,
    pub(crate) claim: Option<Held>,
    /// When it was deleted last: every run that had started by then is void.
    pub(crate) deleted_ms: Option<i64>,
}

/// Who holds a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    /// `ce_id` of the submission.
    pub(crate) event_id: String,
    pub(crate) run_started_ms: i64,
    pub(crate) expires_ms: i64,
}

impl Facts {
    /// Whether a deletion voids this run. The same as comparing timestamps: a deletion ranks above every step of a run that
    /// started in its millisecond.
    pub(crate) fn voids(&self, run_started_ms: i64) -> bool {
        self.deleted_ms
            .is_some_and(|deleted| run_started_ms <= deleted)
    }

    pub(crate) fn submitted(&mut self, submission: &Submission) {
        self.pending(submission.run.started_ms, &submission.post);
    }

    /// A submission whose run starts at `run`.
    pub(crate) fn pending(&mut self, run: i64, post: &PostRef) {
        if self.voids(run) {
            return;
        }
        self.began(run);
        self.named(rank::timestamp(run, rank::PENDING), post);
        self.pending_ms = self.pending_ms.max(Some(run));
    }

    pub(crate) fn progressed(&mut self, run: Run, percent: u8) {
        if self.voids(run.started_ms) {
            return;
        }
        self.began(run.started_ms);
        let percent = percent.clamp(1, 99);
        if self
            .work
            .is_none_or(|work| (work.run.started_ms, work.percent) < (run.started_ms, percent))
        {
            self.work = Some(Work { run, percent });
        }
    }

    /// Whether the result is the newest and must be written.
    pub(crate) fn finished(&mut self, result: &AnalysisResult) -> bool {
        self.ended(Ended::from(result), &result.post)
    }

    /// A run that ended; whether it is the newest.
    pub(crate) fn ended(&mut self, ended: Ended, post: &PostRef) -> bool {
        let run = ended.run_started_ms;
        if self.voids(run) {
            return false;
        }
        self.began(run);
        self.named(rank::timestamp(run, rank::TERMINAL), post);
        let newest = self.ended.is_none_or(|kept| kept.run_started_ms < run);
        if newest {
            self.ended = Some(ended);
        }
        newest
    }

    pub(crate) fn deleted(&mut self, now: Timestamp) {
        self.deleted_ms = self.deleted_ms.max(Some(now.as_millisecond()));
        let Some(deleted) = self.deleted_ms else {
            return;
        };
        let stands = |run: i64| run > deleted;
        self.pending_ms = self.pending_ms.filter(|run| stands(*run));
        self.work = self.work.filter(|work| stands(work.run.started_ms));
        self.ended = self.ended.filter(|ended| stands(ended.run_started_ms));
        self.claim = self.claim.take().filter(|held| stands(held.run_started_ms));
        let voided = rank::timestamp(deleted, rank::DELETE);
        self.post = self.post.take().filter(|(ts, _)| *ts > voided);
        if self.created_ms.is_some_and(|created| !stands(created)) {
            self.created_ms = self.earliest_kept();
        }
    }

    /// Takes back the submission of `event_id`. `others` are the earliest and the newest start among submissions still kept of
    /// this analysis.
    pub(crate) fn retracted(
        &mut self,
        event_id: &str,
        run_started_ms: i64,
        others: Option<(i64, i64)>,
    ) {
        // Its record may have come through all the same and been claimed. Nothing publishes it again after a restart, so its
        // claim must not keep others waiting.
        self.claim = self.claim.take().filter(|held| held.event_id != event_id);
        if self.pending_ms == Some(run_started_ms) {
            self.pending_ms = others.map(|(_, newest)| newest);
        }
        if self.created_ms == Some(run_started_ms) {
            self.created_ms = self
                .earliest_kept()
                .into_iter()
                .chain(others.map(|(earliest, _)| earliest))
                .min();
        }
        if self.earliest_kept().is_none() {
            self.post = None;
        }
    }

    /// `None` while there is nothing to show.
    pub(crate) fn status(&self, policy: &StorePolicy) -> Option<Status> {
        self.post.as_ref()?;
        Some(state_of(self.pending_run_ms()?, self.work, self.ended, policy).status)
    }

    /// Start of the newest submission's run; of what was begun or ended where the submission itself is not known.
    pub(crate) fn pending_run_ms(&self) -> Option<i64> {
        self.pending_ms
            .or(self.work.map(|work| work.run.started_ms))
            .or(self.ended.map(|ended| ended.run_started_ms))
    }

    /// The claim that keeps others from working at `now`.
    pub(crate) fn live_claim(&self, now: Timestamp) -> Option<&Held> {
        let ended = self.ended.map(|ended| ended.run_started_ms);
        self.claim.as_ref().filter(|held| {
            held.expires_ms > now.as_millisecond() && ended < Some(held.run_started_ms)
        })
    }

    /// How the items that wait on this analysis end, if they do: by a result that holds, or because it was deleted.
    pub(crate) fn verdict(&self, run: Run, policy: &StorePolicy) -> Verdict {
        match (self.deleted_ms, self.ended) {
            (Some(deleted_ms), _) if run.started_ms <= deleted_ms => Verdict::Deleted(deleted_ms),
            (_, Some(ended)) if ended.answers(run, policy) => Verdict::Ended(ended),
            _ => Verdict::Open,
        }
    }

    /// A run started then.
    pub(crate) fn began(&mut self, run_started_ms: i64) {
        if self.voids(run_started_ms) {
            return;
        }
        let earliest = self.created_ms.unwrap_or(i64::MAX).min(run_started_ms);
        self.created_ms = Some(earliest);
    }

    /// Of two names with one timestamp the greater counts, as in CQL.
    fn named(&mut self, ts: i64, post: &PostRef) {
        if self
            .post
            .as_ref()
            .is_none_or(|(kept, name)| (*kept, &name.url) < (ts, &post.url))
        {
            self.post = Some((ts, post.clone()));
        }
    }

    fn earliest_kept(&self) -> Option<i64> {
        [
            self.pending_ms,
            self.work.map(|work| work.run.started_ms),
            self.ended.map(|ended| ended.run_started_ms),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

/// What a submission finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing that answers it.
    Open,
    /// A result that holds for it.
    Ended(Ended),
    /// A deletion after it, then in milliseconds since the Unix epoch.
    Deleted(i64),
}
