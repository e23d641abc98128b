//! DELETE /api/results/{analysis_id}: an analysis and its result are gone, here and for the readers of the result topics.

use axum::{Json, extract::State};
use schemas::{Deletion, topics};
use serde::Serialize;
use tracing::Instrument;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    access, caller::Caller, error::ApiError, extract::AnalysisId, openapi::refusals::Refusal,
    state::AppState,
};

/// The answer, 200.
#[derive(Debug, Serialize, ToSchema)]
pub struct Deleted {
    /// The same in words.
    message: &'static str,
    /// What is gone.
    analysis_id: Uuid,
}

/// Delete an analysis
///
/// Its row, its votes and its place on `results.latest` go, and readers of the results topic get a tombstone. Goes on to its end even
/// if the caller hangs up.
#[utoipa::path(
    delete,
    path = "/api/results/{analysis_id}",
    operation_id = "delete_result",
    tag = "results",
    security(("key" = [])),
    params(("analysis_id" = Uuid, Path, description = "As it was answered to the submission.")),
    responses(
        (status = 200, description = "It is deleted.", body = Deleted),
        Refusal<401>,
        Refusal<403>,
        Refusal<404>,
        Refusal<422>,
        Refusal<503>
    )
)]
pub async fn delete(
    State(state): State<AppState>,
    caller: Caller,
    id: Result<AnalysisId, ApiError>,
) -> Result<Json<Deleted>, ApiError> {
    access::admin(&caller, "Deleting an analysis")?;
    let AnalysisId(analysis_id) = id?;
    let work = async move { delete_all(&state, analysis_id).await };
    let done = tokio::spawn(work.in_current_span()).await;
    done.unwrap_or_else(|error| {
        tracing::error!(%error, "a deletion broke");
        Err(ApiError::task(&error.id().to_string(), "deletion"))
    })?;
    let by = caller.owner();
    tracing::info!(%analysis_id, by, "an analysis was deleted");
    Ok(Json(Deleted {
        message: "The analysis was deleted.",
        analysis_id,
    }))
}

/// Published first: what the broker did not take has changed nothing and can be asked for again. What it took is marked by the score
/// stage, should the mark fail here.
async fn delete_all(state: &AppState, id: Uuid) -> Result<(), ApiError> {
    let now = state.clock.now();
    let row = state.store.analysis(id, now).await;
    let row = row.map_err(|error| ApiError::database("read analysis", &error))?;
    let deletion = Deletion {
        analysis_id: id,
        post: row.ok_or_else(|| ApiError::no_analysis(id))?.post,
        deleted_at: now,
    };
    let record = schemas::encode(topics::DETECTIONS, &deletion).map_err(|error| {
        tracing::error!(%error, "a deletion can't be written");
        ApiError::internal()
    })?;
    let reserved = state.publisher.reserve(vec![record]).map_err(|error| {
        tracing::warn!(%error, "no room for a deletion");
        ApiError::broker_unavailable()
    })?;
    for answer in reserved.publish().await {
        answer.map_err(|error| {
            tracing::warn!(%error, "the broker did not acknowledge a deletion");
            ApiError::broker_unavailable()
        })?;
    }
    let marked = state.store.delete(id, now).await;
    state.results.forget(id).await;
    marked
        .map(|_| ())
        .map_err(|error| ApiError::database("delete analysis", &error))
}
