//! What is kept for reuse, and forgetting it.

use serde_json::{Value, json};
use store::{Analyses, Heartbeat, KeptPost, KeyRole, Operations, Reuse};
use trustcard_ingest_api::{ApiConfig, cache::CacheConfig};

use crate::support::{Api, config, post, url};

/// A result that nobody reads again from the store while the test runs.
fn long_lived() -> ApiConfig {
    ApiConfig {
        cache: CacheConfig {
            life_ms: 60_000,
            ..CacheConfig::default()
        },
        ..config()
    }
}

async fn keep(api: &Api, code: &str) {
    let content = serde_json::from_value(json!({
        "kind": "photo", "adapter": "web", "coauthors": [], "is_paid_partnership": false, "media": [],
    }));
    let kept = KeptPost {
        scraped_at: api.now(),
        content: content.unwrap(),
    };
    api.store.keep_post(code, &kept).await.unwrap();
}

async fn is_kept(api: &Api, code: &str) -> bool {
    api.store.post(code, api.now()).await.unwrap().is_some()
}

/// A scraper says that it keeps posts.
async fn scraper(api: &Api, posts: u64) {
    let at = api.now();
    let kept = json!([[at.as_millisecond() - 1_000, posts, 1]]);
    let beat = Heartbeat {
        role: "scrape".to_owned(),
        instance: "scrape-1".to_owned(),
        version: "1.2.3".to_owned(),
        at,
        details: json!({ "circuit": "closed", "reuse": { "hits": 3, "misses": 1, "kept": kept } }),
    };
    api.store.heartbeat(&beat, at).await.unwrap();
}

fn metric(text: &str, line: &str) -> bool {
    text.lines().any(|one| one == line)
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_answered_from_memory_and_counted() {
    let api = Api::with(long_lived()).await;
    let id = api.analyze(&url("KEPT")).await.id();
    api.finish(id, &post("KEPT"), |_| {}).await;
    let path = format!("/api/results/{id}");
    let first = api.get_json(&path).await;
    let database = rusqlite::Connection::open(&api.database).unwrap();
    database
        .execute_batch("UPDATE analyses SET post_id = NULL")
        .unwrap();
    assert_eq!(api.get_json(&path).await, first, "without the store");
    let report = api.get(&format!("/api/reports/{id}")).await;
    assert_eq!(report.status, 200);
    let again = api.analyze(&url("KEPT")).await.json();
    assert_eq!(
        (&again["cached"], &again["status"]),
        (&json!(true), &json!("completed"))
    );

    let text = api.get("/metrics").await.text();
    for line in [
        "trustcard_cache_hits_total{cache_type=\"analysis\"} 3",
        // The first submission and the first reading.
        "trustcard_cache_misses_total{cache_type=\"analysis\"} 2",
    ] {
        assert!(metric(&text, line), "{line} not in {text}");
    }
    let size = text
        .lines()
        .find_map(|line| line.strip_prefix("trustcard_cache_size_bytes{cache_type=\"analysis\"} "));
    assert!(size.unwrap().parse::<u64>().unwrap() > 1_000, "{size:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_is_read_again_when_its_life_has_ended() {
    let api = Api::with(ApiConfig {
        cache: CacheConfig {
            life_ms: 50,
            ..CacheConfig::default()
        },
        ..config()
    })
    .await;
    let id = api.analyze(&url("STALE")).await.id();
    api.finish(id, &post("STALE"), |_| {}).await;
    let path = format!("/api/results/{id}");
    assert_eq!(api.get_json(&path).await["status"], "completed");
    // As another replica would.
    api.store.delete(id, api.now()).await.unwrap();
    for _ in 0..1000 {
        if api.get(&path).await.status == 404 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("a stale result goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_tell_of_both_kinds_and_so_does_status() {
    let api = Api::with(long_lived()).await;
    let empty = json!({
        "status": "available", "total_keys": 0, "analysis_cached": 0, "instagram_cached": 0,
        "memory_used": 0, "hit_rate": 0.0,
    });
    assert_eq!(api.get_json("/api/cache/stats").await, empty);
    let id = api.analyze(&url("KEPT")).await.id();
    api.finish(id, &post("KEPT"), |_| {}).await;
    for _ in 0..2 {
        api.get_json(&format!("/api/results/{id}")).await;
    }
    scraper(&api, 7).await;
    let told = api.get_json("/api/cache/stats").await;
    assert_eq!(told["analysis_cached"], 1);
    assert_eq!(told["instagram_cached"], 7);
    assert_eq!(told["total_keys"], 8);
    assert!(told["memory_used"].as_u64().unwrap() > 1_000);
    // One hit of three here, three of four there.
    assert_eq!(told["hit_rate"], 0.5714);
    assert_eq!(api.get_json("/status").await["cache"], told);

    let database = rusqlite::Connection::open(&api.database).unwrap();
    database.execute_batch("DROP TABLE heartbeats").unwrap();
    let answer = api.get("/api/cache/stats").await;
    let details = answer.error(503, "CACHE_ERROR");
    assert_eq!(details, json!({ "operation": "read statistics" }));
    assert_eq!(api.get_json("/status").await["cache"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn clearing_forgets_posts_and_memory_and_never_results() {
    let api = Api::with(long_lived()).await;
    let admin = api.key("root", KeyRole::Admin).await;
    let partner = api.key("acme", KeyRole::Partner).await;
    let id = api.analyze(&url("KEPT")).await.id();
    api.finish(id, &post("KEPT"), |_| {}).await;
    let path = format!("/api/results/{id}");
    api.get_json(&path).await;
    keep(&api, "KEPT").await;
    scraper(&api, 7).await;

    let clear = "/api/cache/clear";
    api.send("DELETE", clear, &[], b"")
        .await
        .error(401, "UNAUTHORIZED");
    let refused = api.send_as(&partner, "DELETE", clear, b"").await;
    refused.error(403, "FORBIDDEN");
    assert!(is_kept(&api, "KEPT").await);

    let answer = api.send_as(&admin, "DELETE", clear, b"").await;
    assert_eq!(
        (answer.status, &answer.json()["analysis_cleared"]),
        (200, &json!(1))
    );
    assert!(!is_kept(&api, "KEPT").await);
    let told = api.get_json("/api/cache/stats").await;
    assert_eq!(
        (&told["total_keys"], &told["memory_used"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(api.get_json(&path).await["status"], "completed");
    api.clock.advance(1);
    keep(&api, "KEPT").await;
    assert!(
        is_kept(&api, "KEPT").await,
        "what comes later is kept again"
    );

    let database = rusqlite::Connection::open(&api.database).unwrap();
    database.execute_batch("DROP TABLE settings").unwrap();
    let broken = api.send_as(&admin, "DELETE", clear, b"").await;
    assert_eq!(
        broken.error(503, "CACHE_ERROR"),
        json!({ "operation": "clear" })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn forgetting_one_post_leaves_the_others() {
    let api = Api::with(long_lived()).await;
    let admin = api.key("root", KeyRole::Admin).await;
    let mut ids = Vec::new();
    for code in ["ONE", "TWO"] {
        let id = api.analyze(&url(code)).await.id();
        api.finish(id, &post(code), |_| {}).await;
        api.get_json(&format!("/api/results/{id}")).await;
        keep(&api, code).await;
        ids.push(id);
    }
    let encoded = "https%3A%2F%2Fwww.instagram.com%2Freel%2FONE%2F%3Figsh%3D1";
    let path = format!("/api/cache/analysis/{encoded}");
    api.send("DELETE", &path, &[], b"")
        .await
        .error(401, "UNAUTHORIZED");
    let answer = api.send_as(&admin, "DELETE", &path, b"").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let told = answer.json();
    assert_eq!(
        (&told["post_id"], &told["analysis_id"]),
        (&json!("ONE"), &json!(ids[0]))
    );
    assert!(!is_kept(&api, "ONE").await && is_kept(&api, "TWO").await);
    let stats = api.get_json("/api/cache/stats").await;
    assert_eq!(stats["analysis_cached"], 1);
    let result = api.get_json(&format!("/api/results/{}", ids[0])).await;
    assert_eq!(result["status"], "completed", "results are kept");

    for odd in ["https%3A%2F%2Fexample.com%2Fp%2FONE%2F", "x", "%ff", "%00"] {
        let path = format!("/api/cache/analysis/{odd}");
        let answer = api.send_as(&admin, "DELETE", &path, b"").await;
        assert_eq!(answer.error(422, "INVALID_INPUT")["field"], "url", "{odd}");
    }
    let longest = format!("/api/cache/analysis/{}", "a".repeat(2001));
    let answer = api.send_as(&admin, "DELETE", &longest, b"").await;
    answer.error(422, "INVALID_INPUT");
}
