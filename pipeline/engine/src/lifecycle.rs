//! How a process ends: readiness falls first, then every part drains within a deadline; a second signal ends at once.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Exit code of a process that a second signal ended.
pub const EXIT_SECOND_SIGNAL: i32 = 130;
/// Exit code of a process that did not drain within its deadline.
pub const EXIT_DRAIN_DEADLINE: i32 = 75;

/// Says when to stop. Clones are one and the same.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// A process that has just begun.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everything to drain and end.
    pub fn begin(&self) {
        self.0.cancel();
    }

    /// Whether it has begun.
    #[must_use]
    pub fn begun(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until it begins.
    pub async fn wait(&self) {
        self.0.cancelled().await;
    }

    /// Begins on SIGTERM or SIGINT: readiness falls at once, so that callers are sent elsewhere, and after `grace` everything
    /// drains. The process ends at once on a second signal, and when it has not ended by itself within `deadline`.
    ///
    /// # Errors
    /// When the handlers can't be installed.
    pub fn begin_on_signal(
        &self,
        readiness: Readiness,
        grace: Duration,
        deadline: Duration,
    ) -> std::io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = self.clone();
        tokio::spawn(async move {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            tracing::info!(deadline_s = deadline.as_secs(), "draining");
            readiness.fall();
            let drain = async {
                tokio::time::sleep(grace).await;
                shutdown.begin();
                tokio::time::sleep(deadline).await;
            };
            let code = tokio::select! {
                _ = terminate.recv() => EXIT_SECOND_SIGNAL,
                _ = interrupt.recv() => EXIT_SECOND_SIGNAL,
                () = drain => EXIT_DRAIN_DEADLINE,
            };
            tracing::error!(
                code,
                "ended before everything was drained; what was not committed will be redone"
            );
            crate::telemetry::file::close();
            std::process::exit(code);
        });
        Ok(())
    }
}

/// Whether this process should get traffic: every part has said so, and shutdown has not begun. Clones are one and the same.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<Parts>>);

#[derive(Debug, Default)]
struct Parts {
    fallen: bool,
    not_ready: BTreeMap<String, String>,
}

impl Parts {
    fn missing(&self) -> BTreeMap<String, String> {
        let mut missing = self.not_ready.clone();
        if self.fallen {
            missing.insert("process".to_owned(), "shutting down".to_owned());
        }
        missing
    }
}

impl Readiness {
    /// A process without parts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A part that is not ready yet, because of `reason`.
    #[must_use]
    pub fn part(&self, name: &str, reason: &str) -> ReadyPart {
        let part = ReadyPart {
            readiness: self.clone(),
            name: name.to_owned(),
        };
        part.not_ready(reason);
        part
    }

    /// Why the process is not ready, by part; empty when it is.
    #[must_use]
    pub fn missing(&self) -> BTreeMap<String, String> {
        self.lock().missing()
    }

    /// Falls for good: shutdown has begun.
    pub fn fall(&self) {
        self.change(|parts| parts.fallen = true);
    }

    /// Changes parts, and logs a change of which of them are missing.
    fn change(&self, change: impl FnOnce(&mut Parts)) {
        match self.changed(change) {
            None => {}
            Some(missing) if missing.is_empty() => tracing::info!("ready"),
            Some(missing) => tracing::info!(waiting_for = ?missing, "not ready"),
        }
    }

    /// Changes parts; which of them are missing now, with the reasons, when those are others than before.
    fn changed(&self, change: impl FnOnce(&mut Parts)) -> Option<BTreeMap<String, String>> {
        let mut parts = self.lock();
        let before = parts.missing();
        change(&mut parts);
        let after = parts.missing();
        (!before.keys().eq(after.keys())).then_some(after)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Parts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One part's say in the readiness of its process.
#[derive(Debug)]
pub struct ReadyPart {
    readiness: Readiness,
    name: String,
}

impl ReadyPart {
    /// This part can work.
    pub fn ready(&self) {
        self.readiness.change(|parts| {
            parts.not_ready.remove(&self.name);
        });
    }

    /// This part can't work, because of `reason`.
    pub fn not_ready(&self, reason: &str) {
        self.readiness.change(|parts| {
            parts.not_ready.insert(self.name.clone(), reason.to_owned());
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ready_once_every_part_is_and_never_again_after_shutdown_began() {
        let readiness = Readiness::new();
        let (broker, store) = (
            readiness.part("broker", "connecting"),
            readiness.part("store", "opening"),
        );
        broker.ready();
        assert_eq!(
            readiness.missing().into_keys().collect::<Vec<_>>(),
            ["store"]
        );
        store.ready();
        assert!(readiness.missing().is_empty());
        readiness.fall();
        assert_eq!(readiness.missing()["process"], "shutting down");
    }

    #[test]
    fn a_change_of_readiness_is_told_once_with_its_reasons() {
        let readiness = Readiness::new();
        let set = |reason: &str| {
            let reason = reason.to_owned();
            readiness.changed(|parts| {
                parts.not_ready.insert("broker".to_owned(), reason);
            })
        };
        let clear = || readiness.changed(|parts| parts.not_ready.clear());
        assert_eq!(set("connecting").unwrap()["broker"], "connecting");
        assert_eq!(set("still connecting"), None);
        assert_eq!(clear(), Some(BTreeMap::new()));
        assert_eq!(clear(), None);
        let fall = || readiness.changed(|parts| parts.fallen = true);
        assert_eq!(fall().unwrap()["process"], "shutting down");
        assert_eq!(fall(), None);
    }
}
