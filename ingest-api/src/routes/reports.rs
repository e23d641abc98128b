//! GET /api/reports/{analysis_id}.

use axum::{extract::State, response::Html};

use crate::{error::ApiError, extract::AnalysisId, openapi::refusals::Refusal, state::AppState};

/// One analysis as a page
#[utoipa::path(
    get,
    path = "/api/reports/{analysis_id}",
    operation_id = "get_report",
    tag = "results",
    params(("analysis_id" = Uuid, Path, description = "As it was answered to the submission.")),
    responses(
        (status = 200, description = "The page, whatever the state of the analysis.", body = String, content_type = "text/html"),
        Refusal<404>,
        Refusal<422>
    )
)]
pub async fn report(
    State(state): State<AppState>,
    AnalysisId(id): AnalysisId,
) -> Result<Html<String>, ApiError> {
    let row = state.analysis(id).await?;
    state
        .pages
        .report(&row, &state.policy, &state.config.app_name)
}
