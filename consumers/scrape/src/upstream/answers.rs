//! What an answer means: the one place that reads statuses, messages and error codes. Nothing here guesses that a post is gone;
//! only the upstream's own words for it do.

use std::time::Duration;

use outbound::{
    Answer, NetError,
    header::{HeaderMap, LOCATION},
    retry_after,
};
use serde_json::Value;

use super::{Adapter, UpstreamError};

/// "Media not found or unavailable".
const CODE_UNAVAILABLE: u64 = 4_630_001;
/// "Rate limit exceeded".
const CODE_RATE_LIMIT: u64 = 1_675_004;
/// The longest wait that is believed, an hour.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// What no answer at all means.
pub fn no_answer(adapter: Adapter, error: NetError) -> UpstreamError {
    match error {
        NetError::Timeout => UpstreamError::Timeout,
        NetError::TooLarge(_) => shape_changed(adapter, error.to_string()),
        other => UpstreamError::Unreachable {
            detail: other.to_string(),
        },
    }
}

/// The item in the answer to a query by shortcode.
pub fn query_item(answer: &Answer) -> Result<Value, UpstreamError> {
    let mut body = json(Adapter::Web, answer)?;
    let items = "/data/xdt_api__v1__media__shortcode__web_info/items/0";
    if let Some(item) = body.pointer_mut(items).filter(|item| item.is_object()) {
        return Ok(item.take());
    }
    let errors = body["errors"].as_array().map_or(&[][..], Vec::as_slice);
    let has_code = |code| errors.iter().any(|error| error_code(error) == Some(code));
    if has_code(CODE_UNAVAILABLE) {
        return Err(UpstreamError::Unavailable);
    }
    if has_code(CODE_RATE_LIMIT) {
        return Err(throttled(&answer.headers));
    }
    let detail = errors.iter().find_map(|error| error["message"].as_str());
    Err(shape_changed(
        Adapter::Web,
        detail.map_or_else(|| "no item".to_owned(), excerpt),
    ))
}

/// The item in the answer to a request for media info.
pub fn info_item(answer: &Answer) -> Result<Value, UpstreamError> {
    if answer.status == 404 {
        return Err(UpstreamError::Unavailable);
    }
    let mut body = json(Adapter::Session, answer)?;
    let items = body.get_mut("items").and_then(Value::as_array_mut);
    match items.map(|items| items.first_mut()) {
        Some(None) => Err(UpstreamError::Unavailable),
        Some(Some(item)) if item.is_object() => Ok(item.take()),
        _ => Err(shape_changed(Adapter::Session, "no items")),
    }
}

/// The text of a page.
pub fn page(adapter: Adapter, answer: &Answer) -> Result<&str, UpstreamError> {
    refusal(adapter, answer, &Value::Null)?;
    std::str::from_utf8(&answer.body).map_err(|_| shape_changed(adapter, "page is not UTF-8"))
}

fn json(adapter: Adapter, answer: &Answer) -> Result<Value, UpstreamError> {
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    refusal(adapter, answer, body.as_ref().unwrap_or(&Value::Null))?;
    body.ok_or_else(|| shape_changed(adapter, "not JSON"))
}

/// Fails on everything but 200 with a body that refuses nothing. The session's own errors come before the general ones.
fn refusal(adapter: Adapter, answer: &Answer, body: &Value) -> Result<(), UpstreamError> {
    let message = body["message"].as_str().unwrap_or_default();
    let status = answer.status.as_u16();
    if ["checkpoint_required", "challenge_required"].contains(&message)
        || answer.status.is_redirection() && leads_to(answer, &["/challenge", "/checkpoint"])
    {
        // Without a session there is no account to confirm: a wall like any other.
        return Err(match adapter {
            Adapter::Session => UpstreamError::Challenge,
            Adapter::Web | Adapter::Embed => UpstreamError::LoginWall,
        });
    }
    if status == 429
        || message == "feedback_required"
        || message.starts_with("Please wait a few minutes")
    {
        return Err(throttled(&answer.headers));
    }
    let login = answer.status.is_redirection() && leads_to(answer, &["/accounts/login"]);
    if login || matches!(status, 401 | 403) || body["require_login"] == true {
        return Err(match adapter {
            Adapter::Session => UpstreamError::SessionInvalid,
            Adapter::Web | Adapter::Embed => UpstreamError::LoginWall,
        });
    }
    match status {
        200 => Ok(()),
        500..=599 => Err(UpstreamError::Failed { status }),
        _ if message.is_empty() => Err(shape_changed(adapter, format!("status {status}"))),
        _ => Err(shape_changed(
            adapter,
            format!("status {status}, {}", excerpt(message)),
        )),
    }
}

fn leads_to(answer: &Answer, paths: &[&str]) -> bool {
    let location = answer.headers.get(LOCATION);
    let location = location.map_or("", |value| value.to_str().unwrap_or_default());
    let path = match location.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |slash| &rest[slash..]),
        None => location,
    };
    paths.iter().any(|prefix| path.starts_with(prefix))
}

fn error_code(error: &Value) -> Option<u64> {
    let code = |value: &Value| {
        value
            .as_u64()
            .or_else(|| value.as_str().and_then(|text| text.parse().ok()))
    };
    code(&error["code"]).or_else(|| code(&error["extensions"]["code"]))
}

fn throttled(headers: &HeaderMap) -> UpstreamError {
    UpstreamError::Throttled {
        retry_after: retry_after(headers).map(|wait| wait.min(MAX_RETRY_AFTER)),
    }
}

pub fn shape_changed(adapter: Adapter, detail: impl Into<String>) -> UpstreamError {
    UpstreamError::ShapeChanged {
        adapter,
        detail: detail.into(),
    }
}

/// The beginning of a foreign text, fit for a log.
fn excerpt(text: &str) -> String {
    text.chars()
        .take(80)
        .flat_map(char::escape_default)
        .collect()
}

#[cfg(test)]
mod tests;
