//! What operators count of finished analyses.

use prometheus::{Histogram, HistogramOpts, IntCounterVec, Opts, Registry};
use schemas::AnalysisResult;
use schemas::events::result::Outcome;
use serde_json::Value;

/// Seconds from the start of a run to its result. Analyses take less than a second when nothing waits, minutes when it does.
const DURATION_BUCKETS: [f64; 16] = [
    0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 180.0, 300.0,
];
const SCORE_BUCKETS: [f64; 11] = [
    0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 100.0,
];

/// Counters and histograms of finished analyses.
#[derive(Debug, Clone)]
pub struct Metrics {
    completed: IntCounterVec,
    duration: Histogram,
    trust_score: Histogram,
    ai_results: IntCounterVec,
    deepfake_results: IntCounterVec,
}

impl Metrics {
    /// Registers them, every label's value at 0 from the start.
    ///
    /// # Errors
    /// When one of the names is taken in that registry.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
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
            completed: counter(
                "trustcard_analyses_completed_total",
                "Analyses that ended, by how.",
                "status",
                &["completed", "failed"],
            )?,
            duration: histogram(
                "trustcard_analysis_duration_seconds",
                "Seconds from the start of a run to the record its result was derived from.",
                &DURATION_BUCKETS,
            )?,
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

    /// Counts a run that this stage gave up on.
    pub fn observe_dead_letter(&self) {
        self.completed
            .with_label_values(&[Outcome::Failed.name()])
            .inc();
    }

    /// Counts a result.
    pub fn observe(&self, result: &AnalysisResult) {
        self.completed
            .with_label_values(&[result.status.name()])
            .inc();
        let seconds = result
            .completed_at
            .duration_since(result.created_at)
            .as_secs_f64();
        self.duration.observe(seconds.max(0.0));
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
