//! What a submission costs its caller: URLs of a partner's quota, and how many of them take the straight way.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use store::KeyRole;

use crate::{
    caller::Caller,
    error::ApiError,
    keys::Holder,
    quota::{Granted, headers},
    state::AppState,
};

/// What a caller was let pass.
#[derive(Debug)]
pub struct Charge {
    /// How many of the wanted URLs may be submitted: the first ones.
    pub urls: usize,
    /// How many of those, the first ones, take the straight way; the others that of bulk.
    pub straight: usize,
    /// Seconds after which the others are worth sending; `None` where there are none.
    pub retry_after_s: Option<u32>,
    charged: Option<Arc<str>>,
}

/// The holder that a caller is charged as: partners are, while there are quotas.
fn charged<'a>(state: &AppState, caller: &'a Caller) -> Option<&'a Holder> {
    let partner = caller
        .holder()
        .filter(|holder| holder.role == KeyRole::Partner);
    partner.filter(|_| state.quotas.config().enabled)
}

impl Charge {
    /// Charges a caller for so many URLs.
    ///
    /// # Errors
    /// 429 when none may pass, 500 when the store does not tell.
    pub async fn take(
        state: &AppState,
        caller: &Caller,
        wanted: usize,
        now: Timestamp,
    ) -> Result<Self, ApiError> {
        let Some(holder) = charged(state, caller).filter(|_| wanted > 0) else {
            return Ok(Self {
                urls: wanted,
                straight: wanted,
                retry_after_s: None,
                charged: None,
            });
        };
        let limits = state.quotas.limits(&holder.quota);
        let granted = state.quotas.take(&holder.name, limits, wanted, now).await;
        let granted = granted.map_err(|error| ApiError::database("lease quota", &error))?;
        let Granted {
            urls,
            before,
            standing,
        } = granted;
        let retry_after_s = (urls < wanted).then(|| standing.retry_after_s());
        if let (0, Some(seconds)) = (urls, retry_after_s) {
            return Err(ApiError::quota_used_up(seconds, limits.0));
        }
        let straight = u64::from(state.quotas.config().straight_per_minute).saturating_sub(before);
        Ok(Self {
            urls,
            straight: usize::try_from(straight).map_or(urls, |straight| straight.min(urls)),
            retry_after_s,
            charged: Some(Arc::clone(&holder.name)),
        })
    }

    /// Gives back URLs that were not submitted after all.
    pub async fn give_back(&self, state: &AppState, urls: usize) {
        if let Some(holder) = &self.charged {
            state.quotas.give_back(holder, urls).await;
        }
    }
}

/// An answer to a submission, with how the caller's quota stands.
pub async fn tell(
    state: &AppState,
    caller: &Caller,
    answer: Result<Response, ApiError>,
) -> Response {
    let mut response = answer.into_response();
    if let Some(holder) = charged(state, caller) {
        let limits = state.quotas.limits(&holder.quota);
        let known = state
            .quotas
            .known(&holder.name, limits, state.clock.now())
            .await;
        headers::write(response.headers_mut(), &known);
    }
    response
}
