//! The `admit` stage: what partners pushed beyond their share of the straight way follows onto it as the pipeline has room, so that
//! a million URLs of one delay ten of another by seconds. docs/decisions/0018 says why.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use async_trait::async_trait;
use engine::{Gate, GateState, GateWatch, Message, Outcome, Stage, StageError};
use schemas::{Reason, Submission, topics};
use serde::{Deserialize, Serialize};

/// How much is let follow (`[admit]`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdmitConfig {
    /// How far behind the stages are is measured this often, in milliseconds.
    pub interval_ms: u64,
    /// Fewest records that may lie before the slowest stage: for a pipeline that does a few a second.
    pub smallest_room: u64,
    /// Most of them, however fast the pipeline is.
    pub largest_room: u64,
}

impl Default for AdmitConfig {
    fn default() -> Self {
        Self {
            interval_ms: 1_000,
            smallest_room: 16,
            largest_room: 20_000,
        }
    }
}

impl AdmitConfig {
    /// Everything that is wrong with it, each a sentence that begins with its key.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !(100..=60_000).contains(&self.interval_ms) {
            let given = self.interval_ms;
            problems.push(format!("interval_ms must be 100 to 60000, not {given}"));
        }
        if self.smallest_room == 0 || self.largest_room < self.smallest_room {
            problems.push("smallest_room must be at least 1 and at most largest_room".to_owned());
        }
        problems
    }
}

/// How many records may lie before the slowest stage: about as many as it does between two measurements.
#[derive(Debug)]
pub struct Pace {
    room: u64,
    smallest: u64,
    largest: u64,
}

impl Pace {
    /// One that begins with the smallest room.
    #[must_use]
    pub const fn new(config: &AdmitConfig) -> Self {
        Self {
            room: config.smallest_room,
            smallest: config.smallest_room,
            largest: config.largest_room,
        }
    }

    /// How many may follow until the next measurement, where `moved` have since the last one and the slowest stage is `lag` records
    /// behind. Twice the room when most of it was worked off meanwhile, half when it was not enough.
    pub const fn grant(&mut self, moved: u64, lag: u64) -> u64 {
        if lag > self.room {
            self.room = if self.room / 2 > self.smallest {
                self.room / 2
            } else {
                self.smallest
            };
        } else if moved >= self.room - self.room / 4 && lag <= self.room / 4 {
            self.room = if self.room * 2 < self.largest {
                self.room * 2
            } else {
                self.largest
            };
        }
        self.room.saturating_sub(lag)
    }
}

/// What may follow until the next measurement. Clones are one and the same.
#[derive(Debug, Clone)]
pub struct Allowance(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    left: AtomicI64,
    moved: AtomicU64,
    gate: Gate,
}

impl Allowance {
    /// So many may follow.
    #[must_use]
    pub fn new(records: u64) -> Self {
        let inner = Inner {
            left: AtomicI64::new(0),
            moved: AtomicU64::new(0),
            gate: Gate::open(),
        };
        let this = Self(Arc::new(inner));
        this.grant(records);
        this
    }

    /// So many may follow from now on.
    pub fn grant(&self, records: u64) {
        let records = i64::try_from(records).unwrap_or(i64::MAX);
        self.0.left.store(records, Ordering::SeqCst);
        self.0.gate.set(match records {
            0 => GateState::Closed,
            _ => GateState::Open,
        });
    }

    /// How many have followed since this was last asked.
    #[must_use]
    pub fn moved(&self) -> u64 {
        self.0.moved.swap(0, Ordering::SeqCst)
    }

    /// Whether nothing may follow.
    #[must_use]
    pub fn used_up(&self) -> bool {
        self.0.left.load(Ordering::SeqCst) <= 0
    }

    fn spend(&self, records: usize) {
        let spent = i64::try_from(records).unwrap_or(i64::MAX);
        self.0.moved.fetch_add(records as u64, Ordering::SeqCst);
        if self.0.left.fetch_sub(spent, Ordering::SeqCst) <= spent {
            self.0.gate.set(GateState::Closed);
        }
    }
}

/// Lets bulk follow.
#[derive(Debug)]
pub struct Admit(Allowance);

impl Admit {
    /// A stage that heeds this allowance, a batch more or less.
    #[must_use]
    pub const fn new(allowance: Allowance) -> Self {
        Self(allowance)
    }
}

#[async_trait]
impl Stage for Admit {
    type In = Submission;

    fn name(&self) -> &'static str {
        "admit"
    }

    fn input(&self) -> &'static str {
        topics::SUBMISSIONS_BULK
    }

    async fn process(&self, batch: Vec<Message<Submission>>) -> Result<Vec<Outcome>, StageError> {
        self.0.spend(batch.len());
        let outcomes = batch.iter().map(|message| {
            // Its id, key and time are those it came with.
            match schemas::encode(topics::SUBMISSIONS, &message.event) {
                Ok(record) => Outcome::Forward(vec![record]),
                Err(_) => Outcome::Reject(Reason::InvalidJson),
            }
        });
        Ok(outcomes.collect())
    }

    fn gate(&self) -> GateWatch {
        self.0.0.gate.watch()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lag of the slowest stage, second by second, while it does `rate` a second and as much as may follows.
    fn lags(rate: u64, seconds: usize) -> Vec<u64> {
        let mut pace = Pace::new(&AdmitConfig::default());
        let (mut lag, mut moved) = (0, 0);
        let mut lags = Vec::new();
        for _ in 0..seconds {
            let granted = pace.grant(moved, lag);
            lags.push(lag + granted);
            moved = granted;
            lag = (lag + granted).saturating_sub(rate);
        }
        lags
    }

    #[test]
    fn a_slow_and_a_fast_pipeline_are_both_kept_busy_and_never_seconds_behind() {
        for rate in [20, 150, 1_000, 8_000] {
            let lags = lags(rate, 60);
            let highest = lags.iter().max().unwrap();
            assert!(*highest <= rate * 3, "{rate}: {lags:?}");
            let settled = &lags[20..];
            assert!(
                settled.iter().all(|lag| *lag >= rate / 2),
                "{rate}: {settled:?}"
            );
        }
    }

    #[test]
    fn a_pipeline_that_stands_still_is_given_nothing() {
        let mut pace = Pace::new(&AdmitConfig::default());
        assert_eq!(pace.grant(0, 0), 16);
        assert_eq!(pace.grant(16, 16), 0);
        assert_eq!(pace.grant(0, 1_000_000), 0);
        assert_eq!(pace.grant(0, 0), 16, "and goes on when it does");
    }

    #[test]
    fn the_gate_closes_when_the_allowance_is_used_up() {
        let allowance = Allowance::new(10);
        let watch = Admit::new(allowance.clone()).gate();
        allowance.spend(9);
        assert_eq!(
            (watch.state(), allowance.used_up()),
            (GateState::Open, false)
        );
        allowance.spend(3);
        assert_eq!(
            (watch.state(), allowance.used_up()),
            (GateState::Closed, true)
        );
        assert_eq!((allowance.moved(), allowance.moved()), (12, 0));
        allowance.grant(5);
        assert_eq!(watch.state(), GateState::Open);
        allowance.grant(0);
        assert_eq!(watch.state(), GateState::Closed);
    }
}
