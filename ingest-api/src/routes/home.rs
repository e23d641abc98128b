//! GET /: what there is, for programs and for people.

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use schemas::PostRef;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::analyze;
use crate::{
    accept::wants_json,
    caller::Caller,
    error::ApiError,
    openapi::Endpoint,
    pages::{Page, form::Form},
    request_id::RequestId,
    state::AppState,
};

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
        page(&state, None)?.into_response()
    };
    response
        .headers_mut()
        .insert(header::VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

fn page(state: &AppState, refused: Option<(&str, &str)>) -> Result<Page, ApiError> {
    let endpoints = &state.document.endpoints;
    state
        .pages
        .home(&state.config, state.version, endpoints, refused)
}

/// The form of the home page, sent without a script: submits the address in `url` and goes to its report. One that is none is
/// told on the page, which keeps it.
pub async fn submit(
    State(state): State<AppState>,
    id: RequestId,
    caller: Caller,
    request: Request,
) -> Result<Response, ApiError> {
    let (limit, deadline) = (state.config.max_body_bytes, state.config.body_timeout());
    let form = Form::read(request, limit, deadline).await?;
    let url = form.field("url");
    let url = url.trim();
    let post = match PostRef::parse(url, state.config.max_url_length) {
        Ok(post) => post,
        Err(error) => {
            let page = page(&state, Some((url, &error.to_string())))?;
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
        }
    };
    let request_id = format!("{}/{}", id.as_str(), Uuid::new_v4().simple());
    let now = state.clock.now();
    let accepted = analyze::submit(&state, &caller, (post, false), request_id, now).await?;
    let report = format!("/api/reports/{}", accepted.analysis_id);
    Ok(Redirect::to(&report).into_response())
}

/// The icon of every page.
pub async fn icon() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "image/svg+xml")],
        include_str!("../../templates/icon.svg"),
    )
}

/// The script of the home page.
pub async fn script() -> impl IntoResponse {
    (SCRIPT, include_str!("../../templates/home.js"))
}

/// What scripts are sent with.
pub const SCRIPT: [(header::HeaderName, &str); 2] = [
    (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
    (header::CACHE_CONTROL, "no-cache"),
];
