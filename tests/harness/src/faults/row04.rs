//! Row 4: the answer to the end of a transaction is lost or late.

use std::{collections::BTreeSet, time::Duration};

use super::{Report, Size, balance, submit};
use crate::{
    cluster::Cluster,
    kafka_proxy::{Fate, api as requests},
    watch::Watch,
};

/// Later than the stage waits for an answer.
const LATE: Duration = Duration::from_secs(8);
const FATES: [Fate; 4] = [
    Fate::LoseReply,
    Fate::LoseRequest,
    Fate::DelayReply(LATE),
    Fate::DelayRequest(LATE),
];

/// Runs the row.
pub async fn run(size: &Size) -> Report {
    let mut report = Report::new("4", "reply to EndTxn dropped or late");
    let mut cluster = Cluster::start(6).await;
    let [api, _record, _scrape, _detect] =
        cluster.roles(["api", "record", "scrape", "detect"]).await;
    let proxy = cluster.behind_proxy();
    let [score] = cluster.roles(["score"]).await;
    let watch = Watch::start(&cluster.kafka.bootstrap()).await;

    let mut accepted = BTreeSet::new();
    for round in 0..size.rounds {
        let fate = FATES.get(round % FATES.len()).copied();
        proxy.strike(requests::END_TXN, fate.unwrap_or(Fate::LoseReply), 1);
        let prefix = format!("row04-{round:03}-");
        accepted.extend(submit(&api.api, &prefix, 20).await);
        if !watch.reach(accepted.len()).await {
            report.check(false, format!("no progress in round {round}"));
            break;
        }
    }
    let struck = proxy.struck(requests::END_TXN);
    let rebuilt = score
        .metric("trustcard_transactions_total", "outcome=\"rebuilt\"")
        .await;
    let rebuilt = rebuilt.unwrap_or(0.0);
    report.figure("rounds", size.rounds);
    report.figure("EndTxn struck", struck);
    report.figure("producers rebuilt", rebuilt);
    report.check(struck >= size.rounds as u64, "a round struck nothing");
    report.check(
        rebuilt >= struck as f64,
        "a producer outlived an indefinite outcome",
    );
    balance(&cluster, &accepted, &mut report).await;
    report
}
