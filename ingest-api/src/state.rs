//! What every handler works with.

use std::sync::Arc;

use engine::{SharedClock, lag::Monitor, lifecycle::Readiness, publisher::Publisher};
use jiff::Timestamp;
use outbound::UrlPolicy;
use prometheus::Registry;
use secrecy::ExposeSecret;
use store::{AnalysisRow, BatchProgress, BlobStore, Store, StorePolicy};
use uuid::Uuid;

use crate::{
    cache::Results,
    caller::{Knowing, Proxies, Pseudonyms},
    config::ApiConfig,
    error::ApiError,
    keys::Keys,
    live_lag::LiveLag,
    metrics::Metrics,
    openapi::Document,
    pages::Pages,
    progress::{Places, Progress, Source},
    quota::Quotas,
    rate_limit::RateLimiter,
    router,
    views::AnalysisProgress,
};

/// What the API is given by the process it runs in.
pub struct Parts {
    /// Settings.
    pub config: ApiConfig,
    /// Rows and batches.
    pub store: Arc<dyn Store>,
    /// The policy the store obeys.
    pub policy: StorePolicy,
    /// Pictures of posts, which cards show.
    pub blobs: BlobStore,
    /// The way to the topics.
    pub publisher: Publisher,
    /// Where webhooks may be.
    pub webhook_addresses: UrlPolicy,
    /// Asks how far the stages are behind.
    pub monitor: Monitor,
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
    /// The API's description can't be written.
    #[error("the API's description can't be written: {0}")]
    Document(#[from] serde_json::Error),
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
    pub(crate) blobs: BlobStore,
    pub(crate) publisher: Publisher,
    pub(crate) webhook_addresses: Arc<UrlPolicy>,
    pub(crate) clock: SharedClock,
    pub(crate) readiness: Readiness,
    pub(crate) registry: Registry,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) pages: Arc<Pages>,
    pub(crate) knowing: Knowing,
    pub(crate) pseudonyms: Pseudonyms,
    pub(crate) results: Results,
    pub(crate) document: Arc<Document>,
    pub(crate) live_lag: LiveLag,
    pub(crate) limiter: RateLimiter,
    pub(crate) quotas: Quotas,
    pub(crate) listeners: Places,
    pub(crate) batches: Progress<BatchProgress>,
    pub(crate) analyses: Progress<AnalysisProgress>,
    pub(crate) version: &'static str,
    pub(crate) commit: &'static str,
}

impl AppState {
    /// Registers the API's metrics and reads its pages.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn new(parts: Parts) -> Result<Self, StartError> {
        let document = Document::new(router::document(parts.config.enable_metrics))?;
        let metrics = Metrics::register(
            &parts.registry,
            &parts.config,
            parts.version,
            document
                .endpoints
                .iter()
                .map(|endpoint| (endpoint.method, endpoint.path.as_str(), endpoint.success)),
        )?;
        let config = &parts.config;
        let pseudonyms = Pseudonyms::new(config.secret_key.expose_secret().as_bytes())?;
        let limiter = RateLimiter::new(&config.rate_limit, pseudonyms.clone(), &parts.registry)?;
        let results = Results::new(&config.cache, &parts.registry)?;
        let quotas = Quotas::new(&config.quota, parts.store.clone(), &parts.registry)?;
        let listeners = Places::new(&config.events, &parts.registry)?;
        let policy = Arc::new(parts.policy);
        let source = Source {
            store: parts.store.clone(),
            policy: policy.clone(),
            results: results.clone(),
        };
        let batches = Progress::new(&listeners, source.clone(), parts.clock.clone());
        let analyses = Progress::new(&listeners, source, parts.clock.clone());
        let proxies = Proxies::new(config.trusted_proxies.clone(), config.proxy_headers.clone());
        let knowing = Knowing {
            proxies: Arc::new(proxies),
            keys: Keys::new(parts.store.clone(), config.key_life()),
            patience: config.request_timeout(),
        };
        let pages = Pages::new(&parts.config)?;
        Ok(Self {
            config: Arc::new(parts.config),
            store: parts.store,
            policy,
            blobs: parts.blobs,
            publisher: parts.publisher,
            webhook_addresses: Arc::new(parts.webhook_addresses),
            clock: parts.clock,
            readiness: parts.readiness,
            registry: parts.registry,
            metrics: Arc::new(metrics),
            pages: Arc::new(pages),
            knowing,
            pseudonyms,
            results,
            document: Arc::new(document),
            live_lag: LiveLag::new(parts.monitor),
            limiter,
            quotas,
            listeners,
            batches,
            analyses,
            version: parts.version,
            commit: parts.commit,
        })
    }

    /// An analysis, read from memory where it was read a moment ago.
    ///
    /// # Errors
    /// 404 when there is none, 500 when the store does not tell.
    pub(crate) async fn analysis(&self, id: Uuid) -> Result<Arc<AnalysisRow>, ApiError> {
        let row = self.find_analysis(id, self.clock.now()).await?;
        row.ok_or_else(|| ApiError::no_analysis(id))
    }

    /// The same; `None` when there is none.
    ///
    /// # Errors
    /// 500 when the store does not tell.
    pub(crate) async fn find_analysis(
        &self,
        id: Uuid,
        now: Timestamp,
    ) -> Result<Option<Arc<AnalysisRow>>, ApiError> {
        let found = self.results.analysis(&*self.store, &self.policy, id, now);
        let found = found.await;
        found.map_err(|error| ApiError::database("read analysis", &error))
    }
}
