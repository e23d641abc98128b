//! Settings of rate limiting (`[api.rate_limit]`).

use serde::{Deserialize, Serialize};

use super::window::Limits;

/// Limits of clients without a key. They hold for each replica of the API: behind a balancer that spreads clients evenly over N
/// replicas, give each an N-th.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimitConfig {
    /// Whether there are limits at all (RATE_LIMIT_ENABLED).
    pub enabled: bool,
    /// Writes of a client in any minute (RATE_LIMIT_PER_MINUTE).
    pub per_minute: u32,
    /// Writes of a client in any hour (RATE_LIMIT_PER_HOUR).
    pub per_hour: u32,
    /// Reads of a client in any minute.
    pub reads_per_minute: u32,
    /// Reads of a client in any hour.
    pub reads_per_hour: u32,
    /// Most memory for the clients' windows, in MiB. A client that was seen once in the hour takes about 150 bytes, one that uses up
    /// all its reads 8 KiB. When it is not enough, clients that have been idle longest are forgotten.
    pub memory_mib: usize,
}

impl Default for RateLimitConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            per_minute: 10,
            per_hour: 100,
            reads_per_minute: 120,
            reads_per_hour: 3_000,
            memory_mib: 64,
        }
    }
}

impl RateLimitConfig {
    /// Everything that is wrong with it, each a sentence that begins with its key.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let limits = [
            ("per_minute", self.per_minute),
            ("per_hour", self.per_hour),
            ("reads_per_minute", self.reads_per_minute),
            ("reads_per_hour", self.reads_per_hour),
        ];
        let odd = limits
            .iter()
            .filter(|(_, limit)| !(1..=1_000_000).contains(limit));
        let mut problems: Vec<String> = odd
            .map(|(key, limit)| format!("api.rate_limit.{key} must be 1 to 1000000, not {limit}"))
            .collect();
        if !(1..=65_536).contains(&self.memory_mib) {
            let given = self.memory_mib;
            problems.push(format!(
                "api.rate_limit.memory_mib must be 1 to 65536, not {given}"
            ));
        }
        problems
    }

    pub(super) const fn writes(&self) -> Limits {
        Limits {
            per_minute: self.per_minute,
            per_hour: self.per_hour,
        }
    }

    pub(super) const fn reads(&self) -> Limits {
        Limits {
            per_minute: self.reads_per_minute,
            per_hour: self.reads_per_hour,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_would_shut_everybody_out_are_named() {
        assert!(RateLimitConfig::default().problems().is_empty());
        let config = RateLimitConfig {
            per_minute: 0,
            reads_per_hour: 1_000_001,
            memory_mib: 0,
            ..RateLimitConfig::default()
        };
        let problems = config.problems();
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(
            problems[0].starts_with("api.rate_limit.per_minute "),
            "{problems:?}"
        );
    }
}
