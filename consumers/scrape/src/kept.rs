//! How many posts this instance has kept for reuse, and how often reuse spared a request. The store can't be asked that without
//! reading all of them, so it is counted here, by the time of keeping, and told with the signs of life.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use engine::{SharedClock, cache_metrics::CacheMetrics};
use serde_json::{Value, json};

/// Parts of the time a post is kept, each counted on its own.
const PARTS: i64 = 48;

/// The count. Clones are one and the same.
#[derive(Clone)]
pub struct Kept(Arc<Inner>);

struct Inner {
    metrics: CacheMetrics,
    clock: SharedClock,
    /// How long a post is kept, in milliseconds.
    window_ms: i64,
    parts: Mutex<VecDeque<Part>>,
}

/// Posts kept in one part of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    start_ms: i64,
    posts: u64,
    bytes: u64,
}

impl Kept {
    /// Nothing is kept yet; posts will be for `window_s` seconds.
    #[must_use]
    pub fn new(metrics: CacheMetrics, clock: SharedClock, window_s: u64) -> Self {
        let window_ms = i64::try_from(window_s.saturating_mul(1000)).unwrap_or(i64::MAX);
        Self(Arc::new(Inner {
            metrics,
            clock,
            window_ms: window_ms.max(PARTS),
            parts: Mutex::default(),
        }))
    }

    /// A post was looked for.
    pub fn asked(&self, found: bool) {
        self.0.metrics.asked(found);
    }

    /// A post of this many bytes was kept.
    pub fn keep(&self, bytes: u64) {
        let length = self.0.window_ms / PARTS;
        let start_ms = self.now_ms().div_euclid(length).saturating_mul(length);
        self.with_parts(|parts| match parts.back_mut() {
            Some(part) if part.start_ms >= start_ms => {
                part.posts += 1;
                part.bytes += bytes;
            }
            _ => parts.push_back(Part {
                start_ms,
                posts: 1,
                bytes,
            }),
        });
    }

    /// What operators are told: `hits`, `misses`, and `kept`, a list of start (milliseconds since the Unix epoch), posts and bytes.
    #[must_use]
    pub fn describe(&self) -> Value {
        let metrics = &self.0.metrics;
        let mut kept = Vec::new();
        self.with_parts(|parts| {
            kept.extend(
                parts
                    .iter()
                    .map(|part| json!([part.start_ms, part.posts, part.bytes])),
            );
        });
        json!({ "hits": metrics.hits(), "misses": metrics.misses(), "kept": kept })
    }

    fn now_ms(&self) -> i64 {
        self.0.clock.now().as_millisecond()
    }

    /// Drops what is not kept any more, then changes or reads the rest, then tells the metrics.
    fn with_parts(&self, work: impl FnOnce(&mut VecDeque<Part>)) {
        let oldest = self.now_ms().saturating_sub(self.0.window_ms);
        let mut parts = self.0.parts.lock().unwrap_or_else(PoisonError::into_inner);
        while parts.front().is_some_and(|part| part.start_ms < oldest) {
            parts.pop_front();
        }
        work(&mut parts);
        self.0
            .metrics
            .holds(parts.iter().map(|part| part.bytes).sum());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use jiff::Timestamp;

    use super::*;

    #[derive(Debug, Default)]
    struct TestClock(AtomicI64);

    impl engine::Clock for TestClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).unwrap()
        }
    }

    #[test]
    fn posts_count_as_long_as_they_are_kept_and_the_list_is_bounded() {
        let registry = prometheus::Registry::new();
        let metrics = CacheMetrics::register(&registry, "instagram").unwrap();
        let clock = Arc::new(TestClock::default());
        let kept = Kept::new(metrics, clock.clone(), 48);
        kept.asked(false);
        kept.asked(true);
        for ms in [0, 999, 1_000, 47_999] {
            clock.0.store(ms, Ordering::SeqCst);
            kept.keep(10);
        }
        let told = json!({ "hits": 1, "misses": 1, "kept": [[0, 2, 20], [1_000, 1, 10], [47_000, 1, 10]] });
        assert_eq!(kept.describe(), told);
        clock.0.store(48_500, Ordering::SeqCst);
        assert_eq!(
            kept.describe()["kept"],
            json!([[1_000, 1, 10], [47_000, 1, 10]])
        );
        for ms in 0..500_000 {
            clock.0.store(ms, Ordering::SeqCst);
            kept.keep(1);
        }
        let parts = kept.describe()["kept"].as_array().unwrap().len();
        assert!(parts <= 49, "{parts}");
        // Of a clock that went back, nothing is lost and nothing grows.
        clock.0.store(400_000, Ordering::SeqCst);
        kept.keep(1);
        assert!(kept.describe()["kept"].as_array().unwrap().len() <= 49);
    }
}
