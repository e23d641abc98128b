//! Detections scored again on a live pipeline, twice, the second time by a command that is killed midway.

use std::collections::{BTreeMap, BTreeSet};

use schemas::{AnalysisResult, identity::RunCause, topics};
use serde_json::Value;
use uuid::Uuid;

use super::{Report, Size, balance, groups, submit};
use crate::{cluster::Cluster, process::command, read, wait::until, watch::Watch};

const STAGES: [(&str, &str); 4] = [
    ("record", topics::SUBMISSIONS),
    ("scrape", topics::SUBMISSIONS),
    ("detect", topics::POSTS),
    ("score", topics::DETECTIONS),
];
/// Before anything was detected.
const LONG_AGO: &str = "2020-01-01T00:00:00Z";
/// Posts that come in while the second rescoring runs.
const LIVE: usize = 20;

type Committed = BTreeMap<&'static str, BTreeMap<i32, i64>>;

/// Runs the drill.
pub async fn run(size: &Size) -> Report {
    let mut report = Report::new("replay", "detections scored again, twice");
    let count = if size.timed { 1_000 } else { 100 };
    let cluster = Cluster::start(3).await;
    let bootstrap = cluster.kafka.bootstrap();
    let [api, _stages @ ..] = cluster
        .roles(["api", "record", "scrape", "detect", "score", "webhook"])
        .await;
    let watch = Watch::start(&bootstrap).await;
    let mut accepted = submit(&api.api, "rescore-a-", count).await;
    let first: BTreeSet<Uuid> = accepted.clone();
    report.check(watch.reach(count).await, "not every analysis has ended");
    caught_up(&cluster, count).await;

    let would = replay(&cluster, &["--from", LONG_AGO, "--dry-run"]).await;
    report.check(
        would["counts"]["copied"] == count,
        format!("--dry-run: {would}"),
    );
    let before = committed(&bootstrap).await;
    let once = replay(&cluster, &["--from", LONG_AGO, "--id", "once"]).await;
    report.check(once["counts"]["copied"] == count, format!("once: {once}"));
    let results = results(&bootstrap, &first, 2).await;
    check_runs(&results, &once, 0, &mut report);
    let after = committed(&bootstrap).await;
    let same = ["record", "scrape", "detect"]
        .iter()
        .all(|stage| before.get(stage) == after.get(stage));
    report.check(same, format!("offsets were moved: {before:?} {after:?}"));
    report.check(forward(&before, &after), "the scorer's offsets went back");

    // The second time others come in meanwhile, and the command is killed.
    let rate = (count / 5).to_string();
    let arguments = [
        "replay", "--from", LONG_AGO, "--id", "twice", "--rate", &rate,
    ];
    let mut killed = command(&arguments);
    killed.envs(&cluster.settings);
    let mut killed = killed.spawn().expect("trustcard starts");
    until("the rescoring to have begun", async || {
        let begun = groups::committed(&bootstrap, "trustcard.replay.twice", topics::DETECTIONS);
        (!begun.await.is_empty()).then_some(())
    })
    .await;
    accepted.extend(submit(&api.api, "rescore-b-", LIVE).await);
    until("the rescoring to be midway", async || {
        let all = all_results(&bootstrap).await;
        let thrice = all.values().filter(|results| results.len() > 2).count();
        (thrice > count / 10).then_some(())
    })
    .await;
    killed.kill().await.expect("SIGKILL");
    let twice = replay(&cluster, &["--id", "twice"]).await;
    let copied = twice["counts"]["copied"].as_u64().unwrap_or_default();
    report.figure("copied after the kill", copied);
    let midway = copied > 0 && copied < count as u64;
    report.check(midway, format!("it was not killed midway: {twice}"));
    let results = self::results(&bootstrap, &first, 3).await;
    check_runs(&results, &twice, 1, &mut report);
    report.check(
        forward(&after, &committed(&bootstrap).await),
        "offsets went back",
    );
    let again = replay(&cluster, &["--id", "twice"]).await;
    report.check(
        again["counts"]["copied"].is_null(),
        format!("a third start: {again}"),
    );

    watch.reach(accepted.len()).await;
    refusals(&cluster, &mut report).await;
    let live = self::results(&bootstrap, &accepted, 1).await;
    let late = accepted
        .difference(&first)
        .filter(|id| live.get(id).map(Vec::len) != Some(1));
    report.check(
        late.count() == 0,
        "what came in meanwhile was scored again too",
    );
    latest(&bootstrap, &live, &mut report).await;
    report.figure("analyses scored thrice", first.len());
    balance(&cluster, &accepted, &mut report).await;
    report
}

/// Runs `replay ... --json`, which must succeed.
async fn replay(cluster: &Cluster, arguments: &[&str]) -> Value {
    let told = cluster
        .must(&[&["replay", "--json"], arguments].concat())
        .await;
    serde_json::from_str(&told).expect("JSON")
}

/// Waits until every stage has committed all that there is of so many submissions.
async fn caught_up(cluster: &Cluster, count: usize) {
    let bootstrap = cluster.kafka.bootstrap();
    until("every stage to commit its input", async || {
        let told = cluster.must(&["lag", "--json"]).await;
        let told: Value = serde_json::from_str(&told).ok()?;
        let read: usize = read::all(&bootstrap, topics::DETECTIONS).await.len();
        (told["complete"] == true && told["lag"] == 0 && read == count).then_some(())
    })
    .await;
}

async fn committed(bootstrap: &str) -> Committed {
    let mut all = Committed::new();
    for (stage, topic) in STAGES {
        let group = topics::group(stage);
        all.insert(stage, groups::committed(bootstrap, &group, topic).await);
    }
    all
}

fn forward(before: &Committed, after: &Committed) -> bool {
    before.iter().all(|(stage, offsets)| {
        let now = after.get(stage);
        offsets.iter().all(|(partition, offset)| {
            now.and_then(|now| now.get(partition))
                .is_some_and(|now| now >= offset)
        })
    })
}

async fn all_results(bootstrap: &str) -> BTreeMap<Uuid, Vec<AnalysisResult>> {
    let mut all: BTreeMap<Uuid, Vec<AnalysisResult>> = BTreeMap::new();
    for seen in read::all(bootstrap, topics::RESULTS).await {
        let value = seen.value.unwrap_or_default();
        let result: AnalysisResult = serde_json::from_slice(&value).expect("a result");
        all.entry(result.analysis_id).or_default().push(result);
    }
    all
}

/// All results, once each of `ids` has `each` of them.
async fn results(
    bootstrap: &str,
    ids: &BTreeSet<Uuid>,
    each: usize,
) -> BTreeMap<Uuid, Vec<AnalysisResult>> {
    until("the results of every analysis", async || {
        let all = all_results(bootstrap).await;
        let enough = |id: &Uuid| all.get(id).is_some_and(|results| results.len() >= each);
        ids.iter().all(enough).then_some(all)
    })
    .await
}

/// Of every analysis the result at `index` was superseded by the one behind it, the last, of the run that `told` names.
fn check_runs(
    results: &BTreeMap<Uuid, Vec<AnalysisResult>>,
    told: &Value,
    index: usize,
    report: &mut Report,
) {
    let odd = results
        .values()
        .filter(|results| results.len() > 1)
        .filter(|results| {
            let right = results.len() == index + 2
                && results
                    .get(index)
                    .zip(results.last())
                    .is_some_and(|(old, new)| {
                        new.run.cause == RunCause::Rescore
                            && told["run"]["started_ms"] == new.run.started_ms
                            && new.supersedes == Some(old.run)
                            && new.trust_score == old.trust_score
                    });
            !right
        });
    let odd = odd.count();
    report.check(
        odd == 0,
        format!("{odd} analyses were not scored again once: {told}"),
    );
}

/// The last record of each post on the compacted topic is its newest result.
async fn latest(
    bootstrap: &str,
    results: &BTreeMap<Uuid, Vec<AnalysisResult>>,
    report: &mut Report,
) {
    let mut newest = BTreeMap::new();
    for seen in read::all(bootstrap, topics::RESULTS_LATEST).await {
        let value = seen.value.unwrap_or_default();
        let result: AnalysisResult = serde_json::from_slice(&value).expect("a result");
        newest.insert(result.analysis_id, result);
    }
    let stale = results
        .iter()
        .filter(|(id, all)| newest.get(id) != all.last());
    let stale = stale.count();
    report.check(
        stale == 0,
        format!("{stale} posts have another latest result"),
    );
}

/// What can't be done is refused, with a code and a word on what to do.
async fn refusals(cluster: &Cluster, report: &mut Report) {
    let nobody = ["replay", "--from", LONG_AGO, "--bootstrap", "127.0.0.1:1"];
    let refused: [(&[&str], i32, &str); 5] = [
        (&["replay", "--id", "never-begun"], 78, "--from"),
        (
            &[
                "replay",
                "--from",
                "2026-01-02T00:00:00Z",
                "--to",
                "2026-01-01T00:00:00Z",
            ],
            78,
            "before --to",
        ),
        (
            &["replay", "--from", "2026-01-01T00:00:00Z", "--id", "twice"],
            78,
            "another --id",
        ),
        (&["replay", "--from", "yesterday"], 2, "--from"),
        (&nobody, 69, "broker"),
    ];
    for (arguments, code, word) in refused {
        let output = cluster.run(arguments).await;
        let error = String::from_utf8_lossy(&output.stderr);
        let right = output.status.code() == Some(code) && error.contains(word);
        report.check(right, format!("{arguments:?}: {} {error}", output.status));
    }
}
