//! POST /api/analyze/batch: many posts. One bad URL never fails the rest.

use std::collections::HashSet;

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
};
use schemas::{PostRef, Submission, events::submission::Origin};
use serde::Serialize;
use serde_json::value::RawValue;
use store::{NewBatch, Status};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    access,
    body::{Items, Members, echo, read_json, string},
    caller::Caller,
    error::{ApiError, Code},
    intake,
    openapi::{refusals::Refusal, shapes::BatchRequest},
    state::AppState,
};

/// The answer, 202.
#[derive(Debug, Serialize, ToSchema)]
pub struct AcceptedBatch {
    /// Ask for its progress under this id.
    batch_id: Uuid,
    /// How many the broker acknowledged.
    accepted: usize,
    /// URLs that repeat the post of an earlier one in this request.
    duplicates: u32,
    /// URLs that were not accepted, in the order of the request.
    rejected: Vec<Rejected>,
    /// The accepted ones, in the order of the request.
    items: Vec<Item>,
}

/// A URL that was not accepted.
#[derive(Debug, Serialize, ToSchema)]
struct Rejected {
    /// Its place in the request, from 0.
    index: u32,
    /// What was sent, cut where it is long.
    url: String,
    /// Why.
    error: ItemError,
    /// Whether the same URL may be accepted later.
    retryable: bool,
}

/// Why a URL was not accepted.
#[derive(Debug, Serialize, ToSchema)]
struct ItemError {
    /// INVALID_INPUT or BROKER_UNAVAILABLE.
    code: &'static str,
    /// A sentence for people.
    message: String,
}

/// A URL that was accepted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AcceptedItem)]
struct Item {
    /// Its place in the request, from 0.
    index: u32,
    /// Ask for its result under this id.
    analysis_id: Uuid,
    /// The shortcode.
    post_id: String,
    /// Where it stands.
    status: Status,
}

/// Submit many posts
///
/// Accepts what can be accepted, at most 10,000 URLs and 10 MB, and says what became of the rest: one bad URL never fails it.
/// Needs a key, except in development.
#[utoipa::path(
    post,
    path = "/api/analyze/batch",
    operation_id = "submit_batch",
    tag = "submissions",
    security((), ("key" = [])),
    request_body(content = BatchRequest, examples(
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
    responses(
        (status = 202, description = "What could be accepted is.", body = AcceptedBatch),
        Refusal<400>,
        Refusal<401>,
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
) -> Result<(StatusCode, Json<AcceptedBatch>), ApiError> {
    access::key_or_development(&state.config, &caller, "A batch")?;
    let (limit, deadline) = (state.config.max_batch_bytes, state.config.body_timeout());
    let body = read_json(request, limit, deadline).await?;
    let urls = urls(&body, state.config.max_batch_urls)?;
    let sorted = Sorted::of(&urls, state.config.max_url_length);
    drop(urls);
    drop(body);

    let now = state.clock.now();
    let batch = NewBatch {
        batch_id: Uuid::new_v4(),
        owner: caller.owner(),
        duplicates: sorted.duplicates,
        rejected: u32::try_from(sorted.rejected.len()).unwrap_or(u32::MAX),
    };
    let batch_id = batch.batch_id;
    let submissions: Vec<Submission> = sorted
        .posts
        .into_iter()
        .map(|(index, post)| {
            let origin = Origin::Batch { batch_id, index };
            let owner = batch.owner.clone();
            intake::submission(&state, post, origin, owner, None, now)
        })
        .collect();
    let items: Vec<(Item, String)> = submissions.iter().map(Item::of).collect();
    let acknowledged = intake::accept(&state, submissions, Some(batch), now).await?;

    let answer = AcceptedBatch::of(
        batch_id,
        sorted.duplicates,
        sorted.rejected,
        items.into_iter().zip(acknowledged),
    );
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

impl AcceptedBatch {
    /// What became of a batch: `items` come with their URL and whether the broker acknowledged them.
    fn of(
        batch_id: Uuid,
        duplicates: u32,
        mut rejected: Vec<Rejected>,
        items: impl Iterator<Item = ((Item, String), bool)>,
    ) -> Self {
        let mut accepted = Vec::new();
        for ((item, url), acknowledged) in items {
            if acknowledged {
                accepted.push(item);
            } else {
                rejected.push(Rejected {
                    index: item.index,
                    url,
                    error: ItemError {
                        code: Code::BrokerUnavailable.name(),
                        message: "The submission could not be queued; send it again later."
                            .to_owned(),
                    },
                    retryable: true,
                });
            }
        }
        rejected.sort_unstable_by_key(|rejected| rejected.index);
        Self {
            batch_id,
            accepted: accepted.len(),
            duplicates,
            rejected,
            items: accepted,
        }
    }
}

fn urls(body: &[u8], most: usize) -> Result<Vec<&RawValue>, ApiError> {
    let Items { first, count } = Members::of(body)?
        .list("urls", most)
        .map_err(|fault| ApiError::invalid(vec![fault]))?;
    match count {
        0 => Err(ApiError::invalid_field(
            "urls",
            0,
            "must hold at least one URL",
        )),
        count if count > most => Err(ApiError::too_large(most, "URLs")),
        _ => Ok(first),
    }
}

/// The URLs of a batch, sorted out.
#[derive(Debug, Default)]
struct Sorted {
    posts: Vec<(u32, PostRef)>,
    duplicates: u32,
    rejected: Vec<Rejected>,
}

impl Sorted {
    fn of(urls: &[&RawValue], max_url_length: usize) -> Self {
        let mut sorted = Self::default();
        let mut seen = HashSet::with_capacity(urls.len());
        for (index, raw) in (0..).zip(urls) {
            let post = string(raw)
                .ok_or_else(|| "URL must be a string".to_owned())
                .and_then(|url| {
                    PostRef::parse(&url, max_url_length).map_err(|error| error.to_string())
                });
            match post {
                Ok(post) if seen.insert(post.post_id.clone()) => sorted.posts.push((index, post)),
                Ok(_) => sorted.duplicates += 1,
                Err(message) => sorted.rejected.push(Rejected {
                    index,
                    url: echo(raw),
                    error: ItemError {
                        code: Code::InvalidInput.name(),
                        message,
                    },
                    retryable: false,
                }),
            }
        }
        sorted
    }
}

impl Item {
    /// The item of an accepted submission, and its URL should it be refused after all.
    fn of(submission: &Submission) -> (Self, String) {
        let index = match submission.origin {
            Origin::Batch { index, .. } => index,
            Origin::Single { .. } => 0,
        };
        let item = Self {
            index,
            analysis_id: submission.analysis_id,
            post_id: submission.post.post_id.clone(),
            status: Status::Pending,
        };
        (item, submission.post.url.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_broker_did_not_acknowledge_is_rejected_and_may_be_sent_again() {
        let item = |index| Item {
            index,
            analysis_id: Uuid::from_u128(index.into()),
            post_id: format!("P{index}"),
            status: Status::Pending,
        };
        let bad = Rejected {
            index: 1,
            url: "bad".to_owned(),
            error: ItemError {
                code: Code::InvalidInput.name(),
                message: "bad".to_owned(),
            },
            retryable: false,
        };
        let items = [(0, false), (2, true), (3, false)]
            .map(|(index, acknowledged)| ((item(index), format!("url{index}")), acknowledged));
        let answer = AcceptedBatch::of(Uuid::nil(), 0, vec![bad], items.into_iter());
        assert_eq!((answer.accepted, answer.items[0].index), (1, 2));
        let rejected: Vec<_> = answer
            .rejected
            .iter()
            .map(|one| (one.index, one.error.code, one.retryable, one.url.as_str()))
            .collect();
        assert_eq!(
            rejected,
            [
                (0, "BROKER_UNAVAILABLE", true, "url0"),
                (1, "INVALID_INPUT", false, "bad"),
                (3, "BROKER_UNAVAILABLE", true, "url3"),
            ]
        );
    }
}
