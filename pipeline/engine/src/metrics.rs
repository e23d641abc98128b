//! Every metric of the engine, in one place. The label `task_name` is the name of the stage.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};
use schemas::{Reason, topics};

use crate::client_metrics::ClientMetrics;

/// Bounds of durations, seconds.
const SECONDS: [f64; 17] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    120.0, 300.0,
];

/// The metrics of every stage in this process.
#[derive(Debug, Clone)]
pub struct EngineMetrics {
    /// `trustcard_task_duration_seconds{task_name}`: time the stage took for the batch a message was in.
    duration: HistogramVec,
    /// `trustcard_tasks_total{task_name,status}`: messages by how they left the stage: `success` (forwarded or skipped),
    /// `failure` (dead letter), `retry` (each attempt that is to be repeated).
    tasks: IntCounterVec,
    /// `trustcard_queue_size{task_name}`: records this instance has yet to settle: read and unsettled, plus unread up to the
    /// high watermark of its partitions.
    queue_size: IntGaugeVec,
    /// `trustcard_stage_reasons_total{task_name,outcome,reason}`: messages skipped, retried and rejected, by reason.
    reasons: IntCounterVec,
    /// `trustcard_dead_letters_total{task_name,code}`: dead letters handed to the commit, by code.
    dead_letters: IntCounterVec,
    /// `trustcard_retry_records_total{task_name,tier}`: messages handed to the commit for a retry topic, by tier.
    postponed: IntCounterVec,
    /// `trustcard_stage_halted{task_name}`: 1 while the stage stands still because too much of its input failed.
    halted: IntGaugeVec,
    /// `trustcard_stage_halt_reason{task_name,reason}`: 1 while the stage stands still for this reason; absent otherwise.
    halt_reason: IntGaugeVec,
    /// `trustcard_in_flight_records{task_name}`: records read and not committed.
    in_flight: IntGaugeVec,
    /// `trustcard_held_bytes{task_name}`: bytes of those records and of their outputs.
    held_bytes: IntGaugeVec,
    /// `trustcard_paused{task_name}`: 1 while the partitions are paused.
    paused: IntGaugeVec,
    /// `trustcard_commit_duration_seconds{task_name}`: time to produce the outputs and commit the offsets of one interval.
    commit_duration: HistogramVec,
    /// `trustcard_commit_failures_total{task_name}`: commits that were not done and are tried again.
    commit_failures: IntCounterVec,
    /// `trustcard_transactions_total{task_name,outcome}`: transactions by how they ended: `committed`, `aborted` (and redone),
    /// `rebuilt` (the outcome or a late copy of the commit was uncertain, so the producer was made anew), `fenced`.
    transactions: IntCounterVec,
    /// `trustcard_kafka_client_*`.
    clients: ClientMetrics,
}

impl EngineMetrics {
    /// Registers all metrics.
    ///
    /// # Errors
    /// When the registry has metrics of these names already.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let stage = ["task_name"];
        let seconds = |name: &str, help: &str| {
            let opts = HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
            let vec = HistogramVec::new(opts, &stage)?;
            registry.register(Box::new(vec.clone()))?;
            prometheus::Result::Ok(vec)
        };
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let vec = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(vec.clone()))?;
            prometheus::Result::Ok(vec)
        };
        let labelled = |name: &str, help: &str, labels: &[&str]| {
            let vec = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(vec.clone()))?;
            prometheus::Result::Ok(vec)
        };
        let gauge = |name: &str, help: &str| labelled(name, help, &stage);
        Ok(Self {
            duration: seconds(
                "trustcard_task_duration_seconds",
                "Time the stage took for the batch a message was in",
            )?,
            tasks: counter(
                "trustcard_tasks_total",
                "Messages by how they left the stage",
                &["task_name", "status"],
            )?,
            queue_size: gauge(
                "trustcard_queue_size",
                "Records this instance has yet to settle",
            )?,
            reasons: counter(
                "trustcard_stage_reasons_total",
                "Messages skipped, retried and rejected, by reason",
                &["task_name", "outcome", "reason"],
            )?,
            dead_letters: counter(
                "trustcard_dead_letters_total",
                "Dead letters by code",
                &["task_name", "code"],
            )?,
            postponed: counter(
                "trustcard_retry_records_total",
                "Messages that went to a retry topic, by tier",
                &["task_name", "tier"],
            )?,
            halted: gauge(
                "trustcard_stage_halted",
                "1 while the stage stands still because too much of its input failed",
            )?,
            halt_reason: labelled(
                "trustcard_stage_halt_reason",
                "1 while the stage stands still for this reason",
                &["task_name", "reason"],
            )?,
            in_flight: gauge(
                "trustcard_in_flight_records",
                "Records read and not committed",
            )?,
            held_bytes: gauge(
                "trustcard_held_bytes",
                "Bytes of records read and not committed, and of their outputs",
            )?,
            paused: gauge("trustcard_paused", "1 while the partitions are paused")?,
            commit_duration: seconds(
                "trustcard_commit_duration_seconds",
                "Time to produce the outputs and commit the offsets of one interval",
            )?,
            commit_failures: counter(
                "trustcard_commit_failures_total",
                "Commits that were not done and are tried again",
                &["task_name"],
            )?,
            transactions: counter(
                "trustcard_transactions_total",
                "Transactions by how they ended",
                &["task_name", "outcome"],
            )?,
            clients: ClientMetrics::new(registry)?,
        })
    }

    /// Those of Kafka clients, for [`crate::Kafka::with_client_metrics`].
    #[must_use]
    pub const fn clients(&self) -> &ClientMetrics {
        &self.clients
    }

    /// Records that this instance of a stage has yet to settle, and those of them that it has read.
    #[must_use]
    pub fn backlog(&self, stage: &str) -> (i64, i64) {
        let of = |gauge: &IntGaugeVec| gauge.with_label_values(&[stage]).get();
        (of(&self.queue_size), of(&self.in_flight))
    }

    /// Records that this instance of a stage has settled since it began: forwarded, skipped, or given up as dead letters.
    #[must_use]
    pub fn settled(&self, stage: &str) -> u64 {
        let success = self.tasks.with_label_values(&[stage, "success"]).get();
        success + self.rejected(stage)
    }

    /// Dead letters of this instance of a stage since it began.
    #[must_use]
    pub fn rejected(&self, stage: &str) -> u64 {
        self.tasks.with_label_values(&[stage, "failure"]).get()
    }

    /// The metrics of one stage.
    pub(crate) fn stage(&self, name: &'static str) -> StageMetrics {
        let status = |status: &str| self.tasks.with_label_values(&[name, status]);
        let ended = |outcome: &str| self.transactions.with_label_values(&[name, outcome]);
        let queue_size = self.queue_size.with_label_values(&[name]);
        // There from the start, so that something can be asked of them before the first trouble.
        let usual = Reason::StoreUnavailable.code();
        self.reasons.with_label_values(&[name, "retry", usual]);
        self.dead_letters.with_label_values(&[name, usual]);
        for tier in 1..=topics::RETRY_TIERS {
            self.postponed.with_label_values(&[name, &tier.to_string()]);
        }
        StageMetrics {
            name,
            duration: self.duration.with_label_values(&[name]),
            success: status("success"),
            failure: status("failure"),
            retry: status("retry"),
            in_flight: self.in_flight.with_label_values(&[name]),
            held_bytes: self.held_bytes.with_label_values(&[name]),
            paused: self.paused.with_label_values(&[name]),
            commit_duration: self.commit_duration.with_label_values(&[name]),
            commit_failures: self.commit_failures.with_label_values(&[name]),
            transactions: TransactionMetrics {
                committed: ended("committed"),
                aborted: ended("aborted"),
                rebuilt: ended("rebuilt"),
                fenced: ended("fenced"),
            },
            postponed: self.postponed.clone(),
            halted: self.halted.with_label_values(&[name]),
            halt_reason: self.halt_reason.clone(),
            reasons: self.reasons.clone(),
            dead_letters: self.dead_letters.clone(),
            backlog: Arc::new(Backlog {
                gauge: queue_size,
                unread: AtomicI64::new(0),
                unsettled: AtomicI64::new(0),
            }),
        }
    }
}

/// The metrics of one stage, labels resolved.
#[derive(Debug, Clone)]
pub(crate) struct StageMetrics {
    name: &'static str,
    pub(crate) duration: Histogram,
    success: IntCounter,
    failure: IntCounter,
    retry: IntCounter,
    pub(crate) in_flight: IntGauge,
    pub(crate) held_bytes: IntGauge,
    pub(crate) paused: IntGauge,
    pub(crate) commit_duration: Histogram,
    pub(crate) commit_failures: IntCounter,
    pub(crate) transactions: TransactionMetrics,
    postponed: IntCounterVec,
    halted: IntGauge,
    halt_reason: IntGaugeVec,
    reasons: IntCounterVec,
    dead_letters: IntCounterVec,
    backlog: Arc<Backlog>,
}

/// How the transactions of a stage ended.
#[derive(Debug, Clone)]
pub(crate) struct TransactionMetrics {
    pub(crate) committed: IntCounter,
    pub(crate) aborted: IntCounter,
    pub(crate) rebuilt: IntCounter,
    pub(crate) fenced: IntCounter,
}

impl StageMetrics {
    pub(crate) fn forwarded(&self) {
        self.success.inc();
    }

    pub(crate) fn skipped(&self, reason: Reason) {
        self.success.inc();
        self.reason("skip", reason);
    }

    pub(crate) fn retried(&self, reason: Reason) {
        self.retry.inc();
        self.reason("retry", reason);
    }

    pub(crate) fn rejected(&self, reason: Reason) {
        self.failure.inc();
        self.reason("reject", reason);
    }

    pub(crate) fn dead_letter(&self, code: Reason) {
        self.dead_letters
            .with_label_values(&[self.name, code.code()])
            .inc();
    }

    pub(crate) fn postponed(&self, tier: usize) {
        self.postponed
            .with_label_values(&[self.name, &tier.to_string()])
            .inc();
    }

    /// The stage stands still for `reason`.
    pub(crate) fn halted(&self, reason: &str) {
        self.halted.set(1);
        let labels = [self.name, reason];
        self.halt_reason.with_label_values(&labels).set(1);
    }

    /// The stage, which stood still for `reason`, goes on.
    pub(crate) fn released(&self, reason: &str) {
        self.halted.set(0);
        // Not there means not told, which is as it should be.
        let _ = self.halt_reason.remove_label_values(&[self.name, reason]);
    }

    pub(crate) fn backlog(&self) -> &Backlog {
        &self.backlog
    }

    fn reason(&self, outcome: &str, reason: Reason) {
        self.reasons
            .with_label_values(&[self.name, outcome, reason.code()])
            .inc();
    }
}

/// The backlog of a stage, put together from what the poll thread and the runner know.
#[derive(Debug)]
pub(crate) struct Backlog {
    gauge: IntGauge,
    unread: AtomicI64,
    unsettled: AtomicI64,
}

impl Backlog {
    pub(crate) fn set_unread(&self, records: i64) {
        self.unread.store(records, Ordering::Relaxed);
        self.show();
    }

    /// So many of the unread records were read; exact again at the next [`Backlog::set_unread`].
    pub(crate) fn read(&self, records: usize) {
        let records = i64::try_from(records).unwrap_or(i64::MAX);
        let fewer = |unread: i64| Some(unread.saturating_sub(records).max(0));
        // Always succeeds, because the closure always returns a value.
        let _ = self
            .unread
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer);
        self.show();
    }

    pub(crate) fn set_unsettled(&self, records: i64) {
        self.unsettled.store(records, Ordering::Relaxed);
        self.show();
    }

    fn show(&self) {
        let (unread, unsettled) = (&self.unread, &self.unsettled);
        self.gauge
            .set(unread.load(Ordering::Relaxed) + unsettled.load(Ordering::Relaxed));
    }
}
