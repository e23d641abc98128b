//! The API's description: the document, and a page that shows it. The page is Swagger UI, built in, so that it works offline.

use std::sync::{Arc, LazyLock};

use axum::{
    extract::{Path, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Redirect, Response},
};
use utoipa_swagger_ui::Config;

use crate::{error::ApiError, state::AppState};

/// Where the page is; its files are beside it, hence the slash.
const PAGE: &str = "/docs/";

/// Scripts and styles come from here, in files; the style has small pictures as `data:`. The one style that Swagger UI's script
/// writes into the page is known by its hash: a newer Swagger UI may have another, which the test in a browser then shows.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; style-src 'self' 'sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w='; img-src 'self' data:; \
     frame-ancestors 'none'; base-uri 'self'; form-action 'self'",
);

/// Nothing is asked of a validator elsewhere, and no link can make the page show another document.
static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    Arc::new(
        Config::from("/openapi.json")
            .query_config_enabled(false)
            .validator_url("none")
            .default_models_expand_depth(0),
    )
});

/// This document
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "get_openapi",
    tag = "documentation",
    responses((status = 200, description = "OpenAPI 3.1.", body = Object))
)]
pub async fn document(State(state): State<AppState>) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, state.document.text.clone())
}

/// This document as a page
#[utoipa::path(
    get,
    path = "/docs",
    operation_id = "get_docs",
    tag = "documentation",
    responses((status = 308, description = "The page is at `/docs/`.", headers(("Location" = String, description = "Its address."))))
)]
pub async fn docs() -> Redirect {
    Redirect::permanent(PAGE)
}

/// Where the old application had a page
#[utoipa::path(
    get,
    path = "/redoc",
    operation_id = "get_redoc",
    tag = "documentation",
    responses((status = 308, description = "There is one page, at `/docs/`.", headers(("Location" = String, description = "Its address."))))
)]
pub async fn redoc() -> Redirect {
    Redirect::permanent(PAGE)
}

/// The page.
pub async fn index() -> Result<Response, ApiError> {
    part("")
}

/// A file of the page.
pub async fn file(Path(name): Path<String>) -> Result<Response, ApiError> {
    part(&name)
}

fn part(name: &str) -> Result<Response, ApiError> {
    let found = utoipa_swagger_ui::serve(name, CONFIG.clone()).map_err(|error| {
        tracing::error!(name, %error, "a file of the documentation can't be made");
        ApiError::internal()
    })?;
    let file = found.ok_or_else(|| {
        let path = format!("{PAGE}{name}");
        ApiError::not_found(
            "path",
            &path,
            "The page of the documentation has no such file.",
        )
    })?;
    let media_type = HeaderValue::from_str(&file.content_type).map_err(|_| ApiError::internal())?;
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    Ok((headers, file.bytes.into_owned()).into_response())
}
