//! GET /api/results and GET /api/results/{analysis_id}.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use store::ListQuery;

use crate::{
    access,
    caller::Caller,
    error::ApiError,
    extract::{AnalysisId, Listing, encode_cursor},
    openapi::refusals::Refusal,
    state::AppState,
    views::{ListedView, ResultView},
};

/// A page of analyses.
#[derive(Debug, Serialize, ToSchema)]
pub struct Listed<'a> {
    /// Newest first.
    analyses: Vec<ListedView<'a>>,
    /// How many were asked for.
    page_size: u32,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
}

/// One analysis
///
/// Its state while it runs, and in the end its score with every reason, or why there is none.
#[utoipa::path(
    get,
    path = "/api/results/{analysis_id}",
    operation_id = "get_result",
    tag = "results",
    params(("analysis_id" = Uuid, Path, description = "As it was answered to the submission.")),
    responses(
        (status = 200, description = "The analysis, whatever its state.", body = ResultView<'static>),
        Refusal<404>,
        Refusal<422>
    )
)]
pub async fn result(
    State(state): State<AppState>,
    AnalysisId(id): AnalysisId,
) -> Result<Response, ApiError> {
    let row = state.analysis(id).await?;
    Ok(Json(ResultView::of(&row, &state.policy)).into_response())
}

/// Analyses, newest first
///
/// A partner sees what was submitted with its key, by its newest submission of each; the admin key lists everybody's, by their
/// creation. Without a key only in development.
#[utoipa::path(
    get,
    path = "/api/results",
    operation_id = "list_results",
    tag = "results",
    security((), ("key" = [])),
    params(
        ("limit" = u32, Query, description = "How many; 10 unless told.", minimum = 1, maximum = 100, example = 10),
        ("status" = store::Status, Query, description = "Only analyses in this state.", example = "completed"),
        ("cursor" = String, Query, description = "`next_cursor` of an earlier answer: goes on there.", pattern = "^[0-9a-f]{48}$")
    ),
    responses(
        (status = 200, description = "A page of them.", body = Listed<'static>),
        Refusal<401>,
        Refusal<422>
    )
)]
pub async fn list(
    State(state): State<AppState>,
    caller: Caller,
    Listing(query): Listing,
) -> Result<Response, ApiError> {
    let query = ListQuery {
        owner: access::listed(&state.config, &caller)?,
        ..query
    };
    let page = state
        .store
        .list(&query, state.clock.now())
        .await
        .map_err(|error| ApiError::database("list analyses", &error))?;
    let analyses: Vec<ListedView<'_>> = page
        .rows
        .iter()
        .map(|row| ListedView::of(row, &state.policy))
        .collect();
    Ok(Json(Listed {
        analyses,
        page_size: query.limit,
        next_cursor: page.next.as_ref().map(encode_cursor),
    })
    .into_response())
}
