//! Requests that are sent again.

use futures::future::join_all;
use serde_json::json;
use store::KeyRole;

use crate::support::{Answer, Api, config, url};

const SINGLE: &str = "/api/analyze";
const BATCH: &str = "/api/analyze/batch";

async fn post(api: &Api, path: &str, key: &str, body: &serde_json::Value) -> Answer {
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", key),
    ];
    api.send("POST", path, &headers, body.to_string().as_bytes())
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_is_done_once_and_its_answer_told_again() {
    let api = Api::start().await;
    let body = json!({ "urls": [url("A"), "bad", url("B")] });
    let first = post(&api, BATCH, "k-1", &body).await;
    assert_eq!(first.status, 202, "{}", first.text());
    assert_eq!(first.header("idempotency-replayed"), None);
    api.clock.advance(3_600);
    let again = post(&api, BATCH, "k-1", &body).await;
    assert_eq!(
        (again.status, &again.body),
        (202, &first.body),
        "byte for byte"
    );
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(api.published().await, 2);
    let other = post(&api, BATCH, "k-1", &json!({ "urls": [url("A")] })).await;
    assert_eq!(
        other.error(422, "INVALID_INPUT")["field"],
        "Idempotency-Key"
    );
    let single = post(&api, SINGLE, "k-1", &json!({ "url": url("A") })).await;
    single.error(422, "INVALID_INPUT");
    let anew = post(&api, BATCH, "k-2", &body).await;
    assert_ne!(anew.json()["batch_id"], first.json()["batch_id"]);
    api.clock.advance(24 * 3_600);
    let late = post(&api, BATCH, "k-1", &body).await;
    assert_ne!(
        late.json()["batch_id"],
        first.json()["batch_id"],
        "a day later"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forced_single_is_one_analysis_however_often_it_is_sent() {
    let api = Api::start().await;
    let body = json!({ "url": url("A"), "force": true });
    let first = post(&api, SINGLE, "k", &body).await.id();
    assert_eq!(post(&api, SINGLE, "k", &body).await.id(), first);
    assert_ne!(post(&api, SINGLE, "l", &body).await.id(), first);
    assert_eq!(api.published().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_at_once_make_one_batch() {
    let api = Api::start().await;
    let body = json!({ "urls": [url("A"), url("B"), url("C")] });
    let answers = join_all((0..64).map(|_| post(&api, BATCH, "k", &body))).await;
    let taken: Vec<&Answer> = answers
        .iter()
        .filter(|answer| answer.status == 202)
        .collect();
    assert!(!taken.is_empty());
    assert!(taken.iter().all(|answer| answer.body == taken[0].body));
    for answer in answers.iter().filter(|answer| answer.status != 202) {
        answer.error(409, "CONFLICT");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    assert_eq!(api.published().await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_belongs_to_the_holder_and_is_given_up_where_nothing_was_accepted() {
    let mut api = Api::with(config()).await;
    let (acme, other) = (
        api.key("acme", KeyRole::Partner).await,
        api.key("other", KeyRole::Partner).await,
    );
    let send = async |api: &Api, key: &str, body: &serde_json::Value| {
        let bearer = format!("Bearer {key}");
        let headers = [
            ("content-type", "application/json"),
            ("authorization", bearer.as_str()),
            ("idempotency-key", "k"),
        ];
        api.send("POST", BATCH, &headers, body.to_string().as_bytes())
            .await
    };
    let first = send(&api, &acme, &json!({ "urls": [url("A")] })).await;
    let theirs = send(&api, &other, &json!({ "urls": [url("B")] })).await;
    assert_eq!((first.status, theirs.status), (202, 202));
    assert_ne!(first.json()["batch_id"], theirs.json()["batch_id"]);

    let malformed = post(&api, BATCH, "m", &json!({ "urls": [] })).await;
    malformed.error(422, "INVALID_INPUT");
    let body = json!({ "urls": [url("C")] });
    assert_eq!(
        post(&api, BATCH, "m", &body).await.status,
        202,
        "no key was taken"
    );
    drop(api.broker.take());
    let body = json!({ "urls": [url("D")] });
    for _ in 0..2 {
        let refused = post(&api, BATCH, "n", &body).await;
        refused.error(503, "BROKER_UNAVAILABLE");
    }
    let longest = "k".repeat(256);
    let odd = post(&api, BATCH, &longest, &body).await;
    assert_eq!(odd.error(422, "INVALID_INPUT")["field"], "Idempotency-Key");
}
