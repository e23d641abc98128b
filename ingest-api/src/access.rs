//! Who may do what. An analysis is readable by its id; everything else belongs to whoever made it.

use crate::{
    config::{ApiConfig, Environment},
    error::ApiError,
};

/// What anonymous callers may do in development only, because without a key nobody can be held to a quota.
///
/// # Errors
/// 401 elsewhere; `what` begins its sentence.
pub fn anonymous_only_in_development(config: &ApiConfig, what: &str) -> Result<(), ApiError> {
    match config.environment {
        Environment::Development => Ok(()),
        Environment::Staging | Environment::Production => Err(ApiError::unauthorized(what)),
    }
}
