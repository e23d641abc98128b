//! How much a partner may submit, on one replica and on two.

use std::sync::Arc;

use futures::future::join_all;
use prometheus::Registry;
use serde_json::{Value, json};
use store::{KeyRole, Quota, Quotas as _, SqliteStore, StorePolicy};
use trustcard_ingest_api::{
    ApiConfig,
    quota::{QuotaConfig, Quotas, ledger::Limits},
};

use crate::support::{Api, config, url};

const BATCH: &str = "/api/analyze/batch";

fn limited(per_minute: u32) -> ApiConfig {
    let mut config = config();
    config.quota.per_minute = per_minute;
    config.quota.leases_per_minute = 4;
    config
}

fn urls(name: &str, count: usize) -> Value {
    let urls: Vec<String> = (0..count).map(|n| url(&format!("{name}{n}"))).collect();
    json!({ "urls": urls })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_accepted_as_far_as_the_quota_lasts() {
    let api = Api::with(limited(10)).await;
    let acme = api.key("acme", KeyRole::Partner).await;
    let admin = api.key("root", KeyRole::Admin).await;
    let told = api.post_as(&acme, BATCH, &urls("a", 7)).await;
    assert_eq!(told.json()["accepted"], 7);
    assert_eq!(told.header("x-ratelimit-limit-minute"), Some("10"));
    assert_eq!(told.header("x-ratelimit-remaining-minute"), Some("3"));
    assert_eq!(told.header("x-ratelimit-remaining-day"), Some("9999993"));
    assert_eq!(told.header("retry-after"), None);

    let partly = api.post_as(&acme, BATCH, &urls("b", 5)).await;
    assert_eq!(
        (partly.status, partly.json()["accepted"].as_u64()),
        (202, Some(3))
    );
    let rejected = &partly.json()["rejected"];
    assert_eq!(rejected.as_array().unwrap().len(), 2);
    assert_eq!(rejected[0]["index"], 3);
    assert_eq!(rejected[0]["error"]["code"], "RATE_LIMIT_EXCEEDED");
    assert_eq!(rejected[0]["retryable"], true);
    let wait: u32 = partly.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");

    let none = api.post_as(&acme, BATCH, &urls("c", 1)).await;
    let details = none.error(429, "RATE_LIMIT_EXCEEDED");
    assert_eq!(details["limit_per_minute"], 10);
    assert_eq!(none.header("x-ratelimit-remaining-minute"), Some("0"));
    let single = api
        .post_as(&acme, "/api/analyze", &json!({ "url": url("D") }))
        .await;
    single.error(429, "RATE_LIMIT_EXCEEDED");
    assert_eq!(
        api.post_as(&admin, BATCH, &urls("e", 20)).await.json()["accepted"],
        20
    );

    let quota = api.get_as(&acme, "/api/quota").await.json();
    assert_eq!(
        (&quota["holder"], &quota["limited"]),
        (&json!("acme"), &json!(true))
    );
    assert_eq!(quota["minute"]["used"], 10, "{quota}");
    assert_eq!(
        (&quota["hour"]["used"], &quota["hour"]["remaining"]),
        (&json!(10), &json!(999_990))
    );
    assert_eq!(
        api.get_as(&admin, "/api/quota").await.json()["minute"],
        Value::Null
    );
    api.get("/api/quota").await.error(401, "UNAUTHORIZED");
    api.clock.advance(60);
    assert_eq!(
        api.post_as(&acme, BATCH, &urls("f", 4)).await.json()["accepted"],
        4
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_set_for_a_holder_holds_with_each_of_its_keys() {
    let api = Api::with(limited(10)).await;
    let (one, other) = (
        api.key("acme", KeyRole::Partner).await,
        api.key("acme", KeyRole::Partner).await,
    );
    let quota = Quota {
        per_hour: Some(5),
        ..Quota::default()
    };
    api.store.set_quota("acme", &quota).await.unwrap();
    assert_eq!(
        api.post_as(&one, BATCH, &urls("a", 3)).await.json()["accepted"],
        3
    );
    let partly = api.post_as(&other, BATCH, &urls("b", 3)).await;
    assert_eq!(partly.json()["accepted"], 2);
    let wait: u32 = partly.header("retry-after").unwrap().parse().unwrap();
    let now = api.now().as_second();
    assert_eq!(
        i64::from(wait),
        3_600 - now.rem_euclid(3_600),
        "until the hour ends"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_did_not_take_costs_nothing() {
    let mut api = Api::with(limited(10)).await;
    let acme = api.key("acme", KeyRole::Partner).await;
    assert_eq!(api.post_as(&acme, BATCH, &urls("a", 1)).await.status, 202);
    drop(api.broker.take());
    let refused = api.post_as(&acme, BATCH, &urls("b", 9)).await;
    refused.error(503, "BROKER_UNAVAILABLE");
    let quota = api.get_as(&acme, "/api/quota").await.json();
    assert_eq!(quota["minute"]["used"], 1, "{quota}");
}

/// Two replicas on one store: together they let through exactly the quota, but for what lies unused in a lease of the one
/// that was asked less.
#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_never_pass_a_quota_together_and_waste_less_than_a_lease() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trustcard.db");
    let store = Arc::new(SqliteStore::open(&path, StorePolicy::default()).unwrap());
    let config = QuotaConfig {
        leases_per_minute: 20,
        ..QuotaConfig::default()
    };
    let replica = || Quotas::new(&config, store.clone(), &Registry::new()).unwrap();
    let replicas = [replica(), replica()];
    let limits = Limits([1_000, 2_500, 1_000_000]);
    let holder: Arc<str> = "acme".into();
    let begin = 1_760_000_400_i64;
    let mut passed = 0;
    for (minute, expected) in [(0, 1_000), (1, 1_000), (2, 500), (3, 0)] {
        let now = jiff::Timestamp::from_second(begin + minute * 60).unwrap();
        let requests = (0..400).map(|number| {
            // Of each four requests one goes to the second replica.
            let quotas = replicas[usize::from(number % 4 == 0)].clone();
            let holder = Arc::clone(&holder);
            tokio::spawn(async move { quotas.take(&holder, limits, 5, now).await.unwrap().urls })
        });
        let granted = join_all(requests.collect::<Vec<_>>()).await;
        let granted: usize = granted.into_iter().map(|urls| urls.unwrap()).sum();
        passed += granted;
        assert!(granted <= expected.max(100), "{granted} in minute {minute}");
        let part = usize::try_from(limits.part(config.leases_per_minute)).unwrap();
        assert!(
            granted + 2 * part > expected,
            "{granted} in minute {minute}"
        );
    }
    assert!(passed <= 2_500, "{passed} in the hour");
}
