//! Runs a stage: reads its topic, hands it batches, and brings what it decides to the broker.
//!
//! One task owns all state and waits for whatever comes first: records, a finished batch, a finished commit, a rebalance, a
//! gate, a deadline. Batches and commits are tasks of their own, so none of them holds up another.

use std::{sync::Arc, time::Duration};

use schemas::topics;
use tokio::time::{Instant, sleep_until};

use crate::{
    at_least_once::AtLeastOnce,
    clock::SharedClock,
    consumer::{Consumer, ConsumerError, Control, Membership, Source},
    delivery::{Delivery, Guarantee},
    halt::{Change, Forgetful, Guard, Halt},
    kafka::Kafka,
    lifecycle::{ReadyPart, Shutdown},
    metrics::{EngineMetrics, StageMetrics},
    stage::Stage,
    transactional::{TransactionError, Transactional},
};

mod commit;
mod config;
mod job;
mod queue;
mod settle;
mod trace;
mod work;

use commit::Commits;
pub use config::RunnerConfig;
use settle::Desk;

/// The runner can't go on. What was not committed will be redone by whoever gets the partitions.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// The configuration makes no sense.
    #[error("runner configuration: {0}")]
    Config(&'static str),
    /// The consumer can't be made or has failed for good.
    #[error(transparent)]
    Consumer(ConsumerError),
    /// Another instance runs under the same name and has taken over; this one must write nothing more.
    #[error("fenced: another instance has the same name; give each instance a name of its own")]
    Fenced,
    /// The producer can't be made.
    #[error("the producer can't be made, check the Kafka settings: {0}")]
    Producer(String),
    /// A task of the runner itself has panicked.
    #[error("a task of the runner has ended unexpectedly: {0}")]
    Task(#[from] tokio::task::JoinError),
}

impl From<ConsumerError> for RunnerError {
    fn from(error: ConsumerError) -> Self {
        match error {
            ConsumerError::Fenced => Self::Fenced,
            error => Self::Consumer(error),
        }
    }
}

/// Runs one stage as one member of its group, `trustcard.` and its name.
pub struct Runner<S: Stage> {
    stage: Arc<S>,
    kafka: Kafka,
    config: RunnerConfig,
    metrics: StageMetrics,
    clock: SharedClock,
    ready: ReadyPart,
}

impl<S: Stage> Runner<S> {
    /// A runner; nothing happens before [`Runner::run`]. `ready` becomes ready once the group has assigned partitions.
    pub fn new(
        stage: Arc<S>,
        kafka: &Kafka,
        config: RunnerConfig,
        metrics: &EngineMetrics,
        clock: SharedClock,
        ready: ReadyPart,
    ) -> Self {
        Self {
            metrics: metrics.stage(stage.name()),
            stage,
            kafka: kafka.clone(),
            config,
            clock,
            ready,
        }
    }

    /// The stage's input, and its retry topics.
    fn sources(&self) -> Vec<Source> {
        let input = Source {
            topic: self.stage.input().into(),
            delay: None,
        };
        let delays = self.config.retry_topics_ms.iter().zip(1..);
        let retries = delays.map(|(delay, tier)| Source {
            topic: topics::retry(self.stage.name(), tier).into(),
            delay: Some(Duration::from_millis(*delay)),
        });
        std::iter::once(input).chain(retries).collect()
    }

    /// Runs until shutdown begins: then takes nothing more, lets batches under way end within the drain time, commits, and
    /// leaves the group. Dropped, it leaves the group without a last commit.
    ///
    /// # Errors
    /// When the configuration is wrong or the consumer has failed for good; a broker out of reach is waited for.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), RunnerError> {
        if let Some(problem) = self.config.problems().into_iter().next() {
            return Err(RunnerError::Config(problem));
        }
        let name = self.stage.name();
        let exactly_once =
            self.config.delivery == Guarantee::ExactlyOnce && self.kafka.meter().is_none();
        let producer = if exactly_once {
            let timeout = Duration::from_millis(self.config.transaction_timeout_ms);
            tokio::select! {
                opened = Transactional::open(&self.kafka, name, timeout) => Some(opened.map_err(producer_error)?),
                () = shutdown.wait() => return Ok(()),
            }
        } else {
            None
        };
        let drain = self.config.drain();
        let group = topics::group(name);
        let membership = Membership {
            client_id: name,
            group: group.clone(),
            sources: self.sources(),
            drain,
            clock: SharedClock::clone(&self.clock),
        };
        let consumer = Consumer::join(&self.kafka, membership, self.metrics.clone())?;
        let offsets = consumer.offsets();
        let delivery: Box<dyn Delivery> = match producer {
            Some(producer) => {
                let metrics = self.metrics.clone();
                let member = Arc::new(offsets);
                Box::new(Transactional::new(
                    producer,
                    &self.kafka,
                    name,
                    member,
                    metrics,
                ))
            }
            None => Box::new(
                AtLeastOnce::new(&self.kafka, name, offsets)
                    .map_err(|error| RunnerError::Producer(error.to_string()))?,
            ),
        };
        let meter = self.kafka.meter().cloned();
        let metrics = self.metrics.clone();
        let halts = self.kafka.halts().cloned();
        let desk_clock = SharedClock::clone(&self.clock);
        let mut running = Running {
            gate: self.stage.gate(),
            guard: Guard::new(name, halts.unwrap_or_else(Forgetful::shared)),
            desk: Desk::new(self.stage, self.config.clone(), desk_clock, metrics.clone()),
            commits: Commits::new(delivery, group, consumer.tenure(), meter, metrics),
            config: self.config,
            metrics: self.metrics,
            consumer,
            clock: self.clock,
            ready: self.ready,
            assigned: false,
            stop_by: None,
            rewind: Rewind::No,
        };
        let ended = running.go(&shutdown).await;
        if let Err(error) = &ended {
            running.ready.not_ready(&error.to_string());
        }
        // A broker out of reach must not keep the process; the group notices at the end of the session.
        let _ = tokio::time::timeout(drain, running.consumer.leave()).await;
        ended
    }
}

fn producer_error(error: TransactionError) -> RunnerError {
    match error {
        TransactionError::Fenced => RunnerError::Fenced,
        TransactionError::Settings(error) => RunnerError::Producer(error.to_string()),
        other => RunnerError::Producer(other.to_string()),
    }
}

/// Whether everything has to be read again from the committed offsets. Until that is so nothing is committed: what is read
/// meanwhile would be committed twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rewind {
    No,
    /// The consumer is to be told then.
    At(Instant),
    /// The consumer was told.
    UnderWay,
}

struct Running<S: Stage> {
    config: RunnerConfig,
    metrics: StageMetrics,
    consumer: Consumer,
    desk: Desk<S>,
    commits: Commits,
    gate: crate::gate::GateWatch,
    guard: Guard,
    clock: SharedClock,
    ready: ReadyPart,
    /// The group has assigned partitions.
    assigned: bool,
    /// Shutdown has begun: when to give up waiting.
    stop_by: Option<Instant>,
    rewind: Rewind,
}

impl<S: Stage> Running<S> {
    async fn go(&mut self, shutdown: &Shutdown) -> Result<(), RunnerError> {
        loop {
            let going = self.guard.going();
            if self.stop_by.is_none() && going {
                self.desk.dispatch();
            }
            self.commit();
            self.observe();
            if self.stopped() {
                return Ok(());
            }
            let stopping = self.stop_by.is_some();
            let take = !stopping && going && self.desk.hungry() && self.has_room();
            self.consumer.hold(stopping || !going || self.desk.hold());
            let wake = self.wake();
            tokio::select! {
                biased;
                control = self.consumer.control.recv() => self.control(control)?,
                Some(finished) = self.desk.running.join_next(), if !self.desk.running.is_empty() => {
                    self.desk.finished(finished?);
                    while let Some(finished) = self.desk.running.try_join_next() {
                        self.desk.finished(finished?);
                    }
                    self.heed_limits();
                }
                ended = self.commits.ended() => {
                    if let Some(at) = self.commits.end(ended?, &self.config)? {
                        self.forget();
                        self.rewind = Rewind::At(at);
                    }
                }
                change = self.guard.changed() => self.changed(change),
                () = shutdown.wait(), if !stopping => {
                    self.stop_by = Some(Instant::now() + self.config.drain());
                    self.commits.hurry = true;
                }
                () = self.gate.changed() => {}
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
                Some(batch) = self.consumer.batches.recv(), if take => {
                    // Told before these records were read, so that they meet their assignment.
                    while let Ok(control) = self.consumer.control.try_recv() {
                        self.control(Some(control))?;
                    }
                    self.desk.read(batch);
                }
            }
        }
    }

    /// Begins a commit if one is due, or tells the consumer to read again.
    fn commit(&mut self) {
        match self.rewind {
            Rewind::No => return self.commits.start(&mut self.desk.ledger, &self.config),
            Rewind::At(at) if at <= Instant::now() => {
                self.consumer.rewind();
                self.rewind = Rewind::UnderWay;
            }
            Rewind::At(_) | Rewind::UnderWay => {}
        }
        self.commits.nothing_to_wait_for();
    }

    /// Drops everything that was read and is not committed, and so whatever will come of it.
    fn forget(&mut self) {
        let all: Vec<_> = self.desk.ledger.partitions().cloned().collect();
        self.desk.gone(&all);
    }

    /// Stands still when too many messages became dead letters.
    fn heed_limits(&mut self) {
        let Some(reason) = self.desk.passed_limit() else {
            return;
        };
        let at = self.clock.now();
        let halt = Halt { reason, at };
        self.guard.halt(halt.clone());
        self.stand_still(&halt);
    }

    /// Stands still for a halt: nothing is taken, worked on or committed. What was not committed is as if never done; it is
    /// read again, and waits there.
    fn stand_still(&mut self, halt: &Halt) {
        let stage = self.desk.stage();
        tracing::error!(
            stage,
            reason = halt.reason,
            since = %halt.at,
            "the stage stands still, because too much of its input failed; mend it, then run `trustcard dlq release {stage}`"
        );
        self.metrics.halted(&halt.reason);
        let why = format!("halted since {}: {}", halt.at, halt.reason);
        self.ready.not_ready(&why);
        self.forget();
        if self.rewind != Rewind::UnderWay {
            self.rewind = Rewind::At(Instant::now());
        }
    }

    fn changed(&mut self, change: Change) {
        match change {
            Change::Cleared => {}
            Change::Halted(halt) => return self.stand_still(&halt),
            Change::Released(halt) => {
                let stage = self.desk.stage();
                tracing::info!(stage, reason = halt.reason, "released; the stage goes on");
                self.metrics.released(&halt.reason);
            }
        }
        self.be_ready();
    }

    /// Says that the stage works, if it does.
    fn be_ready(&self) {
        if self.assigned && self.guard.going() {
            self.ready.ready();
        }
    }

    fn control(&mut self, control: Option<Control>) -> Result<(), RunnerError> {
        match control {
            Some(Control::Assigned { partitions, epoch }) => {
                let count = partitions.len();
                tracing::info!(
                    group = self.commits.group(),
                    partitions = count,
                    "partitions assigned"
                );
                self.desk.assigned(partitions, epoch);
                self.assigned = true;
                self.be_ready();
            }
            Some(Control::Rewound { partitions, epoch }) => {
                self.forget();
                self.desk.assigned(partitions, epoch);
                self.rewind = Rewind::No;
            }
            Some(Control::Revoking { done }) => self.commits.revoke(done),
            Some(Control::Gone { partitions }) => self.desk.gone(&partitions),
            Some(Control::Failed(error)) => return Err(error.into()),
            None => return Err(ConsumerError::Ended.into()),
        }
        Ok(())
    }

    /// Whether records may be taken from the poll thread. When not, it pauses its partitions before long.
    fn has_room(&self) -> bool {
        let (records, bytes) = self.held();
        records < self.config.max_in_flight_records && bytes < self.config.max_in_flight_bytes
    }

    /// Records, and bytes of them and their outputs, that are read and not committed.
    fn held(&self) -> (usize, usize) {
        let (records, bytes) = self.commits.outside();
        let ledger = &self.desk.ledger;
        (records + ledger.records(), bytes + ledger.bytes())
    }

    fn observe(&self) {
        let (records, bytes) = self.held();
        let records = i64::try_from(records).unwrap_or(i64::MAX);
        self.metrics.in_flight.set(records);
        self.metrics
            .held_bytes
            .set(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.metrics.backlog().set_unsettled(records);
    }

    /// When something is due although nothing happens.
    fn wake(&self) -> Option<Instant> {
        let now = Instant::now();
        let commit = match self.rewind {
            Rewind::No => self.commits.due(&self.desk.ledger, &self.config, now),
            Rewind::At(_) | Rewind::UnderWay => None,
        };
        let retry = match self.stop_by {
            None => self.desk.next_due(),
            Some(_) => self.stop_by,
        };
        let rewind = match self.rewind {
            Rewind::At(at) => Some(at),
            Rewind::No | Rewind::UnderWay => None,
        };
        commit.into_iter().chain(retry).chain(rewind).min()
    }

    /// Whether shutdown has nothing left to wait for.
    fn stopped(&self) -> bool {
        let Some(stop_by) = self.stop_by else {
            return false;
        };
        if self.desk.running.is_empty() && self.commits.at_rest(&self.desk.ledger) {
            return true;
        }
        let late = Instant::now() >= stop_by;
        if late {
            tracing::warn!(
                group = self.commits.group(),
                batches = self.desk.running.len(),
                "drain time is over; what was not committed will be redone"
            );
        }
        late
    }
}
