//! The bad answers of the upstream, one post's or everybody's, in the upstream's own words.

use std::time::Duration;

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::site::Site;

/// How the whole upstream behaves, for tests that change it at run time. Media and `/dribble` stay as they are: real media come
/// from other hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// Well.
    #[default]
    None,
    /// Every request for a page or a post gets this HTTP status, 500 if it is none.
    Down(u16),
    /// Every request gets 429 with `Retry-After: 1`.
    Throttle,
    /// No request is answered until the site shuts down.
    Hang,
    /// Every request for a post gets the answer to an identifier that has been retired; pages work.
    Retired,
}

/// How the upstream answers for one post.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PostFault {
    Deleted,
    Private,
    TooManyRequests,
    RateLimitCode,
    PleaseWait,
    FeedbackRequired,
    BadGateway,
    RetiredQuery,
    OldShape,
    Login,
    Forbidden,
    Slow,
}

/// Which of the three ways to a post was taken: each says the same thing in its own shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Query,
    Session,
    Embed,
}

impl PostFault {
    /// The answer on this way; `None` where the post itself is answered (slowly, or in another shape).
    pub(crate) fn response(self, way: Way, site: &Site) -> Option<Response> {
        Some(match (self, way) {
            (Self::Slow | Self::OldShape, _) => return None,
            (Self::Deleted | Self::Private, Way::Embed) => broken_embed(),
            (Self::Deleted | Self::Private, Way::Query) => {
                query_error("Media not found or unavailable", Some(4_630_001))
            }
            (Self::Deleted, Way::Session) => fail(
                StatusCode::NOT_FOUND,
                json!({"message": "Media not found or unavailable", "status": "fail"}),
            ),
            (Self::Private, Way::Session) => Json(
                json!({"items": [], "num_results": 0, "more_available": false, "status": "ok"}),
            )
            .into_response(),
            (Self::RateLimitCode, Way::Query) => {
                query_error("Rate limit exceeded", Some(1_675_004))
            }
            (Self::TooManyRequests | Self::RateLimitCode, _) => too_many_requests(),
            (Self::PleaseWait, _) => fail(StatusCode::UNAUTHORIZED, please_wait()),
            (Self::FeedbackRequired, _) => fail(
                StatusCode::BAD_REQUEST,
                json!({"message": "feedback_required", "spam": true, "feedback_title": "Try Again Later", "status": "fail"}),
            ),
            (Self::BadGateway, _) => page(StatusCode::BAD_GATEWAY, "5xx Server Error"),
            (Self::RetiredQuery, Way::Query) => retired_query(),
            (Self::RetiredQuery, Way::Session) => Json(json!({"status": "ok"})).into_response(),
            (Self::RetiredQuery, Way::Embed) => shell(),
            (Self::Login, _) => to_login(site),
            (Self::Forbidden, _) => page(StatusCode::FORBIDDEN, "Forbidden"),
        })
    }
}

impl Site {
    /// The bad answer to a request for a post while the whole upstream misbehaves.
    pub(crate) async fn post_fault(&self, way: Way) -> Option<Response> {
        match self.fault() {
            Fault::Retired => PostFault::RetiredQuery.response(way, self),
            _ => self.page_fault().await,
        }
    }

    /// The bad answer to a request for a page while the whole upstream misbehaves.
    pub(crate) async fn page_fault(&self) -> Option<Response> {
        match self.fault() {
            Fault::None | Fault::Retired => None,
            Fault::Down(status) => {
                let status =
                    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                Some(page(status, "Server Error"))
            }
            Fault::Throttle => Some(too_many_requests()),
            Fault::Hang => {
                self.pause(Duration::MAX).await;
                Some(StatusCode::SERVICE_UNAVAILABLE.into_response())
            }
        }
    }
}

/// 302 to the login page.
pub(crate) fn to_login(site: &Site) -> Response {
    (
        StatusCode::FOUND,
        [(
            header::LOCATION,
            format!("{}/accounts/login/", site.base_url),
        )],
    )
        .into_response()
}

/// The page in place of a post that is gone or closed.
pub(crate) fn broken_embed() -> Response {
    Html(
        "<!DOCTYPE html><html><head><title>Instagram</title></head><body><div class=\"Embed EmbedIsBroken\">\
         <div class=\"ebmMessage\">The link to this photo or video may be broken, or the post may have been removed.</div>\
         </div></body></html>",
    )
    .into_response()
}

/// A page that holds nothing of the post, as when its layout has changed.
pub(crate) fn shell() -> Response {
    Html("<!DOCTYPE html><html><head><title>Instagram</title></head><body><div id=\"react-root\"></div></body></html>")
        .into_response()
}

/// 200 with an error of the query interface and no data.
pub(crate) fn query_error(message: &str, code: Option<u32>) -> Response {
    let mut error = json!({"message": message, "severity": "CRITICAL"});
    if let Some(code) = code {
        error["code"] = code.into();
    }
    Json(json!({"errors": [error], "data": null, "status": "ok"})).into_response()
}

/// What a retired query id gets.
pub(crate) fn retired_query() -> Response {
    query_error("execution error", None)
}

/// An empty page with a status and a title.
pub(crate) fn page(status: StatusCode, title: &str) -> Response {
    (
        status,
        Html(format!(
            "<!DOCTYPE html><html><head><title>{title}</title></head><body></body></html>"
        )),
    )
        .into_response()
}

/// A JSON answer with an error status.
pub(crate) fn fail(status: StatusCode, body: Value) -> Response {
    (status, Json(body)).into_response()
}

fn please_wait() -> Value {
    json!({
        "message": "Please wait a few minutes before you try again.", "require_login": true, "status": "fail",
    })
}

fn too_many_requests() -> Response {
    (
        StatusCode::TOO_MANY_REQUESTS,
        [(header::RETRY_AFTER, "1")],
        Json(please_wait()),
    )
        .into_response()
}
