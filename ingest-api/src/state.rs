//! What every handler works with.

use std::sync::Arc;

use engine::{SharedClock, lifecycle::Readiness, publisher::Publisher};
use prometheus::Registry;
use secrecy::ExposeSecret;
use store::{Store, StorePolicy};

use crate::{
    caller::{Proxies, Pseudonyms},
    config::ApiConfig,
    metrics::Metrics,
    pages::Pages,
    rate_limit::RateLimiter,
    router,
};

/// What the API is given by the process it runs in.
pub struct Parts {
    /// Settings.
    pub config: ApiConfig,
    /// Rows and batches.
    pub store: Arc<dyn Store>,
    /// The policy the store obeys.
    pub policy: StorePolicy,
    /// The way to the topics.
    pub publisher: Publisher,
    /// The wall clock.
    pub clock: SharedClock,
    /// Readiness of the process.
    pub readiness: Readiness,
    /// Metrics of the process; the API adds its own and serves all of them.
    pub registry: Registry,
    /// Version of the binary.
    pub version: &'static str,
    /// The commit it was built from.
    pub commit: &'static str,
}

/// Why the API can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A metric of the same name is registered already.
    #[error("the metrics of the API can't be registered: {0}")]
    Metrics(#[from] prometheus::Error),
    /// A page can't be compiled.
    #[error("the pages of the API can't be read: {0}")]
    Pages(#[from] minijinja::Error),
    /// The secret can't be a key.
    #[error("SECRET_KEY can't be used: {0}")]
    Secret(#[from] hmac::digest::InvalidLength),
}

/// What every handler works with. Clones are one and the same.
#[derive(Clone)]
pub struct AppState {
    pub(crate) config: Arc<ApiConfig>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) policy: Arc<StorePolicy>,
    pub(crate) publisher: Publisher,
    pub(crate) clock: SharedClock,
    pub(crate) readiness: Readiness,
    pub(crate) registry: Registry,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) pages: Arc<Pages>,
    pub(crate) proxies: Arc<Proxies>,
    pub(crate) limiter: RateLimiter,
    pub(crate) version: &'static str,
    pub(crate) commit: &'static str,
}

impl AppState {
    /// Registers the API's metrics and reads its pages.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn new(parts: Parts) -> Result<Self, StartError> {
        let metrics = Metrics::register(
            &parts.registry,
            &parts.config,
            parts.version,
            router::ENDPOINTS
                .iter()
                .map(|endpoint| (endpoint.method, endpoint.path, endpoint.success)),
        )?;
        let config = &parts.config;
        let pseudonyms = Pseudonyms::new(config.secret_key.expose_secret().as_bytes())?;
        let limiter = RateLimiter::new(&config.rate_limit, pseudonyms, &parts.registry)?;
        let proxies = Proxies::new(config.trusted_proxies.clone(), config.proxy_headers.clone());
        Ok(Self {
            config: Arc::new(parts.config),
            store: parts.store,
            policy: Arc::new(parts.policy),
            publisher: parts.publisher,
            clock: parts.clock,
            readiness: parts.readiness,
            registry: parts.registry,
            metrics: Arc::new(metrics),
            pages: Arc::new(Pages::new()?),
            proxies: Arc::new(proxies),
            limiter,
            version: parts.version,
            commit: parts.commit,
        })
    }
}
