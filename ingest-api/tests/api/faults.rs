//! When what the API needs is away: refused with a reason, and nothing left behind.

use std::time::Duration;

use engine::publisher::Reserved;
use schemas::{Record, topics};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use trustcard_ingest_api::ApiConfig;

use crate::support::{Answer, Api, config, url};

/// What there is in the tables that intake writes.
fn rows(api: &Api) -> i64 {
    let database = rusqlite::Connection::open(&api.database).unwrap();
    ["analyses", "items", "outbox", "chunks"]
        .map(|table| {
            let question = format!("SELECT COUNT(*) FROM {table}");
            database
                .query_row(&question, [], |row| row.get::<_, i64>(0))
                .unwrap()
        })
        .iter()
        .sum()
}

/// Takes all the room the embedded broker has for submissions.
fn fill(api: &Api) -> Vec<Reserved> {
    let mut held = Vec::new();
    for bytes in [1_000_000, 100_000, 10_000, 1_000, 100, 0] {
        let record = || Record {
            topic: topics::SUBMISSIONS.into(),
            key: None,
            value: Some(vec![b' '; bytes].into()),
            headers: Vec::new(),
        };
        while let Ok(reserved) = api.publisher.reserve(vec![record()]) {
            held.push(reserved);
        }
    }
    held
}

async fn refused_everywhere(api: &Api) {
    let single = api.analyze(&url("REFUSED")).await;
    single.error(503, "BROKER_UNAVAILABLE");
    assert!(
        single
            .header("retry-after")
            .unwrap()
            .parse::<u32>()
            .unwrap()
            > 0
    );
    let urls = json!({ "urls": [url("REFUSED"), url("REFUSED2"), "bad"] });
    let batch = api.post("/api/analyze/batch", &urls).await;
    batch.error(503, "BROKER_UNAVAILABLE");
    assert!(batch.header("retry-after").is_some());
    assert_eq!(rows(api), 0, "nothing is left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_broker_refuses_and_takes_again_once_there_is_room() {
    let api = Api::start().await;
    let held = fill(&api);
    assert!(held.len() > 2);
    refused_everywhere(&api).await;
    assert_eq!(api.published().await, 0);
    drop(held);
    let id = api.analyze(&url("REFUSED")).await.id();
    assert_eq!(api.published().await, 1);
    assert_eq!(
        api.get_json(&format!("/api/results/{id}")).await["status"],
        "pending"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_with_room_for_a_part_of_a_batch_takes_that_part() {
    let api = Api::start().await;
    let mut held = fill(&api);
    // A megabyte: more than some of these submissions need, less than all of them.
    drop(held.remove(0));
    let mut urls: Vec<String> = (0..3_000).map(|n| url(&format!("PART{n}"))).collect();
    urls.push("bad".to_owned());
    let answer = api
        .post("/api/analyze/batch", &json!({ "urls": urls }))
        .await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let told = answer.json();
    let accepted = told["accepted"].as_u64().unwrap();
    let rejected = told["rejected"].as_array().unwrap();
    assert!(0 < accepted && accepted < 3_000, "{accepted}");
    assert_eq!(accepted + rejected.len() as u64, 3_001);
    let (bad, no_room) = rejected.split_last().unwrap();
    assert_eq!(
        (&bad["index"], &bad["retryable"]),
        (&json!(3_000), &json!(false))
    );
    for one in no_room {
        assert_eq!(one["error"]["code"], "BROKER_UNAVAILABLE");
        assert_eq!(one["retryable"], true);
        assert_eq!(one["url"], urls[one["index"].as_u64().unwrap() as usize]);
    }

    let accepted = i64::try_from(accepted).unwrap();
    assert_eq!(api.published().await, accepted);
    let database = rusqlite::Connection::open(&api.database).unwrap();
    let kept: i64 = database
        .query_row("SELECT COUNT(*) FROM outbox", [], |row| row.get(0))
        .unwrap();
    assert_eq!(kept, accepted, "a row for each record and no other");
    let batch = format!("/api/batches/{}", told["batch_id"].as_str().unwrap());
    let progress = api.get_json(&batch).await;
    assert_eq!(progress["total"], accepted);
    assert_eq!(progress["rejected"], rejected.len());

    drop(held);
    let again = json!({ "urls": [&no_room[0]["url"]] });
    let told = api.post("/api/analyze/batch", &again).await.json();
    assert_eq!(told["accepted"], 1, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_gone_refuses_and_leaves_nothing_behind() {
    let mut api = Api::start().await;
    drop(api.broker.take());
    refused_everywhere(&api).await;
    let metrics = api.get("/metrics").await.text();
    assert!(metrics.contains("trustcard_analyses_submitted_total 0\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_take_rows_refuses_and_nothing_is_published() {
    let api = Api::start().await;
    let lock = rusqlite::Connection::open(&api.database).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (post, urls) = (url("LOCKED"), json!({ "urls": [url("LOCKED")] }));
    let (single, batch) = tokio::join!(api.analyze(&post), api.post("/api/analyze/batch", &urls));
    for answer in [single, batch] {
        let details = answer.error(500, "DATABASE_ERROR");
        assert_eq!(details, json!({ "operation": "accept submissions" }));
        assert_eq!(answer.header("retry-after"), Some("1"));
        let text = answer.text().to_lowercase();
        for internal in ["sqlite", "select", "insert", "locked:", ".db", "/tmp"] {
            assert!(!text.contains(internal), "{text}");
        }
    }
    let health = api.get("/health").await;
    assert_eq!(health.status, 503);
    assert_eq!(health.json()["checks"]["database"]["status"], "unhealthy");
    lock.execute_batch("ROLLBACK").unwrap();
    assert_eq!(rows(&api), 0);
    assert_eq!(api.published().await, 0);
    assert_eq!(api.analyze(&url("LOCKED")).await.status, 202, "and back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_can_not_read_says_so_without_telling_how() {
    let api = Api::start().await;
    let id = api.analyze(&url("BROKEN")).await.id();
    let database = rusqlite::Connection::open(&api.database).unwrap();
    database
        .execute_batch("UPDATE analyses SET url = NULL, post_id = NULL; DROP TABLE batches;")
        .unwrap();
    let batch = format!("/api/batches/{}", uuid::Uuid::from_u128(1));
    let details = api.get(&batch).await.error(500, "DATABASE_ERROR");
    assert_eq!(details, json!({ "operation": "read batch" }));
    let answer = api.get(&format!("/api/results/{id}")).await;
    assert!([404, 500].contains(&answer.status), "{}", answer.text());
    assert!(!answer.text().contains("analyses"), "{}", answer.text());
}

/// The head of a submission, and its body cut in two.
fn halves(code: &str) -> (String, String) {
    let body = json!({ "url": url(code) }).to_string();
    let head = format!(
        "POST /api/analyze HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let (first, second) = body.split_at(10);
    (format!("{head}{first}"), second.to_owned())
}

/// Waits until the server works on a submission.
async fn until_in_progress(api: &Api, count: u32) {
    let line = format!(
        "trustcard_http_requests_in_progress{{endpoint=\"/api/analyze\",method=\"POST\"}} {count}\n"
    );
    for _ in 0..500 {
        if api.get("/metrics").await.text().contains(&line) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never saw {line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_answers_what_is_in_flight() {
    let mut api = Api::start().await;
    let (first, second) = halves("DRAIN");
    let mut stream = TcpStream::connect(api.address).await.unwrap();
    stream.write_all(first.as_bytes()).await.unwrap();
    until_in_progress(&api, 1).await;
    api.shutdown.begin();
    stream.write_all(second.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(Answer::parse(&bytes).status, 202);
    let server = &mut api.server;
    tokio::time::timeout(Duration::from_secs(10), server)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(
        TcpStream::connect(api.address).await.is_err(),
        "no longer listening"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_does_not_wait_for_ever_for_a_caller_that_stopped() {
    let config = ApiConfig {
        drain_ms: 100,
        ..config()
    };
    let mut api = Api::with(config).await;
    let (first, _) = halves("STUCK");
    let mut stream = TcpStream::connect(api.address).await.unwrap();
    stream.write_all(first.as_bytes()).await.unwrap();
    until_in_progress(&api, 1).await;
    api.shutdown.begin();
    let server = &mut api.server;
    tokio::time::timeout(Duration::from_secs(10), server)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_never_ends_is_given_up() {
    let config = ApiConfig {
        body_timeout_ms: 200,
        ..config()
    };
    let api = Api::with(config).await;
    let (first, _) = halves("SLOW");
    let mut stream = TcpStream::connect(api.address).await.unwrap();
    stream.write_all(first.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    Answer::parse(&bytes).error(400, "INVALID_INPUT");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_began_and_hung_up_on_goes_to_its_end() {
    let api = Api::start().await;
    let lock = rusqlite::Connection::open(&api.database).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut callers = Vec::new();
    for n in 0..10 {
        let (first, second) = halves(&format!("HANGUP{n}"));
        let mut stream = TcpStream::connect(api.address).await.unwrap();
        let whole = format!("{first}{second}");
        stream.write_all(whole.as_bytes()).await.unwrap();
        callers.push(stream);
    }
    until_in_progress(&api, 10).await;
    drop(callers);
    until_in_progress(&api, 0).await;
    lock.execute_batch("ROLLBACK").unwrap();
    for _ in 0..500 {
        let kept: i64 = lock
            .query_row("SELECT COUNT(*) FROM outbox", [], |row| row.get(0))
            .unwrap();
        if kept > 0 && kept == api.published().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("rows were left without their records");
}
