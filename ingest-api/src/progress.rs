//! Batches and analyses that are listened to. However many listen to one, it is looked at once in an interval, and at most
//! [`LOOKS`] of a kind at once: with many of them the interval grows. A listener holds the newest state and nothing more, so that a
//! slow one misses states in between and costs no memory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use engine::{SharedClock, lifecycle::Shutdown};
use prometheus::{IntGauge, IntGaugeVec, Opts, Registry};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::MissedTickBehavior,
};
use uuid::Uuid;

mod config;
mod subject;

pub use config::EventsConfig;
pub use subject::{Source, Subject};

/// Subjects of a kind that are looked at at once.
const LOOKS: usize = 8;

/// What all listeners of a replica share, whatever they listen to. Clones are one and the same.
#[derive(Clone)]
pub struct Places {
    config: Arc<EventsConfig>,
    free: Arc<Semaphore>,
    ending: Shutdown,
    listeners: IntGaugeVec,
}

impl Places {
    /// All are free. Their metric is `trustcard_event_listeners`.
    ///
    /// # Errors
    /// When the metric's name is taken.
    pub fn new(config: &EventsConfig, registry: &Registry) -> prometheus::Result<Self> {
        let listeners = IntGaugeVec::new(
            Opts::new(
                "trustcard_event_listeners",
                "Streams of events that are open, by what they tell of.",
            ),
            &["subject"],
        )?;
        registry.register(Box::new(listeners.clone()))?;
        Ok(Self {
            free: Arc::new(Semaphore::new(config.max_listeners)),
            config: Arc::new(config.clone()),
            ending: Shutdown::new(),
            listeners,
        })
    }

    /// Settings.
    #[must_use]
    pub fn config(&self) -> &EventsConfig {
        &self.config
    }

    /// Ends all streams.
    pub fn end(&self) {
        self.ending.begin();
    }

    fn take(&self, kind: &str) -> Option<Place> {
        let permit = Arc::clone(&self.free).try_acquire_owned().ok()?;
        let listeners = self.listeners.with_label_values(&[kind]);
        listeners.inc();
        Some(Place {
            listeners,
            _permit: permit,
        })
    }
}

/// The place of one listener.
struct Place {
    listeners: IntGauge,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.listeners.dec();
    }
}

/// Looks at subjects of one kind for those who listen. Clones are one and the same.
pub struct Progress<S>(Arc<Inner<S>>);

impl<S> Clone for Progress<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Inner<S> {
    places: Places,
    source: Source,
    clock: SharedClock,
    watched: Mutex<HashMap<Uuid, watch::Sender<Arc<S>>>>,
    looks: Semaphore,
}

impl<S: Subject> Progress<S> {
    /// Nobody listens yet.
    #[must_use]
    pub fn new(places: &Places, source: Source, clock: SharedClock) -> Self {
        // So that the metric is there before anybody listens.
        let _ = places.listeners.with_label_values(&[S::KIND]);
        Self(Arc::new(Inner {
            places: places.clone(),
            source,
            clock,
            watched: Mutex::default(),
            looks: Semaphore::new(LOOKS),
        }))
    }

    /// A listener of what is so far now; `None` when there is no place for one more.
    #[must_use]
    pub fn listen(&self, now: S) -> Option<Listener<S>> {
        let place = self.0.places.take(S::KIND)?;
        Some(Listener {
            state: self.watch(now),
            ending: self.0.places.ending.clone(),
            begun: false,
            _place: place,
        })
    }

    fn watch(&self, now: S) -> watch::Receiver<Arc<S>> {
        let id = now.id();
        let mut watched = self.watched();
        if let Some(sender) = watched.get(&id) {
            let receiver = sender.subscribe();
            sender.send_replace(Arc::new(now));
            return receiver;
        }
        let (sender, receiver) = watch::channel(Arc::new(now));
        watched.insert(id, sender.clone());
        drop(watched);
        let this = self.clone();
        tokio::spawn(async move { this.follow(id, sender).await });
        receiver
    }

    /// Looks until nobody listens any more, or it has ended. While the store does not tell, what was told stands.
    async fn follow(self, id: Uuid, sender: watch::Sender<Arc<S>>) {
        let Inner {
            places,
            source,
            clock,
            looks,
            ..
        } = &*self.0;
        let mut ticks = tokio::time::interval(Duration::from_millis(places.config.interval_ms));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = places.ending.wait() => {}
            }
            {
                // Under the lock, so that nobody begins to listen to what is not looked at any more.
                let mut watched = self.watched();
                let over = sender.borrow().ended() || places.ending.begun();
                if over || sender.receiver_count() == 0 {
                    watched.remove(&id);
                    return;
                }
            }
            let Ok(_turn) = looks.acquire().await else {
                return;
            };
            match S::look(source, id, clock.now()).await {
                Ok(Some(state)) => {
                    sender.send_if_modified(|told| {
                        let news = **told != state;
                        if news {
                            *told = Arc::new(state);
                        }
                        news
                    });
                }
                Ok(None) => {
                    self.watched().remove(&id);
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, kind = S::KIND, %id, "progress could not be looked at");
                }
            }
        }
    }

    fn watched(&self) -> MutexGuard<'_, HashMap<Uuid, watch::Sender<Arc<S>>>> {
        self.0
            .watched
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hears of one subject.
pub struct Listener<S> {
    state: watch::Receiver<Arc<S>>,
    ending: Shutdown,
    begun: bool,
    _place: Place,
}

impl<S> Listener<S> {
    /// The newest state: at once the first time, then when it has changed. `None` when it is looked at no more.
    pub async fn next(&mut self) -> Option<Arc<S>> {
        if std::mem::replace(&mut self.begun, true) {
            tokio::select! {
                changed = self.state.changed() => changed.ok()?,
                () = self.ending.wait() => return None,
            }
        }
        Some(Arc::clone(&self.state.borrow_and_update()))
    }
}
