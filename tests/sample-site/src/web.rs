//! The anonymous web: pages that hand out the CSRF cookie, and the query by shortcode.

use std::sync::Arc;

use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::counters::Route;
use crate::faults::{self, PostFault, Way};
use crate::site::{Site, Turn};

/// PolarisPostRootQuery as of September 2026.
const DOC_ID: &str = "27128499623469141";
/// The web application's own id, which every request to the interface carries.
const APP_ID: &str = "936619743392459";

pub(crate) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/", get(home))
        .route(
            "/accounts/login/",
            get(async || faults::page(StatusCode::OK, "Login")),
        )
        .route("/p/{shortcode}/", get(post_page))
        .route("/reel/{shortcode}/", get(post_page))
        .route("/tv/{shortcode}/", get(post_page))
        .route("/graphql/query", post(query))
        .route(
            "/graphql/query/",
            post(query).get(async || faults::retired_query()),
        )
}

async fn home(State(site): State<Arc<Site>>) -> Response {
    csrf_page(&site, "").await
}

async fn post_page(State(site): State<Arc<Site>>, Path(shortcode): Path<String>) -> Response {
    csrf_page(&site, &shortcode).await
}

async fn csrf_page(site: &Site, key: &str) -> Response {
    site.counters.add(Route::Page, key);
    if let Some(fault) = site.page_fault().await {
        return fault;
    }
    // The real cookie is also `Secure` and bound to its domain; both would hide it from a client on plain loopback.
    let cookie = format!(
        "csrftoken={}; Path=/; Max-Age=31449600; SameSite=Lax",
        site.token()
    );
    let body =
        Html("<!DOCTYPE html><html><head><title>Instagram</title></head><body></body></html>");
    ([(header::SET_COOKIE, cookie)], body).into_response()
}

#[derive(Deserialize)]
struct QueryForm {
    doc_id: String,
    variables: String,
}

async fn query(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    form: Result<Form<QueryForm>, FormRejection>,
) -> Response {
    let form = form.map(|Form(form)| form);
    let variables: Option<Value> = form
        .as_ref()
        .ok()
        .and_then(|f| serde_json::from_str(&f.variables).ok());
    let shortcode = variables
        .as_ref()
        .and_then(|v| v.get("shortcode")?.as_str());
    site.counters
        .add(Route::Query, shortcode.unwrap_or_default());
    if let Some(fault) = site.post_fault(Way::Query).await {
        return fault;
    }
    let token = cookie(&headers, "csrftoken");
    if token.is_none_or(str::is_empty)
        || token != text(&headers, "x-csrftoken")
        || !is_web_app(&headers)
    {
        return faults::page(StatusCode::FORBIDDEN, "Page not available");
    }
    let (Ok(form), Some(shortcode)) = (form, shortcode) else {
        return faults::fail(
            StatusCode::BAD_REQUEST,
            json!({"message": "Bad Request", "status": "fail"}),
        );
    };
    if form.doc_id != DOC_ID {
        return faults::retired_query();
    }
    if let Some(body) = site.load.v1(shortcode) {
        return wrapped(body.as_ref());
    }
    let Some(turn) = site.turn(shortcode) else {
        return PostFault::Deleted
            .response(Way::Query, &site)
            .unwrap_or_else(faults::retired_query);
    };
    if let Some(answer) = site.bad_answer(&turn, Way::Query).await {
        return answer;
    }
    let writer = site.writer(turn.expired);
    if turn.faulty && turn.post.fault == Some(PostFault::OldShape) {
        return Json(
            json!({"data": {"xdt_shortcode_media": writer.retired(turn.post)}, "status": "ok"}),
        )
        .into_response();
    }
    wrapped(writer.v1(turn.post).to_string().as_bytes())
}

/// Puts an item where the query interface has it. By hand, so that a load post's prepared bytes are not parsed again.
fn wrapped(item: &[u8]) -> Response {
    const HEAD: &[u8] = br#"{"data":{"xdt_api__v1__media__shortcode__web_info":{"items":["#;
    const TAIL: &[u8] = br#"]}},"extensions":{"is_final":true},"status":"ok"}"#;
    (
        [(header::CONTENT_TYPE, "application/json; charset=utf-8")],
        [HEAD, item, TAIL].concat(),
    )
        .into_response()
}

impl Site {
    /// The answer that a post's own fault makes on this way, after the wait that it asks for.
    pub(crate) async fn bad_answer(&self, turn: &Turn<'_>, way: Way) -> Option<Response> {
        let fault = turn.post.fault.filter(|_| turn.faulty)?;
        if fault == PostFault::Slow {
            self.pause(self.config.slow).await;
        }
        fault.response(way, self)
    }

    pub(crate) fn writer(&self, expired: bool) -> crate::shape::Writer<'_> {
        crate::shape::Writer {
            base_url: &self.base_url,
            authors: &self.catalogue.authors,
            library: self.library,
            signer: &self.signer,
            expired,
        }
    }
}

/// Whether a request carries the web application's id and a browser's name.
pub(crate) fn is_web_app(headers: &HeaderMap) -> bool {
    text(headers, "x-ig-app-id") == Some(APP_ID)
        && text(headers, "user-agent").is_some_and(|agent| agent.starts_with("Mozilla/5.0 "))
}

/// A cookie of the request.
pub(crate) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let all = headers
        .get_all(header::COOKIE)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}
