//! What operators count of webhooks.

use prometheus::{Histogram, HistogramOpts, IntCounterVec, Opts, Registry};
use schemas::webhook::Kind;

/// Seconds that a receiver takes.
const BUCKETS: [f64; 9] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0];

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The receiver took it.
    Taken,
    /// It did not; it is tried again.
    Failed,
    /// It did not, and is not asked again.
    GivenUp,
}

impl End {
    const ALL: [Self; 3] = [Self::Taken, Self::Failed, Self::GivenUp];

    const fn name(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Failed => "failed",
            Self::GivenUp => "given_up",
        }
    }
}

/// Counters and histograms of webhooks.
#[derive(Debug, Clone)]
pub struct Metrics {
    attempts: IntCounterVec,
    duration: Histogram,
}

impl Metrics {
    /// Registers them, every label's value at 0 from the start.
    ///
    /// # Errors
    /// When one of the names is taken in that registry.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let attempts = IntCounterVec::new(
            Opts::new(
                "trustcard_webhook_attempts_total",
                "Attempts to tell a webhook, and messages that were given up, by what they tell of.",
            ),
            &["kind", "result"],
        )?;
        for kind in Kind::ALL {
            for end in End::ALL {
                attempts
                    .with_label_values(&[kind.name(), end.name()])
                    .reset();
            }
        }
        let duration = Histogram::with_opts(
            HistogramOpts::new(
                "trustcard_webhook_attempt_duration_seconds",
                "Time until a webhook answered or failed.",
            )
            .buckets(BUCKETS.to_vec()),
        )?;
        registry.register(Box::new(attempts.clone()))?;
        registry.register(Box::new(duration.clone()))?;
        Ok(Self { attempts, duration })
    }

    pub(crate) fn tried(&self, kind: Kind, end: End, seconds: f64) {
        self.count(kind, end);
        self.duration.observe(seconds);
    }

    pub(crate) fn count(&self, kind: Kind, end: End) {
        self.attempts
            .with_label_values(&[kind.name(), end.name()])
            .inc();
    }
}
