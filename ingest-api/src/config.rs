//! Settings of the HTTP API (`[api]`).

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Where the process runs; decides defaults and what anonymous callers may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    /// One machine, one person: anonymous batches and listings are allowed.
    #[default]
    Development,
    /// Like production, with test data.
    Staging,
    /// The real one.
    Production,
}

impl Environment {
    /// The name in configuration, answers and labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Staging => "staging",
            Self::Production => "production",
        }
    }
}

/// Settings of the HTTP API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiConfig {
    /// Address to listen on (API_HOST).
    pub host: String,
    /// Port to listen on (API_PORT); 0 takes a free one.
    pub port: u16,
    /// Name shown to callers (APP_NAME).
    pub app_name: String,
    /// Where the process runs (ENVIRONMENT).
    pub environment: Environment,
    /// Debug mode (DEBUG); unset it is on everywhere but in production.
    pub debug: Option<bool>,
    /// Whether /metrics is served (ENABLE_METRICS); 404 otherwise.
    pub enable_metrics: bool,
    /// Longest URL that is accepted, in characters (MAX_URL_LENGTH).
    pub max_url_length: usize,
    /// Largest body of a request that is no batch, in bytes.
    pub max_body_bytes: usize,
    /// Most URLs in one batch.
    pub max_batch_urls: usize,
    /// Largest body of a batch, in bytes.
    pub max_batch_bytes: usize,
    /// Submissions of a post within one window of this length, in seconds, are one analysis.
    pub freshness_window_s: u32,
    /// A body must have arrived after this long, in milliseconds.
    pub body_timeout_ms: u64,
    /// Every request is answered after this long, in milliseconds. Longer than the broker's delivery timeout, so that a
    /// broker that is away is told as such.
    pub request_timeout_ms: u64,
    /// At shutdown, requests in flight have this long to end, in milliseconds.
    pub drain_ms: u64,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 8000,
            app_name: "TrustCard".to_owned(),
            environment: Environment::Development,
            debug: None,
            enable_metrics: true,
            max_url_length: schemas::post_url::MAX_URL_LENGTH,
            max_body_bytes: 64 * 1024,
            max_batch_urls: 10_000,
            max_batch_bytes: 10_000_000,
            freshness_window_s: (schemas::identity::FRESHNESS_WINDOW_MS / 1000) as u32,
            body_timeout_ms: 10_000,
            request_timeout_ms: 30_000,
            drain_ms: 5_000,
        }
    }
}

impl ApiConfig {
    /// Whether debug mode is on.
    #[must_use]
    pub fn debug_mode(&self) -> bool {
        self.debug
            .unwrap_or(self.environment != Environment::Production)
    }

    pub(crate) fn freshness_window_ms(&self) -> i64 {
        i64::from(self.freshness_window_s) * 1000
    }

    pub(crate) const fn body_timeout(&self) -> Duration {
        Duration::from_millis(self.body_timeout_ms)
    }

    pub(crate) const fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    pub(crate) const fn drain(&self) -> Duration {
        Duration::from_millis(self.drain_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_mode_is_off_in_production_unless_it_was_asked_for() {
        let mut config = ApiConfig::default();
        assert!(config.debug_mode());
        config.environment = Environment::Production;
        assert!(!config.debug_mode());
        config.debug = Some(true);
        assert!(config.debug_mode());
    }
}
