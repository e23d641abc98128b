//! Row 11: the store is overloaded, times out, is unavailable, stalls, or cuts connections in the middle of an answer.

use std::collections::BTreeSet;

use super::{IN_FLIGHT, Report, Size, balance, submit};
use crate::{cluster::Cluster, cql_proxy::Mood, wait::until, watch::Watch};

const MOODS: [Mood; 5] = [
    Mood::Overloaded,
    Mood::WriteTimeout,
    Mood::Unavailable,
    Mood::Stalled,
    Mood::CutMidReply,
];

/// Runs the row.
pub async fn run(size: &Size) -> Report {
    let mut report = Report::new(
        "11",
        "store overloaded, timed out, unavailable, stalled, cut",
    );
    let mut cluster = Cluster::start(6).await;
    let [api] = cluster.roles(["api"]).await;
    let proxy = cluster.behind_cql_proxy().await;
    let stages = cluster.roles(["record", "scrape", "detect", "score"]).await;
    let watch = Watch::start(&cluster.kafka.bootstrap()).await;

    let count = size.submissions / 100;
    let mut accepted = submit(&api.api, "row11-well", count).await;
    watch.reach(accepted.len()).await;
    let well = proxy.requests() as f64 / count as f64;
    report.figure("statements a submission, well", format!("{well:.1}"));
    for (round, mood) in MOODS.into_iter().enumerate() {
        let before = proxy.requests();
        proxy.set(mood);
        let ids: BTreeSet<_> = submit(&api.api, &format!("row11-{round}-"), count).await;
        accepted.extend(ids);
        let held = struck(&stages, size).await;
        report.check(
            held <= IN_FLIGHT,
            format!("{held} records in flight, {mood:?}"),
        );
        proxy.set(Mood::Well);
        if !watch.reach(accepted.len()).await {
            report.check(false, format!("work stopped after {mood:?}"));
            break;
        }
        let times = (proxy.requests() - before) as f64 / count as f64 / well;
        report.figure(format!("load, {mood:?}"), format!("{times:.2} times"));
        // A few submissions are fewer statements than the heartbeats beside them.
        let few = !size.timed;
        report.check(
            few || times <= 2.0,
            format!("{mood:?}: {times:.2} times the load"),
        );
    }
    balance(&cluster, &accepted, &mut report).await;
    report
}

/// Waits for the fault to have been met, then for its time; the most records a stage held meanwhile.
async fn struck(stages: &[crate::role::RoleProcess; 4], size: &Size) -> f64 {
    let mut most = 0_f64;
    let until_then = tokio::time::Instant::now() + size.outage / 2;
    until("the fault's time to pass", async || {
        for stage in stages {
            let held = stage.metric("trustcard_in_flight_records", "").await?;
            most = most.max(held);
        }
        (tokio::time::Instant::now() > until_then).then_some(())
    })
    .await;
    most
}
