//! The operator's session: a post by its number.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::counters::Route;
use crate::faults::{self, PostFault, Way};
use crate::shortcode;
use crate::site::Site;
use crate::web::{cookie, is_web_app};

/// The `sessionid` whose account must be confirmed by its owner: every request gets `checkpoint_required`.
pub const SESSION_CHECKPOINT: &str = "sample-session-checkpoint";
/// The `sessionid` whose account met a challenge: every request gets `challenge_required`.
pub const SESSION_CHALLENGE: &str = "sample-session-challenge";
/// The `sessionid` that has ended: every request is sent to the login page. Any other that is not empty is good.
pub const SESSION_EXPIRED: &str = "sample-session-expired";

pub(crate) fn routes() -> Router<Arc<Site>> {
    Router::new().route("/api/v1/media/{pk}/info/", get(info))
}

async fn info(
    State(site): State<Arc<Site>>,
    Path(pk): Path<String>,
    headers: HeaderMap,
) -> Response {
    let code = pk.parse().ok().map(|pk: u128| {
        let named = site.catalogue.shortcode(pk).map(str::to_owned);
        named.unwrap_or_else(|| shortcode::from_pk(pk))
    });
    let code = code.unwrap_or_default();
    site.counters.add(Route::Session, &code);
    if let Some(fault) = site.post_fault(Way::Session).await {
        return fault;
    }
    match cookie(&headers, "sessionid") {
        None | Some("" | SESSION_EXPIRED) => return faults::to_login(&site),
        Some(SESSION_CHECKPOINT) => return confirm(&site, "checkpoint_required"),
        Some(SESSION_CHALLENGE) => return confirm(&site, "challenge_required"),
        Some(_) if !is_web_app(&headers) => {
            return faults::page(StatusCode::FORBIDDEN, "Page not available");
        }
        Some(_) => {}
    }
    if let Some(item) = site.load.v1(&code) {
        const HEAD: &[u8] = br#"{"items":["#;
        const TAIL: &[u8] = br#"],"num_results":1,"more_available":false,"status":"ok"}"#;
        return (
            [(header::CONTENT_TYPE, "application/json; charset=utf-8")],
            [HEAD, &item, TAIL].concat(),
        )
            .into_response();
    }
    let Some(turn) = site.turn(&code) else {
        return PostFault::Deleted
            .response(Way::Session, &site)
            .unwrap_or_else(|| faults::to_login(&site));
    };
    if let Some(answer) = site.bad_answer(&turn, Way::Session).await {
        return answer;
    }
    let writer = site.writer(turn.expired);
    if turn.faulty && turn.post.fault == Some(PostFault::OldShape) {
        return Json(json!({"graphql": {"shortcode_media": writer.retired(turn.post)}}))
            .into_response();
    }
    let items: Value = [writer.v1(turn.post)].into_iter().collect();
    Json(json!({"items": items, "num_results": 1, "more_available": false, "status": "ok"}))
        .into_response()
}

/// The answer for an account that its owner must confirm.
fn confirm(site: &Site, message: &str) -> Response {
    let body = json!({
        "message": message, "checkpoint_url": format!("{}/challenge/", site.base_url), "lock": true, "status": "fail",
    });
    faults::fail(StatusCode::BAD_REQUEST, body)
}
