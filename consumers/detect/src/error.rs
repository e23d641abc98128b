//! Why the detectors can't start, and why one component has no answer on one picture.

use schemas::Reason;

use crate::{
    clip::OutputError, head::HeadError, header::PictureError, provenance::TrustError,
    registry::RegistryError, runtime::RuntimeError, video::VideoError,
};

/// Why the detectors refuse to start. Each message says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The registry, or a file it names, is missing or not what it says.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// No inference runtime could be set up.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The weights of a head can't be used.
    #[error("head {name}: {source}; restore its weights file or train it again")]
    Head {
        /// The head's name in the registry.
        name: String,
        /// What is wrong with it.
        source: HeadError,
    },
    /// A model could not be opened, although its file is the right one.
    #[error("model {model} can't be opened on {runtime}: {message}")]
    Session {
        /// `name@version`.
        model: String,
        /// The runtime in use.
        runtime: String,
        /// What the runtime says.
        message: String,
    },
    /// The list of trusted issuers of content credentials can't be used.
    #[error("TRUSTCARD__DETECT__TRUSTED_ISSUERS: {0}")]
    Trust(#[from] TrustError),
    /// A worker thread could not be started.
    #[error("a worker thread could not be started: {0}")]
    Thread(#[from] std::io::Error),
    /// A worker broke down while it was opening its sessions.
    #[error("a worker thread broke down while opening its models")]
    WorkerPanicked,
}

/// Why a component has no answer on a picture.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ComponentError {
    /// The component does not run in this process; the reason says why.
    #[error("not run: {}", .0.sentence())]
    Skipped(Reason),
    /// The picture can't be judged.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// The video can't be judged.
    #[error(transparent)]
    Video(VideoError),
    /// The model's output is not what it promises.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The runtime failed on this input.
    #[error("inference failed: {0}")]
    Inference(String),
    /// The worker broke down on this picture; the next one is not affected.
    #[error("the worker broke down on this picture")]
    WorkerPanicked,
    /// The detectors are being shut down.
    #[error("the detectors are shutting down")]
    ShuttingDown,
}

impl ComponentError {
    /// The stable code of this error.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Skipped(reason) => *reason,
            Self::Picture(error) => error.reason(),
            Self::Video(error) => error.reason(),
            Self::Output(_) => Reason::ModelOutputInvalid,
            Self::Inference(_) | Self::WorkerPanicked | Self::ShuttingDown => {
                Reason::InferenceFailed
            }
        }
    }

    /// Whether the component was left out rather than broken.
    #[must_use]
    pub const fn is_skip(&self) -> bool {
        matches!(self, Self::Skipped(_))
    }
}
