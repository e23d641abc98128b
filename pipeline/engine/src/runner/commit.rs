//! When a commit interval is committed, and what happens when it could not be. Processing goes on meanwhile.

use std::{
    sync::{Arc, mpsc::SyncSender},
    time::Duration,
};

use tokio::{
    task::{JoinError, JoinSet},
    time::Instant,
};

use super::{RunnerConfig, RunnerError};
use crate::{
    consumer::Tenure,
    delivery::{CommitSet, Delivery, DeliveryError, Outputs},
    embedded::Meter,
    ledger::{Ledger, TopicPartition},
    metrics::StageMetrics,
};

/// A commit that has ended.
pub(super) struct Ended {
    delivery: Box<dyn Delivery>,
    result: Result<(), DeliveryError>,
    offsets: Vec<(TopicPartition, i64)>,
    elapsed: Duration,
}

/// The commits of one runner; one at a time.
pub(super) struct Commits {
    /// Here while no commit is under way.
    delivery: Option<Box<dyn Delivery>>,
    under_way: JoinSet<Ended>,
    /// A set that was not committed, and when to try it again.
    again: Option<(CommitSet, Instant)>,
    failures: u32,
    /// Before this an interval is committed only when it is large or somebody waits for it.
    next: Instant,
    /// The process is ending: commit without regard to the interval.
    pub(super) hurry: bool,
    /// The poll thread, which waits for a last commit before partitions go.
    revoking: Option<SyncSender<()>>,
    /// What is done could not be committed last time, because the embedded broker has no room for the outputs.
    stuck: bool,
    /// Records and bytes that have left the ledger and are not committed.
    outside: (usize, usize),
    group: String,
    tenure: Arc<Tenure>,
    meter: Option<Meter>,
    metrics: StageMetrics,
}

impl Commits {
    pub(super) fn new(
        delivery: Box<dyn Delivery>,
        group: String,
        tenure: Arc<Tenure>,
        meter: Option<Meter>,
        metrics: StageMetrics,
    ) -> Self {
        Self {
            delivery: Some(delivery),
            under_way: JoinSet::new(),
            again: None,
            failures: 0,
            next: Instant::now(),
            hurry: false,
            revoking: None,
            stuck: false,
            outside: (0, 0),
            group,
            tenure,
            meter,
            metrics,
        }
    }

    /// The consumer group.
    pub(super) fn group(&self) -> &str {
        &self.group
    }

    /// Records and bytes that have left the ledger and are not committed.
    pub(super) const fn outside(&self) -> (usize, usize) {
        self.outside
    }

    /// Partitions are about to go: commit what is done now, then tell `done`.
    pub(super) fn revoke(&mut self, done: SyncSender<()>) {
        self.revoking = Some(done);
    }

    /// Everything is about to be read again: nobody needs to wait for a commit.
    pub(super) fn nothing_to_wait_for(&mut self) {
        if let Some(done) = self.revoking.take() {
            let _ = done.send(());
        }
    }

    /// There is nothing to commit, or nothing that could be committed now.
    pub(super) fn at_rest(&self, ledger: &Ledger<Outputs>) -> bool {
        let idle = self.delivery.is_some() && self.again.is_none();
        idle && (self.stuck || !ledger.has_frontier())
    }

    /// When [`Commits::start`] has something to do, if it has; `now` when at once.
    pub(super) fn due(
        &self,
        ledger: &Ledger<Outputs>,
        config: &RunnerConfig,
        now: Instant,
    ) -> Option<Instant> {
        self.delivery.as_ref()?;
        if let Some((_, due)) = &self.again {
            return Some(*due);
        }
        let soon = ledger.done() >= config.commit_max_records && !self.stuck;
        let due = if soon { now } else { self.next };
        ledger.has_frontier().then_some(due)
    }

    /// Begins a commit if one is due.
    pub(super) fn start(&mut self, ledger: &mut Ledger<Outputs>, config: &RunnerConfig) {
        let now = Instant::now();
        let hurry = (self.hurry || self.revoking.is_some()) && self.again.is_none();
        let due = self.due(ledger, config, now);
        if due.is_some_and(|due| hurry || due <= now) {
            self.stuck = !self.begin(ledger, config, now);
        }
        if self.at_rest(ledger)
            && let Some(done) = self.revoking.take()
        {
            let _ = done.send(());
        }
    }

    /// False when there is no room for anything.
    fn begin(&mut self, ledger: &mut Ledger<Outputs>, config: &RunnerConfig, now: Instant) -> bool {
        let meter = self.meter.as_ref();
        let interval = Duration::from_millis(config.commit_interval_ms);
        self.next = now + interval;
        let mut set = match self.again.take() {
            Some((mut set, _)) => {
                // What belongs to an assignment that is gone is redone by whoever has the partition now.
                set.parts
                    .retain(|part| ledger.epoch(&part.at) == Some(part.epoch));
                let mut outputs = set.parts.iter_mut().flat_map(|part| &mut part.outputs);
                if !outputs.all(|outputs| reserve(outputs, meter)) {
                    self.again = Some((set, now + interval));
                    return false;
                }
                set
            }
            None => {
                let most = config.commit_max_records;
                let parts = ledger.take(most, |outputs| reserve(outputs, meter));
                if parts.is_empty() {
                    return false;
                }
                CommitSet { parts }
            }
        };
        self.tenure
            .begin_commit(&mut set.parts, |part| (&part.at, part.epoch));
        self.outside = (set.records(), set.bytes());
        if !set.is_empty()
            && let Some(mut delivery) = self.delivery.take()
        {
            self.under_way.spawn(async move {
                let offsets = set.offsets();
                let result = delivery.commit(set).await;
                let elapsed = now.elapsed();
                Ended {
                    delivery,
                    result,
                    offsets,
                    elapsed,
                }
            });
        }
        true
    }

    /// Waits for the commit under way; for ever when there is none. To be handed to [`Commits::end`].
    pub(super) async fn ended(&mut self) -> Result<Ended, JoinError> {
        match self.under_way.join_next().await {
            Some(ended) => ended,
            None => std::future::pending().await,
        }
    }

    /// Takes note of how a commit ended. Where everything has to be read again from the committed offsets: when.
    ///
    /// # Errors
    /// When another instance has taken over.
    pub(super) fn end(
        &mut self,
        ended: Ended,
        config: &RunnerConfig,
    ) -> Result<Option<Instant>, RunnerError> {
        self.delivery = Some(ended.delivery);
        self.tenure.end_commit();
        match ended.result {
            Ok(()) => {
                self.failures = 0;
                tracing::debug!(
                    group = self.group,
                    records = self.outside.0,
                    seconds = ended.elapsed.as_secs_f64(),
                    "committed"
                );
                self.outside = (0, 0);
                self.metrics
                    .commit_duration
                    .observe(ended.elapsed.as_secs_f64());
                if let Some(meter) = &self.meter {
                    for (at, offset) in ended.offsets {
                        meter.passed(&self.group, &at.topic, at.partition, offset);
                    }
                }
            }
            Err(DeliveryError::Again { set, detail }) => {
                let wait = self.failed(config);
                tracing::warn!(
                    group = self.group,
                    records = set.records(),
                    failures = self.failures,
                    wait_ms = wait.as_millis(),
                    detail,
                    "commit failed; no offset has moved, it is tried again"
                );
                self.again = Some((set, Instant::now() + wait));
            }
            Err(DeliveryError::Rewind { detail }) => {
                self.outside = (0, 0);
                let wait = self.failed(config);
                tracing::warn!(
                    group = self.group,
                    failures = self.failures,
                    wait_ms = wait.as_millis(),
                    detail,
                    "transaction failed; everything since the committed offsets is redone"
                );
                return Ok(Some(Instant::now() + wait));
            }
            Err(DeliveryError::Fenced) => return Err(RunnerError::Fenced),
        }
        Ok(None)
    }

    /// Another failure in a row: how long to wait now.
    fn failed(&mut self, config: &RunnerConfig) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.metrics.commit_failures.inc();
        config.retry.delay(self.failures, None)
    }
}

/// Room for all outputs of one message, or for none of them.
fn reserve(outputs: &mut Outputs, meter: Option<&Meter>) -> bool {
    let room = outputs
        .iter_mut()
        .all(|output| output.reserve(meter).is_ok());
    if !room {
        outputs.iter_mut().for_each(|output| output.release());
    }
    room
}
