//! GET /api/results and GET /api/results/{analysis_id}.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use serde_json::json;

use store::ListQuery;

use crate::{
    access,
    caller::Caller,
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
    let row = state.analysis(id).await?;
    Ok(Json(ResultView::of(&row, &state.policy)).into_response())
}

/// A page of analyses, newest first: of everybody's by their creation, of the caller's own by its newest submission of each.
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
    Ok(Json(json!({
        "analyses": analyses,
        "page_size": query.limit,
        "next_cursor": page.next.as_ref().map(encode_cursor),
    }))
    .into_response())
}
