//! Answers that a downloader must survive: drips, streams without end, false lengths, exact sizes, chains of redirects. All
//! claim to be JPEG and begin like one. No signature is asked for.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use futures::stream;
use serde::Deserialize;

use crate::counters::Route;
use crate::media::{padded, sized, spaced};
use crate::site::Site;

/// The first bytes of a JPEG file.
const START: Bytes = Bytes::from_static(&[0xFF, 0xD8, 0xFF, 0xE0]);

pub(crate) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/dribble/drip/{bytes}", get(drip))
        .route("/dribble/endless", get(endless))
        .route("/dribble/length/{claimed}/{sent}", get(false_length))
        .route("/dribble/exact/{bytes}", get(exact))
        .route("/dribble/unsized/{bytes}", get(unsized_body))
        .route("/dribble/redirect", get(redirect))
}

/// So many bytes, one a second, with a true Content-Length.
async fn drip(State(site): State<Arc<Site>>, Path(bytes): Path<u64>) -> Response {
    site.counters.add(Route::Dribble, &format!("drip/{bytes}"));
    let all = (0..bytes).map(|n| {
        START
            .slice(usize::try_from(n % 4).unwrap_or_default()..)
            .slice(..1)
    });
    sized(
        bytes,
        spaced(site, Duration::from_secs(1), stream::iter(all)),
    )
}

/// Chunks of 64 KiB until the client or the site has had enough.
async fn endless(State(site): State<Arc<Site>>) -> Response {
    site.counters.add(Route::Dribble, "endless");
    let stopping = site.stopping.clone();
    let forever =
        futures::StreamExt::take_until(padded(START, u64::MAX), stopping.cancelled_owned());
    jpeg(Body::from_stream(forever))
}

/// Claims one length and sends fewer bytes, then cuts the connection. HTTP ends a message at its stated length, so sending
/// more than was claimed can't be told from the truth, and is 400 here.
async fn false_length(
    State(site): State<Arc<Site>>,
    Path((claimed, sent)): Path<(u64, u64)>,
) -> Response {
    site.counters
        .add(Route::Dribble, &format!("length/{claimed}/{sent}"));
    if sent >= claimed {
        return (StatusCode::BAD_REQUEST, "claim more than is sent").into_response();
    }
    sized(claimed, padded(START, sent))
}

/// So many bytes, with a true Content-Length.
async fn exact(State(site): State<Arc<Site>>, Path(bytes): Path<u64>) -> Response {
    site.counters.add(Route::Dribble, &format!("exact/{bytes}"));
    sized(bytes, padded(START, bytes))
}

/// So many bytes, in chunks, with no Content-Length.
async fn unsized_body(State(site): State<Arc<Site>>, Path(bytes): Path<u64>) -> Response {
    site.counters
        .add(Route::Dribble, &format!("unsized/{bytes}"));
    jpeg(Body::from_stream(padded(START, bytes)))
}

#[derive(Deserialize)]
struct Redirect {
    to: String,
    #[serde(default)]
    hops: u32,
}

/// `?to=URL&hops=N`: N redirects to this route, then one to the URL, whatever it is.
async fn redirect(
    State(site): State<Arc<Site>>,
    Query(Redirect { to, hops }): Query<Redirect>,
) -> Response {
    site.counters.add(Route::Dribble, "redirect");
    let location = match hops.checked_sub(1) {
        Some(hops) => format!(
            "{}/dribble/redirect?hops={hops}&to={}",
            site.base_url,
            percent_encoded(&to)
        ),
        None => to,
    };
    (StatusCode::FOUND, [(header::LOCATION, location)]).into_response()
}

fn percent_encoded(text: &str) -> String {
    let keep = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes()
        .map(|b| {
            if keep(b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}

fn jpeg(body: Body) -> Response {
    ([(header::CONTENT_TYPE, "image/jpeg")], body).into_response()
}
