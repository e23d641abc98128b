//! Keys, votes and deletions on Kafka and a CQL server, the roles being processes.

use serde_json::Value;
use trustcard_tests::cluster::Cluster;

use crate::callers::a_deletion_from_end_to_end;

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_leaves_tombstones_and_the_key_is_in_no_log() {
    let cluster = Cluster::start(3).await;
    let created = [
        "keys", "create", "--holder", "root", "--role", "admin", "--json",
    ];
    let created: Value = serde_json::from_str(&cluster.must(&created).await).unwrap();
    let key = created["key"].as_str().unwrap();
    let mut api = cluster.role("api", &[("LOG_LEVEL", "TRACE")]);
    api.ready().await;
    let stages = cluster.roles(["record", "scrape", "detect", "score"]).await;
    let metrics = async || stages[3].api.try_text("/metrics").await;
    a_deletion_from_end_to_end(&api.api, &cluster.kafka.bootstrap(), key, metrics).await;

    let shown = cluster.must(&["keys", "ls"]).await;
    let secret = key.rsplit('_').next().unwrap();
    for text in [api.logged(), shown] {
        assert!(text.len() > 100 && !text.contains(secret) && !text.contains("Bearer "));
    }
}
