//! Worker threads for decoding and inference, which must never run on the async runtime's own threads.
//!
//! A worker owns its state, so nothing is locked while it works: [`ort`'s sessions](ort::session::Session) hold a mutex
//! while they run, and one session shared by two threads would make one of them wait.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError, mpsc as blocking},
    thread,
};

use tokio::sync::{mpsc, oneshot};

use crate::error::{ComponentError, StartError};

type Job<S> = Box<dyn FnOnce(&mut S) + Send>;

/// A fixed number of threads, each with a state of its own, behind one bounded queue. Dropping the pool lets the threads
/// finish what is queued and end.
pub struct Pool<S> {
    jobs: mpsc::Sender<Job<S>>,
}

impl<S: 'static> Pool<S> {
    /// Starts `workers` threads (at least one) named `name`, makes the state of each on its own thread, and waits until all
    /// are ready. `queue` jobs (at least one) may wait.
    ///
    /// # Errors
    /// The first error of `make_state`, or [`StartError`] when a thread can't be started.
    pub fn start<E>(
        name: &str,
        workers: usize,
        queue: usize,
        make_state: impl Fn() -> Result<S, E> + Send + Sync + 'static,
    ) -> Result<Self, E>
    where
        E: From<StartError> + Send + 'static,
    {
        let (jobs, queued) = mpsc::channel::<Job<S>>(queue.max(1));
        let queued = Arc::new(Mutex::new(queued));
        let make_state = Arc::new(make_state);
        let mut ready = Vec::new();
        for _ in 0..workers.max(1) {
            let (report, reported) = blocking::channel();
            let (queued, make_state) = (Arc::clone(&queued), Arc::clone(&make_state));
            thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || match make_state() {
                    Ok(state) => {
                        drop(make_state);
                        if report.send(Ok(())).is_ok() {
                            work(state, &queued);
                        }
                    }
                    Err(error) => drop(report.send(Err(error))),
                })
                .map_err(|error| E::from(StartError::Thread(error)))?;
            ready.push(reported);
        }
        for reported in ready {
            // The sender is dropped without a word only when `make_state` panicked.
            reported
                .recv()
                .unwrap_or_else(|_| Err(E::from(StartError::WorkerPanicked)))?;
        }
        Ok(Self { jobs })
    }

    /// Runs `job` on the next free worker and waits for its answer. Waits first while the queue is full.
    ///
    /// # Errors
    /// [`ComponentError::WorkerPanicked`] when the job panicked; the worker goes on with the next one.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut S) -> T + Send + 'static,
    ) -> Result<T, ComponentError> {
        let (reply, answer) = oneshot::channel();
        let job: Job<S> = Box::new(move |state| {
            // Nobody waits any more: don't spend a worker on it.
            if !reply.is_closed() {
                let _ = reply.send(job(state));
            }
        });
        self.jobs
            .send(job)
            .await
            .map_err(|_| ComponentError::ShuttingDown)?;
        answer.await.map_err(|_| ComponentError::WorkerPanicked)
    }
}

fn work<S>(mut state: S, queued: &Mutex<mpsc::Receiver<Job<S>>>) {
    loop {
        // One idle worker waits in the queue, the others for its lock: each job wakes exactly one.
        let job = queued
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .blocking_recv();
        let Some(job) = job else { return };
        // A panic drops the reply, which is how the caller learns of it. The state is a session and buffers that are
        // overwritten by the next picture, so it is fit for use.
        if catch_unwind(AssertUnwindSafe(|| job(&mut state))).is_err() {
            tracing::error!("a picture broke its worker down");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn pool(workers: usize, queue: usize) -> Pool<usize> {
        Pool::start("test", workers, queue, || Ok::<_, StartError>(0)).unwrap()
    }

    #[tokio::test]
    async fn a_panic_fails_its_own_job_only() {
        let pool = pool(1, 4);
        let broken = pool.run(|_| -> usize { panic!("on purpose") }).await;
        assert_eq!(broken, Err(ComponentError::WorkerPanicked));
        assert_eq!(pool.run(|_| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn every_worker_has_a_state_of_its_own_and_works_at_once() {
        let pool = Arc::new(pool(2, 4));
        // Two jobs that each wait for the other end only if two threads run them.
        let barrier = Arc::new(std::sync::Barrier::new(2));
        let job = |barrier: Arc<std::sync::Barrier>| {
            move |state: &mut usize| {
                barrier.wait();
                *state += 1;
                *state
            }
        };
        let (a, b) = tokio::join!(
            pool.run(job(barrier.clone())),
            pool.run(job(barrier.clone()))
        );
        assert_eq!((a, b), (Ok(1), Ok(1)));
    }

    #[tokio::test]
    async fn the_queue_is_bounded_and_makes_callers_wait() {
        let pool = Arc::new(pool(1, 2));
        let (release, held) = std::sync::mpsc::channel::<()>();
        let (entered, running) = oneshot::channel();
        let first = tokio::spawn({
            let pool = pool.clone();
            async move {
                pool.run(move |_| {
                    let _ = entered.send(());
                    let _ = held.recv();
                })
                .await
            }
        });
        running.await.unwrap();
        // The worker is held: two jobs fill the queue, the third has no place.
        let fill = || Box::new(|_: &mut usize| {}) as Job<usize>;
        assert!(pool.jobs.try_send(fill()).is_ok());
        assert!(pool.jobs.try_send(fill()).is_ok());
        assert!(pool.jobs.try_send(fill()).is_err());
        release.send(()).unwrap();
        first.await.unwrap().unwrap();
        assert_eq!(pool.run(|_| 1).await, Ok(1));
    }

    #[tokio::test]
    async fn a_job_nobody_waits_for_is_not_run() {
        static RUN: AtomicUsize = AtomicUsize::new(0);
        let pool = Arc::new(pool(1, 4));
        let (release, held) = std::sync::mpsc::channel::<()>();
        let (entered, running) = oneshot::channel();
        let first = tokio::spawn({
            let pool = pool.clone();
            async move {
                pool.run(move |_| {
                    let _ = entered.send(());
                    let _ = held.recv();
                })
                .await
            }
        });
        running.await.unwrap();
        {
            let abandoned = pool.run(|_| RUN.fetch_add(1, Ordering::SeqCst));
            tokio::pin!(abandoned);
            // One poll queues it; then the caller goes away.
            assert!(
                tokio::time::timeout(std::time::Duration::ZERO, &mut abandoned)
                    .await
                    .is_err()
            );
        }
        release.send(()).unwrap();
        first.await.unwrap().unwrap();
        assert_eq!(pool.run(|_| 1).await, Ok(1));
        assert_eq!(RUN.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn an_error_or_a_panic_while_opening_is_told_to_the_starter() {
        let failed = Pool::<usize>::start("test", 2, 1, || Err(StartError::WorkerPanicked));
        assert!(matches!(failed, Err(StartError::WorkerPanicked)));
        let panicked = Pool::<usize>::start("test", 1, 1, || -> Result<_, StartError> {
            panic!("on purpose")
        });
        assert!(matches!(panicked, Err(StartError::WorkerPanicked)));
    }
}
