//! Row 10: a dead letter can't be written.

use std::time::Duration;

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
};

use super::{
    Report, Size, balance, groups, poison,
    row08::{first, letters},
    row12::produce,
    submit,
};
use crate::{cluster::Cluster, wait::until, watch::Watch};

/// Runs the row.
pub async fn run(size: &Size) -> Report {
    let mut report = Report::new("10", "dead letters can't be written");
    let cluster = Cluster::start(1).await;
    let bootstrap = cluster.kafka.bootstrap();
    let [api] = cluster.roles(["api"]).await;
    let watch = Watch::start(&bootstrap).await;
    let mut accepted = submit(&api.api, "row10-a", size.submissions / 100).await;
    let [scrape, _detect, _score, _record] =
        cluster.roles(["scrape", "detect", "score", "record"]).await;
    watch.reach(accepted.len()).await;
    remove(&bootstrap, &schemas::topics::dead_letters("scrape")).await;
    let good = first(&bootstrap).await;
    let poison = vec![poison::record(0, &good)];
    produce(&bootstrap, schemas::topics::SUBMISSIONS, poison).await;
    let poison_at = i64::try_from(accepted.len()).unwrap_or(0);
    accepted.extend(submit(&api.api, "row10-b", size.submissions / 100).await);

    until("commits to fail", async || {
        let failures = scrape.metric("trustcard_commit_failures_total", "").await?;
        (failures >= 2.0).then_some(())
    })
    .await;
    let group = schemas::topics::group("scrape");
    let offsets = groups::committed(&bootstrap, &group, schemas::topics::SUBMISSIONS).await;
    let at: i64 = offsets.values().sum();
    report.figure("poison at offset", poison_at);
    report.figure("committed meanwhile", at);
    report.check(
        at <= poison_at,
        "the offset passed a dead letter that is not written",
    );

    cluster.must(&["topics", "create"]).await;
    watch.reach(accepted.len()).await;
    let written = until("the dead letter", async || {
        let letters = letters(&bootstrap, "scrape").await;
        (!letters.is_empty()).then_some(letters.len())
    })
    .await;
    report.figure("dead letters once the topic is back", written);
    report.check(written == 1, "not exactly one dead letter");
    balance(&cluster, &accepted, &mut report).await;
    report
}

/// Deletes a topic and waits until it is gone.
async fn remove(bootstrap: &str, topic: &str) {
    let client: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .create()
        .expect("a client");
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
    let removed = client.delete_topics(&[topic], &options).await;
    let removed = removed.expect("an answer");
    assert!(removed.iter().all(Result::is_ok), "{removed:?}");
}
