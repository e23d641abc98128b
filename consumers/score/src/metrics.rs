//! What operators count of finished analyses.

use prometheus::{Histogram, HistogramOpts, IntCounterVec, Opts, Registry};
use schemas::AnalysisResult;
use schemas::events::result::Outcome;
use serde_json::Value;
use store::EndMetrics;

const SCORE_BUCKETS: [f64; 11] = [
    0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 100.0,
];

/// Counters and histograms of finished analyses.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Those that every stage shares.
    pub(crate) ends: EndMetrics,
    trust_score: Histogram,
    ai_results: IntCounterVec,
    deepfake_results: IntCounterVec,
}

impl Metrics {
    /// Registers them beside `ends`, every label's value at 0 from the start.
    ///
    /// # Errors
    /// When one of the names is taken in that registry.
    pub fn register(registry: &Registry, ends: EndMetrics) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, label: &str, values: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), &[label])?;
            for value in values {
                counter.with_label_values(&[value]).reset();
            }
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            let histogram =
                Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?;
            registry.register(Box::new(histogram.clone()))?;
            Ok::<_, prometheus::Error>(histogram)
        };
        Ok(Self {
            ends,
            trust_score: histogram(
                "trustcard_trust_score",
                "Trust scores of completed analyses.",
                &SCORE_BUCKETS,
            )?,
            ai_results: counter(
                "trustcard_ai_detection_results_total",
                "Analyses by what the detector of AI-generated pictures said.",
                "result",
                &["ai_generated", "human_made", "inconclusive"],
            )?,
            deepfake_results: counter(
                "trustcard_deepfake_detection_results_total",
                "Analyses by what the detector of synthesised or manipulated faces said.",
                "result",
                &["suspicious", "clean", "inconclusive"],
            )?,
        })
    }

    /// Counts a result.
    pub fn observe(&self, result: &AnalysisResult) {
        self.ends.observe(result);
        if let (Outcome::Completed, Some(score)) = (result.status, result.trust_score) {
            self.trust_score.observe(score);
        }
        if let Some(found) = &result.analysis_results {
            for (counter, component) in [
                (&self.ai_results, &found.ai_detection),
                (&self.deepfake_results, &found.deepfake),
            ] {
                if let Some(verdict) = component.get("verdict").and_then(Value::as_str) {
                    counter.with_label_values(&[verdict]).inc();
                }
            }
        }
    }
}
