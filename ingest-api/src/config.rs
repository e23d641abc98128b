//! Settings of the HTTP API (`[api]`).

use std::time::Duration;

use axum::http::{Uri, uri::Authority};
use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::{
    cache::CacheConfig, caller::ProxyHeader, cors, progress::EventsConfig, quota::QuotaConfig,
    rate_limit::RateLimitConfig,
};

/// The secret of development, which everybody knows.
const DEFAULT_SECRET: &str = "dev-secret-key-change-in-production";
/// Shortest secret in production, in bytes.
const SHORTEST_SECRET: usize = 32;
/// Most characters that the comments of readers may be allowed: as many fit into a body that is no batch, however they are written.
const LONGEST_COMMENT: usize = 5_000;

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

    /// The environment of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Development, Self::Staging, Self::Production]
            .into_iter()
            .find(|environment| environment.name() == name)
    }
}

/// Settings of the HTTP API.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiConfig {
    /// Address to listen on (API_HOST).
    pub host: String,
    /// Port to listen on (API_PORT); 0 takes a free one.
    pub port: u16,
    /// Name shown to callers (APP_NAME).
    pub app_name: String,
    /// What its own addresses begin with for others, such as `https://trustcard.example.com`: previews of shared cards need whole ones.
    /// Empty, they begin with `/`.
    pub public_url: String,
    /// Where the process runs (ENVIRONMENT).
    pub environment: Environment,
    /// Debug mode (DEBUG); unset it is on everywhere but in production.
    pub debug: Option<bool>,
    /// Key of the hashes by which clients are known (SECRET_KEY). Replicas share it. Never printed.
    #[serde(skip_serializing)]
    pub secret_key: SecretString,
    /// Origins whose scripts may read answers (CORS_ORIGINS); `*` is every one.
    pub cors_origins: Vec<String>,
    /// Networks of proxies whose word on who asks is believed, such as `10.0.0.0/8`.
    pub trusted_proxies: Vec<IpNet>,
    /// The headers they set, of which the first that is there counts; see [`crate::caller::Proxies`].
    pub proxy_headers: Vec<ProxyHeader>,
    /// How often clients without a key may ask.
    pub rate_limit: RateLimitConfig,
    /// How much holders of partners' keys may submit.
    pub quota: QuotaConfig,
    /// Progress of batches as a stream of events.
    pub events: EventsConfig,
    /// Keys are read again from the store after this long, in milliseconds: so long a new key may be refused and a revoked one
    /// accepted.
    pub key_life_ms: u64,
    /// Results in memory, in front of the store.
    pub cache: CacheConfig,
    /// Whether /metrics is served (ENABLE_METRICS); 404 otherwise.
    pub enable_metrics: bool,
    /// Records that a stage may be behind before /health says `degraded`.
    pub max_healthy_lag: u64,
    /// Longest URL that is accepted, in characters (MAX_URL_LENGTH).
    pub max_url_length: usize,
    /// Longest comment of a reader, in characters (MAX_COMMENT_LENGTH).
    pub max_comment_length: usize,
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
            public_url: String::new(),
            environment: Environment::Development,
            debug: None,
            secret_key: DEFAULT_SECRET.to_owned().into(),
            cors_origins: vec!["*".to_owned()],
            trusted_proxies: Vec::new(),
            proxy_headers: vec![ProxyHeader::XForwardedFor, ProxyHeader::XRealIp],
            rate_limit: RateLimitConfig::default(),
            quota: QuotaConfig::default(),
            events: EventsConfig::default(),
            key_life_ms: 5_000,
            cache: CacheConfig::default(),
            enable_metrics: true,
            max_healthy_lag: 100_000,
            max_url_length: schemas::post_url::MAX_URL_LENGTH,
            max_comment_length: 1_000,
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

    /// Everything that is wrong with it, each a sentence that begins with its key. Values are not repeated where they are secret.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = self.rate_limit.problems();
        let secret = self.secret_key.expose_secret();
        if secret.is_empty() {
            problems.push("api.secret_key is empty; a random text is needed".to_owned());
        } else if self.environment == Environment::Production
            && (secret == DEFAULT_SECRET || secret.len() < SHORTEST_SECRET)
        {
            problems.push(format!(
                "api.secret_key is the default or shorter than {SHORTEST_SECRET} bytes; \
                 production needs a random one, such as `openssl rand -hex 32` makes"
            ));
        }
        problems.extend(self.cache.problems());
        problems.extend(self.quota.problems());
        problems.extend(self.events.problems());
        if !(1..=60_000).contains(&self.key_life_ms) {
            problems.push(format!(
                "api.key_life_ms is {}; it must be 1 to 60000",
                self.key_life_ms
            ));
        }
        if !(1..=LONGEST_COMMENT).contains(&self.max_comment_length) {
            problems.push(format!(
                "api.max_comment_length (MAX_COMMENT_LENGTH) is {}; it must be 1 to {LONGEST_COMMENT}",
                self.max_comment_length
            ));
        }
        if !self.public_url.is_empty() && !is_origin(&self.public_url) {
            problems.push(format!(
                "api.public_url is `{}`; it must be http:// or https:// and a host, without a path, such as https://trustcard.example.com",
                self.public_url
            ));
        }
        let in_production = self.environment == Environment::Production;
        problems.extend(cors::problems(&self.cors_origins, in_production));
        problems
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

    pub(crate) const fn key_life(&self) -> Duration {
        Duration::from_millis(self.key_life_ms)
    }

    pub(crate) const fn drain(&self) -> Duration {
        Duration::from_millis(self.drain_ms)
    }
}

/// Scheme and host, and a port perhaps.
fn is_origin(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else {
        return false;
    };
    let scheme = uri.scheme_str().unwrap_or_default();
    let host = uri.authority().map(Authority::as_str).unwrap_or_default();
    // Nothing but these two: what is left out here would be lost, or be written twice, in addresses.
    matches!(scheme, "http" | "https")
        && !host.contains('@')
        && text.strip_prefix(scheme) == Some(format!("://{host}").as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_address_is_an_origin() {
        for good in ["https://a.example", "http://127.0.0.1:8000"] {
            assert!(is_origin(good), "{good}");
        }
        for odd in [
            "https://a.example/",
            "a.example",
            "ftp://a.example",
            "https://u@a.example",
            "https://",
            "https://a/b",
        ] {
            assert!(!is_origin(odd), "{odd}");
        }
    }

    #[test]
    fn production_wants_a_secret_of_its_own_and_nobody_is_shown_it() {
        let mut config = ApiConfig::default();
        assert!(config.problems().is_empty());
        config.environment = Environment::Production;
        config.cors_origins = Vec::new();
        let problems = config.problems();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains("api.secret_key") && !problems[0].contains("dev-secret"));
        config.secret_key = "0123456789abcdef".repeat(2).into();
        assert!(config.problems().is_empty());
        for shown in [
            format!("{config:?}"),
            serde_json::to_string(&config).unwrap(),
        ] {
            assert!(!shown.contains("0123456789abcdef"), "{shown}");
        }
        config.secret_key = String::new().into();
        config.environment = Environment::Development;
        assert_eq!(config.problems().len(), 1);
    }

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
