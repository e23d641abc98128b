//! Dead letters sent back: a deploy that gives up at once while the upstream is down, then stages whose outputs are too large;
//! mended, their letters are replayed by a command that is killed midway.

use std::collections::BTreeMap;

use sample_site::Fault;
use schemas::{AnalysisResult, events::result::Outcome, identity::RunCause, topics};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Report, Size, balance, poison,
    row08::{first, letters},
    row12::produce,
};
use crate::{
    cluster::Cluster, process::command, read, role::RoleProcess, wait::until, watch::Watch,
};

/// A scraper that tries once and never thinks that it is the upstream's fault, and stages that never stand still.
const HASTY: [(&str, &str); 5] = [
    ("TRUSTCARD__SCRAPE__CIRCUIT__FAILURES", "1000000"),
    ("TRUSTCARD__STAGES__SCRAPE__RETRY__ATTEMPTS", "1"),
    ("TRUSTCARD__STAGES__SCRAPE__RETRY_TOPICS_MS", "[]"),
    ("TRUSTCARD__STAGES__SCRAPE__LIMITS__RUN_LENGTH", "0"),
    ("TRUSTCARD__STAGES__SCRAPE__LIMITS__WINDOW", "100000"),
];
/// Why the posts of a scraper that finds the upstream down die.
const DOWN: &str = "upstream_error";
/// Records that nobody can read.
const UNREADABLE: usize = 3;
/// How often the command is killed.
const KILLS: usize = 2;

/// Runs the drill.
pub async fn run(size: &Size) -> Report {
    let mut report = Report::new("dlq", "dead letters replayed, the command killed midway");
    let count = if size.timed { 1_000 } else { 100 };
    let cluster = Cluster::start(3).await;
    let bootstrap = cluster.kafka.bootstrap();
    let [api, _record] = cluster.roles(["api", "record"]).await;
    let mut stages = cluster.roles(["detect", "score"]).await;
    let mut scrape = cluster.role("scrape", &HASTY);
    scrape.ready().await;
    let watch = Watch::start(&bootstrap).await;
    let drill = Drill {
        cluster: &cluster,
        stage: "scrape",
        code: DOWN,
    };

    cluster.site.set_fault(Fault::Down(502));
    let batch = drill.submit(&api, "letters-a-", count).await;
    let good = first(&bootstrap).await;
    let unreadable = (0..UNREADABLE as u64).map(|n| poison::record(n, &good));
    produce(&bootstrap, topics::SUBMISSIONS, unreadable.collect()).await;
    report.check(watch.reach(count).await, "not every analysis has failed");
    until("all dead letters", async || {
        (letters(&bootstrap, "scrape").await.len() == count + UNREADABLE).then_some(())
    })
    .await;
    drill.look(count, &mut report).await;
    scrape.stop().await;
    cluster.site.set_fault(Fault::None);
    let [_scrape] = cluster.roles(["scrape"]).await;
    drill.replay_all(count, &mut report).await;
    drill.ended_anew(&batch, &mut report).await;
    drill.cap(&mut report).await;

    let mut accepted = batch.analyses.clone();
    for (index, stage) in ["detect", "score"].into_iter().enumerate() {
        // More than the record of a failed result takes, less than any other.
        let name = format!("TRUSTCARD__STAGES__{}__", stage.to_uppercase());
        let limit = format!("{name}OUTPUT_LIMIT_BYTES");
        let run_length = format!("{name}LIMITS__RUN_LENGTH");
        let window = format!("{name}LIMITS__WINDOW");
        let wrong = [
            (limit.as_str(), "1000"),
            (run_length.as_str(), "0"),
            (window.as_str(), "100000"),
        ];
        let Some(role) = stages.get_mut(index) else {
            continue;
        };
        role.stop().await;
        *role = cluster.role(stage, &wrong);
        role.ready().await;
        let drill = Drill {
            cluster: &cluster,
            stage,
            code: "output_too_large",
        };
        let prefix = format!("letters-{stage}-");
        let batch = drill.submit(&api, &prefix, count / 2).await;
        accepted.extend(&batch.analyses);
        let whole = watch.reach(accepted.len()).await;
        report.check(whole, format!("not every analysis has failed in {stage}"));
        role.stop().await;
        *role = cluster.role(stage, &[]);
        role.ready().await;
        drill.replay_all(count / 2, &mut report).await;
        drill.ended_anew(&batch, &mut report).await;
    }
    report.figure("dead letters replayed", accepted.len());
    balance(&cluster, &accepted.into_iter().collect(), &mut report).await;
    report
}

/// A batch that was accepted.
struct Batch {
    id: String,
    analyses: Vec<Uuid>,
    api: crate::api::Api,
}

/// One stage's letters.
struct Drill<'a> {
    cluster: &'a Cluster,
    stage: &'a str,
    /// Why they died.
    code: &'a str,
}

impl Drill<'_> {
    async fn submit(&self, api: &RoleProcess, prefix: &str, count: usize) -> Batch {
        let urls = (0..count).map(|n| format!("https://www.instagram.com/p/load{prefix}{n:06}/"));
        let body = json!({ "urls": urls.collect::<Vec<_>>() });
        let answer = api.api.post("/api/analyze/batch", &body).await;
        let (_, answer) = answer.expect("the API answers");
        let items = answer["items"].as_array().expect("items");
        let ids = items.iter().filter_map(|item| item["analysis_id"].as_str());
        Batch {
            id: answer["batch_id"].as_str().expect("an id").to_owned(),
            analyses: ids.map(|id| id.parse().expect("an id")).collect(),
            api: api.api.clone(),
        }
    }

    /// Runs `dlq ... --json`, which must end with `code`; what it prints.
    async fn dlq(&self, arguments: &[&str], code: i32) -> Value {
        let output = self.cluster.run(&[&["dlq"], arguments].concat()).await;
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// Letters of the code that are open.
    async fn open(&self) -> u64 {
        let listed = self.dlq(&["ls", self.stage, "--json"], 0).await;
        let open = &listed["stages"][self.stage][self.code]["open"];
        open.as_u64().unwrap_or_default()
    }

    /// `ls`, `show` and `replay --dry-run` tell what is there and change nothing.
    async fn look(&self, count: usize, report: &mut Report) {
        let bootstrap = self.cluster.kafka.bootstrap();
        let open = self.open().await;
        report.check(open == count as u64, format!("ls: {open} open letters"));
        let letters = letters(&bootstrap, self.stage).await;
        let header = |seen: &read::Seen, name: &str| {
            let mut headers = seen.headers.iter().filter(|(header, _)| header == name);
            let value = headers.next().and_then(|(_, value)| value.clone());
            String::from_utf8(value.unwrap_or_default().to_vec()).unwrap_or_default()
        };
        let mut ours = letters
            .iter()
            .filter(|seen| header(seen, "dl-code") == self.code);
        let one = ours.next().expect("a letter");
        let place = format!("{}:{}", one.partition, one.offset);
        for wanted in [place.clone(), header(one, "ce_id")] {
            let shown = self.dlq(&["show", self.stage, &wanted, "--json"], 0).await;
            let value: Value = serde_json::from_slice(one.value.as_deref().unwrap_or_default())
                .expect("a letter of a known analysis is JSON");
            let same = shown["letter"] == place.as_str()
                && shown["open"] == true
                && shown["value"] == value
                && shown["origin"]["topic"] == header(one, "dl-origin-topic").as_str()
                && shown["origin"]["offset"].as_i64()
                    == header(one, "dl-origin-offset").parse().ok();
            report.check(same, format!("show {wanted}: {shown}"));
        }
        let missing = self
            .cluster
            .run(&["dlq", "show", self.stage, "0:999999"])
            .await;
        report.check(
            missing.status.code() == Some(1),
            "show finds what is not there",
        );
        let before = read::all(&bootstrap, topics::SUBMISSIONS).await.len();
        let max = (count + UNREADABLE).to_string();
        let arguments = ["replay", self.stage, "--dry-run", "--json", "--max", &max];
        let would = self.dlq(&arguments, 0).await;
        let right = would["counts"]["sent in a new run"] == count
            && would["counts"]["sent as it was"] == UNREADABLE;
        report.check(right, format!("--dry-run: {would}"));
        let after = read::all(&bootstrap, topics::SUBMISSIONS).await.len();
        let still = before == after && self.open().await == open;
        report.check(still, "--dry-run did something");
    }

    /// A few by `--max`, then the rest by a command that is killed midway.
    async fn replay_all(&self, count: usize, report: &mut Report) {
        let max = count / 10;
        let arguments = ["replay", self.stage, "--code", self.code, "--json", "--max"];
        let sent = self
            .dlq(&[&arguments[..], &[&max.to_string()]].concat(), 0)
            .await;
        let right = sent["counts"]["sent in a new run"] == max && sent["more"] == true;
        report.check(right, format!("--max {max}: {sent}"));
        let mut open = self.open().await;
        report.check(
            open == (count - max) as u64,
            format!("--max {max}: {open} are open"),
        );
        // Five seconds' worth, so that a kill comes midway.
        let rate = (count / 5).max(10).to_string();
        let arguments = [
            "dlq", "replay", self.stage, "--code", self.code, "--rate", &rate,
        ];
        for _ in 0..KILLS {
            let mut killed = command(&arguments);
            killed.envs(&self.cluster.settings);
            let mut killed = killed.spawn().expect("trustcard starts");
            let before = open;
            until("the replay to be midway", async || {
                open = self.open().await;
                (open < before).then_some(())
            })
            .await;
            killed.kill().await.expect("SIGKILL");
        }
        open = self.open().await;
        report.figure(format!("{} open after {KILLS} kills", self.stage), open);
        report.check(open > 0, "the replay was not killed midway");
        let rest = [
            "replay", self.stage, "--code", self.code, "--json", "--rate", "1000",
        ];
        let rest = self.dlq(&rest, 0).await;
        let left = rest["counts"]["sent in a new run"]
            .as_u64()
            .unwrap_or_default();
        report.check(
            left <= open && rest["more"] == false,
            format!("the rest: {rest}"),
        );
        let open = self.open().await;
        report.check(open == 0, format!("{open} are open in the end"));
    }

    /// Each analysis has the failed result and exactly one completed one, of a new run that supersedes the failed one; the batch
    /// says so.
    async fn ended_anew(&self, batch: &Batch, report: &mut Report) {
        let bootstrap = self.cluster.kafka.bootstrap();
        let mut results: BTreeMap<Uuid, Vec<AnalysisResult>> = BTreeMap::new();
        until("a completed result for each letter", async || {
            results = BTreeMap::new();
            for seen in read::all(&bootstrap, topics::RESULTS).await {
                let value = seen.value.unwrap_or_default();
                let result: AnalysisResult = serde_json::from_slice(&value).ok()?;
                results.entry(result.analysis_id).or_default().push(result);
            }
            let completed = |id: &Uuid| {
                let mut all = results.get(id).into_iter().flatten();
                all.any(|result| result.status == Outcome::Completed)
            };
            batch.analyses.iter().all(completed).then_some(())
        })
        .await;
        let odd = batch.analyses.iter().filter(|id| {
            let all = results.get(id).map(Vec::as_slice).unwrap_or_default();
            let [failed, anew] = all else {
                return true;
            };
            let right = failed.status == Outcome::Failed
                && anew.status == Outcome::Completed
                && anew.run.cause == RunCause::DeadLetterReplay
                && anew.supersedes == Some(failed.run);
            !right
        });
        let odd = odd.count();
        let what = format!(
            "{odd} analyses of {} have other results than failed and completed anew",
            self.stage
        );
        report.check(odd == 0, what);
        let path = format!("/api/batches/{}", batch.id);
        let (_, told) = batch.api.get(&path).await;
        let right = told["counts"]["completed"] == batch.analyses.len();
        report.check(right, format!("the batch of {}: {told}", self.stage));
    }

    /// What nobody can read comes back, and is refused once it was sent often enough.
    async fn cap(&self, report: &mut Report) {
        let bootstrap = self.cluster.kafka.bootstrap();
        let before = letters(&bootstrap, self.stage).await.len();
        let sent = self
            .dlq(&["replay", self.stage, "--cap", "1", "--json"], 0)
            .await;
        let right = sent["counts"]["sent as it was"] == UNREADABLE;
        report.check(right, format!("unreadable: {sent}"));
        until("unreadable records to die again", async || {
            (letters(&bootstrap, self.stage).await.len() == before + UNREADABLE).then_some(())
        })
        .await;
        let refused = self
            .dlq(&["replay", self.stage, "--cap", "1", "--json"], 1)
            .await;
        let right = refused["counts"]["refused"] == UNREADABLE
            && refused["refused"]
                .as_array()
                .is_some_and(|all| all.len() == UNREADABLE);
        report.check(right, format!("--cap 1: {refused}"));
    }
}
