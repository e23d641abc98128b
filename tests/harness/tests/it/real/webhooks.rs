//! Webhooks on Kafka and a CQL server, the roles being processes.

use trustcard_tests::cluster::Cluster;

use crate::webhooks::{VARIABLES, a_partner_is_told};

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_is_told_of_what_ended() {
    let cluster = Cluster::start(2).await;
    let key = cluster.key("acme").await;
    let mut api = cluster.role("api", &VARIABLES);
    let mut webhook = cluster.role("webhook", &VARIABLES);
    let _stages = cluster.roles(["record", "scrape", "detect", "score"]).await;
    api.ready().await;
    webhook.ready().await;
    a_partner_is_told(&api.api, &key).await;
    assert!(webhook.stop().await.success(), "{}", webhook.logged());
}
