//! Every metric of this crate.
//!
//! | name | labels | unit |
//! |---|---|---|
//! | `trustcard_upstream_requests_total` | `adapter` = web, embed, session; `answer` = ok or a kind of error | requests |
//! | `trustcard_upstream_request_duration_seconds` | `adapter` | seconds, waiting for the budget excluded |
//! | `trustcard_upstream_budget_per_minute` | `budget` = egress, session | requests a minute allowed now |
//! | `trustcard_upstream_circuit` | | 0 closed, 1 half open, 2 open |
//! | `trustcard_upstream_session_usable` | | 1 or 0; alert on 0 where a session is configured |
//! | `trustcard_media_files_total` | `outcome` = ok or the reason code of a failure | files |
//! | `trustcard_media_bytes_total` | | bytes of stored files |

use prometheus::{
    Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts,
    Registry, core::Collector,
};

use crate::upstream::Adapter;

/// Bounds of request times in seconds: loopback to the longest timeout.
const SECONDS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0,
];

/// The metrics of one scrape role.
#[derive(Debug, Clone)]
pub struct Metrics {
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    budget: GaugeVec,
    circuit: IntGauge,
    session_usable: IntGauge,
    media_files: IntCounterVec,
    media_bytes: IntCounter,
}

impl Metrics {
    /// Registers all of them.
    ///
    /// # Errors
    /// When one of these names is registered already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            requests: IntCounterVec::new(
                Opts::new(
                    "trustcard_upstream_requests_total",
                    "Requests to the upstream by adapter and kind of answer.",
                ),
                &["adapter", "answer"],
            )?,
            request_seconds: HistogramVec::new(
                HistogramOpts::new(
                    "trustcard_upstream_request_duration_seconds",
                    "Time from sending a request to the upstream to its whole answer.",
                )
                .buckets(SECONDS.to_vec()),
                &["adapter"],
            )?,
            budget: GaugeVec::new(
                Opts::new(
                    "trustcard_upstream_budget_per_minute",
                    "Requests a minute that this instance allows itself now.",
                ),
                &["budget"],
            )?,
            circuit: IntGauge::new(
                "trustcard_upstream_circuit",
                "State of the upstream's circuit: 0 closed, 1 half open, 2 open.",
            )?,
            session_usable: IntGauge::new(
                "trustcard_upstream_session_usable",
                "Whether the operator's session can be used: 1 or 0.",
            )?,
            media_files: IntCounterVec::new(
                Opts::new(
                    "trustcard_media_files_total",
                    "Media files by outcome: ok, or the reason code of the failure.",
                ),
                &["outcome"],
            )?,
            media_bytes: IntCounter::new(
                "trustcard_media_bytes_total",
                "Bytes of media files fetched and accepted.",
            )?,
        };
        let collectors: [Box<dyn Collector>; 7] = [
            Box::new(metrics.requests.clone()),
            Box::new(metrics.request_seconds.clone()),
            Box::new(metrics.budget.clone()),
            Box::new(metrics.circuit.clone()),
            Box::new(metrics.session_usable.clone()),
            Box::new(metrics.media_files.clone()),
            Box::new(metrics.media_bytes.clone()),
        ];
        for collector in collectors {
            registry.register(collector)?;
        }
        // There before the first request.
        for adapter in Adapter::ALL {
            metrics.requests.with_label_values(&[adapter.name(), "ok"]);
            metrics.request_seconds.with_label_values(&[adapter.name()]);
        }
        metrics.media_files.with_label_values(&["ok"]);
        Ok(metrics)
    }

    /// A request was answered, or not, after this many seconds.
    pub(crate) fn request(&self, adapter: Adapter, answer: &str, seconds: f64) {
        self.requests
            .with_label_values(&[adapter.name(), answer])
            .inc();
        self.request_seconds
            .with_label_values(&[adapter.name()])
            .observe(seconds);
    }

    /// The gauge of a budget, `egress` or `session`.
    pub(crate) fn budget(&self, name: &str) -> Gauge {
        self.budget.with_label_values(&[name])
    }

    /// The gauge of the circuit.
    pub(crate) fn circuit(&self) -> IntGauge {
        self.circuit.clone()
    }

    /// Whether the operator's session can be used.
    pub(crate) fn session_usable(&self, usable: bool) {
        self.session_usable.set(usable.into());
    }

    /// A media file was fetched or not.
    pub(crate) fn media(&self, outcome: &str, bytes: u64) {
        self.media_files.with_label_values(&[outcome]).inc();
        self.media_bytes.inc_by(bytes);
    }
}
