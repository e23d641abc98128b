//! The threads that read: each has a connection of its own, and they share one queue.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::schema;
use crate::{Result, StoreError, StoreMetrics};

/// Readers. Reads here are short and mostly served from memory; more threads than this gain nothing on one file.
pub(super) const THREADS: usize = 4;
/// Reads that may wait; more callers wait for a place.
const QUEUE: usize = 256;

type Job = Box<dyn FnOnce(&Connection) + Send>;

#[derive(Debug)]
pub(super) struct Readers {
    jobs: mpsc::Sender<Job>,
    metrics: StoreMetrics,
}

impl Readers {
    pub(super) fn start(path: &Path, metrics: &StoreMetrics) -> Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>(QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..THREADS {
            let mut connection = schema::open_read_only(path)?;
            super::measure(&mut connection, metrics)?;
            let queue = Arc::clone(&queue);
            std::thread::Builder::new()
                .name(format!("store-reader-{number}"))
                .spawn(move || {
                    while let Some(job) = next(&queue) {
                        job(&connection);
                    }
                })
                .map_err(|error| {
                    StoreError::Unavailable(format!("no thread to read on: {error}"))
                })?;
        }
        Ok(Self {
            jobs,
            metrics: metrics.clone(),
        })
    }

    /// Runs `work` on a reader's connection, in a transaction: all it reads belongs together.
    pub(super) async fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        self.metrics.counted(self.ask(work).await)
    }

    async fn ask<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let snapshot = connection.unchecked_transaction();
            let value = snapshot
                .map_err(StoreError::from)
                .and_then(|snapshot| work(&snapshot));
            // A caller that has gone away does not need to know.
            let _ = reply.send(value);
        });
        let stopped = || StoreError::Unavailable("the reader threads have stopped".to_owned());
        self.jobs.send(job).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

/// The next job; `None` when there will be no more. Idle readers wait for the lock, the one that has it for the queue.
fn next(queue: &Mutex<mpsc::Receiver<Job>>) -> Option<Job> {
    queue.lock().ok()?.blocking_recv()
}
