//! Row 8: one record in a hundred is poison.

use std::collections::{BTreeMap, BTreeSet};

use super::{Report, Size, balance, poison, row12::produce, submit};
use crate::{
    cluster::Cluster,
    read::{self, Seen},
    wait::until,
    watch::Watch,
};

/// Headers that a dead letter adds.
const ADDED: &str = "dl-";

/// Runs the row.
pub async fn run(size: &Size) -> Report {
    let mut report = Report::new("8", "1 record in 100 is poison");
    let cluster = Cluster::start(6).await;
    let bootstrap = cluster.kafka.bootstrap();
    let [api] = cluster.roles(["api"]).await;
    let watch = Watch::start(&bootstrap).await;
    let count = size.submissions / 5;
    let poisonous = count / 100;
    let mut accepted = BTreeSet::new();
    let mut sent = Vec::new();
    // Poison among good records, in every part of the topic; the stages start after it is all there and as it comes.
    for part in 0..10_usize {
        let prefix = format!("row08-{part}-");
        accepted.extend(submit(&api.api, &prefix, count / 10).await);
        let good = first(&bootstrap).await;
        let numbers = (part * poisonous / 10) as u64..((part + 1) * poisonous / 10) as u64;
        let records: Vec<Seen> = numbers.map(|n| poison::record(n, &good)).collect();
        sent.extend(records.iter().cloned());
        produce(&bootstrap, schemas::topics::SUBMISSIONS, records).await;
    }
    let _stages = cluster.roles(["record", "scrape", "detect", "score"]).await;
    let whole = watch.reach(accepted.len()).await;
    report.check(whole, "a partition stalled");
    report.figure("poisonous records", sent.len());
    for stage in ["record", "scrape"] {
        let letters = until("all dead letters", async || {
            let letters = letters(&bootstrap, stage).await;
            (letters.len() >= sent.len()).then_some(letters)
        });
        let letters = letters.await;
        report.figure(format!("dead letters of {stage}"), letters.len());
        report.check(
            same(&sent, &letters),
            format!("the dead letters of {stage} are not the poison, byte for byte"),
        );
    }
    balance(&cluster, &accepted, &mut report).await;
    report
}

/// Any record of the submissions topic.
pub(super) async fn first(bootstrap: &str) -> Seen {
    let all = read::all(bootstrap, schemas::topics::SUBMISSIONS).await;
    all.into_iter().next().expect("a submission")
}

/// Dead letters of a stage, as committed.
pub(super) async fn letters(bootstrap: &str, stage: &str) -> Vec<Seen> {
    read::all(bootstrap, &schemas::topics::dead_letters(stage)).await
}

/// Whether the letters are these records: key, value and headers as sent, once each.
fn same(sent: &[Seen], letters: &[Seen]) -> bool {
    let content = |seen: &Seen| {
        let headers = seen
            .headers
            .iter()
            .filter(|(name, _)| !name.starts_with(ADDED));
        let headers: Vec<_> = headers.cloned().collect();
        (seen.value.clone(), headers)
    };
    let by_key = |all: &[Seen]| -> BTreeMap<_, _> {
        all.iter()
            .map(|seen| (seen.key.clone(), content(seen)))
            .collect()
    };
    sent.len() == letters.len() && by_key(sent) == by_key(letters)
}
