//! A partner with a long queue does not delay another's ten URLs: docs/decisions/0018.

use serde_json::{Value, json};
use trustcard_tests::{api::Api, cluster::Cluster, wait::until};

/// URLs of the partner that pushes many: more than the pipeline works off while the ten are under way.
const MANY: usize = 12_000;
/// URLs of each of its batches.
const BATCH: usize = 2_000;

/// Submits these posts in one batch; the address of its progress.
async fn submit(api: &Api, name: &str, posts: std::ops::Range<usize>) -> String {
    let urls: Vec<String> = posts
        .map(|n| format!("https://www.instagram.com/p/{name}{n}/"))
        .collect();
    let count = urls.len();
    let (status, told) = api
        .post("/api/analyze/batch", &json!({ "urls": urls }))
        .await
        .unwrap();
    assert_eq!(
        (status, told["accepted"].as_u64()),
        (202, Some(count as u64)),
        "{told}"
    );
    format!("/api/batches/{}", told["batch_id"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_urls_of_one_partner_do_not_wait_for_the_thousands_of_another() {
    let cluster = Cluster::start(3).await;
    let (many, few) = (cluster.key("many").await, cluster.key("few").await);
    let [api, _record, _scrape, _detect, _score] = cluster
        .roles(["api", "record", "scrape", "detect", "score"])
        .await;
    let (many, few) = (api.api.keyed(&many), api.api.keyed(&few));
    let mut batches = Vec::new();
    for begin in (0..MANY).step_by(BATCH) {
        batches.push(submit(&many, "many", begin..begin + BATCH).await);
    }
    let counts = async |api: &Api, path: &str| api.get(path).await.1["counts"].clone();
    let ended = |counts: &Value| {
        counts["completed"].as_u64().unwrap_or(0) + counts["failed"].as_u64().unwrap_or(0)
    };
    // Beyond the straight way: bulk flows, and the pipeline is as full as it gets.
    until("bulk to flow", async || {
        (ended(&counts(&many, &batches[0]).await) > 500).then_some(())
    })
    .await;

    let ten = submit(&few, "few", 0..10).await;
    until("the ten to end", async || {
        (ended(&counts(&few, &ten).await) == 10).then_some(())
    })
    .await;
    let last = counts(&many, &batches[MANY / BATCH - 1]).await;
    assert_eq!(last["pending"], BATCH, "none of the last batch: {last}");
}
