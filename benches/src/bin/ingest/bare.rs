//! What our API is measured against: a handler that parses a body, sends a record a URL and answers when all are acknowledged. It
//! checks nothing, derives nothing, keeps nothing.

use std::sync::Arc;

use anyhow::Result;
use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use futures::future::join_all;
use rdkafka::{
    ClientConfig,
    producer::{FutureProducer, FutureRecord},
};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

/// The topic it writes to: one that is there and that nobody reads in this bench.
const TOPIC: &str = schemas::topics::POSTS;

#[derive(Deserialize)]
struct Batch {
    urls: Vec<String>,
}

#[derive(Deserialize)]
struct Single {
    url: String,
}

#[derive(Serialize)]
struct Accepted {
    accepted: usize,
}

type Shared = State<Arc<FutureProducer>>;

/// Serves it on this port until it is killed.
///
/// # Errors
/// When it can't.
pub async fn serve(port: u16, bootstrap: &str) -> Result<()> {
    // As our own publisher is set, where it says anything.
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        .set("compression.type", "lz4")
        .create()?;
    let app = Router::new()
        .route("/batch", post(batch))
        .route("/single", post(single))
        .with_state(Arc::new(producer));
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    Ok(axum::serve(listener, app).await?)
}

async fn batch(State(producer): Shared, Json(batch): Json<Batch>) -> (StatusCode, Json<Accepted>) {
    let sent = batch.urls.iter().map(|url| send(&producer, url));
    let accepted = join_all(sent)
        .await
        .into_iter()
        .filter(|sent| *sent)
        .count();
    (StatusCode::ACCEPTED, Json(Accepted { accepted }))
}

async fn single(
    State(producer): Shared,
    Json(single): Json<Single>,
) -> (StatusCode, Json<Accepted>) {
    let accepted = usize::from(send(&producer, &single.url).await);
    (StatusCode::ACCEPTED, Json(Accepted { accepted }))
}

/// Sends a URL under its shortcode; whether it was acknowledged.
async fn send(producer: &FutureProducer, url: &str) -> bool {
    let key = url
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or_default();
    let record = FutureRecord::to(TOPIC).key(key).payload(url);
    match producer.send_result(record) {
        Ok(delivery) => matches!(delivery.await, Ok(Ok(_))),
        Err(_) => false,
    }
}
