//! What can go wrong between a caller and the API.

use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

/// A request was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection, or it broke before the whole answer had come: whether the request was done is not known.
    #[error("no answer from the API at {base} ({source})")]
    Unreachable {
        /// Its address.
        base: String,
        /// What happened.
        source: reqwest::Error,
    },
    /// Not done and worth asking again: over a limit, no room, or the same request is being worked on.
    #[error("the API answered {status} and asks to come back in {} s", after.as_secs())]
    Later {
        /// 409, 429 or 503.
        status: u16,
        /// How long to wait.
        after: Duration,
    },
    /// Not done, and asking again won't help.
    #[error("the API answered {status} {code}: {message} {details}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// A stable code such as `INVALID_INPUT`; empty when the answer was no error of the API.
        code: String,
        /// A sentence for people.
        message: String,
        /// What belongs to the code.
        details: Value,
    },
    /// The API knows no such batch, or it belongs to another key.
    #[error("the API knows no batch {0}")]
    UnknownBatch(Uuid),
    /// The answer is not what this version knows.
    #[error("the API answered in a shape this version does not know: {0}")]
    Shape(#[from] serde_json::Error),
    /// No HTTP client can be made.
    #[error("no HTTP client can be made: {0}")]
    Setup(reqwest::Error),
}

impl Error {
    /// Whether the same request may well be answered a moment later: the API broke, or the connection to it.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Later { .. } => true,
            Self::Refused { status, .. } => *status >= 500,
            Self::UnknownBatch(_) | Self::Shape(_) | Self::Setup(_) => false,
        }
    }
}
