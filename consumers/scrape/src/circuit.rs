//! When to make no requests at all. Closed: all pass. Open: none, for a pause that doubles with every failed probe. Half open:
//! one probe, and its answer decides. A pure state machine, and a breaker that moves the engine's gate with it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use engine::gate::{Gate, GateState, GateWatch};
use prometheus::IntGauge;
use tokio::time::{Instant, sleep_until};

use crate::config::CircuitConfig;

/// Where a circuit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// All requests pass.
    Closed,
    /// One may pass, to find out.
    HalfOpen,
    /// None passes.
    Open,
}

impl Phase {
    /// The name in rows and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
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
    /// The different posts that failed since the last good answer: one post that always fails says nothing about the site.
    run: Vec<String>,
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

    fn failed(&mut self, epoch: u64, post_id: &str, now: Instant) {
        if epoch != self.epoch {
            return;
        }
        if !self.run.iter().any(|post| post == post_id) && self.run.len() < self.failures {
            self.run.push(post_id.to_owned());
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

/// A circuit that opens and closes the stage's gate: open, the runner pauses consumption; half open, it lets one message by.
#[derive(Debug, Clone)]
pub struct Breaker(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    circuit: Mutex<Circuit>,
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

    /// Where the circuit stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.0.lock().phase()
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

    /// The site failed on this post.
    pub fn failed(self, post_id: &str) {
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
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn config() -> CircuitConfig {
        CircuitConfig {
            failures: 3,
            pause_s: 10,
            max_pause_s: 35,
        }
    }

    fn circuit() -> (Circuit, Instant) {
        (Circuit::new(&config()), Instant::now())
    }

    fn fail(circuit: &mut Circuit, posts: &[&str], now: Instant) {
        for post in posts {
            let epoch = circuit.admit(now).unwrap();
            circuit.failed(epoch, post, now);
        }
    }

    #[test]
    fn a_run_of_different_posts_opens_it_and_a_good_answer_ends_the_run() {
        let (mut circuit, now) = circuit();
        fail(&mut circuit, &["a", "b"], now);
        let epoch = circuit.admit(now).unwrap();
        circuit.succeeded(epoch);
        fail(&mut circuit, &["c", "d"], now);
        assert_eq!(circuit.phase(), Phase::Closed);
        fail(&mut circuit, &["e"], now);
        assert_eq!(circuit.phase(), Phase::Open);
    }

    #[test]
    fn one_post_that_always_fails_does_not_open_it() {
        let (mut circuit, now) = circuit();
        fail(&mut circuit, &["a"; 100], now);
        assert_eq!(circuit.phase(), Phase::Closed);
    }

    #[test]
    fn open_it_admits_nobody_until_the_pause_is_over_and_then_one() {
        let (mut circuit, now) = circuit();
        fail(&mut circuit, &["a", "b", "c"], now);
        assert_eq!(circuit.admit(now + SECOND * 9), None);
        assert!(circuit.admit(now + SECOND * 10).is_some());
        assert_eq!(circuit.phase(), Phase::HalfOpen);
        assert_eq!(circuit.admit(now + SECOND * 11), None);
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew_once_it_was_closed() {
        let (mut circuit, mut now) = circuit();
        fail(&mut circuit, &["a", "b", "c"], now);
        for pause in [10, 20, 35, 35] {
            assert_eq!(circuit.admit(now + SECOND * (pause - 1)), None, "{pause}");
            now += SECOND * pause;
            fail(&mut circuit, &["p"], now);
            assert_eq!(circuit.phase(), Phase::Open);
        }
        now += SECOND * 35;
        let probe = circuit.admit(now).unwrap();
        circuit.succeeded(probe);
        assert_eq!(circuit.phase(), Phase::Closed);
        fail(&mut circuit, &["a", "b", "c"], now);
        assert!(circuit.admit(now + SECOND * 10).is_some());
    }

    #[test]
    fn answers_to_requests_made_before_it_changed_count_for_nothing() {
        let (mut circuit, now) = circuit();
        let early = circuit.admit(now).unwrap();
        fail(&mut circuit, &["a", "b", "c"], now);
        circuit.succeeded(early);
        circuit.failed(early, "d", now + SECOND * 5);
        assert_eq!(circuit.phase(), Phase::Open);
        let probe = circuit.admit(now + SECOND * 10).unwrap();
        circuit.failed(early, "d", now + SECOND * 10);
        circuit.succeeded(early);
        assert_eq!(circuit.phase(), Phase::HalfOpen);
        circuit.succeeded(probe);
        assert_eq!(circuit.phase(), Phase::Closed);
    }

    fn breaker() -> Breaker {
        Breaker::new(&config(), IntGauge::new("circuit", "circuit").unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn the_gate_follows_even_when_nobody_asks() {
        let breaker = breaker();
        let mut gate = breaker.gate();
        assert_eq!(gate.state(), GateState::Open);
        for post in ["a", "b", "c"] {
            breaker.admit().unwrap().failed(post);
        }
        assert_eq!(gate.state(), GateState::Closed);
        assert_eq!(breaker.0.gauge.get(), 2);
        gate.changed().await;
        let start = Instant::now();
        gate.changed().await;
        assert_eq!(gate.state(), GateState::Probe);
        assert!(start.elapsed() >= SECOND * 10);
        let probe = breaker.admit().unwrap();
        assert!(breaker.admit().is_none());
        probe.succeeded();
        assert_eq!(gate.state(), GateState::Open);
        assert_eq!(breaker.0.gauge.get(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_was_given_up_leaves_its_place_to_another() {
        let breaker = breaker();
        for post in ["a", "b", "c"] {
            breaker.admit().unwrap().failed(post);
        }
        tokio::time::advance(SECOND * 10).await;
        drop(breaker.admit().unwrap());
        assert_eq!(breaker.phase(), Phase::HalfOpen);
        assert!(breaker.admit().is_some());
    }
}
