//! GET /api/batches/{batch_id}.

use axum::{Json, extract::State};

use crate::{
    access, caller::Caller, error::ApiError, extract::BatchId, openapi::refusals::Refusal,
    state::AppState, views::BatchView,
};

/// Progress of a batch
///
/// A batch that belongs to somebody else is as unknown as one that does not exist.
#[utoipa::path(
    get,
    path = "/api/batches/{batch_id}",
    operation_id = "get_batch",
    tag = "submissions",
    security((), ("key" = [])),
    params(("batch_id" = Uuid, Path, description = "As it was answered to the batch.")),
    responses(
        (status = 200, description = "How far it is.", body = BatchView),
        Refusal<404>,
        Refusal<422>
    )
)]
pub async fn batch(
    State(state): State<AppState>,
    caller: Caller,
    BatchId(id): BatchId,
) -> Result<Json<BatchView>, ApiError> {
    let progress = state
        .store
        .batch(id, state.clock.now())
        .await
        .map_err(|error| ApiError::database("read batch", &error))?
        .filter(|progress| access::may_see(&caller, progress.batch.owner.as_deref()))
        .ok_or_else(|| ApiError::not_found("batch", &id.to_string(), "There is no such batch."))?;
    Ok(Json(BatchView::of(&progress)))
}
