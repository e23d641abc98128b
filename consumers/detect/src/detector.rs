//! The detectors of this process: what the stage asks about a picture.

use bytes::Bytes;
use schemas::Reason;

use crate::{
    ComponentError, DetectConfig, Registry, Runtime, StartError,
    clip::{ClipEncoder, Opened, OutputError},
    head::{Head, Thresholds},
    registry::{HeadEntry, ModelEntry},
};

/// Name in the registry of the head that tells generated pictures.
const AI_GENERATED: &str = "ai-generated";

/// What was decided about a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Above the upper threshold.
    Generated,
    /// Below the lower threshold.
    Human,
    /// Between them.
    Inconclusive,
}

/// Whether a picture was generated.
#[derive(Debug, Clone, PartialEq)]
pub struct AiVerdict {
    /// Calibrated probability that it was, 0 to 1.
    pub probability: f64,
    /// What that means by the thresholds of the registry.
    pub verdict: Verdict,
    /// The head that says so, `name@version`.
    pub model: String,
    /// Time for decoding and inference, in milliseconds.
    pub millis: u64,
}

/// A model of this process and whether it is in use, for `/status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelInfo {
    /// Name in the registry.
    pub name: String,
    /// Version in the registry.
    pub version: String,
    /// `None` when it is in use, else why it is not.
    pub skipped: Option<Reason>,
}

/// The detectors of this process.
pub struct Detector {
    workers: usize,
    runtime: Option<Runtime>,
    models: Vec<ModelInfo>,
    ai_generated: Result<AiGenerated, Reason>,
}

struct AiGenerated {
    encoder: ClipEncoder,
    head: Head,
    thresholds: Thresholds,
    id: String,
}

impl Detector {
    /// Reads the registry, verifies every file it needs, opens the models and has each answer its golden picture. Blocks
    /// for seconds, so an async caller wraps it in `spawn_blocking`. With models disabled it reads nothing.
    ///
    /// # Errors
    /// [`StartError`] when a file is missing or another one, or a model can't be opened. A model that was not verified on
    /// the runtime of this machine is no error: its component says `skipped: runtime`.
    pub fn start(config: &DetectConfig) -> Result<Self, StartError> {
        let workers = config.workers.max(1);
        if !config.models_enabled {
            return Ok(Self {
                workers,
                runtime: None,
                models: Vec::new(),
                ai_generated: Err(Reason::ModelsOff),
            });
        }
        let registry = Registry::load(config.registry.as_deref())?;
        let entries = registry
            .head(AI_GENERATED)
            .and_then(|head| Some((head, registry.model(&head.model)?)));
        let Some((head, model)) = entries else {
            return Ok(Self {
                workers,
                runtime: None,
                models: Vec::new(),
                ai_generated: Err(Reason::NotInstalled),
            });
        };
        let weights = parse_head(&registry, head, model)?;
        let (runtime, ai_generated) = match ClipEncoder::open(config, &registry, model)? {
            Opened::Ready(encoder) => {
                let ai_generated = AiGenerated {
                    head: weights,
                    thresholds: head.thresholds,
                    id: format!("{}@{}", head.name, head.version),
                    encoder,
                };
                (ai_generated.encoder.runtime(), Ok(ai_generated))
            }
            Opened::NotVerified { runtime, why } => {
                tracing::warn!(
                    model = %model.id(),
                    runtime = %runtime.name(),
                    %why,
                    "detector skipped: run `trustcard models pull` to fetch the native runtime"
                );
                (runtime, Err(Reason::Runtime))
            }
        };
        let skipped = ai_generated.as_ref().err().copied();
        let info = |name: &str, version: &str| ModelInfo {
            name: name.to_owned(),
            version: version.to_owned(),
            skipped,
        };
        Ok(Self {
            workers,
            runtime: Some(runtime.clone()),
            models: vec![
                info(&model.name, &model.version),
                info(&head.name, &head.version),
            ],
            ai_generated,
        })
    }

    /// Pictures that are worked on at once.
    #[must_use]
    pub const fn workers(&self) -> usize {
        self.workers
    }

    /// The runtime in use; `None` with models off.
    #[must_use]
    pub const fn runtime(&self) -> Option<&Runtime> {
        self.runtime.as_ref()
    }

    /// The models of this process and whether each is in use.
    #[must_use]
    pub fn models(&self) -> &[ModelInfo] {
        &self.models
    }

    /// The head that tells generated pictures, `name@version`.
    ///
    /// # Errors
    /// Why none is in use.
    pub fn ai_model(&self) -> Result<&str, Reason> {
        self.ai_generated
            .as_ref()
            .map(|component| component.id.as_str())
            .map_err(|reason| *reason)
    }

    /// Whether the picture in `file` was generated.
    ///
    /// # Errors
    /// [`ComponentError`], with a stable reason: the component is off, the picture can't be judged, or the model failed.
    pub async fn ai_generated(&self, file: Bytes) -> Result<AiVerdict, ComponentError> {
        let component = self
            .ai_generated
            .as_ref()
            .map_err(|reason| ComponentError::Skipped(*reason))?;
        let features = component.encoder.features(file).await?;
        let probability = component
            .head
            .probability(&features.values)
            .ok_or(OutputError::Score)?;
        Ok(AiVerdict {
            probability,
            verdict: component.thresholds.verdict(probability),
            model: component.id.clone(),
            millis: features.millis,
        })
    }
}

fn parse_head(
    registry: &Registry,
    head: &HeadEntry,
    model: &ModelEntry,
) -> Result<Head, StartError> {
    Head::parse(&registry.weights(head)?, &model.id(), model.output.shape[1]).map_err(|source| {
        StartError::Head {
            name: head.name.clone(),
            source,
        }
    })
}
