//! What a verdict means for a message: its outputs go to the ledger, or it runs again, or it becomes a dead letter.

use std::{sync::Arc, time::Duration};

use schemas::Reason;
use tokio::{task::JoinSet, time::Instant};

use super::{
    RunnerConfig,
    job::{Finished, Job, Verdict},
    queue::Queue,
    work,
};
use crate::{
    clock::SharedClock,
    consumer::Batch,
    delivery::Outputs,
    gate::{GateState, GateWatch},
    ledger::{Ledger, TopicPartition},
    metrics::StageMetrics,
    producer::Output,
    stage::{Outcome, Stage},
};

/// The messages of one runner, from the moment they are read until they are ready to be committed.
pub(super) struct Desk<S: Stage> {
    stage: Arc<S>,
    config: RunnerConfig,
    clock: SharedClock,
    metrics: StageMetrics,
    gate: GateWatch,
    pub(super) ledger: Ledger<Outputs>,
    queue: Queue<S::In>,
    pub(super) running: JoinSet<Finished<S::In>>,
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
            stage,
            config,
            clock,
            metrics,
            ledger: Ledger::default(),
            queue: Queue::default(),
            running: JoinSet::new(),
        }
    }

    /// Partitions begin anew.
    pub(super) fn assigned(&mut self, partitions: Vec<TopicPartition>, epoch: u64) {
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
            let size = source.size();
            if self
                .ledger
                .track(&source.at, batch.epoch, source.offset, size)
                && let Some(epoch) = self.ledger.epoch(&source.at)
            {
                self.queue.push(Job::new(source, epoch));
            }
        }
    }

    /// When a message waits only for time to pass, until when.
    pub(super) fn next_due(&self) -> Option<Instant> {
        match self.gate.state() {
            GateState::Closed => None,
            GateState::Open | GateState::Probe => self.queue.next_due(),
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

    /// Starts as many batches as may run now.
    pub(super) fn dispatch(&mut self) {
        let (batches, size) = match self.gate.state() {
            GateState::Open => (self.config.concurrency, self.config.batch_size),
            GateState::Probe => (1, 1),
            GateState::Closed => return,
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
    pub(super) fn finished(&mut self, finished: Finished<S::In>) {
        let elapsed = finished.elapsed.as_secs_f64();
        for (job, verdict) in finished.jobs {
            if job.letter.is_none() {
                self.metrics.duration.observe(elapsed);
            }
            // Redone by whoever has the partition now.
            if self.ledger.epoch(&job.source.at) == Some(job.epoch) {
                self.settle(job, verdict);
            } else {
                self.queue.release(job.key());
            }
        }
    }

    fn settle(&mut self, mut job: Job<S::In>, verdict: Verdict) {
        match verdict {
            Verdict::Outcome(Outcome::Forward(records)) => {
                self.metrics.forwarded();
                self.complete(&job, records.into_iter().map(Output::from).collect());
            }
            Verdict::Outcome(Outcome::Skip(reason)) => {
                self.metrics.skipped(reason);
                self.complete(&job, Vec::new());
            }
            Verdict::Outcome(Outcome::Retry { reason, after }) => self.fail(job, reason, after),
            Verdict::Outcome(Outcome::Reject(reason)) | Verdict::Undecodable(reason) => {
                self.count(&mut job);
                self.reject(job, reason);
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
                    let outputs = job.buried(&letter, extra);
                    self.complete(&job, outputs);
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
    fn fail(&mut self, mut job: Job<S::In>, reason: Reason, after: Option<Duration>) {
        if self.gate.state() == GateState::Open {
            self.count(&mut job);
        }
        job.first_failure.get_or_insert_with(|| self.clock.now());
        if job.failures >= self.config.retry.attempts {
            self.reject(job, reason);
        } else {
            self.metrics.retried(reason);
            let wait = self.config.retry.delay(job.failures, after);
            self.queue.again_at(job, Instant::now() + wait);
        }
    }

    /// A batch of several failed and any of them may be at fault: each runs alone from now on, and attempts count there.
    fn isolate(&mut self, mut job: Job<S::In>, reason: Reason) {
        job.alone = true;
        job.first_failure.get_or_insert_with(|| self.clock.now());
        self.metrics.retried(reason);
        let wait = self.config.retry.delay(job.failures, None);
        self.queue.again_at(job, Instant::now() + wait);
    }

    fn count(&self, job: &mut Job<S::In>) {
        job.failures = job.failures.saturating_add(1);
        job.first_failure.get_or_insert_with(|| self.clock.now());
    }

    /// A message becomes a dead letter; the stage is told first, if it could read it.
    fn reject(&mut self, mut job: Job<S::In>, code: Reason) {
        self.metrics.rejected(code);
        let letter = job.dead_letter(self.stage.name(), code, self.clock.now());
        if job.message.is_some() {
            job.letter = Some(letter);
            self.queue.again(job);
        } else {
            self.metrics.dead_letter(code);
            let outputs = job.buried(&letter, Vec::new());
            self.complete(&job, outputs);
        }
    }

    fn complete(&mut self, job: &Job<S::In>, outputs: Outputs) {
        let bytes = outputs.iter().map(|output| output.record.size()).sum();
        let source = &job.source;
        self.ledger
            .complete(&source.at, job.epoch, source.offset, outputs, bytes);
        self.queue.release(job.key());
    }
}
