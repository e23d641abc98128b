//! Parts of a request's address: ids in paths, parameters, cursors. What is malformed is 422.

use axum::{
    extract::{FromRequestParts, Path, Query},
    http::request::Parts,
};
use schemas::PostRef;
use serde_json::Value;
use store::{ListCursor, ListQuery, Status};
use uuid::Uuid;

use crate::{
    error::{ApiError, FieldError},
    state::AppState,
};

/// Default and largest page of a listing.
const PAGE: u32 = 10;
const LARGEST_PAGE: u32 = 100;

/// `{analysis_id}` of a path.
#[derive(Debug, Clone, Copy)]
pub struct AnalysisId(pub Uuid);

/// `{batch_id}` of a path.
#[derive(Debug, Clone, Copy)]
pub struct BatchId(pub Uuid);

/// `{webhook_id}` of a path.
#[derive(Debug, Clone, Copy)]
pub struct WebhookId(pub Uuid);

impl<S: Send + Sync> FromRequestParts<S> for WebhookId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        id(parts, state, "webhook_id").await.map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for AnalysisId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        id(parts, state, "analysis_id").await.map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for BatchId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        id(parts, state, "batch_id").await.map(Self)
    }
}

async fn id<S: Send + Sync>(parts: &mut Parts, state: &S, field: &str) -> Result<Uuid, ApiError> {
    let text = Path::<String>::from_request_parts(parts, state)
        .await
        .map(|Path(text)| text)
        .map_err(|_| ApiError::invalid_field(field, Value::Null, "must be a UUID"))?;
    parse_uuid(&text).ok_or_else(|| ApiError::invalid_field(field, text.as_str(), "must be a UUID"))
}

/// `{url}` of a path: the address of a post, percent-encoded.
#[derive(Debug, Clone)]
pub struct PostUrl(pub PostRef);

impl FromRequestParts<AppState> for PostUrl {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        let Path(url) = text.map_err(|_| {
            ApiError::invalid_field("url", Value::Null, "must be the URL of a post")
        })?;
        match PostRef::parse(&url, state.config.max_url_length) {
            Ok(post) => Ok(Self(post)),
            Err(error) => Err(ApiError::invalid_field("url", url, error.to_string())),
        }
    }
}

/// Only the hyphenated form, so that a thing has one address.
fn parse_uuid(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|_| text.len() == 36)
}

/// `limit`, `status` and `cursor` of a listing.
#[derive(Debug, Clone)]
pub struct Listing(pub ListQuery);

impl<S: Send + Sync> FromRequestParts<S> for Listing {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(pairs) = Query::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|_| ApiError::invalid_field("query", Value::Null, "can't be read"))?;
        let mut faults = Vec::new();
        let mut read = |name| {
            parameter(&pairs, name).unwrap_or_else(|fault| {
                faults.push(fault);
                None
            })
        };
        let (limit, status, cursor) = (read("limit"), read("status"), read("cursor"));
        let limit = limit.map_or(Ok(PAGE), parse_limit);
        let status = status.map(parse_status).transpose();
        let after = cursor.map(parse_cursor).transpose();
        match (limit, status, after) {
            (Ok(limit), Ok(status), Ok(after)) if faults.is_empty() => Ok(Self(ListQuery {
                owner: None,
                status,
                limit,
                after,
            })),
            (limit, status, after) => {
                faults.extend(limit.err());
                faults.extend(status.err());
                faults.extend(after.err());
                Err(ApiError::invalid(faults))
            }
        }
    }
}

fn parameter<'a>(pairs: &'a [(String, String)], name: &str) -> Result<Option<&'a str>, FieldError> {
    let mut found = pairs.iter().filter(|(key, _)| key == name);
    let first = found.next().map(|(_, value)| value.as_str());
    match found.next() {
        Some((_, second)) => Err(FieldError::new(
            name,
            second.as_str(),
            "is given more than once",
        )),
        None => Ok(first),
    }
}

fn parse_limit(text: &str) -> Result<u32, FieldError> {
    text.parse()
        .ok()
        .filter(|limit| (1..=LARGEST_PAGE).contains(limit))
        .ok_or_else(|| FieldError::new("limit", text, "must be a number from 1 to 100"))
}

fn parse_status(text: &str) -> Result<Status, FieldError> {
    Status::from_name(text).ok_or_else(|| {
        FieldError::new(
            "status",
            text,
            "must be pending, processing, completed or failed",
        )
    })
}

fn parse_cursor(text: &str) -> Result<ListCursor, FieldError> {
    decode_cursor(text).ok_or_else(|| {
        FieldError::new(
            "cursor",
            text,
            "must be the next_cursor of an earlier answer",
        )
    })
}

/// `cursor` of a batch's results: the place to go on from.
#[derive(Debug, Clone, Copy)]
pub struct ItemCursor(pub u32);

impl<S: Send + Sync> FromRequestParts<S> for ItemCursor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(pairs) = Query::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|_| ApiError::invalid_field("query", Value::Null, "can't be read"))?;
        let cursor = parameter(&pairs, "cursor").map_err(|fault| ApiError::invalid(vec![fault]))?;
        let Some(text) = cursor else {
            return Ok(Self(0));
        };
        match decode_item_cursor(text) {
            Some(index) => Ok(Self(index.saturating_add(1))),
            None => {
                let wanted = "must be the cursor of a line that was read";
                Err(ApiError::invalid_field("cursor", text, wanted))
            }
        }
    }
}

/// The place of a batch's item as callers see it: 4 bytes in hex, of no meaning to them.
#[must_use]
pub fn encode_item_cursor(index: u32) -> String {
    hex::encode(index.to_be_bytes())
}

fn decode_item_cursor(text: &str) -> Option<u32> {
    let mut bytes = [0; 4];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(u32::from_be_bytes(bytes))
}

/// A place in a listing as callers see it: 24 bytes in hex, of no meaning to them.
#[must_use]
pub fn encode_cursor(cursor: &ListCursor) -> String {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&cursor.created_ms.to_be_bytes());
    bytes[8..].copy_from_slice(cursor.analysis_id.as_bytes());
    hex::encode(bytes)
}

fn decode_cursor(text: &str) -> Option<ListCursor> {
    let mut bytes = [0; 24];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    let (created, id) = bytes.split_at(8);
    Some(ListCursor {
        created_ms: i64::from_be_bytes(created.try_into().ok()?),
        analysis_id: Uuid::from_slice(id).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_place_and_nothing_else_is_one() {
        let cursor = ListCursor {
            created_ms: 1_760_000_000_000,
            analysis_id: Uuid::from_u128(7),
        };
        let text = encode_cursor(&cursor);
        assert_eq!(decode_cursor(&text), Some(cursor));
        for odd in ["", "zz", &text[1..], &format!("{text}00"), "é", "10"] {
            assert_eq!(decode_cursor(odd), None, "{odd}");
        }
    }

    #[test]
    fn only_the_hyphenated_form_of_a_uuid_is_one() {
        let id = Uuid::from_u128(0xabc);
        assert_eq!(parse_uuid(&id.to_string()), Some(id));
        for odd in [
            id.simple().to_string(),
            id.urn().to_string(),
            id.braced().to_string(),
            format!("{id} "),
            String::new(),
        ] {
            assert_eq!(parse_uuid(&odd), None, "{odd}");
        }
    }
}
