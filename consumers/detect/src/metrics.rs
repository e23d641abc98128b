//! Metrics of the detect stage.

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};
use store::EndMetrics;

/// What is answered on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A picture, thumbnails among them.
    Picture,
    /// A video.
    Video,
}

impl Kind {
    /// What answers are kept under, before the models they come from.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Picture => "picture",
            Self::Video => "video",
        }
    }
}

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// A model was run.
    Computed,
    /// The same bytes were answered before.
    Reused,
    /// A near-identical picture was judged before; the rest was looked at.
    Copied,
    /// The file or the model failed.
    Failed,
}

impl Answer {
    const fn name(self) -> &'static str {
        match self {
            Self::Computed => "computed",
            Self::Reused => "reused",
            Self::Copied => "copied",
            Self::Failed => "failed",
        }
    }
}

/// The metrics.
#[derive(Debug, Clone)]
pub struct DetectMetrics {
    pictures: IntCounterVec,
    videos: IntCounterVec,
    inference: HistogramVec,
    /// Those that every stage shares.
    pub(crate) ends: EndMetrics,
}

impl DetectMetrics {
    /// Registers them beside `ends`.
    ///
    /// # Errors
    /// When a name is taken.
    pub fn register(registry: &Registry, ends: EndMetrics) -> Result<Self, prometheus::Error> {
        let answers = |name: &str, help: &str, known: &[Answer]| {
            let answers = IntCounterVec::new(Opts::new(name, help), &["answer"])?;
            for answer in known {
                answers.with_label_values(&[answer.name()]);
            }
            registry.register(Box::new(answers.clone()))?;
            Ok::<_, prometheus::Error>(answers)
        };
        let pictures = answers(
            "trustcard_detect_pictures_total",
            "Pictures answered, by answer: computed, reused, copied or failed.",
            &[
                Answer::Computed,
                Answer::Reused,
                Answer::Copied,
                Answer::Failed,
            ],
        )?;
        let videos = answers(
            "trustcard_detect_videos_total",
            "Videos answered, by answer: computed, reused or failed.",
            &[Answer::Computed, Answer::Reused, Answer::Failed],
        )?;
        let inference = HistogramVec::new(
            HistogramOpts::new(
                "trustcard_model_inference_duration_seconds",
                "Time for decoding a picture and running a model on it, in seconds.",
            )
            .buckets(vec![
                0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
            ]),
            &["model_name"],
        )?;
        // Those of the built-in registry are there from the start.
        let known = crate::Registry::load(None);
        if let Ok(known) = &known {
            let heads = known.heads.iter();
            let heads = heads.map(|head| format!("{}@{}", head.name, head.version));
            for id in heads.chain(known.ocr.iter().map(crate::registry::OcrEntry::id)) {
                inference.with_label_values(&[id]);
            }
        }
        registry.register(Box::new(inference.clone()))?;
        Ok(Self {
            pictures,
            videos,
            inference,
            ends,
        })
    }

    /// Counts an answer.
    pub fn answer(&self, kind: Kind, answer: Answer) {
        let answers = match kind {
            Kind::Picture => &self.pictures,
            Kind::Video => &self.videos,
        };
        answers.with_label_values(&[answer.name()]).inc();
    }

    /// Observes a run of a model.
    pub fn inference(&self, model: &str, millis: u64) {
        self.inference
            .with_label_values(&[model])
            .observe(millis as f64 / 1000.0);
    }
}
