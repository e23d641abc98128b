//! The sliding windows of one client's budget: pure logic, no clock, no lock.
//!
//! A window holds the time of every admitted request of the last hour, so it is exact: at no moment were more than the limit
//! admitted within the minute, or the hour, before it. A request at `t` leaves a window of `w` at `t + w`. Times are whole
//! milliseconds of a clock that never goes back.

use super::gaps::Gaps;

/// Length of the short window, in milliseconds.
pub const MINUTE_MS: u64 = 60_000;
/// Length of the long window, in milliseconds.
pub const HOUR_MS: u64 = 3_600_000;

/// How many requests are admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// In any minute; at least 1.
    pub per_minute: u32,
    /// In any hour; at least 1.
    pub per_hour: u32,
}

/// Where a client stands after a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Requests that the minute still has room for.
    pub minute_left: u32,
    /// Requests that the hour still has room for.
    pub hour_left: u32,
    /// Seconds after which the minute has more room, see [`seconds`]; 0 when it is empty.
    pub minute_reset_s: u32,
    /// Seconds after which the hour has more room; 0 when it is empty.
    pub hour_reset_s: u32,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It counts from now on.
    Admitted(Standing),
    /// It does not count. Worth trying again after so many seconds.
    Refused(Standing, u32),
}

impl Decision {
    /// Where the client stands.
    #[must_use]
    pub const fn standing(&self) -> &Standing {
        match self {
            Self::Admitted(standing) | Self::Refused(standing, _) => standing,
        }
    }
}

/// Whole seconds of `ms`, plus 1: who waits as long is never too early.
#[must_use]
pub fn seconds(ms: u64) -> u32 {
    u32::try_from(ms / 1000 + 1).unwrap_or(u32::MAX)
}

/// The admitted requests of the last hour. The minute's are its newest, so both windows share one list.
#[derive(Debug, Clone, Default)]
pub struct Window {
    newest_ms: u64,
    /// The oldest request of the hour is so long before the newest; less than an hour.
    hour_span_ms: u32,
    /// The same for the minute.
    minute_span_ms: u32,
    /// Requests of the hour.
    hour: u32,
    /// Requests of the minute.
    minute: u32,
    /// From each request of the hour to the next.
    gaps: Gaps,
    /// Place of the gap behind the minute's oldest request.
    minute_at: u32,
}

impl Window {
    /// Decides about a request now, and counts it if it is admitted. The minute is asked first.
    pub fn admit(&mut self, now_ms: u64, limits: Limits) -> Decision {
        // Callers read the clock before they take turns.
        let now_ms = now_ms.max(self.newest_ms);
        self.forget_before(now_ms);
        if self.minute >= limits.per_minute {
            let standing = self.standing(now_ms, limits);
            return Decision::Refused(standing, standing.minute_reset_s);
        }
        if self.hour >= limits.per_hour {
            let standing = self.standing(now_ms, limits);
            return Decision::Refused(standing, standing.hour_reset_s);
        }
        self.push(now_ms);
        Decision::Admitted(self.standing(now_ms, limits))
    }

    /// When the newest request was admitted; with it the last of this window leaves, an hour later.
    #[must_use]
    pub const fn newest_ms(&self) -> u64 {
        self.newest_ms
    }

    /// Bytes it holds on the heap, beside its own size.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.gaps.heap_bytes()
    }

    fn standing(&self, now_ms: u64, limits: Limits) -> Standing {
        let reset = |count: u32, span_ms: u32, length: u64| match count {
            0 => 0,
            _ => seconds((self.newest_ms - u64::from(span_ms) + length).saturating_sub(now_ms)),
        };
        Standing {
            minute_left: limits.per_minute.saturating_sub(self.minute),
            hour_left: limits.per_hour.saturating_sub(self.hour),
            minute_reset_s: reset(self.minute, self.minute_span_ms, MINUTE_MS),
            hour_reset_s: reset(self.hour, self.hour_span_ms, HOUR_MS),
        }
    }

    fn forget_before(&mut self, now_ms: u64) {
        let idle_ms = now_ms - self.newest_ms;
        while self.minute > 0 && idle_ms + u64::from(self.minute_span_ms) >= MINUTE_MS {
            self.minute -= 1;
            if self.minute > 0 {
                let (gap, next) = self.gaps.read(self.minute_at);
                self.minute_span_ms -= gap;
                self.minute_at = next;
            }
        }
        while self.hour > 0 && idle_ms + u64::from(self.hour_span_ms) >= HOUR_MS {
            self.hour -= 1;
            if self.hour > 0 {
                self.hour_span_ms -= self.gaps.pop();
            }
        }
        if self.hour == 0 {
            self.gaps.clear();
        } else {
            // Gaps that the hour has passed are passed by the minute too, or it is empty and its place means nothing.
            self.minute_at = self.minute_at.saturating_sub(self.gaps.compact());
        }
    }

    fn push(&mut self, now_ms: u64) {
        if self.hour == 0 {
            self.hour_span_ms = 0;
        } else {
            // Less than an hour, or nothing would be left of the hour.
            let gap = u32::try_from(now_ms - self.newest_ms).unwrap_or(u32::MAX);
            self.gaps.push(gap);
            self.hour_span_ms += gap;
            self.minute_span_ms += gap;
        }
        if self.minute == 0 {
            self.minute_span_ms = 0;
            self.minute_at = self.gaps.end();
        }
        self.newest_ms = now_ms;
        self.hour += 1;
        self.minute += 1;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same by the definition: every admitted time, counted anew each time.
    #[derive(Debug, Clone, Default)]
    pub struct Naive(pub Vec<u64>);

    impl Naive {
        pub fn admit(&mut self, now_ms: u64, limits: Limits) -> Decision {
            let within = |length: u64, times: &[u64]| -> Vec<u64> {
                let within = times.iter().filter(|time| **time + length > now_ms);
                within.copied().collect()
            };
            let wait = |times: &[u64], length: u64| {
                let oldest = times.iter().min();
                oldest.map_or(0, |oldest| (oldest + length - now_ms) as u32 / 1000 + 1)
            };
            let standing = |times: &[u64]| {
                let (minute, hour) = (within(MINUTE_MS, times), within(HOUR_MS, times));
                Standing {
                    minute_left: limits.per_minute - minute.len() as u32,
                    hour_left: limits.per_hour - hour.len() as u32,
                    minute_reset_s: wait(&minute, MINUTE_MS),
                    hour_reset_s: wait(&hour, HOUR_MS),
                }
            };
            let before = standing(&self.0);
            if before.minute_left == 0 {
                return Decision::Refused(before, before.minute_reset_s);
            }
            if before.hour_left == 0 {
                return Decision::Refused(before, before.hour_reset_s);
            }
            self.0.push(now_ms);
            Decision::Admitted(standing(&self.0))
        }

        pub fn counts(&self, now_ms: u64) -> bool {
            self.0.iter().any(|time| time + HOUR_MS > now_ms)
        }
    }

    /// Steps of time that meet both windows' edges to the millisecond.
    pub fn steps(most: usize) -> impl Strategy<Value = Vec<u64>> {
        let step = prop_oneof![
            4 => Just(0),
            4 => 1_u64..300,
            4 => 300_u64..20_000,
            2 => MINUTE_MS - 2..MINUTE_MS + 2,
            1 => HOUR_MS - 2..HOUR_MS + 2,
            1 => 60_000_u64..4_000_000,
        ];
        proptest::collection::vec(step, 1..most)
    }

    proptest! {
        #[test]
        fn every_decision_is_that_of_the_definition(
            steps in steps(400),
            per_minute in 1_u32..12,
            per_hour in 1_u32..40,
        ) {
            let limits = Limits { per_minute, per_hour };
            let (mut window, mut naive, mut now) = (Window::default(), Naive::default(), 0);
            for step in steps {
                now += step;
                prop_assert_eq!(window.admit(now, limits), naive.admit(now, limits), "at {}", now);
            }
        }
    }

    #[test]
    fn waiting_as_told_is_never_too_early_and_a_second_less_is() {
        let limits = Limits {
            per_minute: 1,
            per_hour: 100,
        };
        for at in [0, 1, 999, 1000, 59_001] {
            let mut window = Window::default();
            window.admit(0, limits);
            let Decision::Refused(_, seconds) = window.admit(at, limits) else {
                panic!("one a minute");
            };
            let wait = u64::from(seconds) * 1000;
            let mut other = window.clone();
            assert!(matches!(
                window.admit(at + wait, limits),
                Decision::Admitted(_)
            ));
            let early = other.admit((at + wait).saturating_sub(1001), limits);
            assert!(matches!(early, Decision::Refused(..)), "{at}");
        }
    }

    #[test]
    fn a_clock_that_seems_to_go_back_a_little_harms_nothing() {
        let limits = Limits {
            per_minute: 2,
            per_hour: 2,
        };
        let mut window = Window::default();
        window.admit(5000, limits);
        let later = window.admit(4990, limits);
        assert_eq!(later.standing().minute_left, 0);
        assert!(matches!(window.admit(4980, limits), Decision::Refused(..)));
    }

    #[test]
    fn an_hour_at_the_limit_of_reads_takes_the_bytes_that_are_told() {
        let limits = Limits {
            per_minute: 120,
            per_hour: 3000,
        };
        let mut window = Window::default();
        let most = (0..6000_u64).map(|number| {
            window.admit(number * 1201, limits);
            window.heap_bytes()
        });
        let most = most.max().unwrap();
        assert!((6000..=8192).contains(&most), "{most}");
        window.admit(20_000_000, limits);
        assert_eq!(window.heap_bytes(), 0, "given back when they leave");
    }
}
