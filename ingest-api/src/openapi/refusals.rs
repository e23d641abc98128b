//! The errors of the document. Each is made by the code that answers it, so that its example is what callers get.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use utoipa::{
    IntoResponses, PartialSchema, ToSchema,
    openapi::{
        ContentBuilder, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, Schema, Type,
        path::Operation, schema::SchemaType,
    },
};
use uuid::Uuid;

use super::{header, headers};
use crate::error::{ApiError, Code, FieldError};

/// What every error is told as.
#[derive(Debug, ToSchema)]
#[schema(as = Error)]
pub struct ErrorBody {
    /// What it is: one of a closed list.
    pub error: Code,
    /// A sentence for people.
    pub message: String,
    /// More on it, by code; see the guide.
    #[schema(value_type = Object)]
    pub details: Map<String, Value>,
    /// The status again.
    #[schema(minimum = 400, maximum = 599)]
    pub status_code: u16,
    /// The id of the request, as in X-Request-ID.
    pub request_id: String,
}

/// The same for who asks for `application/problem+json` (RFC 9457).
#[derive(Debug, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: `error` says what it is.
    #[schema(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The status.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// The same as `message`.
    pub detail: String,
    /// What it is: one of a closed list.
    pub error: Code,
    /// A sentence for people.
    pub message: String,
    /// More on it, by code; see the guide.
    #[schema(value_type = Object)]
    pub details: Map<String, Value>,
    /// The status again.
    #[schema(minimum = 400, maximum = 599)]
    pub status_code: u16,
    /// The id of the request, as in X-Request-ID.
    pub request_id: String,
}

impl PartialSchema for Code {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::String))
            .enum_values(Some(Self::ALL.iter().map(|code| code.name())))
            .into()
    }
}

impl ToSchema for Code {
    fn name() -> std::borrow::Cow<'static, str> {
        "ErrorCode".into()
    }
}

/// Whether an error says when to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Retry {
    Never,
    Sometimes,
    Always,
}

/// Errors that operations share: name, status, what it means, and one of them.
struct Shared {
    name: &'static str,
    status: u16,
    about: &'static str,
    retry: Retry,
    example: fn() -> ApiError,
}

const SHARED: &[Shared] = &[
    Shared {
        name: "Incomplete",
        status: 400,
        about: "INVALID_INPUT: the body did not arrive whole, or not in time.",
        retry: Retry::Never,
        example: || ApiError::body_incomplete("ended too early"),
    },
    Shared {
        name: "KeyNeeded",
        status: 401,
        about: "UNAUTHORIZED: a key is needed, or the one sent is unknown.",
        retry: Retry::Never,
        example: || ApiError::unauthorized("A batch"),
    },
    Shared {
        name: "NotAllowed",
        status: 403,
        about: "FORBIDDEN: the key does not allow this.",
        retry: Retry::Never,
        example: || ApiError::forbidden("Deleting an analysis"),
    },
    Shared {
        name: "NotFound",
        status: 404,
        about: "RESOURCE_NOT_FOUND: there is no such thing. An analysis that was accepted a moment ago may have no row yet, hence Retry-After.",
        retry: Retry::Sometimes,
        example: || {
            ApiError::no_analysis(Uuid::from_u128(0x0192_f0c1_0000_7000_8000_0000_0000_0001))
        },
    },
    Shared {
        name: "Conflict",
        status: 409,
        about: "CONFLICT: it clashes with what is there. With an Idempotency-Key: the same request is being worked on, hence Retry-After.",
        retry: Retry::Sometimes,
        example: || ApiError::new(Code::Conflict, "It clashes with what is there."),
    },
    Shared {
        name: "TooLarge",
        status: 413,
        about: "PAYLOAD_TOO_LARGE: more than `details.limit` of `details.unit`.",
        retry: Retry::Never,
        example: || ApiError::too_large(10_000, "URLs"),
    },
    Shared {
        name: "UnsupportedType",
        status: 415,
        about: "UNSUPPORTED_MEDIA_TYPE: the body is of a type or a coding that is not read here.",
        retry: Retry::Never,
        example: || ApiError::unsupported("Send the body as Content-Type: application/json."),
    },
    Shared {
        name: "Invalid",
        status: 422,
        about: "INVALID_INPUT: malformed; `details.errors` has an entry for every field at fault.",
        retry: Retry::Never,
        example: || {
            ApiError::invalid(vec![
                FieldError::new(
                    "url",
                    "https://example.com/",
                    "URL must be on instagram.com",
                ),
                FieldError::new("force", "maybe", "must be true or false"),
            ])
        },
    },
    Shared {
        name: "TooManyRequests",
        status: 429,
        about: "RATE_LIMIT_EXCEEDED: the budget, or a partner's quota of URLs, is used up. What is refused does not count.",
        retry: Retry::Always,
        example: || ApiError::rate_limited(42, 10, 100),
    },
    Shared {
        name: "Broken",
        status: 500,
        about: "DATABASE_ERROR, TASK_ERROR, ANALYSIS_ERROR, CONFIGURATION_ERROR or INTERNAL_SERVER_ERROR: it broke on our side.",
        retry: Retry::Sometimes,
        example: ApiError::internal,
    },
    Shared {
        name: "Unavailable",
        status: 503,
        about: "BROKER_UNAVAILABLE: nothing was accepted; CACHE_ERROR: nothing was changed. Send it again later.",
        retry: Retry::Always,
        example: ApiError::broker_unavailable,
    },
];

/// An error that operations share, by its status, for the annotations of handlers.
#[derive(Debug)]
pub struct Refusal<const STATUS: u16>;

impl<const STATUS: u16> IntoResponses for Refusal<STATUS> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let found = reference(STATUS).map(|reference| (STATUS.to_string(), reference));
        found.into_iter().collect()
    }
}

fn reference(status: u16) -> Option<RefOr<Response>> {
    let shared = SHARED.iter().find(|shared| shared.status == status)?;
    Some(Ref::from_response_name(shared.name).into())
}

/// Adds the error of this status to an operation that does not tell it already.
pub(super) fn add(operation: &mut Operation, status: u16) {
    if let Some(reference) = reference(status) {
        let responses = &mut operation.responses.responses;
        responses.entry(status.to_string()).or_insert(reference);
    }
}

/// Those of the given statuses, by name.
pub(super) fn all(used: &BTreeSet<String>) -> impl Iterator<Item = (String, RefOr<Response>)> {
    SHARED
        .iter()
        .filter(|shared| used.contains(&shared.status.to_string()))
        .map(|shared| (shared.name.to_owned(), shared.response().into()))
}

impl Shared {
    fn response(&self) -> Response {
        let error = (self.example)();
        let id = "7c1d2f0e-5d0b-4f0a-9a53-0f6a3a2f1b9e";
        let content = |name: &str, example: Value| {
            let schema = Ref::from_schema_name(name);
            ContentBuilder::new()
                .schema(Some(schema))
                .example(Some(example))
                .build()
        };
        let mut response = ResponseBuilder::new()
            .description(self.about)
            .content("application/json", content("Error", error.body(id)))
            .content(
                "application/problem+json",
                content("Problem", error.problem(id)),
            )
            .build();
        response.headers.extend(headers(true));
        if self.retry != Retry::Never {
            response.headers.extend([header("Retry-After")]);
        }
        if self.status == 401 {
            response.headers.extend([header("WWW-Authenticate")]);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    #[test]
    fn every_shared_error_is_what_its_status_and_its_headers_say() {
        for shared in SHARED {
            let response = (shared.example)().into_response();
            assert_eq!(response.status().as_u16(), shared.status, "{}", shared.name);
            let retry = response.headers().contains_key("retry-after");
            assert!(retry || shared.retry != Retry::Always, "{}", shared.name);
            assert!(!retry || shared.retry != Retry::Never, "{}", shared.name);
        }
    }

    #[test]
    fn every_code_belongs_to_a_status_that_is_told() {
        for code in Code::ALL {
            // Codes of a status that no operation answers with today.
            let unused = [502, 405].contains(&code.status()) || *code == Code::CacheError;
            let told = SHARED
                .iter()
                .any(|shared| shared.status == code.status() && shared.about.contains(code.name()));
            assert!(told || unused, "{} is in no description", code.name());
        }
    }
}
