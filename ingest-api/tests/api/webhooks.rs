//! Where holders want to be told: made, listed and dropped by whose they are.

use serde_json::{Value, json};
use store::{KeyRole, Webhooks as _};

use crate::support::Api;

const PATH: &str = "/api/webhooks";
const URL: &str = "https://hooks.partner.example/trustcard";

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_its_holders_alone() {
    let api = Api::start().await;
    let acme = api.key("acme", KeyRole::Partner).await;
    let other = api.key("other", KeyRole::Partner).await;
    api.post(PATH, &json!({ "url": URL }))
        .await
        .error(401, "UNAUTHORIZED");
    let ask = json!({ "url": URL, "events": ["batch.completed"] });
    let made = api.post_as(&acme, PATH, &ask).await;
    assert_eq!(made.status, 201);
    let made = made.json();
    assert_eq!(made["url"], URL);
    assert_eq!(made["events"], json!(["batch.completed"]));
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"));
    let all = api.post_as(&other, PATH, &json!({ "url": URL })).await;
    let all = all.json();
    assert_eq!(all["events"].as_array().unwrap().len(), 3);
    assert_ne!(all["secret"], made["secret"]);

    let listed = api.get_as(&acme, PATH).await.json();
    let listed = listed["webhooks"].as_array().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["webhook_id"], made["webhook_id"]);
    assert_eq!(listed[0]["secret"], Value::Null, "shown once");

    let one = format!("{PATH}/{}", made["webhook_id"].as_str().unwrap());
    let log = format!("{one}/deliveries");
    assert_eq!(
        api.get_as(&acme, &log).await.json(),
        json!({ "deliveries": [] })
    );
    for path in [&one, &log] {
        let method = if path == &one { "DELETE" } else { "GET" };
        let foreign = api.send_as(&other, method, path, b"").await;
        foreign.error(404, "RESOURCE_NOT_FOUND");
        api.send_as("tck_unknown", method, path, b"")
            .await
            .error(401, "UNAUTHORIZED");
    }
    let malformed = format!("{PATH}/abc");
    api.send_as(&acme, "DELETE", &malformed, b"")
        .await
        .error(422, "INVALID_INPUT");
    let dropped = api.send_as(&acme, "DELETE", &one, b"").await;
    assert_eq!(dropped.status, 200);
    api.get_as(&acme, &log)
        .await
        .error(404, "RESOURCE_NOT_FOUND");
    assert_eq!(api.store.webhooks().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_is_told_at_once_and_no_address_inside_is_taken() {
    let api = Api::start().await;
    let acme = api.key("acme", KeyRole::Partner).await;
    let faults = async |body: Value| -> Vec<String> {
        let answer = api.post_as(&acme, PATH, &body).await;
        let details = answer.error(422, "INVALID_INPUT");
        let errors = details["errors"].as_array().unwrap().iter();
        errors
            .map(|one| one["field"].as_str().unwrap().to_owned())
            .collect()
    };
    for url in [
        "http://hooks.partner.example/",
        "https://127.0.0.1/hook",
        "https://[::1]/hook",
        "https://2130706433/hook",
        "https://hooks.partner.example:8443/",
        "https://user:password@hooks.partner.example/",
        "ftp://hooks.partner.example/",
        "hooks.partner.example",
        "",
    ] {
        assert_eq!(faults(json!({ "url": url })).await, ["url"], "{url}");
    }
    let long = format!("{URL}/{}", "a".repeat(2_000));
    assert_eq!(faults(json!({ "url": long })).await, ["url"]);
    let both = faults(json!({ "url": 7, "events": ["post.liked", "batch.completed", 3] })).await;
    assert_eq!(both, ["url", "events", "events"]);
    for events in [
        json!([]),
        json!("batch.completed"),
        json!([
            "batch.completed",
            "batch.completed",
            "batch.completed",
            "batch.completed"
        ]),
    ] {
        let body = json!({ "url": URL, "events": events });
        assert_eq!(faults(body).await, ["events"], "{events}");
    }
    assert_eq!(faults(json!({})).await, ["url"]);
    assert_eq!(api.store.webhooks().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_has_five_at_most() {
    let api = Api::start().await;
    let acme = api.key("acme", KeyRole::Partner).await;
    let ask = json!({ "url": URL });
    for _ in 0..5 {
        assert_eq!(api.post_as(&acme, PATH, &ask).await.status, 201);
    }
    api.post_as(&acme, PATH, &ask).await.error(409, "CONFLICT");
}
