//! Media files by name, behind signed addresses, and the ones that misbehave.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};

use crate::counters::Route;
use crate::faults;
use crate::folder;
use crate::signature::Signature;
use crate::site::Site;

/// The picture behind the names below, where they show one.
const BASE: &str = "coast.jpg";
const JPEG: &str = "image/jpeg";
/// In how many parts a slow file is sent.
const SLOW_PARTS: usize = 8;

pub(crate) fn routes() -> Router<Arc<Site>> {
    Router::new().route("/media/{name}", get(file))
}

async fn file(
    State(site): State<Arc<Site>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    site.counters.add(Route::Media, &name);
    match site
        .signer
        .check(&name, query.as_deref().unwrap_or_default())
    {
        Signature::Valid => {}
        Signature::Expired => {
            return (StatusCode::FORBIDDEN, "URL signature expired").into_response();
        }
        Signature::Wrong => return (StatusCode::FORBIDDEN, "Bad URL signature").into_response(),
    }
    if let Some(file) = site.library.get(&name) {
        return typed(file.content_type, Body::from(file.bytes.clone()));
    }
    if let Some(bytes) = site.folder.as_ref().and_then(|folder| folder.file(&name)) {
        return typed(folder::content_type(&name), Body::from(bytes.clone()));
    }
    let Some(base) = site.library.get(BASE).map(|file| file.bytes.clone()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let oversize = site.config.oversize_bytes;
    match name.as_str() {
        "broken.jpg" => typed(JPEG, Body::from(base.slice(..base.len() / 3))),
        "huge-header.jpg" => typed(JPEG, Body::from(with_size(&base, 60_000, 60_000))),
        "oversize.jpg" => sized(oversize, padded(base, oversize)),
        "oversize-unsized.jpg" => typed(JPEG, Body::from_stream(padded(base, oversize))),
        // The length is true for the whole picture, the connection ends after half of it.
        "short-body.jpg" => sized(base.len() as u64, once(base.slice(..base.len() / 2))),
        "slow.jpg" => sized(base.len() as u64, slowly(site, base)),
        "moved.jpg" => {
            let to = site.writer(false).url(BASE);
            (StatusCode::FOUND, [(header::LOCATION, to)]).into_response()
        }
        "page.jpg" => faults::page(StatusCode::OK, "Not a picture"),
        _ => (StatusCode::NOT_FOUND, "Not Found").into_response(),
    }
}

fn typed(content_type: &'static str, body: Body) -> Response {
    (
        [
            (header::CONTENT_TYPE, content_type),
            (header::CACHE_CONTROL, "max-age=1209600"),
        ],
        body,
    )
        .into_response()
}

/// A JPEG of a stated length, whether the stream keeps to it or not: where it ends early, the connection is cut.
pub(crate) fn sized(
    length: u64,
    body: impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static,
) -> Response {
    let headers = [
        (header::CONTENT_TYPE, JPEG.to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
    ];
    // The server sends what it holds when a body has nothing ready, and drops it when a body ends too early: so, a breath
    // before the end.
    let breath = stream::once(async {
        tokio::task::yield_now().await;
        Ok(Bytes::new())
    });
    (headers, Body::from_stream(body.chain(breath))).into_response()
}

/// A file followed by zeros up to `length` bytes, or cut there: JPEG readers ignore what follows the picture.
pub(crate) fn padded(
    file: Bytes,
    length: u64,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    const ZEROS: Bytes = Bytes::from_static(&[0; 64 * 1024]);
    let chunks =
        std::iter::once(file)
            .chain(std::iter::repeat(ZEROS))
            .scan(length, |left, chunk| {
                let take = chunk
                    .len()
                    .min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= take as u64;
                (take > 0).then(|| Ok(chunk.slice(..take)))
            });
    stream::iter(chunks)
}

fn once(bytes: Bytes) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    stream::iter([Ok(bytes)])
}

/// A file in equal parts, spread over the time that the configuration calls slow.
fn slowly(site: Arc<Site>, file: Bytes) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    let part = file.len().div_ceil(SLOW_PARTS).max(1);
    let parts: Vec<_> = (0..file.len())
        .step_by(part)
        .map(|at| file.slice(at..(at + part).min(file.len())))
        .collect();
    let pause = site.config.slow / SLOW_PARTS as u32;
    spaced(site, pause, stream::iter(parts))
}

/// Waits before each chunk; ends when the site shuts down.
pub(crate) fn spaced(
    site: Arc<Site>,
    pause: Duration,
    chunks: impl Stream<Item = Bytes> + Send + Unpin,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    stream::unfold((site, chunks), move |(site, mut chunks)| async move {
        if !site.pause(pause).await {
            return None;
        }
        let chunk = chunks.next().await?;
        Some((Ok(chunk), (site, chunks)))
    })
}

/// A JPEG whose header claims another size: the four bytes after the precision in its start-of-frame segment (ITU T.81, B.2.2).
fn with_size(jpeg: &Bytes, width: u16, height: u16) -> Bytes {
    let mut bytes = jpeg.to_vec();
    // Segments follow the two bytes of the start marker: FF, marker, two bytes of length that count themselves.
    let mut at = 2;
    while let Some(&[0xFF, marker, high, low]) = bytes.get(at..at + 4).and_then(|s| s.first_chunk())
    {
        if (0xC0..=0xC2).contains(&marker) {
            if let Some(size) = bytes.get_mut(at + 5..at + 9) {
                size[..2].copy_from_slice(&height.to_be_bytes());
                size[2..].copy_from_slice(&width.to_be_bytes());
            }
            break;
        }
        at += 2 + usize::from(u16::from_be_bytes([high, low]));
    }
    bytes.into()
}
