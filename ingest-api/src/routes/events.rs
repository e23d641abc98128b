//! GET /api/batches/{batch_id}/events and GET /api/results/{analysis_id}/events: progress as server-sent events.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures::{Stream, stream};

use crate::{
    caller::Caller,
    error::ApiError,
    extract::{AnalysisId, BatchId},
    openapi::{refusals::Refusal, shapes::ServerSentEvent},
    progress::{Listener, Places, Progress, Subject},
    routes::batches,
    state::AppState,
    views::AnalysisProgress,
};

/// The id of the last event that a caller has seen.
const LAST_EVENT_ID: &str = "last-event-id";
/// How long a caller that was cut off waits before it asks again, in milliseconds.
const RETRY_MS: u64 = 2_000;

/// Progress of a batch as it goes on
///
/// An event `progress` with the batch, as `GET /api/batches/{batch_id}` shows it, now and whenever its counts have changed, at most once
/// a second; at its end one `done`, and the stream ends. A comment comes every 15 seconds. Who was cut off sends the id of the last
/// event as Last-Event-ID and is told what has changed since; after `done` that is answered 204.
#[utoipa::path(
    get,
    path = "/api/batches/{batch_id}/events",
    operation_id = "watch_batch",
    tag = "submissions",
    security((), ("key" = [])),
    params(
        ("batch_id" = Uuid, Path, description = "As it was answered to the batch."),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was seen.")
    ),
    responses(
        (status = 200, description = "Events, until the batch has ended.", body = ServerSentEvent, content_type = "text/event-stream"),
        (status = 204, description = "The batch has ended, and its last event was seen."),
        Refusal<404>,
        Refusal<422>
    )
)]
pub async fn batch(
    State(state): State<AppState>,
    caller: Caller,
    BatchId(id): BatchId,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let now = batches::find(&state, &caller, id).await?;
    events(&state.listeners, &state.batches, now, &headers)
}

/// Progress of an analysis as it goes on
///
/// An event `progress` with where it stands now and whenever that has changed, at most once a second; at its end one `done`, and the
/// stream ends. The result is at `GET /api/results/{analysis_id}`. Everything else is as with a batch's events.
#[utoipa::path(
    get,
    path = "/api/results/{analysis_id}/events",
    operation_id = "watch_result",
    tag = "results",
    params(
        ("analysis_id" = Uuid, Path, description = "As it was answered to the submission."),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was seen.")
    ),
    responses(
        (status = 200, description = "Events, until the analysis has ended.", body = ServerSentEvent, content_type = "text/event-stream"),
        (status = 204, description = "The analysis has ended, and its last event was seen."),
        Refusal<404>,
        Refusal<422>
    )
)]
pub async fn analysis(
    State(state): State<AppState>,
    AnalysisId(id): AnalysisId,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let row = state.analysis(id).await?;
    let now = AnalysisProgress::of(&row, &state.policy);
    events(&state.listeners, &state.analyses, now, &headers)
}

/// The events of what is so far now, for whoever asks with these headers.
fn events<S: Subject>(
    places: &Places,
    progress: &Progress<S>,
    now: S,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let seen = headers.get(LAST_EVENT_ID);
    let seen = seen
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    if now.ended() && seen.as_deref() == Some(&now.event_id()) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let config = places.config();
    let heartbeat = Duration::from_millis(config.heartbeat_ms);
    let listener = progress.listen(now);
    let listener = listener.ok_or_else(|| ApiError::too_many_listeners(config.max_listeners))?;
    let events = Sse::new(told(listener, seen)).keep_alive(KeepAlive::new().interval(heartbeat));
    Ok(([batches::unbuffered()], events).into_response())
}

/// Events from the first state on that is not the one that was seen, to the end.
fn told<S: Subject>(
    listener: Listener<S>,
    seen: Option<String>,
) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(Some((listener, seen)), |state| async move {
        let (mut listener, mut seen) = state?;
        loop {
            let now = listener.next().await?;
            let (id, done) = (now.event_id(), now.ended());
            if seen.as_deref() == Some(&id) && !done {
                continue;
            }
            let name = if done { "done" } else { "progress" };
            let event = Event::default().event(name).id(id.clone());
            let event = event.retry(Duration::from_millis(RETRY_MS));
            let event = event.json_data(now.view()).unwrap_or_default();
            seen = Some(id);
            return Some((Ok(event), (!done).then_some((listener, seen))));
        }
    })
}
