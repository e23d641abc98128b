//! What a verdict means for a message: its outputs go to the ledger, or it runs again, or it waits on a retry topic, or it
//! becomes a dead letter.

use std::{sync::Arc, time::Duration};

use schemas::{Reason, topics};
use tokio::{task::JoinSet, time::Instant};

use super::{
    RunnerConfig,
    job::{BoxedJob, Finished, Job, Verdict},
    queue::Queue,
    work,
};
use crate::{
    clock::SharedClock,
    consumer::Batch,
    delivery::Outputs,
    gate::{GateState, GateWatch},
    halt::Limits,
    ledger::{Ledger, TopicPartition},
    metrics::StageMetrics,
    retry,
    stage::Stage,
};

/// The longest pause between two probes: a stage is back at work that soon after the way is clear.
const PROBE_PAUSE: Duration = Duration::from_secs(1);

/// Rounds of batches that may wait for their turn.
const READ_AHEAD: usize = 2;

/// The messages of one runner, from the moment they are read until they are ready to be committed.
pub(super) struct Desk<S: Stage> {
    stage: Arc<S>,
    config: RunnerConfig,
    clock: SharedClock,
    metrics: StageMetrics,
    gate: GateWatch,
    /// The stage's retry topics, the first tier first.
    retries: Vec<String>,
    limits: Limits,
    pub(super) ledger: Ledger<Outputs>,
    queue: Queue,
    pub(super) running: JoinSet<Finished>,
    /// Probes in a row that found the way still closed, and when the next one may go.
    probes: u32,
    next_probe: Instant,
}

impl<S: Stage> Desk<S> {
    pub(super) fn new(
        stage: Arc<S>,
        config: RunnerConfig,
        clock: SharedClock,
        metrics: StageMetrics,
    ) -> Self {
        Self {
            gate: stage.gate(),
            retries: topics::retries(stage.name()),
            limits: Limits::new(config.limits.clone()),
            stage,
            config,
            clock,
            metrics,
            ledger: Ledger::default(),
            queue: Queue::default(),
            running: JoinSet::new(),
            probes: 0,
            next_probe: Instant::now(),
        }
    }

    /// Partitions begin anew.
    pub(super) fn assigned(&mut self, partitions: Vec<TopicPartition>, epoch: u64) {
        // What was counted and is read again would count twice.
        self.limits.begin();
        for at in partitions {
            self.ledger.assign(at, epoch);
        }
    }

    /// Partitions are gone, with all that was not committed of them.
    pub(super) fn gone(&mut self, partitions: &[TopicPartition]) {
        self.queue.drop_partitions(partitions);
        for at in partitions {
            self.ledger.revoke(at);
        }
    }

    /// Records were read.
    pub(super) fn read(&mut self, batch: Batch) {
        for source in batch.records {
            let (offset, size) = (source.offset, source.record.size());
            let tracked = self.ledger.track(&source.at, batch.epoch, offset, size);
            if let Some(epoch) = tracked {
                let tier = self.tier(&source.at.topic);
                self.queue.push(Box::new(Job::new(source, epoch, tier)));
            }
        }
    }

    /// The stage's name.
    pub(super) fn stage(&self) -> &'static str {
        self.stage.name()
    }

    /// Which of the stage's retry topics this is; 0 when it is none.
    fn tier(&self, topic: &str) -> usize {
        let place = self.retries.iter().position(|retry| retry == topic);
        place.map_or(0, |place| place + 1)
    }

    /// The limit that too many dead letters have passed, once.
    pub(super) fn passed_limit(&mut self) -> Option<String> {
        self.limits.passed()
    }

    /// When a message waits only for time to pass, until when.
    pub(super) fn next_due(&self) -> Option<Instant> {
        match self.gate.state() {
            GateState::Closed => None,
            GateState::Open => self.queue.next_due(),
            GateState::Probe if !self.running.is_empty() => None,
            GateState::Probe if self.queue.starved(self.next_probe) => self.queue.next_due(),
            GateState::Probe => Some(self.next_probe),
        }
    }

    /// Whether the gate wants no further records. A gate that probes lets them come while there is nothing to probe with.
    pub(super) fn hold(&self) -> bool {
        match self.gate.state() {
            GateState::Open => false,
            GateState::Closed => true,
            GateState::Probe => !self.running.is_empty() || !self.queue.starved(Instant::now()),
        }
    }

    /// Whether more records may come: what is read long before its turn has left the processor's caches by then.
    pub(super) fn hungry(&self) -> bool {
        self.queue.ready() < READ_AHEAD * self.config.batch_size * self.config.concurrency
    }

    /// Starts as many batches as may run now.
    pub(super) fn dispatch(&mut self) {
        let (batches, size) = match self.gate.state() {
            GateState::Open => (self.config.concurrency, self.config.batch_size),
            GateState::Probe if self.next_probe <= Instant::now() => (1, 1),
            GateState::Probe | GateState::Closed => return,
        };
        self.queue.wake(Instant::now());
        while self.running.len() < batches {
            let Some(mut batch) = self.queue.next_batch(size) else {
                break;
            };
            let stage = Arc::clone(&self.stage);
            let limit = self.config.output_limit_bytes;
            match batch.pop_if(|job| job.letter.is_some()) {
                Some(job) => self.running.spawn(work::bury(stage, job, limit)),
                None => self.running.spawn(work::process(stage, batch, limit)),
            };
        }
    }

    /// Settles the jobs of a batch.
    pub(super) fn finished(&mut self, finished: Finished) {
        let elapsed = finished.elapsed.as_secs_f64();
        // Written to the metric once, when it goes out of scope.
        let duration = self.metrics.duration.local();
        for (job, verdict) in finished.jobs {
            if job.letter.is_none() {
                duration.observe(elapsed);
            }
            // Redone by whoever has the partition now.
            if self.ledger.epoch(&job.source.at) == Some(job.epoch) {
                self.settle(job, verdict);
            } else {
                self.queue.release(job.source.key_hash);
            }
        }
        self.pace_probes();
    }

    /// A probe that failed is followed by a pause. Each goes with another message, which has not waited yet: without it those
    /// that wait for the way would keep hitting it, as fast as it refuses them.
    fn pace_probes(&mut self) {
        match self.gate.state() {
            GateState::Open => self.probes = 0,
            GateState::Probe if self.running.is_empty() => {
                self.probes = self.probes.saturating_add(1);
                let pause = self.config.retry.delay(self.probes, None);
                self.next_probe = Instant::now() + pause.min(PROBE_PAUSE);
            }
            GateState::Probe | GateState::Closed => {}
        }
    }

    fn settle(&mut self, mut job: BoxedJob, verdict: Verdict) {
        match verdict {
            Verdict::Forward { outputs, bytes } => {
                self.metrics.forwarded();
                self.limits.ended(None);
                self.complete(&job, outputs, bytes);
            }
            Verdict::Skip(reason) => {
                self.metrics.skipped(reason);
                self.limits.ended(None);
                self.complete(&job, Vec::new(), 0);
            }
            Verdict::Retry { reason, after } => self.fail(job, reason, after),
            Verdict::Reject(reason) => {
                self.count(&mut job);
                self.reject(job, reason);
            }
            Verdict::Undecodable(reason) => {
                self.count(&mut job);
                self.reject_unread(job, reason);
            }
            Verdict::Broken { reason, shared } => {
                if shared && self.gate.state() == GateState::Open {
                    self.isolate(job, reason);
                } else {
                    self.fail(job, reason, None);
                }
            }
            Verdict::Panicked => {
                self.count(&mut job);
                if job.alone {
                    self.reject(job, Reason::StagePanicked);
                } else {
                    self.metrics.retried(Reason::StagePanicked);
                    job.alone = true;
                    self.queue.again(job);
                }
            }
            Verdict::Buried(extra) => {
                if let Some(letter) = job.letter.take() {
                    self.metrics.dead_letter(letter.code);
                    self.limits.ended(Some(letter.code));
                    let outputs = job.buried(&letter, extra);
                    self.leave(&job, outputs);
                }
            }
            Verdict::NotBuried => {
                job.untold = job.untold.saturating_add(1);
                let wait = self.config.retry.delay(job.untold, None);
                self.queue.again_at(job, Instant::now() + wait);
            }
        }
    }

    /// An attempt failed and may be repeated. What fails while the gate is not open does not count.
    fn fail(&mut self, mut job: BoxedJob, reason: Reason, after: Option<Duration>) {
        let open = self.gate.state() == GateState::Open;
        if open {
            self.count(&mut job);
        }
        job.first_failure.get_or_insert_with(|| self.clock.now());
        let config = &self.config;
        let spent = job.failures >= config.retry.attempts;
        // Whoever asks to be left alone for longer than any wait in process is not asked again in between.
        let long = open && after > Some(Duration::from_millis(config.retry.max_ms));
        let next = (spent || long) && job.may_be_postponed();
        let next = next.then(|| retry::next_tier(&config.retry_topics_ms, job.tier, after));
        match next.flatten() {
            Some((tier, wait)) => self.postpone(job, reason, tier, wait),
            None if spent => self.reject(job, reason),
            None => {
                self.metrics.retried(reason);
                let wait = self.config.retry.delay(job.failures, after);
                self.queue.again_at(job, Instant::now() + wait);
            }
        }
    }

    /// A message goes to a retry topic, and its partition goes on.
    fn postpone(&mut self, mut job: BoxedJob, reason: Reason, tier: usize, wait: Duration) {
        self.metrics.retried(reason);
        self.metrics.postponed(tier);
        let now = self.clock.now();
        let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        let retry = job.retry(now.as_millisecond().saturating_add(wait_ms), now);
        let outputs = job.postponed(self.stage.name(), tier, &retry);
        self.leave(&job, outputs);
    }

    /// A batch of several failed and any of them may be at fault: each runs alone from now on, and attempts count there.
    fn isolate(&mut self, mut job: BoxedJob, reason: Reason) {
        job.alone = true;
        job.first_failure.get_or_insert_with(|| self.clock.now());
        self.metrics.retried(reason);
        let wait = self.config.retry.delay(job.failures, None);
        self.queue.again_at(job, Instant::now() + wait);
    }

    fn count(&self, job: &mut Job) {
        job.failures = job.failures.saturating_add(1);
        job.first_failure.get_or_insert_with(|| self.clock.now());
    }

    /// A message becomes a dead letter, once the stage was told.
    fn reject(&mut self, mut job: BoxedJob, code: Reason) {
        self.metrics.rejected(code);
        job.letter = Some(job.dead_letter(self.stage.name(), code, self.clock.now()));
        self.queue.again(job);
    }

    /// A record that nobody can read becomes a dead letter; there is nothing to tell the stage of.
    fn reject_unread(&mut self, mut job: BoxedJob, code: Reason) {
        self.metrics.rejected(code);
        self.metrics.dead_letter(code);
        self.limits.ended(Some(code));
        let letter = job.dead_letter(self.stage.name(), code, self.clock.now());
        let outputs = job.buried(&letter, Vec::new());
        self.leave(&job, outputs);
    }

    /// Completes a message with what was made of it here.
    fn leave(&mut self, job: &Job, outputs: Outputs) {
        let bytes = outputs.iter().map(|output| output.record.size()).sum();
        self.complete(job, outputs, bytes);
    }

    fn complete(&mut self, job: &Job, outputs: Outputs, bytes: usize) {
        let source = &job.source;
        self.ledger
            .complete(&source.at, job.epoch, source.offset, outputs, bytes);
        self.queue.release(job.source.key_hash);
    }
}

#[cfg(test)]
mod tests;
