//! POST /api/analyze: one post.

use axum::{
    extract::{Request, State},
    response::Response,
};
use jiff::Timestamp;
use schemas::{PostRef, events::submission::Origin};
use serde::Serialize;
use store::{Status, begins_new_run};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    body::{Members, read_json},
    caller::Caller,
    charge::{self, Charge},
    error::{ApiError, FieldError},
    idempotency::{Accepted as Answer, IdempotencyKey, fingerprint, once},
    intake,
    openapi::{
        refusals::Refusal,
        shapes::{AnalyzeRequest, IdempotencyKeyHeader},
    },
    request_id::RequestId,
    state::AppState,
    views,
};

/// Seconds after which it is worth asking for a new analysis' result.
const ESTIMATED_TIME_S: u32 = 30;

/// The answer, 202.
#[derive(Debug, Serialize, ToSchema)]
pub struct Accepted {
    /// Ask for its result under this id.
    pub analysis_id: Uuid,
    /// The shortcode.
    post_id: String,
    /// Where it stands.
    status: Status,
    /// The same in words.
    message: &'static str,
    /// Seconds; 0 when it is done.
    estimated_time: u32,
    /// Whether an earlier analysis answers this one, and nothing new was begun.
    cached: bool,
}

/// Submit a post
///
/// Accepts it, or says which analysis of it there is: the same post again within seven days is the same analysis, one that failed
/// runs again, `force` makes a new one. 202 comes after the broker's acknowledgement, never before.
#[utoipa::path(
    post,
    path = "/api/analyze",
    operation_id = "submit_post",
    tag = "submissions",
    security((), ("key" = [])),
    params(IdempotencyKeyHeader),
    request_body(content = AnalyzeRequest, examples(
        ("post" = (summary = "A post", value = json!({ "url": "https://www.instagram.com/p/DTCsatire01/" }))),
        ("again" = (
            summary = "A new analysis of it",
            value = json!({ "url": "https://www.instagram.com/reel/DTCsatire01/?igsh=abc", "force": true })
        ))
    )),
    responses(
        (status = 202, description = "Accepted, or answered by an earlier analysis.", body = Accepted),
        Refusal<400>,
        Refusal<409>,
        Refusal<413>,
        Refusal<415>,
        Refusal<422>,
        Refusal<503>
    )
)]
pub async fn analyze(
    State(state): State<AppState>,
    id: RequestId,
    caller: Caller,
    request: Request,
) -> Result<Response, ApiError> {
    let key = IdempotencyKey::of(request.headers())?;
    let (limit, deadline) = (state.config.max_body_bytes, state.config.body_timeout());
    let body = read_json(request, limit, deadline).await?;
    let (post, force) = parse(&body, state.config.max_url_length)?;
    let print = || fingerprint(&[b"analyze", &body]);
    let answer = once(&state, &caller, key, print, |turn| {
        // Callers choose their request ids, and proxies repeat them; what came in must be distinct all the same.
        let request_id = format!("{}/{}", id.as_str(), turn.request_id.simple());
        let (state, caller) = (state.clone(), caller.clone());
        async move {
            let accepted =
                submit(&state, &caller, (post, force), request_id, turn.started_at).await?;
            Answer::new(&accepted)
        }
    })
    .await;
    Ok(charge::tell(&state, &caller, answer).await)
}

/// Submits a post at `now`, or finds the analysis that answers it.
///
/// # Errors
/// 429 when the caller's quota is used up, 503 when the broker does not take it, 500 when the store does not.
pub async fn submit(
    state: &AppState,
    caller: &Caller,
    (post, force): (PostRef, bool),
    request_id: String,
    now: Timestamp,
) -> Result<Accepted, ApiError> {
    let charge = Charge::take(state, caller, 1, now).await?;
    let salt = force.then(|| request_id.clone());
    let origin = Origin::Single { request_id };
    let submission = intake::submission(state, post, origin, caller.owner(), salt.as_deref(), now);
    let analysis_id = submission.analysis_id;
    let row = state.find_analysis(analysis_id, now).await?;
    let mut accepted = Accepted {
        analysis_id,
        post_id: submission.post.post_id.clone(),
        status: Status::Pending,
        message: "Accepted. Ask for the result under its analysis_id.",
        estimated_time: ESTIMATED_TIME_S,
        cached: false,
    };
    let answer = row
        .as_ref()
        .and_then(|row| row.current_result(&state.policy))
        .filter(|result| !begins_new_run(result, submission.run.started_ms, &state.policy));
    if let Some(result) = answer {
        (accepted.status, accepted.message) = views::answered_by(result);
        accepted.estimated_time = 0;
        accepted.cached = true;
        if submission.owner.is_some() {
            let owned = state.store.own(&submission, now).await;
            owned.map_err(|error| ApiError::database("accept submissions", &error))?;
        }
    } else {
        let accepted = intake::accept(state, vec![submission], charge.straight, None, now).await;
        if accepted.is_err() {
            charge.give_back(state, 1).await;
        }
        accepted?;
        state.results.forget(analysis_id).await;
    }
    Ok(accepted)
}

fn parse(body: &[u8], max_url_length: usize) -> Result<(PostRef, bool), ApiError> {
    let members = Members::of(body)?;
    let post = members.string("url").and_then(|url| {
        PostRef::parse(&url, max_url_length)
            .map_err(|error| FieldError::new("url", url, error.to_string()))
    });
    match (post, members.flag("force")) {
        (Ok(post), Ok(force)) => Ok((post, force)),
        (post, force) => Err(ApiError::invalid(
            post.err().into_iter().chain(force.err()).collect(),
        )),
    }
}
