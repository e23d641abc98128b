//! From the driver's errors to the port's: what may succeed later, and what never will.

use scylla::errors::{
    DbError, ExecutionError, NewSessionError, PrepareError, RequestAttemptError, UseKeyspaceError,
};

use crate::StoreError;

/// What became of one attempt.
pub(super) enum Failure {
    /// May succeed when asked again, here or later.
    Passing(String),
    /// Will not.
    Lasting(String),
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Passing(reason) => Self::Unavailable(reason),
            Failure::Lasting(reason) => Self::Corrupt(reason),
        }
    }
}

impl From<&ExecutionError> for Failure {
    fn from(error: &ExecutionError) -> Self {
        let lasting = match error {
            ExecutionError::BadQuery(_) => true,
            ExecutionError::LastAttemptError(attempt) => lasts(attempt),
            ExecutionError::PrepareError(PrepareError::AllAttemptsFailed { first_attempt }) => {
                lasts(first_attempt)
            }
            ExecutionError::UseKeyspaceError(UseKeyspaceError::RequestError(attempt)) => {
                lasts(attempt)
            }
            _ => false,
        };
        Self::of(lasting, error)
    }
}

impl From<&PrepareError> for Failure {
    fn from(error: &PrepareError) -> Self {
        let lasting = match error {
            PrepareError::AllAttemptsFailed { first_attempt } => lasts(first_attempt),
            _ => false,
        };
        Self::of(lasting, error)
    }
}

impl From<&UseKeyspaceError> for Failure {
    fn from(error: &UseKeyspaceError) -> Self {
        let lasting = match error {
            UseKeyspaceError::RequestError(attempt) => lasts(attempt),
            UseKeyspaceError::BadKeyspaceName(_) => true,
            _ => false,
        };
        Self::of(lasting, error)
    }
}

impl From<&NewSessionError> for Failure {
    fn from(error: &NewSessionError) -> Self {
        let lasting = matches!(
            error,
            NewSessionError::IllegalConfig(_) | NewSessionError::EmptyKnownNodesList
        );
        Self::of(lasting, error)
    }
}

impl Failure {
    fn of(lasting: bool, error: &impl std::fmt::Display) -> Self {
        if lasting {
            Self::Lasting(error.to_string())
        } else {
            Self::Passing(error.to_string())
        }
    }
}

/// What the server refused for good; all that overload, outage, a broken connection or a slow replica may cause passes.
fn lasts(error: &RequestAttemptError) -> bool {
    match error {
        RequestAttemptError::DbError(error, _) => matches!(
            error,
            DbError::SyntaxError
                | DbError::Invalid
                | DbError::AlreadyExists { .. }
                | DbError::FunctionFailure { .. }
                | DbError::AuthenticationError
                | DbError::Unauthorized
                | DbError::ConfigError
                | DbError::ProtocolError
        ),
        RequestAttemptError::SerializationError(_)
        | RequestAttemptError::CqlRequestSerialization(_)
        | RequestAttemptError::RepreparedIdChanged { .. } => true,
        _ => false,
    }
}
