//! The thread of a transactional producer: one transaction after the other, and a new client when one can't go on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    time::Duration,
};

use rdkafka::ClientConfig;
use tokio::{sync::oneshot, time::Instant};

use super::{
    Committed, Job, Offsets, Outputs, Times, TransactionError,
    client::{Client, Failure, Init},
};
use crate::kafka::Kafka;

/// How often an idle client is served.
const IDLE: Duration = Duration::from_secs(1);
/// How long one turn of initialising waits for the broker; also how soon it notices that it is to end.
const INIT_TURN: Duration = Duration::from_secs(1);
/// How long to wait before another client is made, when the last one failed at once.
const REBUILD_WAIT: Duration = Duration::from_millis(500);

pub(super) struct Worker {
    kafka: Kafka,
    config: ClientConfig,
    id: String,
    times: Times,
    closing: Arc<AtomicBool>,
}

impl Worker {
    pub(super) const fn new(
        kafka: Kafka,
        config: ClientConfig,
        id: String,
        times: Times,
        closing: Arc<AtomicBool>,
    ) -> Self {
        Self {
            kafka,
            config,
            id,
            times,
            closing,
        }
    }

    pub(super) fn run(
        self,
        opened: oneshot::Sender<Result<(), TransactionError>>,
        jobs: &Receiver<Job>,
    ) {
        let mut client = match self.build() {
            Ok(client) => client,
            Err(error) => {
                let _ = opened.send(Err(error));
                return;
            }
        };
        let _ = opened.send(Ok(()));
        while !self.closing() {
            match jobs.recv_timeout(IDLE) {
                Ok(job) => {
                    let (next, result) = self.transact(client, job.outputs, job.offsets);
                    let _ = job.reply.send(result);
                    match next {
                        Some(next) => client = next,
                        None => return,
                    }
                }
                Err(RecvTimeoutError::Timeout) => client.serve(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Makes one transaction; the client to go on with, if any.
    fn transact(
        &self,
        client: Client,
        outputs: Outputs,
        offsets: Option<Offsets>,
    ) -> (Option<Client>, Result<Committed, TransactionError>) {
        let failure = match self.attempt(&client, outputs, offsets.as_ref()) {
            Ok(false) => return (Some(client), Ok(Committed { rebuilt: false })),
            Ok(true) => {
                // Committed for certain, but by which copy of the request? Another may arrive late, and must find an older
                // epoch than that of the next transaction.
                return match self.rebuild(client) {
                    Ok(client) => (Some(client), Ok(Committed { rebuilt: true })),
                    Err(_) => (None, Ok(Committed { rebuilt: true })),
                };
            }
            Err(Failure::Abort(detail)) => match client.abort(self.times.end) {
                Ok(()) => return (Some(client), Err(TransactionError::Aborted(detail))),
                Err(Failure::Fenced) => Failure::Fenced,
                Err(Failure::Unknown(why) | Failure::Abort(why)) => {
                    Failure::Unknown(format!("{detail}; and the abort failed: {why}"))
                }
            },
            Err(failure) => failure,
        };
        match failure {
            Failure::Fenced => (None, Err(TransactionError::Fenced)),
            Failure::Unknown(detail) | Failure::Abort(detail) => match self.rebuild(client) {
                Ok(client) => (Some(client), Err(TransactionError::Rebuilt(detail))),
                Err(error) => (None, Err(error)),
            },
        }
    }

    /// Whether the commit may have been sent twice.
    fn attempt(
        &self,
        client: &Client,
        outputs: Outputs,
        offsets: Option<&Offsets>,
    ) -> Result<bool, Failure> {
        let begun = Instant::now();
        client.begin()?;
        client.send(outputs, begun + self.times.outputs)?;
        if let Some(offsets) = offsets {
            client.offsets(offsets, begun + self.times.offsets)?;
        }
        client.commit(self.times.end)
    }

    /// A new client in place of `old`, which is gone before the new one begins.
    fn rebuild(&self, old: Client) -> Result<Client, TransactionError> {
        drop(old);
        self.build()
    }

    /// A client whose initialisation is over.
    fn build(&self) -> Result<Client, TransactionError> {
        let mut client = None;
        let mut failures = 0_u32;
        loop {
            if self.closing() {
                return Err(TransactionError::Closed);
            }
            let now = match client.take() {
                Some(client) => client,
                None => Client::new(&self.config, self.kafka.client_watch())
                    .map_err(TransactionError::Settings)?,
            };
            let detail = match now.init(INIT_TURN) {
                Ok(()) => return Ok(now),
                Err(Init::Again(detail)) => {
                    now.serve();
                    client = Some(now);
                    detail
                }
                Err(Init::Failed(detail)) => {
                    drop(now);
                    self.wait(REBUILD_WAIT);
                    detail
                }
            };
            failures = failures.saturating_add(1);
            // Once a minute or so: it waits for as long as it takes.
            if failures % 60 == 5 {
                tracing::warn!(
                    id = self.id,
                    detail,
                    "the transactional producer waits for the broker; check that it runs and \
                    allows this client to use the transactional id"
                );
            }
        }
    }

    /// Waits on a thread that may block.
    fn wait(&self, time: Duration) {
        let (_held, never) = channel::<()>();
        let _ = never.recv_timeout(time);
    }

    fn closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }
}
