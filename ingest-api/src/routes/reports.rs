//! GET /api/reports/{analysis_id}.

use axum::{extract::State, response::Html};

use crate::{error::ApiError, extract::AnalysisId, state::AppState};

/// One analysis as a page for people.
pub async fn report(
    State(state): State<AppState>,
    AnalysisId(id): AnalysisId,
) -> Result<Html<String>, ApiError> {
    let row = state.analysis(id).await?;
    state
        .pages
        .report(&row, &state.policy, &state.config.app_name)
}
