//! How often a client without a key may ask: sliding windows of a minute and an hour, exact, in bounded memory.
//!
//! - [`window`]: the windows of one client, pure logic; [`gaps`]: how they fit into few bytes;
//! - [`clients`]: all clients, and who is forgotten when there are too many;
//! - [`headers`]: what callers are told; [`config`]: settings.
//!
//! Reads and writes have budgets of their own, so that polling never uses up submissions. A refused request does not count. Time is
//! tokio's, which no step of the wall clock moves.
//!
//! **Memory.** A million clients seen once in the hour take about 130 MB (`tests/rate_limit_memory.rs` measures it); one that uses up
//! its reads takes 6 to 8 KiB for that hour. The sum is bounded by `memory_mib`.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    extract::{Request, State},
    http::Method,
    middleware::Next,
    response::{IntoResponse, Response},
};
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use tokio::time::Instant;

use crate::{
    caller::{Caller, Pseudonyms},
    error::ApiError,
};

pub mod clients;
pub mod config;
pub mod gaps;
pub mod headers;
pub mod window;

pub use config::RateLimitConfig;

use clients::{Clients, Key};
use window::{Decision, Limits};

/// Paths of probes, scrapers and documentation, and what is below them.
const EXEMPT: [&str; 5] = ["/health", "/metrics", "/docs", "/redoc", "/openapi.json"];

/// What a request is charged to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// GET, HEAD and OPTIONS.
    Reads,
    /// Every other method.
    Writes,
}

impl Budget {
    fn of(method: &Method) -> Self {
        if method.is_safe() {
            Self::Reads
        } else {
            Self::Writes
        }
    }

    /// Its name in headers, labels and pseudonyms.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Writes => "writes",
        }
    }
}

/// Counts the requests of every client. Clones are one and the same.
#[derive(Debug, Clone)]
pub struct RateLimiter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    enabled: bool,
    reads: Limits,
    writes: Limits,
    began: Instant,
    clients: Mutex<Clients>,
    pseudonyms: Pseudonyms,
    refused: IntCounterVec,
    known: IntGauge,
    forgotten: IntCounter,
}

impl RateLimiter {
    /// A limiter that knows nobody, and its metrics: `trustcard_rate_limit_refused_total{budget}`,
    /// `trustcard_rate_limit_clients` and `trustcard_rate_limit_clients_forgotten_total`.
    ///
    /// # Errors
    /// When one of the metrics' names is taken.
    pub fn new(
        config: &RateLimitConfig,
        pseudonyms: Pseudonyms,
        registry: &Registry,
    ) -> prometheus::Result<Self> {
        let refused = IntCounterVec::new(
            Opts::new(
                "trustcard_rate_limit_refused_total",
                "Requests refused with 429.",
            ),
            &["budget"],
        )?;
        let known = IntGauge::new(
            "trustcard_rate_limit_clients",
            "Budgets of clients that were used within the hour.",
        )?;
        let forgotten = IntCounter::new(
            "trustcard_rate_limit_clients_forgotten_total",
            "Budgets forgotten before their hour for want of memory; raise api.rate_limit.memory_mib.",
        )?;
        registry.register(Box::new(refused.clone()))?;
        registry.register(Box::new(known.clone()))?;
        registry.register(Box::new(forgotten.clone()))?;
        for budget in [Budget::Reads, Budget::Writes] {
            refused.with_label_values(&[budget.name()]);
        }
        Ok(Self(Arc::new(Inner {
            enabled: config.enabled,
            reads: config.reads(),
            writes: config.writes(),
            began: Instant::now(),
            clients: Mutex::new(Clients::new(config.memory_mib << 20)),
            pseudonyms,
            refused,
            known,
            forgotten,
        })))
    }

    fn limits(&self, budget: Budget) -> Limits {
        match budget {
            Budget::Reads => self.0.reads,
            Budget::Writes => self.0.writes,
        }
    }

    fn decide(&self, address: IpAddr, budget: Budget) -> Decision {
        let name = self.0.pseudonyms.of_address(budget.name(), address);
        let mut key = Key::default();
        // Half of it: that two of a million clients share it has a chance below 1 in 10^26.
        key.copy_from_slice(&name[..size_of::<Key>()]);
        let now_ms = u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (decision, forgotten, known) = {
            let clients = self.0.clients.lock();
            let mut clients = clients.unwrap_or_else(PoisonError::into_inner);
            let (decision, forgotten) = clients.admit(key, now_ms, self.limits(budget));
            (decision, forgotten, clients.known())
        };
        self.0.known.set(i64::try_from(known).unwrap_or(i64::MAX));
        self.0.forgotten.inc_by(forgotten as u64);
        if matches!(decision, Decision::Refused(..)) {
            self.0.refused.with_label_values(&[budget.name()]).inc();
        }
        decision
    }
}

/// Lets a request pass or answers 429, and says how the caller stands.
pub async fn limit(State(limiter): State<RateLimiter>, request: Request, next: Next) -> Response {
    let caller = request.extensions().get::<Caller>().copied();
    let Some(Caller { address }) = caller.filter(|_| limiter.0.enabled) else {
        return next.run(request).await;
    };
    if is_exempt(request.uri().path()) {
        return next.run(request).await;
    }
    let budget = Budget::of(request.method());
    let limits = limiter.limits(budget);
    let decision = limiter.decide(address, budget);
    let mut response = match decision {
        Decision::Admitted(_) => next.run(request).await,
        Decision::Refused(_, seconds) => {
            ApiError::rate_limited(seconds, limits.per_minute, limits.per_hour).into_response()
        }
    };
    headers::write(response.headers_mut(), budget, limits, decision.standing());
    response
}

pub(crate) fn is_exempt(path: &str) -> bool {
    EXEMPT.iter().any(|exempt| {
        path.strip_prefix(exempt)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn limiter(config: &RateLimitConfig) -> RateLimiter {
        let pseudonyms = Pseudonyms::new(b"key").unwrap();
        RateLimiter::new(config, pseudonyms, &Registry::new()).unwrap()
    }

    fn admitted(decision: Decision) -> bool {
        matches!(decision, Decision::Admitted(_))
    }

    #[tokio::test(start_paused = true)]
    async fn time_is_tokios_and_a_budget_comes_back_with_it() {
        let limiter = limiter(&RateLimitConfig::default());
        let address: IpAddr = [203, 0, 113, 9].into();
        for _ in 0..10 {
            assert!(admitted(limiter.decide(address, Budget::Writes)));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        let Decision::Refused(standing, seconds) = limiter.decide(address, Budget::Writes) else {
            panic!("ten a minute");
        };
        assert_eq!((standing.minute_left, seconds), (0, 51));
        tokio::time::advance(Duration::from_millis(49_999)).await;
        assert!(!admitted(limiter.decide(address, Budget::Writes)));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(admitted(limiter.decide(address, Budget::Writes)));
        assert!(
            !admitted(limiter.decide(address, Budget::Writes)),
            "one left, one came"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn clients_and_budgets_are_counted_apart() {
        let limiter = limiter(&RateLimitConfig {
            per_minute: 1,
            reads_per_minute: 1,
            ..RateLimitConfig::default()
        });
        let one: IpAddr = [203, 0, 113, 9].into();
        let other: IpAddr = [203, 0, 113, 10].into();
        for (address, budget) in [
            (one, Budget::Writes),
            (one, Budget::Reads),
            (other, Budget::Writes),
            (other, Budget::Reads),
        ] {
            assert!(admitted(limiter.decide(address, budget)));
            assert!(!admitted(limiter.decide(address, budget)));
        }
        assert_eq!(limiter.0.known.get(), 4);
        assert_eq!(limiter.0.refused.with_label_values(&["reads"]).get(), 2);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_race_gets_exactly_what_the_limit_allows() {
        let limiter = limiter(&RateLimitConfig::default());
        let tasks = (0..64).map(|_| {
            let limiter = limiter.clone();
            tokio::spawn(async move { limiter.decide([203, 0, 113, 9].into(), Budget::Writes) })
        });
        let decisions = futures::future::join_all(tasks.collect::<Vec<_>>()).await;
        let passed = decisions
            .into_iter()
            .filter(|one| admitted(*one.as_ref().unwrap()));
        assert_eq!(passed.count(), 10);
    }

    #[test]
    fn only_the_named_paths_are_exempt() {
        for path in [
            "/health",
            "/health/live",
            "/metrics",
            "/docs/index.html",
            "/openapi.json",
        ] {
            assert!(is_exempt(path), "{path}");
        }
        for path in [
            "/",
            "/healthy",
            "/api/health",
            "/metrics2",
            "/HEALTH",
            "//health",
        ] {
            assert!(!is_exempt(path), "{path}");
        }
    }
}
