//! What our API is measured against: handlers that parse a body, send a record a URL and answer when all are acknowledged. They
//! check nothing and derive nothing.
//!
//! The marks are set against the barest: a record is the URL alone. Beside it stand two that do a part of what our API has to do, whoever
//! writes it: `like-ours` sends records as large as ours, with as many headers, and `kept` also asks a CQL server for what is known of the
//! post and writes a row before it sends.

use std::sync::Arc;

use anyhow::Result;
use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use clap::Args;
use futures::future::join_all;
use jiff::Timestamp;
use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use schemas::{PostRef, Record, Run, Submission, events::submission::Origin};
use scylla::{
    client::{session::Session, session_builder::SessionBuilder},
    statement::prepared::PreparedStatement,
};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use uuid::Uuid;

/// The topic it writes to: one that is there and that nobody reads in this bench.
const TOPIC: &str = schemas::topics::POSTS;

/// Where it listens and what it writes to.
#[derive(Args)]
pub struct Place {
    /// Port to listen on
    port: u16,
    /// The broker
    bootstrap: String,
    /// The CQL server
    cql: String,
    /// A keyspace that is there
    keyspace: String,
}

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

/// One of the handlers.
#[derive(Clone)]
struct Bare {
    producer: FutureProducer,
    /// What every record says; the URL alone where there is none.
    like: Option<Arc<Record>>,
    rows: Option<Arc<Rows>>,
}

/// Rows of accepted URLs.
struct Rows {
    session: Session,
    find: PreparedStatement,
    keep: PreparedStatement,
}

/// Serves it until it is killed.
///
/// # Errors
/// When it can't.
pub async fn serve(place: &Place) -> Result<()> {
    // As our own publisher is set, where it says anything.
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", &place.bootstrap)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        .set("compression.type", "lz4")
        .create()?;
    let bare = Bare {
        producer,
        like: None,
        rows: None,
    };
    let like_ours = Bare {
        like: Some(Arc::new(ours()?)),
        ..bare.clone()
    };
    let kept = Bare {
        rows: Some(Arc::new(Rows::open(place).await?)),
        ..like_ours.clone()
    };
    let handlers = |bare: Bare| {
        Router::new()
            .route("/batch", post(batch))
            .route("/single", post(single))
            .with_state(bare)
    };
    let app = handlers(bare)
        .nest("/like-ours", handlers(like_ours))
        .nest("/kept", handlers(kept));
    let listener = TcpListener::bind(("127.0.0.1", place.port)).await?;
    Ok(axum::serve(listener, app).await?)
}

/// A record as our API writes it.
fn ours() -> Result<Record> {
    let started = Timestamp::UNIX_EPOCH;
    let post = PostRef::parse("https://www.instagram.com/p/load0000000000/", 2_048)?;
    let submission = Submission {
        analysis_id: Uuid::nil(),
        run: Run::submitted(started),
        supersedes: None,
        post,
        force: false,
        origin: Origin::Batch {
            batch_id: Uuid::nil(),
            index: 0,
        },
        owner: None,
    };
    Ok(schemas::encode(TOPIC, &submission)?)
}

impl Rows {
    async fn open(place: &Place) -> Result<Self> {
        let session = SessionBuilder::new().known_node(&place.cql).build().await?;
        session.use_keyspace(&place.keyspace, false).await?;
        let table =
            "CREATE TABLE IF NOT EXISTS bare (post_id text PRIMARY KEY, url text, at bigint)";
        session.query_unpaged(table, ()).await?;
        let find = "SELECT url, at FROM bare WHERE post_id = ?";
        let keep = "INSERT INTO bare (post_id, url, at) VALUES (?, ?, ?) USING TTL 2592000";
        Ok(Self {
            find: session.prepare(find).await?,
            keep: session.prepare(keep).await?,
            session,
        })
    }

    /// Asks what is known of a post and keeps it.
    async fn keep(&self, post_id: &str, url: &str) -> Result<()> {
        let known = self.session.execute_unpaged(&self.find, (post_id,)).await?;
        known
            .into_rows_result()?
            .maybe_first_row::<(String, i64)>()?;
        let values = (post_id, url, Timestamp::UNIX_EPOCH.as_millisecond());
        self.session.execute_unpaged(&self.keep, values).await?;
        Ok(())
    }
}

async fn batch(State(bare): State<Bare>, Json(batch): Json<Batch>) -> (StatusCode, Json<Accepted>) {
    let sent = batch.urls.iter().map(|url| bare.send(url));
    let sent = join_all(sent).await;
    told(sent.iter().filter(|sent| sent.is_ok()).count(), sent.len())
}

async fn single(
    State(bare): State<Bare>,
    Json(single): Json<Single>,
) -> (StatusCode, Json<Accepted>) {
    told(usize::from(bare.send(&single.url).await.is_ok()), 1)
}

/// 202 where all of them were accepted: the bench takes nothing else for an answer.
fn told(accepted: usize, sent: usize) -> (StatusCode, Json<Accepted>) {
    let status = match accepted == sent {
        true => StatusCode::ACCEPTED,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(Accepted { accepted }))
}

impl Bare {
    /// Sends a URL under its shortcode and waits for the acknowledgement.
    async fn send(&self, url: &str) -> Result<()> {
        let key = url.trim_end_matches('/').rsplit('/').next();
        let key = key.unwrap_or_default();
        if let Some(rows) = &self.rows {
            // Boxed, so that the handlers without rows do not carry what it needs for each of their URLs.
            Box::pin(rows.keep(key, url)).await?;
        }
        let (payload, headers) = match &self.like {
            None => (url.as_bytes(), None),
            Some(like) => (
                like.value.as_deref().unwrap_or_default(),
                Some(headers(like)),
            ),
        };
        let record = FutureRecord {
            headers,
            ..FutureRecord::to(TOPIC).key(key).payload(payload)
        };
        let delivery = self.producer.send_result(record);
        let delivery = delivery.map_err(|(error, _)| error)?;
        delivery.await?.map_err(|(error, _)| error)?;
        Ok(())
    }
}

fn headers(record: &Record) -> OwnedHeaders {
    let headers = OwnedHeaders::new_with_capacity(record.headers.len());
    record.headers.iter().fold(headers, |headers, header| {
        headers.insert(Header {
            key: &header.name,
            value: Some(&*header.value),
        })
    })
}
