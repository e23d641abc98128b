//! Row 7: a broker that answers slowly.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::Instant;

use super::{IN_FLIGHT, Report, Size, balance, submit};
use crate::{cluster::Cluster, watch::Watch};

/// Each way; a round trip is twice as long.
const ONE_WAY: Duration = Duration::from_millis(250);
const MARK: Duration = Duration::from_secs(30);

/// Runs the row.
pub async fn run(size: &Size) -> Report {
    let mut report = Report::new("7", "slow broker, 500 ms round trips");
    let mut cluster = Cluster::start(6).await;
    let proxy = cluster.behind_proxy();
    let [api] = cluster.roles(["api"]).await;
    let stages = cluster.roles(["record", "scrape", "detect", "score"]).await;
    let watch = Watch::start(&cluster.kafka.bootstrap()).await;
    proxy.latency(ONE_WAY);

    let mut sent = Vec::new();
    let mut accepted = BTreeSet::new();
    let rounds = if size.timed { 30 } else { size.rounds };
    let mut most = 0_f64;
    for round in 0..rounds {
        let prefix = format!("row07-{round:03}-");
        let at = Instant::now();
        let ids = submit(&api.api, &prefix, size.submissions / 1_000 + 1).await;
        sent.extend(ids.iter().map(|id| (*id, at)));
        accepted.extend(ids);
        for stage in &stages {
            let held = stage.metric("trustcard_in_flight_records", "").await;
            most = most.max(held.unwrap_or(f64::INFINITY));
        }
    }
    report.figure("submissions", accepted.len());
    report.figure("most records in flight", most);
    report.check(most <= IN_FLIGHT, "the cap of records in flight was passed");
    let whole = watch.reach(accepted.len()).await;
    report.check(whole, "not every submission ended");
    let mut times: Vec<Duration> = sent
        .iter()
        .filter_map(|(id, at)| Some(watch.at(id)?.saturating_duration_since(*at)))
        .collect();
    times.sort_unstable();
    let p99 = times.get(times.len() * 99 / 100).copied();
    report.time(
        "submit to result, p99",
        p99.unwrap_or(Duration::MAX),
        MARK,
        size.timed,
    );
    balance(&cluster, &accepted, &mut report).await;
    report
}
