//! Every metric of the API.
//!
//! | name | labels | unit |
//! |---|---|---|
//! | `trustcard_http_requests_total` | `method`, `endpoint` (route pattern), `status_code` | requests |
//! | `trustcard_http_request_duration_seconds` | `method`, `endpoint` | seconds |
//! | `trustcard_http_requests_in_progress` | `method`, `endpoint` | requests |
//! | `trustcard_analyses_submitted_total` | - | submissions that the broker acknowledged |
//! | `trustcard_feedback_submissions_total` | `vote_type` | votes taken |
//! | `trustcard_cache_*` | see [`engine::cache_metrics`]; `cache_type` = analysis | |
//! | `trustcard_analyses_in_progress` | - | analyses begun and not ended |
//! | `trustcard_rate_limit_*` | see [`crate::rate_limit`] | |
//! | `trustcard_app_info` | `app_name`, `version`, `environment` | always 1 |

use axum::http::Method;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

use store::Opinion;

use crate::config::ApiConfig;

/// Seconds: the old application's 0.1 to 120, and finer ones below, because most answers take milliseconds.
const BUCKETS: [f64; 18] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0,
    30.0, 60.0, 120.0,
];

/// `endpoint` of requests to paths that don't exist.
pub const UNMATCHED: &str = "unmatched";

/// The metrics of the API.
#[derive(Debug, Clone)]
pub struct Metrics {
    requests: IntCounterVec,
    durations: HistogramVec,
    in_progress: IntGaugeVec,
    votes: IntCounterVec,
    /// Submissions that the broker acknowledged.
    pub submitted: IntCounter,
    /// Analyses begun and not ended, as the stages' signs of life tell.
    pub analyses_in_progress: IntGauge,
}

impl Metrics {
    /// Registers them. `endpoints` (method, route pattern, status of success) begin at 0, so that HELP and TYPE stand before
    /// the first request.
    ///
    /// # Errors
    /// When one of the names is taken.
    pub fn register<'a>(
        registry: &Registry,
        config: &ApiConfig,
        version: &str,
        endpoints: impl IntoIterator<Item = (&'a str, &'a str, u16)>,
    ) -> prometheus::Result<Self> {
        let requests = IntCounterVec::new(
            Opts::new("trustcard_http_requests_total", "HTTP requests answered."),
            &["method", "endpoint", "status_code"],
        )?;
        let durations = HistogramVec::new(
            HistogramOpts::new(
                "trustcard_http_request_duration_seconds",
                "Time from the head of a request to the head of its answer.",
            )
            .buckets(BUCKETS.to_vec()),
            &["method", "endpoint"],
        )?;
        let in_progress = IntGaugeVec::new(
            Opts::new(
                "trustcard_http_requests_in_progress",
                "HTTP requests being worked on.",
            ),
            &["method", "endpoint"],
        )?;
        let submitted = IntCounter::new(
            "trustcard_analyses_submitted_total",
            "Submissions that the broker acknowledged.",
        )?;
        let votes = IntCounterVec::new(
            Opts::new(
                "trustcard_feedback_submissions_total",
                "Votes of readers that were taken, by what they think.",
            ),
            &["vote_type"],
        )?;
        registry.register(Box::new(votes.clone()))?;
        for opinion in Opinion::ALL {
            votes.with_label_values(&[opinion.name()]);
        }
        let analyses_in_progress = IntGauge::new(
            "trustcard_analyses_in_progress",
            "Analyses begun and not ended, as the stages' signs of life tell.",
        )?;
        registry.register(Box::new(analyses_in_progress.clone()))?;
        let info = IntGaugeVec::new(
            Opts::new("trustcard_app_info", "What is running; always 1."),
            &["app_name", "version", "environment"],
        )?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(durations.clone()))?;
        registry.register(Box::new(in_progress.clone()))?;
        registry.register(Box::new(submitted.clone()))?;
        registry.register(Box::new(info.clone()))?;
        info.with_label_values(&[&config.app_name, version, config.environment.name()])
            .set(1);
        for (method, endpoint, status) in endpoints {
            requests.with_label_values(&[method, endpoint, &status.to_string()]);
            durations.with_label_values(&[method, endpoint]);
            in_progress.with_label_values(&[method, endpoint]);
        }
        Ok(Self {
            requests,
            durations,
            in_progress,
            votes,
            submitted,
            analyses_in_progress,
        })
    }

    /// Counts a vote that was taken.
    pub fn voted(&self, opinion: Opinion) {
        self.votes.with_label_values(&[opinion.name()]).inc();
    }

    /// Begins to measure a request; dropping the measure ends it, answered or not.
    #[must_use]
    pub fn begin(&self, method: &Method, endpoint: &str) -> Measure {
        let method = method_label(method);
        let in_progress = self.in_progress.with_label_values(&[method, endpoint]);
        in_progress.inc();
        Measure {
            method,
            endpoint: endpoint.to_owned(),
            requests: self.requests.clone(),
            duration: self.durations.with_label_values(&[method, endpoint]),
            in_progress,
            began: tokio::time::Instant::now(),
        }
    }
}

/// A request being measured.
#[derive(Debug)]
pub struct Measure {
    method: &'static str,
    endpoint: String,
    requests: IntCounterVec,
    duration: Histogram,
    in_progress: IntGauge,
    began: tokio::time::Instant,
}

impl Measure {
    /// Counts the answer and returns how long it took, in seconds.
    #[must_use]
    pub fn answered(self, status: u16) -> f64 {
        let seconds = self.began.elapsed().as_secs_f64();
        self.requests
            .with_label_values(&[self.method, &self.endpoint, &status.to_string()])
            .inc();
        self.duration.observe(seconds);
        seconds
    }
}

impl Drop for Measure {
    fn drop(&mut self) {
        self.in_progress.dec();
    }
}

/// Bounded, whatever callers send.
fn method_label(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    KNOWN
        .into_iter()
        .find(|known| *known == method.as_str())
        .unwrap_or("OTHER")
}
