//! POST /api/analyze/batch: many posts. One bad URL never fails the rest.

use axum::{
    extract::{Request, State},
    response::Response,
};
use schemas::{Submission, events::submission::Origin};
use store::{NewBatch, Turn};

use crate::{
    access,
    batch::{
        answer::AcceptedBatch,
        request::{Format, entries},
        sorted::Sorted,
    },
    body::decoded::{self, Coding},
    caller::Caller,
    charge::{self, Charge},
    error::ApiError,
    idempotency::{Accepted, IdempotencyKey, fingerprint, once},
    intake,
    openapi::{
        refusals::Refusal,
        shapes::{BatchLines, BatchRequest, IdempotencyKeyHeader},
    },
    state::AppState,
};

/// Submit many posts
///
/// Accepts what can be accepted, at most 10,000 URLs and 10 MB, and says what became of each: one bad URL never fails the rest. As JSON,
/// or as lines (`application/x-ndjson`), each a URL or `{"url", "client_ref"}`; uncompressed, or with Content-Encoding gzip or zstd. Where
/// the quota does not last, the first URLs are accepted, the others are to be sent again after Retry-After. Needs a key, except in
/// development.
#[utoipa::path(
    post,
    path = "/api/analyze/batch",
    operation_id = "submit_batch",
    tag = "submissions",
    security((), ("key" = [])),
    params(IdempotencyKeyHeader),
    request_body(content(
        (BatchRequest = "application/json", examples(
            ("posts" = (summary = "Two posts, one of them twice", value = json!({ "urls": [
                "https://www.instagram.com/p/DTCsatire01/",
                "https://www.instagram.com/reel/DTCevents01/",
                "https://instagr.am/p/DTCevents01/"
            ] }))),
            ("mixed" = (summary = "One that is no post", value = json!({ "urls": [
                "https://www.instagram.com/p/DTCvague001/",
                "https://example.com/p/DTCvague001/"
            ] })))
        )),
        (BatchLines = "application/x-ndjson", examples(
            ("lines" = (
                summary = "Two posts, one of them with a name",
                value = json!("https://www.instagram.com/p/DTCsatire01/\n{\"url\":\"https://www.instagram.com/p/DTCevents01/\",\"client_ref\":\"order-7\"}\n")
            ))
        ))
    )),
    responses(
        (status = 202, description = "What could be accepted is.", body = AcceptedBatch),
        Refusal<400>,
        Refusal<401>,
        Refusal<409>,
        Refusal<413>,
        Refusal<415>,
        Refusal<422>,
        Refusal<503>
    )
)]
pub async fn analyze_batch(
    State(state): State<AppState>,
    caller: Caller,
    request: Request,
) -> Result<Response, ApiError> {
    access::key_or_development(&state.config, &caller, "A batch")?;
    let headers = request.headers();
    let key = IdempotencyKey::of(headers)?;
    let (format, coding) = (Format::of(headers)?, Coding::of(headers)?);
    let (limit, deadline) = (state.config.max_batch_bytes, state.config.body_timeout());
    let body = decoded::read(request, coding, limit, deadline).await?;
    let entries = entries(&body, format, state.config.max_batch_urls)?;
    let sorted = Sorted::of(&entries, state.config.max_url_length);
    drop(entries);
    let print = key
        .as_ref()
        .map(|_| fingerprint(&[b"batch", format.name().as_bytes(), &body]));
    drop(body);

    let answer = once(
        &state,
        &caller,
        key,
        || print.unwrap_or_default(),
        |turn| {
            let (state, caller) = (state.clone(), caller.clone());
            async move { submit(&state, &caller, &sorted, turn).await }
        },
    );
    let answer = answer.await;
    Ok(charge::tell(&state, &caller, answer).await)
}

/// Submits what is new in a batch, as far as the quota lasts.
async fn submit(
    state: &AppState,
    caller: &Caller,
    sorted: &Sorted,
    turn: Turn,
) -> Result<Accepted, ApiError> {
    let (batch_id, now) = (turn.request_id, turn.started_at);
    let charge = Charge::take(state, caller, sorted.fresh, state.clock.now()).await?;
    let owner = caller.owner();
    let submissions: Vec<Submission> = sorted
        .fresh()
        .take(charge.urls)
        .map(|(index, post)| {
            let origin = Origin::Batch { batch_id, index };
            intake::submission(state, post.clone(), origin, owner.clone(), None, now)
        })
        .collect();
    let refused = sorted.fresh - submissions.len();
    let batch = NewBatch {
        batch_id,
        owner,
        duplicates: sorted.repeats,
        rejected: sorted
            .malformed
            .saturating_add(u32::try_from(refused).unwrap_or(u32::MAX)),
        client_refs: sorted.client_refs(),
    };
    let ids: Vec<_> = submissions
        .iter()
        .map(|submission| submission.analysis_id)
        .collect();
    let acknowledged = intake::accept(state, submissions, charge.straight, Some(batch), now).await;
    let acknowledged = match acknowledged {
        Ok(acknowledged) => acknowledged,
        Err(error) => {
            charge.give_back(state, charge.urls).await;
            return Err(error);
        }
    };
    let answer = AcceptedBatch::of(batch_id, sorted, ids.into_iter().zip(acknowledged));
    charge
        .give_back(state, charge.urls.saturating_sub(answer.accepted()))
        .await;
    let mut accepted = Accepted::new(&answer)?;
    accepted.retry_after_s = charge.retry_after_s;
    Ok(accepted)
}
