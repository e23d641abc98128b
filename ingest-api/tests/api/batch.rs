//! Many posts at once.

use engine::Clock;
use serde_json::{Value, json};
use store::Analyses;
use trustcard_ingest_api::{ApiConfig, Environment};

use crate::support::{Api, config, post, url};

const PATH: &str = "/api/analyze/batch";

#[tokio::test(flavor = "multi_thread")]
async fn every_url_has_its_own_fate() {
    let api = Api::start().await;
    let urls = json!([
        url("ONE"),
        "https://example.com/p/ONE/",
        url("TWO"),
        "https://instagr.am/reel/ONE",
        7,
        url("two"),
        null,
    ]);
    let answer = api.post(PATH, &json!({ "urls": urls })).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let told = answer.json();
    assert_eq!(
        (&told["accepted"], &told["duplicates"]),
        (&json!(3), &json!(1))
    );
    let places = |list: &str| -> Vec<u64> {
        let list = told[list].as_array().unwrap();
        list.iter()
            .map(|item| item["index"].as_u64().unwrap())
            .collect()
    };
    assert_eq!(places("items"), [0, 2, 5]);
    assert_eq!(places("rejected"), [1, 4, 6]);
    let refused = &told["rejected"][0];
    assert_eq!(refused["url"], "https://example.com/p/ONE/");
    assert_eq!(refused["error"]["code"], "INVALID_INPUT");
    assert_eq!(refused["error"]["message"], "URL must be on instagram.com");
    assert_eq!(refused["retryable"], false);
    assert_eq!(told["items"][0]["post_id"], "ONE");
    assert_eq!(told["items"][0]["status"], "pending");
    let single = api.analyze(&url("ONE")).await.id();
    assert_eq!(
        told["items"][0]["analysis_id"],
        single.to_string(),
        "one identity for both ways in"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_goes_from_accepted_to_ended() {
    let api = Api::start().await;
    let codes = ["A", "B", "C"];
    let urls: Vec<String> = codes.map(url).to_vec();
    let told = api.post(PATH, &json!({ "urls": urls })).await.json();
    let address = format!("/api/batches/{}", told["batch_id"].as_str().unwrap());
    let first = told["items"][0]["analysis_id"].as_str().unwrap();

    let fresh = api.get_json(&address).await;
    let counts = json!({ "pending": 3, "processing": 0, "completed": 0, "failed": 0 });
    assert_eq!(fresh["counts"], counts);
    assert_eq!(
        (&fresh["total"], &fresh["percent"]),
        (&json!(3), &json!(0.0))
    );
    assert_eq!(fresh["completed_at"], Value::Null);
    assert!(fresh["created_at"].is_string());

    let unknown_yet = api.get(&format!("/api/results/{first}")).await;
    unknown_yet.error(404, "RESOURCE_NOT_FOUND");
    assert_eq!(unknown_yet.header("retry-after"), Some("1"));
    let queued: Vec<_> = api
        .submissions()
        .await
        .into_iter()
        .map(|(s, _)| s)
        .collect();
    assert_eq!(queued.len(), 3);
    api.store.project(&queued, api.clock.now()).await.unwrap();
    assert_eq!(
        api.get_json(&format!("/api/results/{first}")).await["status"],
        "pending"
    );

    for (submission, code) in queued.iter().zip(codes) {
        let now = api.clock.now();
        api.store.claim(submission, code, now).await.unwrap();
        api.finish(submission.analysis_id, &post(code), |_| {})
            .await;
    }
    let ended = api.get_json(&address).await;
    assert_eq!(ended["counts"]["completed"], 3, "{ended}");
    assert_eq!(ended["percent"], 100.0);
    assert!(ended["completed_at"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_bad_urls_alone_is_answered_not_failed() {
    let api = Api::start().await;
    let told = api.post(PATH, &json!({ "urls": ["x", "y"] })).await;
    assert_eq!(told.status, 202);
    assert_eq!(told.json()["accepted"], 0);
    let id = told.json()["batch_id"].as_str().unwrap().to_owned();
    let progress = api.get_json(&format!("/api/batches/{id}")).await;
    assert_eq!(
        (&progress["total"], &progress["rejected"]),
        (&json!(0), &json!(2))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_exact() {
    // As many partitions as `up` has by default: the largest batch fits into an empty broker.
    let api = Api::on(4, config()).await;
    let most: Vec<String> = (0..10_000).map(|n| url(&format!("load{n}"))).collect();
    let told = api.post(PATH, &json!({ "urls": most })).await;
    assert_eq!(told.json()["accepted"], 10_000, "{}", told.status);
    let beyond: Vec<&str> = vec!["x"; 10_001];
    let details = api
        .post(PATH, &json!({ "urls": beyond }))
        .await
        .error(413, "PAYLOAD_TOO_LARGE");
    assert_eq!(details["limit"], 10_000);

    let fill = |bytes: usize| {
        let mut body = format!(r#"{{"urls":["{}"]}}"#, url("PADDED")).into_bytes();
        body.resize(bytes, b' ');
        body
    };
    assert_eq!(api.post_bytes(PATH, &fill(10_000_000)).await.status, 202);
    let details = api
        .post_bytes(PATH, &fill(10_000_001))
        .await
        .error(413, "PAYLOAD_TOO_LARGE");
    assert_eq!(details["limit"], 10_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_larger_than_the_broker_is_accepted_as_far_as_it_fits() {
    let api = Api::on(2, config()).await;
    let longest: Vec<String> = (0..10_000).map(|n| url(&format!("{n:0>64}"))).collect();
    let answer = api.post(PATH, &json!({ "urls": longest })).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let told = answer.json();
    let accepted = told["accepted"].as_u64().unwrap();
    let rejected = told["rejected"].as_array().unwrap();
    assert_eq!(accepted + rejected.len() as u64, 10_000);
    assert!(accepted > 1_000 && !rejected.is_empty(), "{accepted}");
    assert!(rejected.iter().all(|one| one["retryable"] == true));
}

#[tokio::test(flavor = "multi_thread")]
async fn anonymous_batches_and_listings_are_for_development() {
    for environment in [Environment::Staging, Environment::Production] {
        let config = ApiConfig {
            environment,
            ..config()
        };
        let api = Api::with(config).await;
        let answer = api.post(PATH, &json!({ "urls": [url("A")] })).await;
        answer.error(401, "UNAUTHORIZED");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        api.get("/api/results").await.error(401, "UNAUTHORIZED");
        assert_eq!(
            api.analyze(&url("A")).await.status,
            202,
            "singles need no key"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_batches_are_refused_whole() {
    let api = Api::start().await;
    for body in [
        json!({}),
        json!({ "urls": null }),
        json!({ "urls": [] }),
        json!({ "urls": "x" }),
    ] {
        let details = api.post(PATH, &body).await.error(422, "INVALID_INPUT");
        assert_eq!(details["field"], "urls", "{body}");
    }
    let unknown = format!("/api/batches/{}", uuid::Uuid::from_u128(1));
    api.get(&unknown).await.error(404, "RESOURCE_NOT_FOUND");
    api.get("/api/batches/x").await.error(422, "INVALID_INPUT");
}
