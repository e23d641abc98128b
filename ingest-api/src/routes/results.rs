//! GET /api/results and GET /api/results/{analysis_id}.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::{
    access,
    error::ApiError,
    extract::{AnalysisId, Listing, encode_cursor},
    state::AppState,
    views::{ListedView, ResultView},
};

/// One analysis.
pub async fn result(
    State(state): State<AppState>,
    AnalysisId(id): AnalysisId,
) -> Result<Response, ApiError> {
    let row = state
        .store
        .analysis(id, state.clock.now())
        .await
        .map_err(|error| ApiError::database("read analysis", &error))?
        .ok_or_else(|| ApiError::no_analysis(id))?;
    Ok(Json(ResultView::of(&row, &state.policy)).into_response())
}

/// A page of analyses, newest first.
pub async fn list(
    State(state): State<AppState>,
    Listing(query): Listing,
) -> Result<Response, ApiError> {
    access::anonymous_only_in_development(&state.config, "Listing analyses")?;
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
    Ok(Json(json!({
        "analyses": analyses,
        "page_size": query.limit,
        "next_cursor": page.next.as_ref().map(encode_cursor),
    }))
    .into_response())
}
