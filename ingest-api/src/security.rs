//! Headers that keep browsers from doing what no answer of ours needs, on every response.
//!
//! The one exception is a request that is no HTTP: the connection's own bare 400 or 431 is written below all layers.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::Next,
    response::Response,
};

use crate::config::{ApiConfig, Environment};

/// Pages bring their style and pictures from here and hold neither scripts nor inline style, so that nothing needs
/// `unsafe-inline`. A page that needs more sets a policy of its own.
const POLICY: &str =
    "default-src 'self'; frame-ancestors 'none'; base-uri 'self'; form-action 'self'";
const PERMISSIONS: &str =
    "geolocation=(), microphone=(), camera=(), payment=(), usb=(), magnetometer=()";
/// A year. Only in production, where there is TLS: a browser that has seen it refuses plain HTTP.
const TRANSPORT: &str = "max-age=31536000; includeSubDomains; preload";

const ALWAYS: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::X_XSS_PROTECTION, "1; mode=block"),
    (header::REFERRER_POLICY, "strict-origin-when-cross-origin"),
    (HeaderName::from_static("permissions-policy"), PERMISSIONS),
];
/// They tell an attacker what to try.
const NEVER: [HeaderName; 2] = [header::SERVER, HeaderName::from_static("x-powered-by")];

/// Writes them.
pub async fn secure(
    State(config): State<Arc<ApiConfig>>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(POLICY));
    if config.environment == Environment::Production {
        headers.insert(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static(TRANSPORT),
        );
    }
    for name in NEVER {
        headers.remove(name);
    }
    response
}
