//! Requests that may be sent again: with an `Idempotency-Key`, one is done once and its answer told as often as it is sent.
//!
//! | sent with the same key | answered |
//! |---|---|
//! | the same body, after the answer | the same answer, byte for byte, with `Idempotency-Replayed: true` |
//! | the same body, meanwhile | 409 with Retry-After |
//! | another body | 422 |
//!
//! A key belongs to the holder of the key the request is sent with, or else to the address it comes from, and lasts a day
//! (`store.idempotency_ttl_s`). Only what was accepted is kept: a request that failed gives its key up.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};
use store::{Begun, KeptAnswer, KeyedRequest, Turn};
use tracing::Instrument;
use uuid::Uuid;

use crate::{caller::Caller, error::ApiError, state::AppState};

/// The request's header.
const HEADER: &str = "idempotency-key";
/// Longest key, in characters.
const LONGEST: usize = 255;
/// On answers that were told before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Seconds after which it is worth asking what became of a request that is being worked on.
const RETRY_S: u32 = 1;
/// How hard answers are packed for keeping: they are mostly ids.
const LEVEL: i32 = 3;
/// Largest answer that is unpacked, in bytes: far beyond that of the largest batch.
const LARGEST: usize = 64 << 20;

/// A key as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// That of a request; `None` where it has none.
    ///
    /// # Errors
    /// 422 where it is no key: 1 to 255 printable characters of ASCII, sent once.
    pub fn of(headers: &HeaderMap) -> Result<Option<Self>, ApiError> {
        let mut all = headers.get_all(HEADER).iter();
        let Some(first) = all.next() else {
            return Ok(None);
        };
        let key = first.to_str().ok().map(str::trim);
        let key = key.filter(|key| (1..=LONGEST).contains(&key.len()) && all.next().is_none());
        match key {
            Some(key) => Ok(Some(Self(key.to_owned()))),
            None => Err(ApiError::invalid_field(
                "Idempotency-Key",
                serde_json::Value::Null,
                format!("must be sent once, with 1 to {LONGEST} printable characters of ASCII"),
            )),
        }
    }
}

/// A hash of all that a request asks for, by its parts.
#[must_use]
pub fn fingerprint(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

/// An answer of 202 whose bytes are settled.
#[derive(Debug)]
pub struct Accepted {
    /// JSON.
    pub body: Vec<u8>,
    /// Seconds after which the rest is worth sending.
    pub retry_after_s: Option<u32>,
}

impl Accepted {
    /// An answer.
    ///
    /// # Errors
    /// 500 when it can't be written as JSON.
    pub fn new<T: serde::Serialize>(answer: &T) -> Result<Self, ApiError> {
        let body = serde_json::to_vec(answer).map_err(|error| {
            tracing::error!(%error, "an answer can't be written");
            ApiError::internal()
        })?;
        Ok(Self {
            body,
            retry_after_s: None,
        })
    }
}

impl IntoResponse for Accepted {
    fn into_response(self) -> Response {
        let json = HeaderValue::from_static("application/json");
        let mut response = (StatusCode::ACCEPTED, Body::from(self.body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, json);
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// Does a request, once where it has a key. The work is given the id and the time under which it is to be done, and goes on to its
/// end even if the caller hangs up.
///
/// # Errors
/// Those of the work; 409 and 422 as above; 500 when the store does not tell.
pub async fn once<W, F>(
    state: &AppState,
    caller: &Caller,
    key: Option<IdempotencyKey>,
    fingerprint: impl FnOnce() -> String + Send,
    work: W,
) -> Result<Response, ApiError>
where
    W: FnOnce(Turn) -> F + Send,
    F: Future<Output = Result<Accepted, ApiError>> + Send + 'static,
{
    let now = state.clock.now();
    let Some(IdempotencyKey(key)) = key else {
        let turn = Turn {
            attempt: 1,
            request_id: Uuid::new_v4(),
            started_at: now,
        };
        return work(turn).await.map(IntoResponse::into_response);
    };
    let request = KeyedRequest {
        owner: owner(state, caller),
        key,
        fingerprint: fingerprint(),
        token: Uuid::new_v4(),
    };
    let begun = state.store.begin(&request, now).await;
    match begun.map_err(|error| ApiError::database("take idempotency key", &error))? {
        Begun::Own(turn) => {
            let attempt = turn.attempt;
            let (state, doing) = (state.clone(), work(turn));
            let task = async move {
                let done = doing.await;
                keep(&state, &request, attempt, done.as_ref().ok()).await;
                done
            };
            let done = tokio::spawn(task.in_current_span()).await;
            let done = done.unwrap_or_else(|error| {
                tracing::error!(%error, "a request with a key broke");
                Err(ApiError::task(&error.id().to_string(), "intake"))
            });
            done.map(IntoResponse::into_response)
        }
        Begun::InFlight => Err(ApiError::conflict(
            "A request with this Idempotency-Key is being worked on; ask again in a moment.",
        )
        .retry_after(RETRY_S)),
        Begun::Other => Err(ApiError::invalid_field(
            "Idempotency-Key",
            request.key,
            "was used for a request with another body",
        )),
        Begun::Answered(answer) => replay(&answer),
    }
}

/// Whose keys they are.
fn owner(state: &AppState, caller: &Caller) -> String {
    match caller.holder() {
        Some(holder) => format!("holder {}", holder.name),
        None => {
            let name = state.pseudonyms.of_address("idempotency", caller.address);
            format!("address {}", hex::encode(name))
        }
    }
}

/// Keeps the answer, or gives the key up. Where the store does not take it, the request is as one that was cut off.
async fn keep(state: &AppState, request: &KeyedRequest, attempt: u32, answer: Option<&Accepted>) {
    let packed = answer.map(|answer| zstd::bulk::compress(&answer.body, LEVEL));
    let kept = match packed.transpose() {
        Ok(body) => {
            let answer = body.map(|body| KeptAnswer {
                status: StatusCode::ACCEPTED.as_u16(),
                body,
            });
            let now = state.clock.now();
            let kept = state.store.end(request, attempt, answer.as_ref(), now);
            kept.await.map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = kept {
        tracing::error!(error, "the answer to a request with a key was not kept");
    }
}

fn replay(answer: &KeptAnswer) -> Result<Response, ApiError> {
    let body = zstd::bulk::decompress(&answer.body, LARGEST).map_err(|error| {
        tracing::error!(%error, "a kept answer can't be read back");
        ApiError::internal()
    })?;
    let answer = Accepted {
        body,
        retry_after_s: None,
    };
    let mut response = answer.into_response();
    response
        .headers_mut()
        .insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    fn read(values: &[&str]) -> Result<Option<String>, Code> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let key = IdempotencyKey::of(&headers);
        key.map(|key| key.map(|key| key.0))
            .map_err(|error| error.code())
    }

    #[test]
    fn a_key_is_sent_once_and_has_at_most_255_characters() {
        assert_eq!(read(&[]), Ok(None));
        let longest = "k".repeat(255);
        for good in [
            "a",
            "8e03978e-40d5-43dd-bc93-6894a57f9324",
            "\"quoted\"",
            &longest,
        ] {
            assert_eq!(read(&[good]), Ok(Some(good.to_owned())));
        }
        let beyond = "k".repeat(256);
        for odd in [&[""][..], &["é"], &[&beyond], &["a", "a"]] {
            assert_eq!(read(odd), Err(Code::InvalidInput), "{odd:?}");
        }
    }

    #[test]
    fn no_two_requests_have_one_fingerprint() {
        let prints = [
            fingerprint(&[b"ab", b"c"]),
            fingerprint(&[b"a", b"bc"]),
            fingerprint(&[b"abc"]),
            fingerprint(&[b"abc", b""]),
        ];
        let mut distinct = prints.to_vec();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), prints.len());
    }
}
