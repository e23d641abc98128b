//! Row 19: the clock of one role steps an hour, either way.

use super::{Report, Size, balance, submit};
use crate::{
    cluster::Cluster,
    faketime::{FakeClock, Follows},
    role::RoleProcess,
    wait::until,
    watch::Watch,
};

/// Seconds of lag that no step may fake: far less than the hour, far more than the row takes.
const SANE: f64 = 900.0;

/// Runs the row.
///
/// # Panics
/// When libfaketime or a C compiler is not installed.
pub async fn run(size: &Size) -> Report {
    let mut report = Report::new("19", "the clock steps an hour either way");
    let cluster = Cluster::start(6).await;
    let clock = FakeClock::new(cluster.folder(), Follows::Wall);
    let faked = clock.variables();
    let [api, _record, _detect, _score] = cluster.roles(["api", "record", "detect", "score"]).await;
    let mut scrape = cluster.role("scrape", &faked);
    let mut monitor = cluster.role("monitor", &faked);
    scrape.ready().await;
    monitor.ready().await;
    let watch = Watch::start(&cluster.kafka.bootstrap()).await;

    // The work of before the first step is done before it: what stops then was stopped by the step.
    let mut accepted = submit(&api.api, "row19-0-", size.submissions / 100).await;
    let whole = watch.reach(accepted.len()).await;
    report.check(whole, "work stopped before any step");
    for (round, by) in ["+3600", "+0", "-3600", "+0"].into_iter().enumerate() {
        clock.step(by);
        // Throttled once each, so that a due time is set under one clock and met under another.
        cluster.site.set_fault(sample_site::Fault::Throttle);
        let prefix = format!("row19-{}-", round + 1);
        let before = retries(&scrape).await;
        accepted.extend(submit(&api.api, &prefix, size.submissions / 100).await);
        until("the upstream to have throttled", async || {
            (retries(&scrape).await > before).then_some(())
        })
        .await;
        cluster.site.set_fault(sample_site::Fault::None);
        if !watch.reach(accepted.len()).await {
            report.check(false, format!("work stopped after the step by {by}"));
            break;
        }
        let lag = lag(&monitor).await;
        report.figure(format!("seconds of lag after {by}"), lag);
        report.check((0.0..SANE).contains(&lag), format!("lag of {lag} s"));
    }
    balance(&cluster, &accepted, &mut report).await;
    report
}

/// Attempts that were put off since its start.
async fn retries(scrape: &RoleProcess) -> f64 {
    let retried = scrape.metric("trustcard_tasks_total", "status=\"retry\"");
    retried.await.unwrap_or(0.0)
}

/// Seconds of lag, as a round that began after now finds it.
async fn lag(monitor: &RoleProcess) -> f64 {
    // Under whatever clock, a round that ends has another time of success; the first may have begun before.
    let success = "trustcard_lag_last_success_timestamp_seconds";
    for _ in 0..2 {
        let before = monitor.metric(success, "").await;
        until("another round of the monitor", async || {
            let now = monitor.metric(success, "").await?;
            (Some(now) != before).then_some(())
        })
        .await;
    }
    let lag = monitor.metric("kafka_consumergroup_group_lag_seconds", "");
    lag.await.unwrap_or(f64::NAN)
}
