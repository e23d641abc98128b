//! Row 1: each stage is killed with SIGKILL while work is on its way, again and again.

use std::time::Duration;

use super::{Report, Size, balance, groups, submit};
use crate::{cluster::Cluster, watch::Watch};

/// The group notices a dead member after this long.
const SESSION: Duration = Duration::from_secs(6);
/// What a recovery may take beyond that.
const BEYOND: Duration = Duration::from_secs(10);

const STAGES: [(&str, &str); 4] = [
    ("scrape", schemas::topics::SUBMISSIONS),
    ("detect", schemas::topics::POSTS),
    ("score", schemas::topics::DETECTIONS),
    ("record", schemas::topics::SUBMISSIONS),
];

/// Runs the row.
pub async fn run(size: &Size) -> Report {
    let mut report = Report::new("1", "SIGKILL each stage under load");
    let mut cluster = Cluster::start(6).await;
    let session = SESSION.as_millis().to_string();
    let name = "TRUSTCARD__KAFKA__CLIENT__SESSION_TIMEOUT_MS";
    cluster.settings.insert(name.to_owned(), session);
    let [api] = cluster.roles(["api"]).await;
    let mut stages = cluster.roles(STAGES.map(|(stage, _)| stage)).await;
    let watch = Watch::start(&cluster.kafka.bootstrap()).await;

    let kills = STAGES.len() * size.kills;
    let first = size.submissions / 5;
    let part = (size.submissions - first) / kills;
    let mut accepted = submit(&api.api, "row01-", first).await;
    if !watch.reach(first).await {
        report.check(false, "no progress before the first kill");
    }
    let mut longest = Duration::ZERO;
    for kill in 0..kills {
        // Comes in right before the kill, so that every stage has work when it dies.
        accepted.extend(submit(&api.api, &format!("row01-{kill}-"), part).await);
        let index = kill % STAGES.len();
        let (Some(stage), Some((name, topic))) = (stages.get_mut(index), STAGES.get(index)) else {
            continue;
        };
        stage.kill().await;
        *stage = cluster.role(name, &[]);
        let group = schemas::topics::group(name);
        let progress = groups::next_progress(&cluster.kafka.bootstrap(), &group, topic).await;
        report.check(
            progress.is_some(),
            format!("{name} makes no progress after a kill"),
        );
        longest = longest.max(progress.unwrap_or_default());
    }
    report.figure("submissions", accepted.len());
    report.figure("kills", kills);
    report.time(
        "longest wait for progress",
        longest,
        SESSION + BEYOND,
        size.timed,
    );
    watch.reach(accepted.len()).await;
    balance(&cluster, &accepted, &mut report).await;
    report
}
