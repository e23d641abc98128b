//! Row 2: SIGTERM under load.

use std::time::Duration;

use sample_site::Route;
use tokio::time::Instant;

use super::{Report, Size, balance, submit};
use crate::{cluster::Cluster, watch::Watch};

const MARK: Duration = Duration::from_secs(10);

/// Runs the row.
pub async fn run(size: &Size) -> Report {
    let mut report = Report::new("2", "SIGTERM each stage under load");
    let cluster = Cluster::start(6).await;
    let [api, _record] = cluster.roles(["api", "record"]).await;
    let names = ["scrape", "detect", "score"];
    let mut stages = cluster.roles(names).await;
    let watch = Watch::start(&cluster.kafka.bootstrap()).await;

    let count = size.submissions / 5;
    let accepted = submit(&api.api, "row02-", count).await;
    let mut longest = Duration::ZERO;
    for (index, (stage, name)) in stages.iter_mut().zip(names).enumerate() {
        watch.reach(count * (index + 1) / 5).await;
        let told = Instant::now();
        let status = stage.stop().await;
        longest = longest.max(told.elapsed());
        report.check(status.success(), format!("{name} ended with {status}"));
        report.check(
            !stage.logged().contains("drain time is over"),
            format!("{name} left work behind"),
        );
        *stage = cluster.role(name, &[]);
    }
    report.time("longest drain", longest, MARK, size.timed);
    watch.reach(accepted.len()).await;
    let scraped = cluster.site.total(Route::Query);
    report.figure("posts scraped", scraped);
    report.check(
        scraped == accepted.len() as u64,
        format!(
            "{scraped} posts were scraped for {} submissions",
            accepted.len()
        ),
    );
    balance(&cluster, &accepted, &mut report).await;
    report
}
