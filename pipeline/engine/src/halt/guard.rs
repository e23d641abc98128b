//! Whether a stage may work: asked before it begins and again all the time, because another instance may have halted it, and an
//! operator releases it.

use std::{pin::Pin, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::{Halt, HaltStore};

/// How often it is asked.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// What there is to know.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    /// Not asked yet: as good as halted.
    Unknown,
    /// It may work.
    Going,
    /// It stands still.
    Halted(Halt),
}

/// What came out of asking.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The stage may begin.
    Cleared,
    /// The stage must stand still.
    Halted(Halt),
    /// The stage, which was halted for this, may go on.
    Released(Halt),
}

enum Answer {
    /// The store was told of our halt.
    Told(Result<(), String>),
    /// What the store knows.
    Known(Result<Option<Halt>, String>),
}

/// Knows whether one stage may work.
pub(crate) struct Guard {
    stage: &'static str,
    store: Arc<dyn HaltStore>,
    standing: Standing,
    /// Halted here, and the store has not been told.
    untold: bool,
    /// The next question, or the wait before it.
    asking: Option<Pin<Box<dyn Future<Output = Answer> + Send>>>,
    next: Instant,
    /// That the store does not answer was logged.
    complained: bool,
}

impl Guard {
    pub(crate) fn new(stage: &'static str, store: Arc<dyn HaltStore>) -> Self {
        Self {
            stage,
            store,
            standing: Standing::Unknown,
            untold: false,
            asking: None,
            next: Instant::now(),
            complained: false,
        }
    }

    /// Whether the stage may work.
    pub(crate) fn going(&self) -> bool {
        self.standing == Standing::Going
    }

    /// Why the stage stands still, if it does.
    pub(crate) const fn halted(&self) -> Option<&Halt> {
        match &self.standing {
            Standing::Halted(halt) => Some(halt),
            Standing::Unknown | Standing::Going => None,
        }
    }

    /// The stage stands still from now on; others are told as soon as the store can be.
    pub(crate) fn halt(&mut self, halt: Halt) {
        self.standing = Standing::Halted(halt);
        self.untold = true;
        self.next = Instant::now();
        // An answer to what was asked before would know nothing of this.
        self.asking = None;
    }

    /// Waits until the stage must do otherwise than before. Nothing is lost when this is dropped half-way.
    pub(crate) async fn changed(&mut self) -> Change {
        loop {
            let asking = match self.asking.take() {
                Some(asking) => asking,
                None => self.ask(),
            };
            let answer = self.asking.insert(asking).await;
            self.asking = None;
            self.next = Instant::now() + ASK_AGAIN;
            if let Some(change) = self.take(answer) {
                return change;
            }
        }
    }

    /// Waits until it is time, then asks or tells.
    fn ask(&self) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
        let (store, stage, next) = (Arc::clone(&self.store), self.stage, self.next);
        let told = self.halted().filter(|_| self.untold).cloned();
        Box::pin(async move {
            sleep_until(next).await;
            match told {
                Some(halt) => Answer::Told(store.halt(stage, &halt).await),
                None => Answer::Known(store.halted(stage).await),
            }
        })
    }

    fn take(&mut self, answer: Answer) -> Option<Change> {
        let known = match answer {
            Answer::Told(Ok(())) => {
                self.untold = false;
                self.complained = false;
                return None;
            }
            Answer::Told(Err(detail)) | Answer::Known(Err(detail)) => {
                self.complain(&detail);
                return None;
            }
            Answer::Known(Ok(known)) => known,
        };
        self.complained = false;
        let standing = known.map_or(Standing::Going, Standing::Halted);
        let before = std::mem::replace(&mut self.standing, standing);
        match (before, &self.standing) {
            (Standing::Unknown, Standing::Going) => Some(Change::Cleared),
            (Standing::Halted(halt), Standing::Going) => Some(Change::Released(halt)),
            (Standing::Unknown | Standing::Going, Standing::Halted(halt)) => {
                Some(Change::Halted(halt.clone()))
            }
            _ => None,
        }
    }

    /// Says once that the store does not answer.
    fn complain(&mut self, detail: &str) {
        if std::mem::replace(&mut self.complained, true) {
            return;
        }
        let stage = self.stage;
        match self.standing {
            Standing::Unknown => tracing::warn!(
                stage,
                detail,
                "whether the stage was halted can't be asked; it begins once the store answers"
            ),
            Standing::Going => tracing::warn!(
                stage,
                detail,
                "whether another instance has halted the stage can't be asked; asked again"
            ),
            Standing::Halted(_) => tracing::warn!(
                stage,
                detail,
                "the stage stands still, and the store can't be asked or told; tried again"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use jiff::Timestamp;
    use tokio::time::timeout;

    use super::*;

    /// A store whose answers are set by the test; away while there is none.
    #[derive(Default)]
    struct Fake(Mutex<Option<Option<Halt>>>);

    impl Fake {
        fn set(&self, row: Option<Option<Halt>>) {
            *self.0.lock().unwrap() = row;
        }

        fn row(&self) -> Option<Option<Halt>> {
            self.0.lock().unwrap().clone()
        }
    }

    #[async_trait]
    impl HaltStore for Fake {
        async fn halt(&self, _: &str, halt: &Halt) -> Result<(), String> {
            let mut row = self.0.lock().unwrap();
            let row = row.as_mut().ok_or("away")?;
            *row = Some(halt.clone());
            Ok(())
        }

        async fn halted(&self, _: &str) -> Result<Option<Halt>, String> {
            self.row().ok_or_else(|| "away".to_owned())
        }
    }

    fn halt(reason: &str) -> Halt {
        Halt {
            reason: reason.to_owned(),
            at: Timestamp::UNIX_EPOCH,
        }
    }

    fn guard(row: Option<Option<Halt>>) -> (Arc<Fake>, Guard) {
        let store = Arc::new(Fake::default());
        store.set(row);
        (store.clone(), Guard::new("test", store))
    }

    /// The next change within a minute of the paused clock.
    async fn change(guard: &mut Guard) -> Option<Change> {
        let changed = timeout(Duration::from_secs(60), guard.changed());
        changed.await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_begins_before_the_store_has_answered() {
        let (store, mut guard) = guard(None);
        assert_eq!(change(&mut guard).await, None);
        assert!(!guard.going());
        store.set(Some(None));
        assert_eq!(change(&mut guard).await, Some(Change::Cleared));
        assert!(guard.going());
        assert_eq!(change(&mut guard).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_halt_of_an_earlier_process_holds_until_it_is_released() {
        let (store, mut guard) = guard(Some(Some(halt("old"))));
        assert_eq!(change(&mut guard).await, Some(Change::Halted(halt("old"))));
        assert!(!guard.going());
        assert_eq!(change(&mut guard).await, None);
        store.set(Some(None));
        let released = change(&mut guard).await;
        assert_eq!(released, Some(Change::Released(halt("old"))));
        assert!(guard.going());
    }

    #[tokio::test(start_paused = true)]
    async fn what_another_instance_did_is_noticed_within_seconds() {
        let (store, mut guard) = guard(Some(None));
        assert_eq!(change(&mut guard).await, Some(Change::Cleared));
        store.set(Some(Some(halt("other"))));
        let asked = Instant::now();
        let halted = change(&mut guard).await;
        assert_eq!(halted, Some(Change::Halted(halt("other"))));
        assert!(asked.elapsed() <= 2 * ASK_AGAIN);
    }

    #[tokio::test(start_paused = true)]
    async fn an_own_halt_outlives_a_store_that_is_away_and_one_that_knew_nothing_of_it() {
        let (store, mut guard) = guard(Some(None));
        assert_eq!(change(&mut guard).await, Some(Change::Cleared));
        // A question is under way, whose answer will know nothing of the halt.
        let stale: Option<Halt> = None;
        guard.asking = Some(Box::pin(async { Answer::Known(Ok(stale)) }));
        guard.halt(halt("own"));
        store.set(None);
        assert_eq!(change(&mut guard).await, None);
        assert_eq!(guard.halted(), Some(&halt("own")));
        store.set(Some(None));
        assert_eq!(change(&mut guard).await, None);
        assert_eq!(store.row(), Some(Some(halt("own"))), "told at last");
        assert!(!guard.going());
        store.set(Some(None));
        let released = change(&mut guard).await;
        assert_eq!(released, Some(Change::Released(halt("own"))));
    }
}
