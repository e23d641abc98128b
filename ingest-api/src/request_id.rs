//! The id of a request: accepted from the caller or made here; in the body of errors, in a header, in every log line.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, HeaderValue, request::Parts},
};
use uuid::Uuid;

use crate::error::ApiError;

/// Header that carries it, both ways.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id that is accepted from a caller, in characters.
const LONGEST: usize = 128;

/// The id of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The caller's id, if it is 1 to 128 of `[A-Za-z0-9._-]`, else a new one.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        headers
            .get(HEADER)
            .and_then(|value| value.to_str().ok())
            .filter(|text| is_sane(text))
            .map_or_else(
                || Self(Uuid::new_v4().to_string().into()),
                |text| Self(text.into()),
            )
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As a header's value.
    #[must_use]
    pub fn header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(parts
            .extensions
            .get::<Self>()
            .cloned()
            .unwrap_or_else(|| Self::of(&parts.headers)))
    }
}

fn is_sane(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_of_a_sane_form_are_accepted() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, HeaderValue::from_str(value).unwrap());
            RequestId::of(&headers).as_str().to_owned()
        };
        assert_eq!(of("abc-1.2_3"), "abc-1.2_3");
        assert_eq!(of(&"a".repeat(128)), "a".repeat(128));
        for odd in ["", "a b", "<script>", "a\"b", &"a".repeat(129)] {
            assert_ne!(of(odd), odd);
            assert_eq!(of(odd).len(), 36, "{odd:?} is replaced");
        }
    }
}
