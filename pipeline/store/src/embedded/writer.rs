//! The one thread that writes. It takes what waits, runs each job in a savepoint of its own, commits them together and only
//! then answers: one disk flush for many callers, and a job that fails takes nothing with it.

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::{Result, StoreError, StoreMetrics};

/// Jobs that may wait; more callers wait for a place.
const QUEUE: usize = 1024;
/// Jobs in one transaction, so that the first of them does not wait for long.
const GROUP: usize = 256;

/// What became of the commit; an error voids the whole group.
type Commit = std::result::Result<(), String>;
type Answer = Box<dyn FnOnce(&Commit) + Send>;

/// What a job left: whether its writes stand, and how to tell its caller once it is known whether the commit does.
struct Done {
    failed: bool,
    answer: Answer,
}

/// Gets the connection, or why it can't be written to.
type Job = Box<dyn FnOnce(rusqlite::Result<&Connection>) -> Done + Send>;

#[derive(Debug)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
    metrics: StoreMetrics,
}

impl Writer {
    pub(super) fn start(mut connection: Connection, metrics: &StoreMetrics) -> Result<Self> {
        super::measure(&mut connection, metrics)?;
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                while let Some(first) = queue.blocking_recv() {
                    commit_group(&connection, first, &mut queue);
                }
            })
            .map_err(|error| StoreError::Unavailable(format!("no thread to write on: {error}")))?;
        Ok(Self {
            jobs,
            metrics: metrics.clone(),
        })
    }

    /// Runs `work` on the writer's connection and gives its value once that is on disk. On an error of `work`, or of the
    /// commit, nothing of it stands.
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
            let value = connection.map_err(StoreError::from).and_then(work);
            Done {
                failed: value.is_err(),
                answer: Box::new(move |commit| {
                    let outcome = value.and_then(|value| match commit {
                        Ok(()) => Ok(value),
                        Err(reason) => Err(StoreError::Unavailable(reason.clone())),
                    });
                    // A caller that has gone away does not need to know.
                    let _ = reply.send(outcome);
                }),
            }
        });
        let stopped = || StoreError::Unavailable("the writer thread has stopped".to_owned());
        self.jobs.send(job).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

fn commit_group(connection: &Connection, first: Job, queue: &mut mpsc::Receiver<Job>) {
    let mut answers = Vec::new();
    let outcome = run_group(connection, first, queue, &mut answers);
    if outcome.is_err() && !connection.is_autocommit() {
        // Nothing more can be done if this fails: the next BEGIN will say so to its callers.
        let _ = execute(connection, "ROLLBACK");
    }
    for answer in answers {
        answer(&outcome);
    }
}

/// Puts the answers of all jobs it has taken into `answers`, whatever it returns.
fn run_group(
    connection: &Connection,
    first: Job,
    queue: &mut mpsc::Receiver<Job>,
    answers: &mut Vec<Answer>,
) -> Commit {
    let text = |error: rusqlite::Error| error.to_string();
    if let Err(error) = execute(connection, "BEGIN IMMEDIATE") {
        let reason = error.to_string();
        answers.push(first(Err(error)).answer);
        return Err(reason);
    }
    let mut next = Some(first);
    while let Some(job) = next {
        if let Err(error) = execute(connection, "SAVEPOINT job") {
            let reason = error.to_string();
            answers.push(job(Err(error)).answer);
            return Err(reason);
        }
        let done = job(Ok(connection));
        answers.push(done.answer);
        if done.failed && !connection.is_autocommit() {
            execute(connection, "ROLLBACK TO job").map_err(text)?;
        }
        // When the disk is full SQLite may have rolled back everything by itself; then this fails, and with it the group.
        execute(connection, "RELEASE job").map_err(text)?;
        next = (answers.len() < GROUP)
            .then(|| queue.try_recv().ok())
            .flatten();
    }
    execute(connection, "COMMIT").map_err(text)
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(|_| ())
}
