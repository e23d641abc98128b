//! Row 6: the broker is away, then comes back; then one produce request in a hundred fails.

use std::collections::BTreeSet;

use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Report, Size, submit};
use crate::{
    balance,
    cluster::Cluster,
    kafka_proxy::{Fate, api as requests},
    role::RoleProcess,
    watch::Watch,
};

/// Most memory a process may hold while the broker is away, bytes.
const MEMORY: f64 = 256.0 * 1024.0 * 1024.0;

/// The broker is killed and comes back.
pub async fn outage(size: &Size) -> Report {
    let mut report = Report::new("6 outage", "broker SIGKILLed and back");
    let cluster = Cluster::start(6).await;
    let [api] = cluster.roles(["api"]).await;
    let stages = cluster.roles(["record", "scrape", "detect", "score"]).await;
    let watch = Watch::start(&cluster.kafka.bootstrap()).await;

    let mut accepted = submit(&api.api, "row06-a", size.submissions / 10).await;
    watch.reach(accepted.len() / 5).await;
    cluster.kafka.kill().await;
    let away = Instant::now();
    let (mut refused, mut odd) = (0, 0);
    while away.elapsed() < size.outage {
        // A post that is published can't be acknowledged; one answer after the other.
        let body = json!({ "url": format!("https://www.instagram.com/p/loadrow06-x{refused}/") });
        match api.api.post_for_retry("/api/analyze", &body).await {
            Some((503, Some(_))) => refused += 1,
            _ => odd += 1,
        }
    }
    report.figure("refused with 503 and Retry-After", refused);
    report.check(refused > 0 && odd == 0, format!("{odd} other answers"));
    for role in stages.iter().chain([&api]) {
        memory(role, &mut report).await;
    }
    cluster.kafka.start_again().await;
    accepted.extend(submit(&api.api, "row06-b", size.submissions / 20).await);
    watch.reach(accepted.len()).await;
    // What was refused may have been written all the same, so more than was accepted may come out.
    kept(&cluster, &accepted, &mut report).await;
    report
}

/// One produce request in a hundred is acted on and its connection cut before the answer, another never arrives.
pub async fn errors(size: &Size) -> Report {
    let mut report = Report::new("6 errors", "one produce request in a hundred fails");
    let mut cluster = Cluster::start(6).await;
    let proxy = cluster.behind_proxy();
    let [api, _record, _scrape, _detect, _score] = cluster
        .roles(["api", "record", "scrape", "detect", "score"])
        .await;
    let watch = Watch::start(&cluster.kafka.bootstrap()).await;
    let mut accepted = submit(&api.api, "row06-warm", 1).await;
    for (round, fate) in [Fate::CutReply, Fate::Cut].into_iter().enumerate() {
        proxy.strike_every(requests::PRODUCE, fate, 100);
        for part in 0..20 {
            let prefix = format!("row06-{round}-{part:02}-");
            accepted.extend(submit(&api.api, &prefix, size.submissions / 400).await);
        }
        watch.reach(accepted.len()).await;
    }
    report.figure("produce requests struck", proxy.struck(requests::PRODUCE));
    kept(&cluster, &accepted, &mut report).await;
    report
}

async fn memory(role: &RoleProcess, report: &mut Report) {
    let bytes = role.metric("process_resident_memory_bytes", "").await;
    let bytes = bytes.unwrap_or(f64::NAN);
    report.check(
        bytes <= MEMORY,
        format!("a process holds {:.0} MiB", bytes / 1024.0 / 1024.0),
    );
}

/// Nothing that was accepted is lost or repeated.
async fn kept(cluster: &Cluster, accepted: &BTreeSet<Uuid>, report: &mut Report) {
    let store = cluster.store().await;
    let account = balance::of(&cluster.kafka.bootstrap(), &*store, accepted).await;
    report.figure("balance", &account);
    let even = account.lost == 0 && account.duplicated == 0 && account.other_row == 0;
    report.check(even, "the accounts don't balance");
}
