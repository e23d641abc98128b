//! Deleting an analysis, as far as the API does it; the rest is the score stage's.

use schemas::{Deletion, topics};
use serde_json::json;
use store::{Analyses, KeyRole};
use uuid::Uuid;

use crate::support::{Api, post, url};

#[tokio::test(flavor = "multi_thread")]
async fn only_the_admin_key_deletes() {
    let api = Api::start().await;
    let partner = api.key("acme", KeyRole::Partner).await;
    let admin = api.key("root", KeyRole::Admin).await;
    let id = api.analyze(&url("KEPT")).await.id();
    let path = format!("/api/results/{id}");
    api.send("DELETE", &path, &[], b"")
        .await
        .error(401, "UNAUTHORIZED");
    let refused = api.send_as(&partner, "DELETE", &path, b"").await;
    assert_eq!(refused.error(403, "FORBIDDEN"), json!({}));
    assert_eq!(api.get(&path).await.status, 200);
    assert_eq!(api.records_of(topics::DETECTIONS.to_owned()).await, 0);
    let malformed = api.send_as(&admin, "DELETE", "/api/results/x", b"").await;
    malformed.error(422, "INVALID_INPUT");
    // Who may not delete is not told what there is.
    let unknown = format!("/api/results/{}", Uuid::from_u128(1));
    for path in ["/api/results/x", unknown.as_str()] {
        let answer = api.send("DELETE", path, &[], b"").await;
        assert!([401, 422].contains(&answer.status), "{}", answer.text());
    }
    let answer = api.send_as(&admin, "DELETE", &unknown, b"").await;
    answer.error(404, "RESOURCE_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_analysis_is_gone_at_once_and_told_to_the_score_stage() {
    let api = Api::start().await;
    let admin = api.key("root", KeyRole::Admin).await;
    let id = api.analyze(&url("GONE")).await.id();
    api.finish(id, &post("GONE"), |_| {}).await;
    let path = format!("/api/results/{id}");
    let vote = json!({ "vote_type": "false" });
    let feedback = format!("/api/reports/{id}/feedback");
    assert_eq!(api.post(&feedback, &vote).await.status, 201);
    // From the store, and then from memory.
    for _ in 0..2 {
        assert_eq!(api.get_json(&path).await["status"], "completed");
    }
    api.clock.advance(60);

    let answer = api.send_as(&admin, "DELETE", &path, b"").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let told = answer.json();
    assert_eq!(told["analysis_id"], id.to_string());
    assert!(told["message"].is_string());
    for path in [&path, &feedback, &format!("/api/reports/{id}")] {
        api.get(path).await.error(404, "RESOURCE_NOT_FOUND");
    }
    let (headers, key, value) = api.record(topics::DETECTIONS).await;
    let deletion: Deletion = schemas::decode(&headers, Some(&value)).unwrap();
    assert_eq!(key, b"GONE");
    assert_eq!(deletion.analysis_id, id);
    assert_eq!(deletion.post, post("GONE"));
    assert_eq!(deletion.deleted_at, api.now());
    let again = api.send_as(&admin, "DELETE", &path, b"").await;
    again.error(404, "RESOURCE_NOT_FOUND");

    // The same post again is a new run, not the old result.
    api.clock.advance(1);
    let submitted = api.analyze(&url("GONE")).await;
    assert_eq!(submitted.json()["cached"], false);
    assert_eq!(submitted.id(), id);
    let fresh = api.get_json(&path).await;
    assert_eq!(
        (&fresh["status"], &fresh["trust_score"]),
        (&json!("pending"), &json!(null))
    );
    assert_eq!(api.post(&feedback, &vote).await.status, 201, "a new vote");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_does_not_take_is_not_deleted() {
    let mut api = Api::start().await;
    let admin = api.key("root", KeyRole::Admin).await;
    let id = api.analyze(&url("STAYS")).await.id();
    drop(api.broker.take());
    let path = format!("/api/results/{id}");
    let answer = api.send_as(&admin, "DELETE", &path, b"").await;
    answer.error(503, "BROKER_UNAVAILABLE");
    assert!(answer.header("retry-after").is_some());
    assert_eq!(api.get(&path).await.status, 200);
    assert!(api.store.analysis(id, api.now()).await.unwrap().is_some());
}
