//! Who holds which key, and what it is good for.

use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use store::{Analyses, KeyRole, Keys};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use trustcard_ingest_api::{ApiConfig, Environment, keys::NewKey, rate_limit::RateLimitConfig};

use crate::support::{Answer, Api, config, post, url};

const BATCH: &str = "/api/analyze/batch";

fn production() -> ApiConfig {
    ApiConfig {
        environment: Environment::Production,
        ..config()
    }
}

fn urls(codes: &[&str]) -> Value {
    let urls: Vec<String> = codes.iter().map(|code| url(code)).collect();
    json!({ "urls": urls })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_key_is_let_in_and_anything_else_is_401() {
    let api = Api::with(production()).await;
    let good = api.key("acme", KeyRole::Partner).await;
    let revoked = NewKey::draw().unwrap();
    let now = api.now();
    let row = revoked.row("gone", KeyRole::Admin, now);
    api.store.add_key(&row).await.unwrap();
    api.store.revoke_key(&row.key_id, now).await.unwrap();
    let unknown = NewKey::draw().unwrap();

    let answer = api.post_as(&good, BATCH, &urls(&["A"])).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    assert_eq!(api.get_as(&good, "/api/results").await.status, 200);

    let bearer = |key: &str| format!("Bearer {key}");
    let (last, flipped) = (good.len() - 1, if good.ends_with('0') { '1' } else { '0' });
    let refused = [
        bearer(revoked.text.expose_secret()),
        bearer(unknown.text.expose_secret()),
        bearer(&format!("{}{flipped}", &good[..last])),
        bearer(&good[..last]),
        bearer(&good.to_uppercase()),
        bearer("' OR 1=1 --"),
        bearer(&"x".repeat(6000)),
        format!("Basic {good}"),
        format!("Bearer{good}"),
        good.clone(),
        "Bearer".to_owned(),
        String::new(),
    ];
    let body = urls(&["A"]).to_string();
    for header in &refused {
        for (method, path) in [
            ("POST", BATCH),
            ("GET", "/api/results"),
            ("GET", "/nowhere"),
            ("DELETE", "/api/cache/clear"),
        ] {
            let headers = [
                ("authorization", header.as_str()),
                ("content-type", "application/json"),
            ];
            let answer = api.send(method, path, &headers, body.as_bytes()).await;
            assert_eq!(answer.error(401, "UNAUTHORIZED"), json!({}), "{header}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            assert!(!answer.text().contains(&good[20..]), "{}", answer.text());
        }
    }
    let twice = bearer(&good);
    let twice = [
        ("authorization", twice.as_str()),
        ("authorization", twice.as_str()),
    ];
    let answer = api.send("GET", "/api/results", &twice, b"").await;
    answer.error(401, "UNAUTHORIZED");
    assert_eq!(api.published().await, 1, "the good one's");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_read_once_whatever_is_sent_and_probes_read_none() {
    let api = Api::with(ApiConfig {
        key_life_ms: 60_000,
        ..production()
    })
    .await;
    let key = api.key("acme", KeyRole::Partner).await;
    assert_eq!(api.get_as(&key, "/api/results").await.status, 200);
    let database = rusqlite::Connection::open(&api.database).unwrap();
    database.execute_batch("DROP TABLE api_keys").unwrap();
    assert_eq!(api.get_as(&key, "/api/results").await.status, 200);
    for _ in 0..20 {
        let unknown = NewKey::draw().unwrap();
        let answer = api
            .get_as(unknown.text.expose_secret(), "/api/results")
            .await;
        answer.error(401, "UNAUTHORIZED");
    }
    for path in ["/health/live", "/health/ready", "/metrics"] {
        assert_eq!(api.get_as("nonsense", path).await.status, 200, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_ends_with_the_life_of_what_was_read() {
    let api = Api::with(ApiConfig {
        key_life_ms: 50,
        ..production()
    })
    .await;
    let key = api.key("acme", KeyRole::Partner).await;
    assert_eq!(api.get_as(&key, "/api/results").await.status, 200);
    let key_id = &key["tck_".len()..][..16];
    assert!(api.store.revoke_key(key_id, api.now()).await.unwrap());
    for _ in 0..1000 {
        if api.get_as(&key, "/api/results").await.status == 401 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the revoked key goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_store_does_not_tell_nobody_is_let_in() {
    let api = Api::with(production()).await;
    let key = api.key("root", KeyRole::Admin).await;
    let database = rusqlite::Connection::open(&api.database).unwrap();
    database
        .execute_batch("ALTER TABLE api_keys RENAME TO away")
        .unwrap();
    for (method, path) in [("GET", "/api/results"), ("DELETE", "/api/cache/clear")] {
        let answer = api.send_as(&key, method, path, b"").await;
        let details = answer.error(500, "DATABASE_ERROR");
        assert_eq!(details, json!({ "operation": "read keys" }));
    }
    let batch = api.post_as(&key, BATCH, &urls(&["A"])).await;
    batch.error(500, "DATABASE_ERROR");
    assert_eq!(api.published().await, 0);
    assert_eq!(api.analyze(&url("A")).await.status, 202, "without a key");
    database
        .execute_batch("ALTER TABLE away RENAME TO api_keys")
        .unwrap();
    assert_eq!(api.get_as(&key, "/api/results").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_looked_at_before_the_body_arrives() {
    let api = Api::with(production()).await;
    let head = format!(
        "POST {BATCH} HTTP/1.1\r\nhost: t\r\nconnection: close\r\nauthorization: Bearer nonsense\r\n\
         content-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: 9000000\r\n\r\n"
    );
    let mut stream = TcpStream::connect(api.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    Answer::parse(&bytes).error(401, "UNAUTHORIZED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_its_holders_with_every_key_and_unknown_to_all_others() {
    let api = Api::start().await;
    let [acme, acme_new, other] = [
        api.key("acme", KeyRole::Partner).await,
        api.key("acme", KeyRole::Partner).await,
        api.key("other", KeyRole::Partner).await,
    ];
    let admin = api.key("root", KeyRole::Admin).await;
    let told = api.post_as(&acme, BATCH, &urls(&["A", "B"])).await.json();
    let path = format!("/api/batches/{}", told["batch_id"].as_str().unwrap());
    for key in [&acme, &acme_new, &admin] {
        let answer = api.get_as(key, &path).await;
        assert_eq!((answer.status, &answer.json()["total"]), (200, &json!(2)));
    }
    for answer in [api.get_as(&other, &path).await, api.get(&path).await] {
        let details = answer.error(404, "RESOURCE_NOT_FOUND");
        assert_eq!(details["resource_type"], "batch");
    }
    let anonymous = api.post(BATCH, &urls(&["C"])).await.json();
    let path = format!("/api/batches/{}", anonymous["batch_id"].as_str().unwrap());
    assert_eq!(api.get(&path).await.status, 200);
}

/// Posts that a listing shows, in its order.
async fn listed(api: &Api, key: &str, query: &str) -> Vec<String> {
    let (mut posts, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/results?limit=2{query}{cursor}");
        let page = api.get_as(key, &path).await.json();
        let analyses = page["analyses"].as_array().unwrap();
        posts.extend(
            analyses
                .iter()
                .map(|one| one["post_id"].as_str().unwrap().to_owned()),
        );
        match &page["next_cursor"] {
            Value::Null => return posts,
            next => cursor = format!("&cursor={}", next.as_str().unwrap()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_shows_what_the_holder_submitted_and_the_admin_everything() {
    let api = Api::with(production()).await;
    let acme = api.key("acme", KeyRole::Partner).await;
    let other = api.key("other", KeyRole::Partner).await;
    let admin = api.key("root", KeyRole::Admin).await;

    let id = api.analyze(&url("NOBODYS")).await.id();
    api.finish(id, &post("NOBODYS"), |_| {}).await;
    api.clock.advance(1);
    api.post_as(&acme, BATCH, &urls(&["A", "B", "C"])).await;
    api.clock.advance(1);
    let single = json!({ "url": url("D") });
    assert_eq!(
        api.post_as(&acme, "/api/analyze", &single).await.status,
        202
    );
    api.clock.advance(1);
    api.post_as(&other, BATCH, &urls(&["B", "E"])).await;
    let submissions = api.submissions().await;
    let owners: Vec<_> = submissions
        .iter()
        .map(|(s, _)| s.owner.as_deref())
        .collect();
    let (ours, theirs) = (Some("acme"), Some("other"));
    assert_eq!(owners, [None, ours, ours, ours, ours, theirs, theirs]);
    for (submission, _) in &submissions {
        let one = std::slice::from_ref(submission);
        api.store.project(one, api.now()).await.unwrap();
    }

    let mut posts = listed(&api, &acme, "").await;
    assert_eq!(posts.remove(0), "D", "the newest first");
    posts.sort();
    assert_eq!(posts, ["A", "B", "C"]);
    let mut posts = listed(&api, &other, "").await;
    posts.sort();
    assert_eq!(posts, ["B", "E"]);
    assert_eq!(listed(&api, &admin, "").await.len(), 6);
    api.get("/api/results").await.error(401, "UNAUTHORIZED");

    // What an earlier result answers is submitted all the same.
    api.clock.advance(1);
    let again = json!({ "url": url("NOBODYS") });
    let answer = api.post_as(&acme, "/api/analyze", &again).await.json();
    assert_eq!(answer["cached"], true, "{answer}");
    assert_eq!(listed(&api, &acme, "").await[0], "NOBODYS");
    assert_eq!(listed(&api, &acme, "&status=completed").await, ["NOBODYS"]);
    assert_eq!(listed(&api, &acme, "&status=pending").await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn holders_are_not_held_to_the_limits_of_others_and_who_guesses_is() {
    let api = Api::with(ApiConfig {
        rate_limit: RateLimitConfig {
            per_minute: 2,
            reads_per_minute: 2,
            ..RateLimitConfig::default()
        },
        ..ApiConfig::default()
    })
    .await;
    let key = api.key("acme", KeyRole::Partner).await;
    for n in 0..5 {
        let single = json!({ "url": url(&format!("P{n}")) });
        let answer = api.post_as(&key, "/api/analyze", &single).await;
        assert_eq!(answer.status, 202);
        let limit = answer.header("x-ratelimit-limit-minute");
        assert_eq!(limit, Some("60000"), "the quota's");
        assert_eq!(api.get_as(&key, "/api/results").await.status, 200);
    }
    for left in ["1", "0"] {
        let answer = api.get_as("guess", "/api/results").await;
        answer.error(401, "UNAUTHORIZED");
        assert_eq!(answer.header("x-ratelimit-remaining-minute"), Some(left));
    }
    let answer = api.get_as("guess", "/api/results").await;
    answer.error(429, "RATE_LIMIT_EXCEEDED");
    assert_eq!(api.get_as(&key, "/api/results").await.status, 200);
}
