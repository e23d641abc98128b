//! Settings of quotas (`[api.quota]`).

use serde::{Deserialize, Serialize};
use store::Quota;

use super::ledger::Limits;

/// What the holder of a partner's key may submit where nothing else was set for it, on all replicas together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QuotaConfig {
    /// Whether there are quotas at all.
    pub enabled: bool,
    /// URLs in a minute.
    pub per_minute: u32,
    /// URLs in an hour.
    pub per_hour: u32,
    /// URLs in a day.
    pub per_day: u32,
    /// In how many parts a minute's quota is leased: more cost more writes, fewer leave more unused at each replica.
    pub leases_per_minute: u32,
    /// URLs of a holder that take the straight way in a minute; the others follow as the pipeline has room.
    pub straight_per_minute: u32,
}

impl Default for QuotaConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            per_minute: 60_000,
            per_hour: 1_000_000,
            per_day: 10_000_000,
            leases_per_minute: 60,
            straight_per_minute: 100,
        }
    }
}

impl QuotaConfig {
    /// What a holder may submit.
    #[must_use]
    pub fn limits(&self, quota: &Quota) -> Limits {
        Limits([
            quota.per_minute.unwrap_or(self.per_minute),
            quota.per_hour.unwrap_or(self.per_hour),
            quota.per_day.unwrap_or(self.per_day),
        ])
    }

    /// Everything that is wrong with it, each a sentence that begins with its key.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let limits = [
            ("per_minute", self.per_minute),
            ("per_hour", self.per_hour),
            ("per_day", self.per_day),
            ("leases_per_minute", self.leases_per_minute),
        ];
        let none = limits.iter().filter(|(_, limit)| *limit == 0);
        none.map(|(key, _)| format!("api.quota.{key} must be at least 1"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_for_a_holder_goes_before_what_is_usual() {
        let config = QuotaConfig::default();
        let quota = Quota {
            per_hour: Some(7),
            ..Quota::default()
        };
        assert_eq!(config.limits(&quota), Limits([60_000, 7, 10_000_000]));
        assert!(config.problems().is_empty());
        let none = QuotaConfig {
            per_day: 0,
            leases_per_minute: 0,
            ..config
        };
        assert_eq!(none.problems().len(), 2);
    }
}
