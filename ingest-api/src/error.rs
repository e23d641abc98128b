//! What callers are told when something can't be done: one type, one closed list of codes, one mapping to HTTP.
//!
//! An [`ApiError`] travels in the response's extensions until [`crate::layers`] writes the body, because only there the
//! request id is known. Nothing internal ever gets into one: what broke is logged where the error is made.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};
use store::StoreError;
use uuid::Uuid;

mod code;

pub use code::Code;

/// Longest text of a caller that is repeated in an error, in characters.
const ECHO: usize = 200;

/// Seconds after which a submission refused for the broker's sake is worth sending again.
const BROKER_RETRY_S: u32 = 5;

/// Something that could not be done, as the caller is told.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}: {}", .0.code.name(), .0.message)]
pub struct ApiError(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    code: Code,
    status: u16,
    message: String,
    details: Map<String, Value>,
    retry_after_s: Option<u32>,
}

/// What is wrong with one field of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldError {
    field: String,
    value: Value,
    message: String,
}

impl FieldError {
    /// `message` completes the sentence that begins with the field's name.
    pub fn new(field: &str, value: impl Into<Value>, message: impl Into<String>) -> Self {
        let value = match value.into() {
            Value::String(text) => Value::String(shorten(&text)),
            other => other,
        };
        Self {
            field: field.to_owned(),
            value,
            message: message.into(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }

    /// For people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl ApiError {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            code,
            status: code.status(),
            message: message.into(),
            details: Map::new(),
            retry_after_s: None,
        }))
    }

    fn detail(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.details.insert(key.to_owned(), value.into());
        self
    }

    /// Tells the caller to come back after `seconds`.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// A malformed request: every fault at once.
    #[must_use]
    pub fn invalid(faults: Vec<FieldError>) -> Self {
        let message = match faults.as_slice() {
            [one] => format!("{}: {}", one.field, one.message),
            many => {
                let fields: Vec<&str> = many.iter().map(|fault| fault.field.as_str()).collect();
                format!("{} fields are invalid: {}", many.len(), fields.join(", "))
            }
        };
        let first = faults.first();
        let (field, value) = first.map_or((Value::Null, Value::Null), |fault| {
            (fault.field.clone().into(), fault.value.clone())
        });
        let entries = faults.into_iter().map(
            |fault| json!({ "field": fault.field, "value": fault.value, "message": fault.message }),
        );
        Self::new(Code::InvalidInput, message)
            .detail("field", field)
            .detail("value", value)
            .detail("errors", Value::Array(entries.collect()))
    }

    /// A malformed request with one fault.
    #[must_use]
    pub fn invalid_field(field: &str, value: impl Into<Value>, message: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError::new(field, value, message)])
    }

    /// A body that did not arrive whole: nothing to do with its form, so 400.
    #[must_use]
    pub fn body_incomplete(message: &str) -> Self {
        let mut error = Self::invalid_field("body", Value::Null, message);
        error.0.status = 400;
        error
    }

    /// There is no such thing.
    #[must_use]
    pub fn not_found(resource_type: &str, resource_id: &str, message: &str) -> Self {
        Self::new(Code::ResourceNotFound, message)
            .detail("resource_type", resource_type)
            .detail("resource_id", shorten(resource_id))
    }

    /// No such analysis - or one that was accepted a moment ago and has no row yet, hence the Retry-After.
    #[must_use]
    pub fn no_analysis(id: Uuid) -> Self {
        Self::not_found(
            "analysis",
            &id.to_string(),
            "There is no such analysis. If it was accepted a moment ago, ask again in a second.",
        )
        .retry_after(1)
    }

    /// The path does not know this method.
    #[must_use]
    pub fn method_not_allowed(method: &str) -> Self {
        let method = shorten(method);
        Self::new(
            Code::MethodNotAllowed,
            format!("{method} is not possible here; the Allow header names what is."),
        )
    }

    /// More than a limit allows; `unit` is what `limit` counts.
    #[must_use]
    pub fn too_large(limit: usize, unit: &str) -> Self {
        Self::new(
            Code::PayloadTooLarge,
            format!("The request is larger than {limit} {unit}; split it into several requests."),
        )
        .detail("limit", limit)
        .detail("unit", unit)
    }

    /// A body of a type or encoding that is not read here.
    #[must_use]
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(Code::UnsupportedMediaType, message)
    }

    /// A key is needed for `what`.
    #[must_use]
    pub fn unauthorized(what: &str) -> Self {
        Self::new(
            Code::Unauthorized,
            format!("{what} needs a key: send it as Authorization: Bearer <key>."),
        )
    }

    /// What was sent as a key is of no use.
    #[must_use]
    pub fn key_refused(message: &str) -> Self {
        Self::new(Code::Unauthorized, message)
    }

    /// The admin key is needed for `what`, and another was sent.
    #[must_use]
    pub fn forbidden(what: &str) -> Self {
        Self::new(Code::Forbidden, format!("{what} needs the admin key."))
    }

    /// A form that a page of another site sent, in the name of who was looking at it.
    #[must_use]
    pub fn foreign_form() -> Self {
        Self::new(
            Code::Forbidden,
            "This form was sent from a page of another site. Open the page here and send it again.",
        )
    }

    /// It clashes with what is there.
    #[must_use]
    pub fn conflict(message: &str) -> Self {
        Self::new(Code::Conflict, message)
    }

    /// What is kept for reuse could not be asked or changed. The cause is logged by the caller, never told.
    #[must_use]
    pub fn cache(operation: &str) -> Self {
        Self::new(
            Code::CacheError,
            "The cache could not do this now; try again.",
        )
        .detail("operation", operation)
        .retry_after(1)
    }

    /// Too many requests; `seconds` from now there is room for another.
    #[must_use]
    pub fn rate_limited(seconds: u32, per_minute: u32, per_hour: u32) -> Self {
        Self::new(
            Code::RateLimitExceeded,
            format!(
                "Too many requests: {per_minute} a minute and {per_hour} an hour are possible. \
                 Try again in {seconds} seconds."
            ),
        )
        .detail("retry_after", seconds)
        .detail("limit_per_minute", per_minute)
        .detail("limit_per_hour", per_hour)
        .retry_after(seconds)
    }

    /// The quota of a holder is used up; `seconds` from now there is more.
    #[must_use]
    pub fn quota_used_up(seconds: u32, [per_minute, per_hour, per_day]: [u32; 3]) -> Self {
        Self::new(
            Code::RateLimitExceeded,
            format!(
                "The quota is used up and nothing was accepted: {per_minute} URLs a minute, {per_hour} an hour and {per_day} a day \
                 are possible. Try again in {seconds} seconds."
            ),
        )
        .detail("retry_after", seconds)
        .detail("limit_per_minute", per_minute)
        .detail("limit_per_hour", per_hour)
        .detail("limit_per_day", per_day)
        .retry_after(seconds)
    }

    /// More listen than there is room for.
    #[must_use]
    pub fn too_many_listeners(most: usize) -> Self {
        Self::new(
            Code::RateLimitExceeded,
            format!("{most} listen already; ask for the batch itself instead, or try again."),
        )
        .detail("retry_after", BROKER_RETRY_S)
        .retry_after(BROKER_RETRY_S)
    }

    /// The broker did not take it.
    #[must_use]
    pub fn broker_unavailable() -> Self {
        Self::new(
            Code::BrokerUnavailable,
            "The submission could not be queued and nothing was accepted. Send it again later.",
        )
        .retry_after(BROKER_RETRY_S)
    }

    /// Something broke that should not. The cause is logged by the caller, never told.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(
            Code::InternalServerError,
            "Something went wrong on our side. Tell us the request_id if it happens again.",
        )
    }

    /// Work that goes on without its caller broke: `name`, under the runtime's `id`. The cause is logged by the caller, never told.
    #[must_use]
    pub fn task(id: &str, name: &str) -> Self {
        Self::new(
            Code::TaskError,
            "The work on this request broke. Whether it had an effect is not known; it is safe to send it again.",
        )
        .detail("task_id", id)
        .detail("task_name", name)
    }

    /// The request took longer than any should. Whether it had an effect is not known.
    #[must_use]
    pub fn timed_out() -> Self {
        Self::new(
            Code::InternalServerError,
            "The request took too long and was given up. It is safe to send it again.",
        )
        .retry_after(BROKER_RETRY_S)
    }

    /// The store did not do `operation`; logs why.
    #[must_use]
    pub fn database(operation: &'static str, error: &StoreError) -> Self {
        tracing::error!(operation, %error, "the store did not do as asked");
        let told = Self::new(
            Code::DatabaseError,
            "The store could not do this now; try again.",
        )
        .detail("operation", operation);
        match error {
            StoreError::Unavailable(_) => told.retry_after(1),
            StoreError::Corrupt(_) => told,
        }
    }

    /// Its code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Its HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// What went wrong, for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Seconds after which it is worth trying again, where that is known.
    #[must_use]
    pub fn retry_after_s(&self) -> Option<u32> {
        self.0.retry_after_s
    }

    /// The body for a request, `{error, message, details, status_code, request_id}`.
    #[must_use]
    pub fn body(&self, request_id: &str) -> Value {
        let inner = &self.0;
        json!({
            "error": inner.code.name(),
            "message": inner.message,
            "details": inner.details,
            "status_code": inner.status,
            "request_id": request_id,
        })
    }

    /// The same as RFC 9457 has it: its own members, and ours beside them. The type is none of its own; `error` tells it.
    #[must_use]
    pub fn problem(&self, request_id: &str) -> Value {
        let inner = &self.0;
        let status = StatusCode::from_u16(inner.status).ok();
        let mut problem = self.body(request_id);
        if let Some(problem) = problem.as_object_mut() {
            let title = status.and_then(|status| status.canonical_reason());
            problem.insert("type".to_owned(), "about:blank".into());
            problem.insert("title".to_owned(), title.into());
            problem.insert("status".to_owned(), inner.status.into());
            problem.insert("detail".to_owned(), inner.message.clone().into());
        }
        problem
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        if let Some(seconds) = self.0.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.0.code == Code::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// The beginning of what a caller sent, for repeating it.
#[must_use]
pub fn shorten(text: &str) -> String {
    match text.char_indices().nth(ECHO) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_its_entry_and_the_first_is_named() {
        let error = ApiError::invalid(vec![
            FieldError::new("url", 5, "must be a string"),
            FieldError::new("force", "x".repeat(1000), "must be true or false"),
        ]);
        let body = error.body("r1");
        assert_eq!(body["status_code"], 422);
        assert_eq!(body["details"]["field"], "url");
        assert_eq!(body["details"]["value"], 5);
        assert_eq!(body["details"]["errors"].as_array().unwrap().len(), 2);
        let echoed = body["details"]["errors"][1]["value"].as_str().unwrap();
        assert_eq!(echoed.chars().count(), ECHO + 1, "cut, with an ellipsis");
    }

    #[test]
    fn a_store_error_never_tells_what_the_store_said() {
        let secret = "SELECT * FROM analyses at 10.0.0.7:9042";
        for error in [
            StoreError::Unavailable(secret.to_owned()),
            StoreError::Corrupt(secret.to_owned()),
        ] {
            let body = ApiError::database("read analysis", &error)
                .body("r1")
                .to_string();
            assert!(
                !body.contains("SELECT") && !body.contains("10.0.0.7"),
                "{body}"
            );
            assert!(body.contains("DATABASE_ERROR") && body.contains("read analysis"));
        }
    }
}
