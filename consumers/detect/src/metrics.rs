//! Metrics of the detect stage.

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

/// Where the answer on a picture came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// A model was run.
    Computed,
    /// The same bytes were answered before.
    Reused,
    /// The picture or the model failed.
    Failed,
}

/// The metrics.
#[derive(Debug, Clone)]
pub struct DetectMetrics {
    pictures: IntCounterVec,
    inference: HistogramVec,
}

impl DetectMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// When a name is taken.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let pictures = IntCounterVec::new(
            Opts::new(
                "trustcard_detect_pictures_total",
                "Pictures answered, by answer: computed, reused or failed.",
            ),
            &["answer"],
        )?;
        let inference = HistogramVec::new(
            HistogramOpts::new(
                "trustcard_model_inference_duration_seconds",
                "Time for decoding a picture and running a model on it, in seconds.",
            )
            .buckets(vec![
                0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
            ]),
            &["model_name"],
        )?;
        registry.register(Box::new(pictures.clone()))?;
        registry.register(Box::new(inference.clone()))?;
        Ok(Self {
            pictures,
            inference,
        })
    }

    /// Counts a picture.
    pub fn answer(&self, answer: Answer) {
        let label = match answer {
            Answer::Computed => "computed",
            Answer::Reused => "reused",
            Answer::Failed => "failed",
        };
        self.pictures.with_label_values(&[label]).inc();
    }

    /// Observes a run of a model.
    pub fn inference(&self, model: &str, millis: u64) {
        self.inference
            .with_label_values(&[model])
            .observe(millis as f64 / 1000.0);
    }
}
