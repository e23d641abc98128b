//! Settings of webhooks.

use std::time::Duration;

use outbound::{ClientConfig, UrlPolicy};
use serde::{Deserialize, Serialize};

/// Everything that webhooks can be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookConfig {
    /// What the client calls itself.
    pub user_agent: String,
    /// Time to connect, in milliseconds.
    pub connect_timeout_ms: u64,
    /// Time until the status of an answer, in milliseconds.
    pub timeout_ms: u64,
    /// Whether loopback may be told, by http and on any port. For the demo and tests only.
    pub allow_loopback: bool,
    /// Attempts in a row that fail before a webhook is left alone for a while.
    pub rest_after: u32,
    /// How long it is left alone, in milliseconds.
    pub rest_ms: u64,
    /// How often to look which batches have ended, in milliseconds.
    pub sweep_ms: u64,
    /// How long after its end telling of a batch is tried, in seconds.
    pub give_up_s: u64,
}

impl Default for WebhookConfig {
    fn default() -> Self {
        Self {
            user_agent: concat!("TrustCard-Webhook/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout_ms: 5_000,
            timeout_ms: 10_000,
            allow_loopback: false,
            rest_after: 3,
            rest_ms: 30_000,
            sweep_ms: 1_000,
            give_up_s: 24 * 3600,
        }
    }
}

impl WebhookConfig {
    /// Everything that is wrong with it, each a sentence that begins with its key.
    #[must_use]
    pub fn problems(&self) -> Vec<&'static str> {
        let checks = [
            (self.timeout_ms, "timeout_ms must be at least 1"),
            (
                self.connect_timeout_ms,
                "connect_timeout_ms must be at least 1",
            ),
            (u64::from(self.rest_after), "rest_after must be at least 1"),
            (self.sweep_ms, "sweep_ms must be at least 1"),
        ];
        let broken = checks.into_iter().filter(|(value, _)| *value == 0);
        broken.map(|(_, problem)| problem).collect()
    }

    /// Where webhooks may be.
    #[must_use]
    pub const fn policy(&self) -> UrlPolicy {
        UrlPolicy::any_host(self.allow_loopback)
    }

    pub(crate) fn client(&self) -> ClientConfig<'_> {
        ClientConfig {
            user_agent: &self.user_agent,
            connect_timeout: Duration::from_millis(self.connect_timeout_ms),
            allow_loopback: self.allow_loopback,
        }
    }

    pub(crate) const fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}
