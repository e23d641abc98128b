//! Settings of streams of events.

use serde::{Deserialize, Serialize};

/// How progress is told as a stream of events (`[api.events]`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventsConfig {
    /// What is listened to is looked at this often, in milliseconds.
    pub interval_ms: u64,
    /// A listener is told that it is not forgotten this often, in milliseconds.
    pub heartbeat_ms: u64,
    /// Most listeners of one replica.
    pub max_listeners: usize,
}

impl Default for EventsConfig {
    fn default() -> Self {
        Self {
            interval_ms: 1_000,
            heartbeat_ms: 15_000,
            max_listeners: 10_000,
        }
    }
}

impl EventsConfig {
    /// Everything that is wrong with it, each a sentence that begins with its key.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (key, value) in [
            ("interval_ms", self.interval_ms),
            ("heartbeat_ms", self.heartbeat_ms),
        ] {
            if !(10..=60_000).contains(&value) {
                problems.push(format!("api.events.{key} must be 10 to 60000, not {value}"));
            }
        }
        if self.max_listeners > 1_000_000 {
            let most = self.max_listeners;
            problems.push(format!(
                "api.events.max_listeners must be at most 1000000, not {most}"
            ));
        }
        problems
    }
}
