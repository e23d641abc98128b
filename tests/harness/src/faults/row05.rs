//! Row 5: two instances with one name, and so with one transactional id.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::{Report, Size, balance, submit};
use crate::{cluster::Cluster, watch::Watch};

/// Exit code of a fenced instance.
const FENCED: i32 = 71;
const MARK: Duration = Duration::from_secs(5);
/// Far longer than the mark; only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs the row.
pub async fn run(size: &Size) -> Report {
    let mut report = Report::new("5", "two instances with one transactional id");
    let cluster = Cluster::start(6).await;
    let [api, _record, _scrape, _detect] =
        cluster.roles(["api", "record", "scrape", "detect"]).await;
    let twin = [("TRUSTCARD__KAFKA__INSTANCE", "twin")];
    let mut first = cluster.role("score", &twin);
    first.ready().await;
    let watch = Watch::start(&cluster.kafka.bootstrap()).await;

    let accepted = submit(&api.api, "row05-", size.submissions / 20).await;
    report.figure("submissions", accepted.len());
    watch.reach(accepted.len() / 5).await;
    let began = Instant::now();
    let _second = cluster.role("score", &twin);
    match timeout(PATIENCE, first.ended()).await {
        Ok(status) => report.check(
            status.code() == Some(FENCED),
            format!("the older instance ended with {status}"),
        ),
        Err(_) => report.check(false, "the older instance goes on"),
    }
    // From the start of the younger process: its own start and join are part of it.
    report.time(
        "the older one ended after",
        began.elapsed(),
        MARK,
        size.timed,
    );
    watch.reach(accepted.len()).await;
    balance(&cluster, &accepted, &mut report).await;
    report
}
