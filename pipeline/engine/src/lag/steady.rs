//! The wall clock for ages: follows the machine's clock, but not its steps, unless a step turns out to last.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::clock::SharedClock;

/// More than this off between two looks is a step; less is a clock being slewed.
const STEP: Duration = Duration::from_secs(2);
/// How long a step has to hold before it is believed.
const HOLD: Duration = Duration::from_secs(600);

/// A clock without steps.
pub(super) struct SteadyClock {
    clock: SharedClock,
    /// The time at `anchor`.
    wall: Timestamp,
    anchor: Instant,
    /// Since when the machine's clock says something else.
    stepped: Option<Instant>,
}

impl SteadyClock {
    pub(super) fn new(clock: SharedClock) -> Self {
        Self {
            wall: clock.now(),
            anchor: Instant::now(),
            stepped: None,
            clock,
        }
    }

    /// Now.
    pub(super) fn now(&mut self) -> Timestamp {
        let (shown, now) = (self.clock.now(), Instant::now());
        let expected = self
            .wall
            .checked_add(now.saturating_duration_since(self.anchor))
            .unwrap_or(shown);
        let off = shown.duration_since(expected).unsigned_abs();
        if off > STEP {
            let since = *self.stepped.get_or_insert_with(|| {
                tracing::warn!(
                    off_s = shown.duration_since(expected).as_secs(),
                    believed_after_s = HOLD.as_secs(),
                    "the clock was set; ages are told by the time before until that has held"
                );
                now
            });
            if now.saturating_duration_since(since) < HOLD {
                return expected;
            }
        }
        (self.wall, self.anchor, self.stepped) = (shown, now, None);
        shown
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use jiff::{SignedDuration, ToSpan};

    use super::*;
    use crate::clock::Clock;

    /// The clock of a machine that is set by hand.
    struct Set {
        start: Instant,
        by: Mutex<SignedDuration>,
    }

    impl Clock for Set {
        fn now(&self) -> Timestamp {
            let elapsed = self.start.elapsed();
            Timestamp::UNIX_EPOCH + 100_000.hours() + elapsed + *self.by.lock().unwrap()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_of_an_hour_either_way_is_not_followed_until_it_has_held() {
        for hours in [1, -1] {
            let machine = Arc::new(Set {
                start: Instant::now(),
                by: Mutex::default(),
            });
            let mut steady = SteadyClock::new(machine.clone());
            let before = steady.now();
            tokio::time::advance(Duration::from_secs(5)).await;
            *machine.by.lock().unwrap() = SignedDuration::from_hours(hours);
            assert_eq!(steady.now(), before + 5.seconds());
            tokio::time::advance(Duration::from_secs(300)).await;
            assert_eq!(steady.now(), before + 305.seconds());
            tokio::time::advance(Duration::from_secs(301)).await;
            assert_eq!(steady.now(), machine.now(), "it has held for ten minutes");
            tokio::time::advance(Duration::from_secs(1)).await;
            assert_eq!(steady.now(), machine.now());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_is_taken_back_leaves_nothing_behind_and_a_slew_is_followed() {
        let machine = Arc::new(Set {
            start: Instant::now(),
            by: Mutex::default(),
        });
        let mut steady = SteadyClock::new(machine.clone());
        *machine.by.lock().unwrap() = SignedDuration::from_hours(1);
        steady.now();
        tokio::time::advance(Duration::from_secs(400)).await;
        *machine.by.lock().unwrap() = SignedDuration::from_millis(900);
        assert_eq!(steady.now(), machine.now());
        *machine.by.lock().unwrap() = SignedDuration::from_hours(1);
        tokio::time::advance(Duration::from_secs(400)).await;
        assert!(
            steady.now() < machine.now() - 59.minutes(),
            "the time of the first step does not count"
        );
    }
}
