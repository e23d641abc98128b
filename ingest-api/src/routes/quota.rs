//! GET /api/quota: what the caller may submit.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use store::KeyRole;
use utoipa::ToSchema;

use crate::{
    caller::Caller, error::ApiError, openapi::refusals::Refusal, quota::headers, state::AppState,
};

/// What the holder of a key may submit, in URLs.
#[derive(Debug, Serialize, ToSchema)]
pub struct QuotaView<'a> {
    /// Whose quota it is.
    holder: &'a str,
    /// Whether there is one: the admin key has none, and it can be turned off.
    limited: bool,
    /// Of the running minute; null where there is no quota.
    minute: Option<QuotaWindow>,
    /// Of the running hour.
    hour: Option<QuotaWindow>,
    /// Of the running day, in UTC.
    day: Option<QuotaWindow>,
}

/// URLs of a window.
#[derive(Debug, Serialize, ToSchema)]
struct QuotaWindow {
    /// How many may be submitted.
    limit: u32,
    /// How many were, all replicas together: what another one has leased and not used yet counts.
    used: u64,
    /// How many may be yet.
    remaining: u64,
    /// Seconds until the window ends.
    resets_in: u32,
}

/// What your key may submit
///
/// In URLs a minute, an hour and a day, with what is used of it. The same figures come as headers with every answer to a submission.
#[utoipa::path(
    get,
    path = "/api/quota",
    operation_id = "get_quota",
    tag = "submissions",
    security(("key" = [])),
    responses(
        (status = 200, description = "The quota.", body = QuotaView),
        Refusal<401>
    )
)]
pub async fn quota(State(state): State<AppState>, caller: Caller) -> Result<Response, ApiError> {
    let Some(holder) = caller.holder() else {
        return Err(ApiError::unauthorized("A quota"));
    };
    let mut view = QuotaView {
        holder: &holder.name,
        limited: false,
        minute: None,
        hour: None,
        day: None,
    };
    if holder.role == KeyRole::Admin || !state.quotas.config().enabled {
        return Ok(Json(view).into_response());
    }
    let limits = state.quotas.limits(&holder.quota);
    let now = state.clock.now();
    let standing = state.quotas.standing(&holder.name, limits, now).await;
    let standing = standing.map_err(|error| ApiError::database("read quota", &error))?;
    let left = standing.left();
    let [minute, hour, day] = std::array::from_fn(|window| {
        Some(QuotaWindow {
            limit: limits.0[window],
            used: standing.used.0[window],
            remaining: left[window],
            resets_in: standing.resets_s[window],
        })
    });
    view = QuotaView {
        limited: true,
        minute,
        hour,
        day,
        ..view
    };
    let mut response = Json(view).into_response();
    headers::write(response.headers_mut(), &standing);
    Ok(response)
}
