//! The poll thread's loop.

use std::{
    collections::VecDeque,
    hash::RandomState,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
    message::Message as _,
};
use tokio::{
    runtime::Handle,
    sync::mpsc::{Sender, UnboundedSender, error::TrySendError},
    time::{Instant, timeout},
};

use super::{
    Batch, ConsumerError, Control, Fetched, Orders,
    complaints::Complaints,
    context::{Context, incremental},
    held::{Held, Pause},
    tenure::Tenure,
};
use crate::{ledger::TopicPartition, metrics::StageMetrics};

/// Most records handed over at once.
pub(super) const MAX_BATCH: usize = 500;
/// Most bytes of keys and values handed over at once (one record may be larger).
const MAX_BATCH_BYTES: usize = 1024 * 1024;
/// How long one turn waits for records; also how soon an order is obeyed.
const TURN: Duration = Duration::from_millis(50);
/// How long the runner may keep a batch waiting before the partitions are paused, which throws away what was prefetched.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long one turn may wait for committed offsets.
const POSITIONS_TIMEOUT: Duration = Duration::from_secs(1);

/// What connects the poll thread to the runner.
pub(super) struct Wires {
    pub(super) tenure: Arc<Tenure>,
    pub(super) control: UnboundedSender<Control>,
    pub(super) batches: Sender<Batch>,
    pub(super) orders: Arc<Orders>,
}

pub(super) struct Poll {
    consumer: Arc<BaseConsumer<Context>>,
    group: String,
    held: Held,
    wires: Wires,
    metrics: StageMetrics,
    epoch: u64,
    rewinding: bool,
    paused: bool,
    /// Batches the runner has not taken yet; more than one only when records came in while pausing.
    waiting: VecDeque<Batch>,
    complaints: Complaints,
    /// What keys are hashed with.
    keys: RandomState,
    /// Where records are put together.
    scratch: Vec<u8>,
}

impl Poll {
    pub(super) fn new(
        consumer: Arc<BaseConsumer<Context>>,
        group: String,
        held: Held,
        wires: Wires,
        metrics: StageMetrics,
    ) -> Self {
        Self {
            consumer,
            group,
            held,
            wires,
            metrics,
            epoch: 0,
            rewinding: false,
            paused: false,
            waiting: VecDeque::new(),
            complaints: Complaints::default(),
            keys: RandomState::new(),
            scratch: Vec::new(),
        }
    }

    /// Polls until told to close, or until the consumer fails for good. Leaves the group at the end.
    pub(super) fn run(mut self, runtime: &Handle) {
        while !self.wires.orders.close.load(Ordering::Relaxed) {
            if let Err(error) = self.turn(runtime) {
                let _ = self.wires.control.send(Control::Failed(error));
                break;
            }
        }
        self.metrics.paused.set(0);
        self.metrics.backlog().set_unread(0);
    }

    fn turn(&mut self, runtime: &Handle) -> Result<(), ConsumerError> {
        self.rewinding |= self.wires.orders.rewind.swap(false, Ordering::Relaxed);
        if self.rewinding {
            self.rewind()?;
        }
        self.assign()?;
        self.pause(self.wires.orders.hold.load(Ordering::Relaxed) || !self.waiting.is_empty())?;
        let batch = self.read()?;
        if !batch.records.is_empty() {
            self.metrics.backlog().read(batch.records.len());
            self.waiting.push_back(batch);
        }
        self.hand_over(runtime);
        Ok(())
    }

    /// Resolves the positions of a new assignment and begins to fetch: where the group has committed, or at the beginning
    /// where it never has. Tried again at the next turn when the broker does not answer.
    fn assign(&mut self) -> Result<(), ConsumerError> {
        let context = Arc::clone(self.consumer.context());
        let Some(list) = context.take_assignment() else {
            return Ok(());
        };
        let partitions = context.partitions(&list);
        let positions = if partitions.is_empty() {
            Some(list.clone())
        } else if self.wires.tenure.committing(&partitions) {
            None
        } else {
            self.positions(&list)
        };
        let Some(positions) = positions else {
            context.put_back(list);
            return Ok(());
        };
        let assigned = if incremental(&self.consumer) {
            self.consumer.incremental_assign(&positions)
        } else {
            self.consumer.assign(&positions)
        };
        assigned.map_err(fatal)?;
        self.begin(&partitions)?;
        let _ = self.wires.control.send(Control::Assigned {
            partitions,
            epoch: self.epoch,
        });
        Ok(())
    }

    /// Reads everything again from the committed offsets. Tried again at the next turn when the broker does not answer.
    fn rewind(&mut self) -> Result<(), ConsumerError> {
        let all = self.consumer.assignment().map_err(fatal)?;
        let partitions = self.consumer.context().partitions(&all);
        if !partitions.is_empty() {
            let Some(positions) = self.positions(&all) else {
                return Ok(());
            };
            let sought = self
                .consumer
                .seek_partitions(positions, POSITIONS_TIMEOUT)
                .and_then(|sought| sought.elements().iter().try_for_each(|e| e.error()));
            if let Err(error) = sought {
                tracing::warn!(%error, group = self.group, "partitions could not be set back yet");
                return Ok(());
            }
        }
        self.rewinding = false;
        self.waiting.clear();
        self.held.clear();
        self.begin(&partitions)?;
        let _ = self.wires.control.send(Control::Rewound {
            partitions,
            epoch: self.epoch,
        });
        Ok(())
    }

    /// A new epoch of these partitions, which flow as the others do.
    fn begin(&mut self, partitions: &[TopicPartition]) -> Result<(), ConsumerError> {
        self.epoch += 1;
        self.wires.tenure.begin(partitions, self.epoch);
        self.flow(partitions, !self.paused)
    }

    fn flow(&self, partitions: &[TopicPartition], flow: bool) -> Result<(), ConsumerError> {
        if partitions.is_empty() {
            return Ok(());
        }
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for at in partitions {
            list.add_partition(&at.topic, at.partition);
        }
        let changed = if flow {
            self.consumer.resume(&list)
        } else {
            self.consumer.pause(&list)
        };
        changed.map_err(fatal)
    }

    fn positions(&self, list: &TopicPartitionList) -> Option<TopicPartitionList> {
        let resolved = self
            .consumer
            .committed_offsets(list.clone(), POSITIONS_TIMEOUT)
            .and_then(|committed| {
                let partitions = self.consumer.context().partitions(&committed);
                for TopicPartition { topic, partition } in partitions {
                    let found = committed.find_partition(&topic, partition);
                    if let Some(mut found) = found {
                        found.error()?;
                        if !matches!(found.offset(), Offset::Offset(_)) {
                            found.set_offset(Offset::Beginning)?;
                        }
                    }
                }
                Ok(committed)
            });
        resolved
            .inspect_err(|error| tracing::warn!(%error, group = self.group, "committed offsets"))
            .ok()
    }

    fn pause(&mut self, pause: bool) -> Result<(), ConsumerError> {
        if pause == self.paused {
            return Ok(());
        }
        let all = self.consumer.assignment().map_err(fatal)?;
        let mut partitions = self.consumer.context().partitions(&all);
        if !pause {
            partitions.retain(|at| !self.held.holds(at));
        }
        self.flow(&partitions, !pause)?;
        self.paused = pause;
        self.metrics.paused.set(i64::from(pause));
        Ok(())
    }

    /// One turn's worth of records; empty when none came.
    fn read(&mut self) -> Result<Batch, ConsumerError> {
        let mut batch = Batch {
            epoch: self.epoch,
            records: self.due()?,
        };
        // A batch that waits for the runner must not wait for the broker too.
        let mut wait = if self.waiting.is_empty() && batch.records.is_empty() {
            TURN
        } else {
            Duration::ZERO
        };
        let mut bytes = 0;
        let consumer = Arc::clone(&self.consumer);
        while batch.records.len() < MAX_BATCH && bytes < MAX_BATCH_BYTES {
            match consumer.poll(wait) {
                None => break,
                Some(Ok(message)) => {
                    let Some(topic) = consumer.context().topic(message.topic()) else {
                        continue;
                    };
                    let at = TopicPartition::new(topic, message.partition());
                    bytes += message.payload_len() + message.key_len();
                    match self.held.admit(Fetched::detach(
                        at,
                        &message,
                        &self.keys,
                        &mut self.scratch,
                    )) {
                        Ok(record) => batch.records.push(record),
                        Err(Pause::Now(at)) => self.flow(&[at], false)?,
                        Err(Pause::Already) => {}
                    }
                }
                Some(Err(error)) => self.judge(error)?,
            }
            wait = Duration::ZERO;
        }
        Ok(batch)
    }

    /// What was held back and is due; its partitions flow again.
    fn due(&mut self) -> Result<Vec<Fetched>, ConsumerError> {
        if self.held.next_due().is_none_or(|due| due > Instant::now()) {
            return Ok(Vec::new());
        }
        let (records, free) = self.held.due();
        if !self.paused {
            self.flow(&free, true)?;
        }
        Ok(records)
    }

    /// Most errors pass by themselves and were logged by the client's context; some wait for an operator, some are the end.
    fn judge(&mut self, error: KafkaError) -> Result<(), ConsumerError> {
        match error {
            KafkaError::MessageConsumption(
                RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange,
            ) => Err(ConsumerError::OffsetOutOfRange {
                group: self.group.clone(),
                topic: self.consumer.context().input().to_owned(),
            }),
            KafkaError::MessageConsumptionFatal(RDKafkaErrorCode::FencedInstanceId) => {
                Err(ConsumerError::Fenced)
            }
            KafkaError::MessageConsumptionFatal(code) => {
                Err(ConsumerError::Fatal(code.to_string()))
            }
            KafkaError::MessageConsumption(code) => {
                if let Some(advice) = self.complaints.advice(code) {
                    tracing::warn!(%code, topic = self.consumer.context().input(), group = self.group, advice, "nothing can be read");
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn hand_over(&mut self, runtime: &Handle) {
        while let Some(batch) = self.waiting.pop_front() {
            let Err(TrySendError::Full(batch)) = self.wires.batches.try_send(batch) else {
                continue;
            };
            // Already paused: look after the broker every turn. Otherwise there is time before pausing is worth it.
            let wait = if self.paused { TURN } else { PATIENCE };
            let room =
                runtime.block_on(async { timeout(wait, self.wires.batches.reserve()).await });
            match room {
                Ok(Ok(room)) => room.send(batch),
                Ok(Err(_)) => {}
                Err(_) => {
                    self.waiting.push_front(batch);
                    return;
                }
            }
        }
    }
}

fn fatal(error: KafkaError) -> ConsumerError {
    ConsumerError::Fatal(error.to_string())
}
