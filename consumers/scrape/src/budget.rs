//! How many requests a minute one instance makes: its part of what an address or a session may, halved when the site says slow
//! down, recovered step by step.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use prometheus::Gauge;
use tokio::time::{Instant, sleep_until};

/// Unused requests of this long may be made at once.
const BURST: Duration = Duration::from_secs(1);
/// The rate never falls below this many requests a minute.
const FLOOR: f64 = 1.0;
/// After a quiet minute the rate grows by this part of the full one.
const RECOVERY: f64 = 0.1;
/// How often it grows.
const RECOVERY_STEP: Duration = Duration::from_secs(60);
/// The longest that a Retry-After holds every request back; the post itself waits as long as it was told.
const MAX_HOLD: Duration = Duration::from_secs(300);

/// A budget of requests. Requests are spaced evenly (the generic cell rate algorithm, ITU-T I.371), first come, first served.
#[derive(Debug)]
pub struct Budget {
    /// Held by the one whose turn comes next; the others wait in line for it.
    line: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    rate_gauge: Gauge,
}

#[derive(Debug)]
struct State {
    full_per_minute: f64,
    per_minute: f64,
    /// When the next request would be due if none had been saved up.
    next: Instant,
    /// When the rate last fell or grew.
    changed: Instant,
    /// How often it was halved.
    halvings: u64,
}

/// Leave to make one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permit {
    halvings: u64,
}

impl Budget {
    /// This instance's part of `per_minute` requests, shared by `instances`; `rate_gauge` shows the current rate.
    #[must_use]
    pub fn new(per_minute: u32, instances: u32, rate_gauge: Gauge) -> Self {
        let full = (f64::from(per_minute) / f64::from(instances.max(1))).max(FLOOR);
        rate_gauge.set(full);
        let now = Instant::now();
        Self {
            line: tokio::sync::Mutex::default(),
            state: Mutex::new(State {
                full_per_minute: full,
                per_minute: full,
                next: now,
                changed: now,
                halvings: 0,
            }),
            rate_gauge,
        }
    }

    /// Waits for its turn, however often that is put off meanwhile.
    pub async fn acquire(&self) -> Permit {
        let _first = self.line.lock().await;
        self.recover();
        loop {
            let turn = match self.take() {
                Ok(permit) => return permit,
                Err(turn) => turn,
            };
            sleep_until(turn).await;
        }
    }

    /// Before the wait and not after it: a minute in which nothing was asked is no quiet one.
    fn recover(&self) {
        let mut state = self.lock();
        state.recover(Instant::now());
        self.rate_gauge.set(state.per_minute);
    }

    /// Takes the next turn if it has come, else says when it is due by what is known now.
    fn take(&self) -> Result<Permit, Instant> {
        let mut state = self.lock();
        let now = Instant::now();
        // Saved-up requests: `next` may lie at most a burst in the past.
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let turn = state.next.max(earliest);
        if turn > now {
            return Err(turn);
        }
        state.next = turn + state.spacing();
        Ok(Permit {
            halvings: state.halvings,
        })
    }

    /// The request made with this permit was told to slow down: halves the rate, once for all requests that were already under
    /// way, and holds requests back for as long as was asked.
    pub fn throttled(&self, permit: Permit, retry_after: Option<Duration>) {
        let mut state = self.lock();
        let now = Instant::now();
        if permit.halvings == state.halvings {
            let before = state.spacing();
            state.per_minute = (state.per_minute / 2.0).max(FLOOR);
            // The next request keeps the new distance from the last one already.
            let longer = state.spacing().saturating_sub(before);
            state.next += longer;
            state.halvings += 1;
            state.changed = now;
            self.rate_gauge.set(state.per_minute);
        }
        if let Some(wait) = retry_after {
            state.next = state.next.max(now + wait.min(MAX_HOLD));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Time from one request to the next.
    fn spacing(&self) -> Duration {
        Duration::from_secs_f64(60.0 / self.per_minute)
    }

    fn recover(&mut self, now: Instant) {
        while self.per_minute < self.full_per_minute && now >= self.changed + RECOVERY_STEP {
            self.per_minute =
                (self.per_minute + self.full_per_minute * RECOVERY).min(self.full_per_minute);
            self.changed += RECOVERY_STEP;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(per_minute: u32, instances: u32) -> Budget {
        Budget::new(per_minute, instances, Gauge::new("rate", "rate").unwrap())
    }

    async fn requests_within(budget: &Budget, time: Duration) -> u32 {
        let end = Instant::now() + time;
        let mut count = 0;
        while tokio::time::timeout_at(end, budget.acquire()).await.is_ok() {
            count += 1;
        }
        count
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_minute_holds_this_instances_part_and_no_more_than_a_second_is_saved_up() {
        assert_eq!(requests_within(&budget(60, 1), MINUTE).await, 61);
        assert_eq!(requests_within(&budget(60, 4), MINUTE).await, 16);
        let rested = budget(120, 1);
        tokio::time::advance(10 * MINUTE).await;
        assert_eq!(requests_within(&rested, Duration::from_millis(1)).await, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn many_instances_still_make_one_request_a_minute_each() {
        assert_eq!(requests_within(&budget(3, 100), MINUTE * 3).await, 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttled_wave_halves_once_and_a_later_one_again_down_to_the_floor() {
        let budget = budget(60, 1);
        let wave = [budget.acquire().await, budget.acquire().await];
        for permit in wave {
            budget.throttled(permit, None);
        }
        assert_eq!(budget.rate_gauge.get(), 30.0);
        for _ in 0..10 {
            let permit = budget.acquire().await;
            budget.throttled(permit, None);
        }
        assert_eq!(budget.rate_gauge.get(), FLOOR);
    }

    #[tokio::test(start_paused = true)]
    async fn a_tenth_comes_back_with_every_quiet_minute_until_all_is_there() {
        let budget = budget(60, 1);
        let permit = budget.acquire().await;
        budget.throttled(permit, None);
        let mut rates = Vec::new();
        for _ in 0..7 {
            tokio::time::advance(MINUTE).await;
            budget.acquire().await;
            rates.push(budget.rate_gauge.get());
        }
        assert_eq!(rates, [36.0, 42.0, 48.0, 54.0, 60.0, 60.0, 60.0]);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_asks_before_the_time_that_was_named_but_nobody_waits_for_ever() {
        let budget = budget(6000, 1);
        let permit = budget.acquire().await;
        let start = Instant::now();
        budget.throttled(permit, Some(Duration::from_secs(20)));
        budget.acquire().await;
        assert_eq!(start.elapsed(), Duration::from_secs(20));
        let permit = budget.acquire().await;
        let start = Instant::now();
        budget.throttled(permit, Some(Duration::from_secs(86_400)));
        budget.acquire().await;
        assert_eq!(start.elapsed(), MAX_HOLD);
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_already_keep_the_new_distance_and_the_time_that_was_named() {
        let budget = budget(60, 1);
        let permit = budget.acquire().await;
        while budget.take().is_ok() {}
        let start = Instant::now();
        let waiters = futures::future::join_all((0..3).map(|_| async {
            budget.acquire().await;
            start.elapsed().as_secs()
        }));
        let told = async {
            tokio::task::yield_now().await;
            budget.throttled(permit, None);
            tokio::time::sleep(Duration::from_millis(2500)).await;
            budget.throttled(permit, Some(Duration::from_secs(20)));
        };
        let (turns, ()) = tokio::join!(waiters, told);
        assert_eq!(turns, [2, 22, 24]);
    }
}
