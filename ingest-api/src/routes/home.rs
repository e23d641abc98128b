//! GET /: what there is, for programs and for people.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::{accept::wants_json, error::ApiError, router::ENDPOINTS, state::AppState};

/// JSON for who asks for it, a page for everybody else.
pub async fn home(State(state): State<AppState>, headers: HeaderMap) -> Result<Response, ApiError> {
    let mut response = if wants_json(&headers) {
        Json(json!({
            "message": format!("{} scores how far to trust a post.", state.config.app_name),
            "status": "running",
            "version": state.version,
            "environment": state.config.environment.name(),
            "documentation": null,
            "endpoints": ENDPOINTS,
        }))
        .into_response()
    } else {
        state
            .pages
            .home(&state.config, state.version)?
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
