//! What is measured of a cache, whatever it keeps. Every cache has the same names, told apart by `cache_type`:
//!
//! | name | labels | unit |
//! |---|---|---|
//! | `trustcard_cache_hits_total` | `cache_type` | questions it answered |
//! | `trustcard_cache_misses_total` | `cache_type` | questions it did not |
//! | `trustcard_cache_size_bytes` | `cache_type` | bytes |

use prometheus::{IntCounter, IntGauge, Opts, Registry};

/// The metrics of one cache. Clones are one and the same.
#[derive(Debug, Clone)]
pub struct CacheMetrics {
    hits: IntCounter,
    misses: IntCounter,
    size: IntGauge,
}

impl CacheMetrics {
    /// Registers those of the cache of this name.
    ///
    /// # Errors
    /// When a cache of that name is registered already.
    pub fn register(registry: &Registry, cache_type: &'static str) -> prometheus::Result<Self> {
        let named = |name, help| Opts::new(name, help).const_label("cache_type", cache_type);
        let metrics = Self {
            hits: IntCounter::with_opts(named(
                "trustcard_cache_hits_total",
                "Questions that a cache answered.",
            ))?,
            misses: IntCounter::with_opts(named(
                "trustcard_cache_misses_total",
                "Questions that a cache did not answer.",
            ))?,
            size: IntGauge::with_opts(named(
                "trustcard_cache_size_bytes",
                "Bytes that a cache keeps.",
            ))?,
        };
        registry.register(Box::new(metrics.hits.clone()))?;
        registry.register(Box::new(metrics.misses.clone()))?;
        registry.register(Box::new(metrics.size.clone()))?;
        Ok(metrics)
    }

    /// It was asked, and knew or did not.
    pub fn asked(&self, found: bool) {
        if found {
            self.hits.inc();
        } else {
            self.misses.inc();
        }
    }

    /// It keeps this many bytes now.
    pub fn holds(&self, bytes: u64) {
        self.size.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Questions it answered.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.hits.get()
    }

    /// Questions it did not.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.misses.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caches_of_one_process_share_names_and_are_told_apart() {
        let registry = Registry::new();
        let one = CacheMetrics::register(&registry, "one").unwrap();
        let other = CacheMetrics::register(&registry, "other").unwrap();
        assert!(CacheMetrics::register(&registry, "one").is_err());
        one.asked(true);
        one.asked(false);
        other.holds(7);
        let text = prometheus::TextEncoder::new()
            .encode_to_string(&registry.gather())
            .unwrap();
        for line in [
            "trustcard_cache_hits_total{cache_type=\"one\"} 1",
            "trustcard_cache_hits_total{cache_type=\"other\"} 0",
            "trustcard_cache_misses_total{cache_type=\"one\"} 1",
            "trustcard_cache_size_bytes{cache_type=\"other\"} 7",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} not in {text}");
        }
        assert_eq!((one.hits(), one.misses()), (1, 1));
    }
}
