//! At most so many a second.

use std::{num::NonZeroU32, time::Duration};

use tokio::time::Instant;

/// Spaces out batches.
pub(super) struct Pace {
    rate: Option<NonZeroU32>,
    /// Before this nothing goes.
    next: Instant,
}

impl Pace {
    pub(super) fn new(rate: Option<NonZeroU32>) -> Self {
        Self {
            rate,
            next: Instant::now(),
        }
    }

    /// Largest batch that keeps the pace smooth: a tenth of a second's worth.
    pub(super) fn batch(&self, most: usize) -> usize {
        self.rate.map_or(most, |rate| {
            usize::try_from(rate.get() / 10).map_or(most, |tenth| tenth.clamp(1, most))
        })
    }

    /// Waits until `count` more may go.
    pub(super) async fn wait(&mut self, count: usize) {
        let Some(rate) = self.rate else {
            return;
        };
        tokio::time::sleep_until(self.next).await;
        let worth = Duration::from_secs_f64(count as f64 / f64::from(rate.get()));
        self.next = self.next.max(Instant::now()) + worth;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(rate: u32) -> Pace {
        Pace::new(NonZeroU32::new(rate))
    }

    #[tokio::test(start_paused = true)]
    async fn batches_go_out_at_the_rate_and_idle_time_is_not_saved_up() {
        let (mut pace, start) = (pace(50), Instant::now());
        for _ in 0..10 {
            pace.wait(5).await;
        }
        assert_eq!(start.elapsed(), Duration::from_millis(900));
        tokio::time::sleep(Duration::from_secs(60)).await;
        let start = Instant::now();
        pace.wait(100).await;
        pace.wait(1).await;
        assert_eq!(start.elapsed(), Duration::from_secs(2));
    }

    #[test]
    fn a_slow_pace_makes_small_batches() {
        assert_eq!(pace(1).batch(200), 1);
        assert_eq!(pace(100).batch(200), 10);
        assert_eq!(pace(1_000_000).batch(200), 200);
        assert_eq!(pace(0).batch(200), 200, "no rate");
    }
}
