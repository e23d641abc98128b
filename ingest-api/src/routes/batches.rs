//! GET /api/batches/{batch_id} and its results.

use std::collections::VecDeque;

use axum::{
    Json,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures::{Stream, StreamExt, stream};
use store::{BatchItem, BatchProgress};
use uuid::Uuid;

use crate::{
    access,
    caller::Caller,
    error::ApiError,
    extract::{BatchId, ItemCursor},
    openapi::refusals::Refusal,
    state::AppState,
    views::{BatchResultView, BatchView, ResultView},
};

/// Analyses of one stream that are read at once.
const READS: usize = 16;
/// Tells nginx to pass on each line and each event as it comes.
pub(super) const fn unbuffered() -> (HeaderName, HeaderValue) {
    (
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    )
}

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
    let progress = find(&state, &caller, id).await?;
    Ok(Json(BatchView::of(&progress)))
}

/// The batch, where the caller may see it.
///
/// # Errors
/// 404 when there is none for this caller, 500 when the store does not tell.
pub(super) async fn find(
    state: &AppState,
    caller: &Caller,
    id: Uuid,
) -> Result<BatchProgress, ApiError> {
    state
        .store
        .batch(id, state.clock.now())
        .await
        .map_err(|error| ApiError::database("read batch", &error))?
        .filter(|progress| access::may_see(caller, progress.batch.owner.as_deref()))
        .ok_or_else(|| ApiError::not_found("batch", &id.to_string(), "There is no such batch."))
}

/// Results of a batch
///
/// A line of JSON for each accepted item, in the order of the request, with the result where it has one; one that has not ended says
/// so. `cursor` of the last line that was read leads on where the stream was cut. Items end in any order: read to the end when the
/// batch has ended, or again from the first that had not.
#[utoipa::path(
    get,
    path = "/api/batches/{batch_id}/results",
    operation_id = "get_batch_results",
    tag = "submissions",
    security((), ("key" = [])),
    params(
        ("batch_id" = Uuid, Path, description = "As it was answered to the batch."),
        ("cursor" = Option<String>, Query, description = "`cursor` of the last line that was read.", pattern = "^[0-9a-f]{8}$", example = "00000000")
    ),
    responses(
        (
            status = 200,
            description = "Lines, each a JSON document.",
            body = BatchResultView,
            content_type = "application/x-ndjson"
        ),
        Refusal<404>,
        Refusal<422>
    )
)]
pub async fn results(
    State(state): State<AppState>,
    caller: Caller,
    BatchId(id): BatchId,
    ItemCursor(from): ItemCursor,
) -> Result<Response, ApiError> {
    find(&state, &caller, id).await?;
    let lines = items(state.clone(), id, from)
        .map(move |item| {
            let state = state.clone();
            async move { line(&state, item?).await }
        })
        .buffered(READS);
    let ndjson = HeaderValue::from_static("application/x-ndjson");
    let headers = [(header::CONTENT_TYPE, ndjson), unbuffered()];
    Ok((headers, Body::from_stream(lines)).into_response())
}

/// Items of a batch from this place on, a chunk of them in memory.
fn items(state: AppState, id: Uuid, from: u32) -> impl Stream<Item = Result<BatchItem, ApiError>> {
    let begin = (state, VecDeque::new(), Some(from));
    stream::try_unfold(begin, move |(state, mut read, mut from)| async move {
        if let (true, Some(place)) = (read.is_empty(), from) {
            let page = state.store.items(id, place).await;
            read = page
                .map_err(|error| ApiError::database("read batch", &error))?
                .into();
            from = read
                .back()
                .and_then(|last: &BatchItem| last.index.checked_add(1));
        }
        Ok(read.pop_front().map(|item| (item, (state, read, from))))
    })
}

/// The line of an item. What can't be read any more ends the stream where the caller can go on.
async fn line(state: &AppState, item: BatchItem) -> Result<Bytes, ApiError> {
    let row = state
        .find_analysis(item.analysis_id, state.clock.now())
        .await?;
    let result = row.as_ref().map(|row| ResultView::of(row, &state.policy));
    let view = BatchResultView::of(&item, result);
    let mut line = serde_json::to_vec(&view).map_err(|error| {
        tracing::error!(%error, "a line can't be written");
        ApiError::internal()
    })?;
    line.push(b'\n');
    Ok(line.into())
}
