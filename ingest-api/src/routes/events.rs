//! GET /api/batches/{batch_id}/events: a batch's progress as server-sent events.

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
use store::BatchProgress;

use crate::{
    caller::Caller, error::ApiError, extract::BatchId, openapi::refusals::Refusal,
    progress::Listener, routes::batches, state::AppState, views::BatchView,
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
        (status = 200, description = "Events, until the batch has ended.", body = String, content_type = "text/event-stream"),
        (status = 204, description = "The batch has ended, and its last event was seen."),
        Refusal<404>,
        Refusal<422>
    )
)]
pub async fn events(
    State(state): State<AppState>,
    caller: Caller,
    BatchId(id): BatchId,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let now = batches::find(&state, &caller, id).await?;
    let seen = headers.get(LAST_EVENT_ID);
    let seen = seen
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    if now.completed_at.is_some() && seen.as_deref() == Some(&event_id(&now)) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let config = state.progress.config();
    let heartbeat = Duration::from_millis(config.heartbeat_ms);
    let listener = state.progress.listen(now);
    let listener = listener.ok_or_else(|| ApiError::too_many_listeners(config.max_listeners))?;
    let events = Sse::new(told(listener, seen)).keep_alive(KeepAlive::new().interval(heartbeat));
    Ok(([batches::unbuffered()], events).into_response())
}

/// Events from the first count on that is not the one that was seen, to the end of the batch.
fn told(listener: Listener, seen: Option<String>) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(Some((listener, seen)), |state| async move {
        let (mut listener, mut seen) = state?;
        loop {
            let count = listener.next().await?;
            let id = event_id(&count);
            let done = count.completed_at.is_some();
            if seen.as_deref() == Some(&id) && !done {
                continue;
            }
            let name = if done { "done" } else { "progress" };
            let event = Event::default().event(name).id(id.clone());
            let event = event.retry(Duration::from_millis(RETRY_MS));
            let event = event.json_data(BatchView::of(&count)).unwrap_or_default();
            seen = Some(id);
            return Some((Ok(event), (!done).then_some((listener, seen))));
        }
    })
}

/// Names a count: two of the same name tell the same.
fn event_id(count: &BatchProgress) -> String {
    let counts = count.counts;
    let numbers = [
        counts.pending,
        counts.processing,
        counts.completed,
        counts.failed,
        count.reused,
    ];
    numbers.map(|number| number.to_string()).join("-")
}
