//! GET /: what there is, for programs and for people.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{accept::wants_json, error::ApiError, openapi::Endpoint, state::AppState};

/// The answer to programs.
#[derive(Debug, Serialize, ToSchema)]
pub struct Home<'a> {
    /// What this is.
    message: String,
    /// Always `running`.
    status: &'static str,
    /// Of the binary.
    version: &'a str,
    /// development, staging or production.
    environment: &'a str,
    /// Where the API is described.
    documentation: &'static str,
    /// Every path of the API.
    endpoints: &'a [Endpoint],
}

/// What there is
///
/// JSON for who asks for it, a page for everybody else.
#[utoipa::path(
    get,
    path = "/",
    operation_id = "get_home",
    tag = "documentation",
    responses((status = 200, description = "What there is.", content(
        (Home<'static> = "application/json"),
        (String = "text/html")
    )))
)]
pub async fn home(State(state): State<AppState>, headers: HeaderMap) -> Result<Response, ApiError> {
    let mut response = if wants_json(&headers) {
        Json(Home {
            message: format!("{} scores how far to trust a post.", state.config.app_name),
            status: "running",
            version: state.version,
            environment: state.config.environment.name(),
            documentation: "/docs",
            endpoints: &state.document.endpoints,
        })
        .into_response()
    } else {
        state
            .pages
            .home(&state.config, state.version, &state.document.endpoints)?
            .into_response()
    };
    response
        .headers_mut()
        .insert(header::VARY, axum::http::HeaderValue::from_static("accept"));
    Ok(response)
}

/// The style of every page.
pub async fn style() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=3600"),
    ];
    (headers, include_str!("../../templates/trustcard.css"))
}
