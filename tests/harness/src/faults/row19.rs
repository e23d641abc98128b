//! Row 19: the clock of one role steps an hour, either way.

use std::path::Path;

use super::{Report, Size, balance, submit, watch::Watch};
use crate::{cluster::Cluster, wait::until};

/// Where Debian's libfaketime is.
const FAKETIME: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
];
/// Seconds of lag that no step may fake: far less than the hour, far more than the row takes.
const SANE: f64 = 900.0;

/// Runs the row.
///
/// # Panics
/// When libfaketime is not installed.
pub async fn run(size: &Size) -> Report {
    let mut report = Report::new("19", "the clock steps an hour either way");
    let library = FAKETIME.into_iter().find(|path| Path::new(path).exists());
    let library = library.expect("libfaketime: apt-get install libfaketime");
    let cluster = Cluster::start(6).await;
    let clock = cluster.folder().join("clock");
    let clock = clock.to_str().expect("a UTF-8 path");
    let step = |by: &str| std::fs::write(clock, by).expect("the clock file");
    step("+0");
    let faked = [
        ("LD_PRELOAD", library),
        ("FAKETIME_TIMESTAMP_FILE", clock),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    let [api, _record, _detect, _score] = cluster.roles(["api", "record", "detect", "score"]).await;
    let mut scrape = cluster.role("scrape", &faked);
    let mut monitor = cluster.role("monitor", &faked);
    scrape.ready().await;
    monitor.ready().await;
    let watch = Watch::start(&cluster.kafka.bootstrap()).await;

    let mut accepted = submit(&api.api, "row19-0", size.submissions / 100).await;
    for (round, by) in ["+3600", "+0", "-3600", "+0"].into_iter().enumerate() {
        step(by);
        // Throttled once each, so that a due time is set under one clock and met under another.
        cluster.site.set_fault(sample_site::Fault::Throttle);
        let prefix = format!("row19-{}", round + 1);
        accepted.extend(submit(&api.api, &prefix, size.submissions / 100).await);
        until("the upstream to have throttled", async || {
            let retried = scrape
                .metric("trustcard_tasks_total", "status=\"retry\"")
                .await?;
            (retried > 0.0).then_some(())
        })
        .await;
        cluster.site.set_fault(sample_site::Fault::None);
        if !watch.reach(accepted.len()).await {
            report.check(false, format!("work stopped after the step by {by}"));
            break;
        }
        let lag = monitor
            .metric("kafka_consumergroup_group_lag_seconds", "")
            .await
            .unwrap_or(f64::NAN);
        report.figure(format!("seconds of lag after {by}"), lag);
        report.check((0.0..SANE).contains(&lag), format!("lag of {lag} s"));
    }
    balance(&cluster, &accepted, &mut report).await;
    report
}
