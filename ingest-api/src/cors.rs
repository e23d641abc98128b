//! Which scripts of other origins browsers let read our answers (`api.cors_origins`).

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::{config::ApiConfig, quota, rate_limit, request_id};

/// Every origin.
const ANY: &str = "*";
/// How long a browser may keep the answer to its question before a request.
const MAX_AGE: Duration = Duration::from_secs(3600);

/// Answers browsers' questions. Cookies are never allowed: keys are sent as Authorization.
pub fn layer(config: &ApiConfig) -> CorsLayer {
    let origins = &config.cors_origins;
    let origin = if origins.iter().any(|origin| origin == ANY) {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.iter().filter_map(|origin| origin.parse().ok()))
    };
    let sent = [
        header::ACCEPT,
        header::AUTHORIZATION,
        header::CONTENT_TYPE,
        HeaderName::from_static("idempotency-key"),
        request_id::HEADER,
    ];
    let told = [header::RETRY_AFTER, request_id::HEADER];
    CorsLayer::new()
        .allow_origin(origin)
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers(sent)
        .expose_headers(
            told.into_iter()
                .chain(rate_limit::headers::NAMES)
                .chain(quota::headers::DAY)
                .collect::<Vec<_>>(),
        )
        .max_age(MAX_AGE)
}

/// What is wrong with a list of origins, each entry at fault named.
#[must_use]
pub fn problems(origins: &[String], in_production: bool) -> Vec<String> {
    let odd = origins.iter().filter_map(|origin| {
        if origin == ANY {
            return in_production.then(|| {
                "api.cors_origins holds `*`; in production name the origins, or none: []".to_owned()
            });
        }
        (!is_origin(origin)).then(|| {
            format!("api.cors_origins holds {origin:?}; an origin looks like https://example.com")
        })
    });
    odd.collect()
}

/// `scheme://host` or `scheme://host:port`, as browsers write it: no path, no slash at the end.
fn is_origin(text: &str) -> bool {
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|host| {
        !host.is_empty()
            && !host.bytes().any(|byte| {
                byte.is_ascii_uppercase()
                    || byte.is_ascii_whitespace()
                    || matches!(byte, b'/' | b'?' | b'#' | b'@' | b'*')
            })
            && HeaderValue::from_str(text).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_what_browsers_send_and_any_is_not_for_production() {
        let list = |origins: &[&str]| origins.iter().map(ToString::to_string).collect::<Vec<_>>();
        let good = list(&["https://example.com", "http://127.0.0.1:3000"]);
        assert!(problems(&good, true).is_empty());
        assert!(problems(&[], true).is_empty());
        assert!(problems(&list(&["*"]), false).is_empty());
        assert_eq!(problems(&list(&["*"]), true).len(), 1);
        let odd = list(&[
            "example.com",
            "https://example.com/",
            "https://",
            "https://Example.com",
            "https://*.example.com",
            "null",
            "https://user@example.com",
            "https://example.com\n",
        ]);
        assert_eq!(problems(&odd, false).len(), odd.len());
    }
}
