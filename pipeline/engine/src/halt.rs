//! A stage that stops itself: when too much of its input ends as dead letters, something is wrong with the stage and not with
//! the records, and going on would only bury them all. It stands still, through restarts, until an operator releases it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use schemas::Reason;
use serde::{Deserialize, Serialize};

pub use schemas::Halt;

mod guard;

pub(crate) use guard::{Change, Guard};

/// Remembers which stages stand still, for every instance of a stage and over restarts.
#[async_trait]
pub trait HaltStore: Send + Sync {
    /// The stage stands still from now on. Called again where it does already.
    ///
    /// # Errors
    /// When it could not be remembered; the runner stands still all the same and tries again.
    async fn halt(&self, stage: &str, halt: &Halt) -> Result<(), String>;

    /// Whether the stage stands still.
    ///
    /// # Errors
    /// When nobody can say; a runner that is starting does not begin before it knows.
    async fn halted(&self, stage: &str) -> Result<Option<Halt>, String>;
}

/// How many dead letters are too many. Counted by each instance for itself, in the order in which messages end, since its
/// start or the last release. Messages that go to a retry topic have not ended and do not count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Dead letters in a row that halt the stage; 0 is no limit.
    pub run_length: u32,
    /// Messages the ratio is taken over: the last so many that ended. With fewer the ratio is not looked at.
    pub window: u32,
    /// Share of dead letters among them that halts the stage, above 0 up to 1; 1 asks for all of them.
    pub ratio: f64,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            run_length: 100,
            window: 500,
            ratio: 0.5,
        }
    }
}

impl LimitsConfig {
    /// Everything that is wrong with it.
    pub(crate) fn problems(&self) -> Vec<&'static str> {
        let checks = [
            (
                (1..=100_000).contains(&self.window),
                "limits.window must lie between 1 and 100000",
            ),
            (
                self.ratio > 0.0 && self.ratio <= 1.0,
                "limits.ratio must be above 0 and at most 1",
            ),
        ];
        let broken = checks.into_iter().filter(|(holds, _)| !holds);
        broken.map(|(_, problem)| problem).collect()
    }
}

/// Remembers halts as long as the process lives, where nobody gave a better memory. Nobody can release them.
#[derive(Debug, Default)]
pub(crate) struct Forgetful(Mutex<Option<Halt>>);

#[async_trait]
impl HaltStore for Forgetful {
    async fn halt(&self, _stage: &str, halt: &Halt) -> Result<(), String> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(halt.clone());
        Ok(())
    }

    async fn halted(&self, _stage: &str) -> Result<Option<Halt>, String> {
        let halt = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(halt.clone())
    }
}

impl Forgetful {
    /// The memory of one runner.
    pub(crate) fn shared() -> Arc<dyn HaltStore> {
        Arc::new(Self::default())
    }
}

/// Counts how messages end, and says when too many of them are dead letters.
#[derive(Debug)]
pub(crate) struct Limits {
    config: LimitsConfig,
    /// Dead letters since the last message that ended well.
    run: u32,
    /// How the last messages ended, oldest first: whether as dead letters.
    window: VecDeque<bool>,
    /// Dead letters among them.
    dead: u32,
    passed: Option<String>,
}

impl Limits {
    pub(crate) fn new(config: LimitsConfig) -> Self {
        Self {
            config,
            run: 0,
            window: VecDeque::new(),
            dead: 0,
            passed: None,
        }
    }

    /// Counts anew.
    pub(crate) fn begin(&mut self) {
        (self.run, self.dead, self.passed) = (0, 0, None);
        self.window.clear();
    }

    /// A message ended; with the code of its dead letter if it became one.
    pub(crate) fn ended(&mut self, dead: Option<Reason>) {
        let size = self.config.window as usize;
        if self.window.len() >= size && self.window.pop_front() == Some(true) {
            self.dead -= 1;
        }
        self.window.push_back(dead.is_some());
        let Some(code) = dead else {
            self.run = 0;
            return;
        };
        self.dead += 1;
        self.run = self.run.saturating_add(1);
        let share = f64::from(self.dead) / f64::from(self.config.window);
        if self.config.run_length > 0 && self.run >= self.config.run_length {
            let run = self.run;
            self.pass(format!("{run} dead letters in a row, the last: {code}"));
        } else if self.window.len() >= size && share >= self.config.ratio {
            let dead = self.dead;
            self.pass(format!(
                "{dead} dead letters among the last {size} messages, the last: {code}"
            ));
        }
    }

    fn pass(&mut self, reason: String) {
        self.passed.get_or_insert(reason);
    }

    /// What was passed, for people; told once.
    pub(crate) fn passed(&mut self) -> Option<String> {
        let reason = self.passed.take();
        if reason.is_some() {
            self.begin();
        }
        reason
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(run_length: u32, window: u32, ratio: f64) -> Limits {
        Limits::new(LimitsConfig {
            run_length,
            window,
            ratio,
        })
    }

    /// Ends so many messages, those as dead letters for which `dead` holds; the first after which a limit is passed.
    fn passed_after(
        limits: &mut Limits,
        messages: u32,
        dead: impl Fn(u32) -> bool,
    ) -> Option<(u32, String)> {
        (1..=messages).find_map(|n| {
            limits.ended(dead(n).then_some(Reason::InvalidJson));
            Some((n, limits.passed()?))
        })
    }

    #[test]
    fn dead_letters_in_a_row_pass_the_limit_and_one_good_message_ends_the_row() {
        let mut limits = limits(5, 1000, 1.0);
        assert_eq!(passed_after(&mut limits, 100, |n| n % 5 != 0), None);
        let (n, reason) = passed_after(&mut limits, 100, |n| n > 7).unwrap();
        assert_eq!(n, 12);
        assert_eq!(reason, "5 dead letters in a row, the last: invalid_json");
        assert_eq!(passed_after(&mut limits, 4, |_| true), None, "counts anew");
    }

    #[test]
    fn a_share_of_the_last_messages_passes_the_limit_once_there_are_enough_of_them() {
        let mut few = limits(0, 10, 0.5);
        let (n, reason) = passed_after(&mut few, 100, |n| n % 2 == 1).unwrap();
        assert_eq!(n, 11, "the tenth is no dead letter and changes nothing");
        let expected = "5 dead letters among the last 10 messages, the last: invalid_json";
        assert_eq!(reason, expected);
        let mut never = limits(0, 10, 0.5);
        assert_eq!(passed_after(&mut never, 1000, |n| n % 5 < 2), None);
        // Old ones leave the window.
        let mut burst = limits(0, 10, 0.5);
        let bursts = |n: u32| n % 20 < 4;
        assert_eq!(passed_after(&mut burst, 1000, bursts), None);
    }

    #[test]
    fn by_default_one_in_a_hundred_never_halts_and_every_one_does_well_before_a_thousand() {
        let mut limits = Limits::new(LimitsConfig::default());
        let rare = passed_after(&mut limits, 100_000, |n| n % 100 == 0);
        assert_eq!(rare, None);
        limits.begin();
        let (n, _) = passed_after(&mut limits, 1_000, |_| true).unwrap();
        assert_eq!(n, 100);
        let (n, _) = passed_after(&mut limits, 1_000, |n| n % 2 == 0).unwrap();
        assert!(n < 1_000, "{n}");
    }

    #[test]
    fn nonsense_is_named() {
        let with = |window, ratio| LimitsConfig {
            window,
            ratio,
            ..LimitsConfig::default()
        };
        for (window, ratio) in [
            (0, 0.5),
            (200_000, 0.5),
            (10, 0.0),
            (10, 1.1),
            (10, f64::NAN),
        ] {
            assert!(
                !with(window, ratio).problems().is_empty(),
                "{window} {ratio}"
            );
        }
        assert!(LimitsConfig::default().problems().is_empty());
    }
}
