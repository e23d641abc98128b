//! When to make no requests at all. Closed: all pass. Open: none, for a pause that doubles with every failed probe. Half open:
//! one probe, and its answer decides. A pure state machine, and a breaker that moves the engine's gate with it.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use engine::gate::{Gate, GateState, GateWatch};
use prometheus::IntGauge;
use tokio::time::{Instant, sleep_until};

use crate::config::CircuitConfig;

/// Where a circuit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// All requests pass.
    Closed,
    /// One may pass, to find out.
    HalfOpen,
    /// None passes.
    Open,
}

impl Phase {
    const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }
}

/// The state machine. Time is handed in.
#[derive(Debug)]
struct Circuit {
    failures: usize,
    pause: Duration,
    max_pause: Duration,
    state: State,
    /// The failures since the last good answer, with the post where it may be at fault. Such a post counts once: that it always
    /// fails says nothing about the site.
    run: Vec<Option<String>>,
    /// How often it has opened since it was last closed.
    openings: u32,
    /// Grows with every change of state, so that answers to requests made before count for nothing.
    epoch: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: Instant },
    HalfOpen { probe_out: bool },
}

impl Circuit {
    fn new(config: &CircuitConfig) -> Self {
        Self {
            failures: usize::try_from(config.failures).unwrap_or(usize::MAX),
            pause: Duration::from_secs(config.pause_s),
            max_pause: Duration::from_secs(config.max_pause_s),
            state: State::Closed,
            run: Vec::new(),
            openings: 0,
            epoch: 0,
        }
    }

    const fn phase(&self) -> Phase {
        match self.state {
            State::Closed => Phase::Closed,
            State::Open { .. } => Phase::Open,
            State::HalfOpen { .. } => Phase::HalfOpen,
        }
    }

    /// Ends a pause that is over.
    fn wake(&mut self, now: Instant) {
        if let State::Open { until } = self.state
            && now >= until
        {
            self.enter(State::HalfOpen { probe_out: false });
        }
    }

    /// Leave to ask, as the epoch to answer under.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        self.wake(now);
        match &mut self.state {
            State::Closed => Some(self.epoch),
            State::HalfOpen { probe_out } if !*probe_out => {
                *probe_out = true;
                Some(self.epoch)
            }
            State::HalfOpen { .. } | State::Open { .. } => None,
        }
    }

    fn succeeded(&mut self, epoch: u64) {
        if epoch == self.epoch {
            self.run.clear();
            if self.state != State::Closed {
                self.openings = 0;
                self.enter(State::Closed);
            }
        }
    }

    /// A request failed; `post_id` is given where its post may be at fault.
    fn failed(&mut self, epoch: u64, post_id: Option<&str>, now: Instant) {
        if epoch != self.epoch {
            return;
        }
        let post = post_id.map(ToOwned::to_owned);
        if post.is_none() || !self.run.contains(&post) {
            self.run.push(post);
        }
        let probe_failed = matches!(self.state, State::HalfOpen { .. });
        if probe_failed || self.run.len() >= self.failures {
            let doubled = 2_u32.saturating_pow(self.openings);
            let pause = self.pause.saturating_mul(doubled).min(self.max_pause);
            self.openings = self.openings.saturating_add(1);
            self.run.clear();
            self.enter(State::Open { until: now + pause });
        }
    }

    /// The request was given up without an answer: another may probe instead.
    fn abandoned(&mut self, epoch: u64) {
        if epoch == self.epoch
            && let State::HalfOpen { probe_out } = &mut self.state
        {
            *probe_out = false;
        }
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.epoch += 1;
    }
}

/// A circuit that opens and closes the stage's gate: open, the runner pauses consumption; half open, or while the store is away,
/// it lets one message by.
#[derive(Debug, Clone)]
pub struct Breaker(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    circuit: Mutex<Circuit>,
    /// The store did not answer the last time.
    store_away: AtomicBool,
    gate: Gate,
    gauge: IntGauge,
}

/// Leave to ask the site for one post. Say how it went; dropped without a word it counts as never asked.
#[derive(Debug)]
pub struct Ticket {
    shared: Arc<Shared>,
    epoch: u64,
}

impl Breaker {
    /// A closed circuit; `gauge` shows 0 closed, 1 half open, 2 open.
    #[must_use]
    pub fn new(config: &CircuitConfig, gauge: IntGauge) -> Self {
        let shared = Shared {
            circuit: Mutex::new(Circuit::new(config)),
            store_away: AtomicBool::new(false),
            gate: Gate::open(),
            gauge,
        };
        shared.gauge.set(0);
        Self(Arc::new(shared))
    }

    /// The gate that the runner watches.
    #[must_use]
    pub fn gate(&self) -> GateWatch {
        self.0.gate.watch()
    }

    /// The store answers, or does not; the gate heeds that too.
    pub fn store_answers(&self, answers: bool) {
        self.0
            .change(|_| self.0.store_away.store(!answers, Ordering::Relaxed));
    }

    /// Where the circuit stands: `closed`, `half_open` or `open`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.lock().phase().name()
    }

    /// Leave to ask, if there is any.
    #[must_use]
    pub fn admit(&self) -> Option<Ticket> {
        let epoch = self.0.change(|circuit| circuit.admit(Instant::now()))?;
        Some(Ticket {
            shared: Arc::clone(&self.0),
            epoch,
        })
    }
}

impl Ticket {
    /// The site answered as a site that works does, be it that the post is gone.
    pub fn succeeded(self) {
        self.shared.change(|circuit| circuit.succeeded(self.epoch));
    }

    /// Whether the circuit still stands as it did when this leave was given. What was not sent by then must not be.
    #[must_use]
    pub fn stands(&self) -> bool {
        self.shared.lock().epoch == self.epoch
    }

    /// The site failed; `post_id` is given where the post may be at fault.
    pub fn failed(self, post_id: Option<&str>) {
        let until = self.shared.change(|circuit| {
            let before = circuit.state;
            circuit.failed(self.epoch, post_id, Instant::now());
            match circuit.state {
                State::Open { until } if before != circuit.state => Some(until),
                _ => None,
            }
        });
        if let Some(until) = until {
            // A closed gate lets nobody by who could notice that the pause is over.
            let shared = Arc::clone(&self.shared);
            tokio::spawn(async move {
                sleep_until(until).await;
                shared.change(|circuit| circuit.wake(Instant::now()));
            });
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // Does nothing after an answer: either the state has changed with it, or it is closed.
        self.shared.change(|circuit| circuit.abandoned(self.epoch));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the circuit, and gate and gauge with it, as one step.
    fn change<T>(&self, change: impl FnOnce(&mut Circuit) -> T) -> T {
        let mut circuit = self.lock();
        let before = circuit.phase();
        let answer = change(&mut circuit);
        let phase = circuit.phase();
        let (state, value) = match phase {
            Phase::Closed if self.store_away.load(Ordering::Relaxed) => (GateState::Probe, 0),
            Phase::Closed => (GateState::Open, 0),
            Phase::HalfOpen => (GateState::Probe, 1),
            Phase::Open => (GateState::Closed, 2),
        };
        self.gate.set(state);
        self.gauge.set(value);
        if phase != before {
            tracing::warn!(from = before.name(), to = phase.name(), "circuit changed");
        }
        answer
    }
}

#[cfg(test)]
mod tests;
