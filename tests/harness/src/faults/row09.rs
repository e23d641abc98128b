//! Row 9: every record is poison, as after a bad deploy.

use super::{
    Report, Size, groups, poison,
    row08::{first, letters},
    row12::produce,
    submit,
};
use crate::{cluster::Cluster, read::Seen, role::RoleProcess, wait::until};

/// A stage must stop itself before it has given up on so many.
const MOST: usize = 1_000;

/// Runs the row.
pub async fn run(_size: &Size) -> Report {
    let mut report = Report::new("9", "every record is poison");
    let cluster = Cluster::start(1).await;
    let bootstrap = cluster.kafka.bootstrap();
    let [api] = cluster.roles(["api"]).await;
    submit(&api.api, "row09-", 1).await;
    let good = first(&bootstrap).await;
    let records: Vec<Seen> = (0..2 * MOST as u64)
        .map(|n| poison::record(n * poison::KINDS, &good))
        .collect();
    produce(&bootstrap, schemas::topics::SUBMISSIONS, records).await;

    let mut scrape = cluster.role("scrape", &[]);
    halted(&scrape).await;
    let given_up = letters(&bootstrap, "scrape").await.len();
    report.figure("dead letters before it stopped", given_up);
    report.check(given_up < MOST, "it did not stop itself in time");
    let at = committed(&bootstrap).await;
    report.check(scrape.has_ended().is_none(), "the process ended");
    let ready = scrape.api.try_get("/health/ready").await;
    let unready = ready.is_some_and(|(status, _)| status == 503);
    report.check(unready, "it says that it is ready");
    report.check(
        scrape.logged().contains("dlq release"),
        "the log does not say what to do",
    );

    let status = scrape.stop().await;
    report.check(
        status.success(),
        format!("stopped by itself, it ended with {status}"),
    );
    let mut scrape = cluster.role("scrape", &[]);
    halted(&scrape).await;
    let still = letters(&bootstrap, "scrape").await.len() == given_up;
    report.check(still, "a restart made it go on");
    report.check(
        at == committed(&bootstrap).await,
        "a restart moved its offsets",
    );

    cluster.must(&["dlq", "release", "scrape"]).await;
    // It goes on, meets nothing but poison again, and stands still once more.
    until("the stage to go on and stop itself again", async || {
        let times = scrape.logged().matches("the stage stands still").count();
        (times >= 3).then_some(())
    })
    .await;
    report.check(scrape.has_ended().is_none(), "the process ended");
    report
}

/// Waits until the stage says that it has stopped itself.
async fn halted(role: &RoleProcess) {
    until("the stage to stop itself", async || {
        let halted = role.metric("trustcard_stage_halted", "").await?;
        (halted > 0.0).then_some(())
    })
    .await;
}

async fn committed(bootstrap: &str) -> i64 {
    let group = schemas::topics::group("scrape");
    let offsets = groups::committed(bootstrap, &group, schemas::topics::SUBMISSIONS).await;
    offsets.values().sum()
}
