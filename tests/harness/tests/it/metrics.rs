//! What Prometheus scrapes: a file says which metrics there are, a document says what they mean, and neither is ever behind.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::Stdio,
};

use tokio::{io::AsyncWriteExt as _, process::Command};
use trustcard_tests::{process::Up, servers::root, wait::until};

/// A line for each metric: name, type, labels. Made by `UPDATE_METRICS=1 cargo test -p trustcard-tests --test it metrics`.
const GOLDEN: &str = "tests/harness/tests/it/metrics.txt";
const DOCUMENT: &str = "docs/metrics.md";

/// The metrics of a scrape as lines of the golden file.
fn metrics(scrape: &str) -> BTreeSet<String> {
    let mut types = BTreeMap::new();
    let mut labels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in scrape.lines() {
        if let Some(typed) = line.strip_prefix("# TYPE ") {
            let (name, kind) = typed.split_once(' ').unwrap();
            types.insert(name.to_owned(), kind.to_owned());
            labels.entry(name.to_owned()).or_default();
        } else if !line.starts_with('#') {
            let series = line.rsplit_once(' ').unwrap().0;
            let (name, named) = series.split_once('{').unwrap_or((series, ""));
            let of = |suffix: &str| {
                let base = name.strip_suffix(suffix)?;
                (types.get(base)? == "histogram").then_some(base)
            };
            let histogram = ["_bucket", "_sum", "_count"].into_iter().find_map(of);
            let found = labels.get_mut(histogram.unwrap_or(name)).unwrap();
            found.extend(label_names(named).filter(|name| name != "le"));
        }
    }
    let line = |(name, kind): (String, String)| {
        let labels: Vec<&str> = labels[&name].iter().map(String::as_str).collect();
        format!("{name} {kind} {}", labels.join(","))
            .trim_end()
            .to_owned()
    };
    types.into_iter().map(line).collect()
}

/// The names in `a="x",b="y"}`; values may hold anything but a bare quote.
fn label_names(mut labels: &str) -> impl Iterator<Item = String> {
    std::iter::from_fn(move || {
        let (name, rest) = labels.split_once("=\"")?;
        let mut escaped = false;
        let end = rest.find(|char| {
            let ends = char == '"' && !escaped;
            escaped = char == '\\' && !escaped;
            ends
        });
        labels = &rest[end? + 1..];
        Some(name.trim_start_matches(',').to_owned())
    })
}

/// What `up` shows after real work: a post with a score, one without, and every metric that needs some time to be there.
async fn scrape() -> String {
    let data = tempfile::tempdir().unwrap();
    let up = Up::start(data.path(), &["--sample-site", "--no-ml"], &[]).await;
    let codes = ["loadmetrics", "DTCdeleted1"].map(str::to_owned);
    let ids = up.submit(&codes).await;
    let mut statuses = Vec::new();
    for id in &ids {
        let ended = up.ended_analysis(id).await;
        statuses.push(ended["status"].as_str().unwrap().to_owned());
    }
    assert_eq!(statuses, ["completed", "failed"]);
    let late = [
        "trustcard_kafka_client_requests_total{client=\"score\",kind=\"producer\"}",
        "trustcard_kafka_client_requests_total{client=\"score\",kind=\"consumer\"}",
        "kafka_consumergroup_group_lag{group=\"trustcard.score\"",
        "trustcard_lag_partition_state{group=\"trustcard.score\"",
        "trustcard_analyses_completed_total{status=\"failed\"} 1",
        "trustcard_analyses_completed_total{status=\"completed\"} 1",
        "trustcard_analyses_submitted_total 2",
        "trustcard_analysis_duration_seconds_count 2",
        "trustcard_trust_score_count 1",
    ];
    until("metrics that come with time", async || {
        let scrape = up.text("/metrics").await;
        let mut late = late.iter();
        late.all(|line| scrape.contains(line)).then_some(scrape)
    })
    .await
}

#[tokio::test]
async fn names_types_and_labels_are_those_of_the_file_and_promtool_has_no_complaint() {
    let scrape = scrape().await;
    let found = metrics(&scrape);
    let path = root().join(GOLDEN);
    if std::env::var_os("UPDATE_METRICS").is_some() {
        let lines: Vec<&str> = found.iter().map(String::as_str).collect();
        std::fs::write(&path, format!("{}\n", lines.join("\n"))).unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap();
    let golden: BTreeSet<String> = text.lines().map(str::to_owned).collect();
    let missing: Vec<_> = golden.difference(&found).collect();
    let added: Vec<_> = found.difference(&golden).collect();
    assert!(
        missing.is_empty() && added.is_empty(),
        "{GOLDEN} differs: missing {missing:#?}, not in the file {added:#?}"
    );
    let first = |what: &str, name: &str| {
        let mut lines = scrape.lines();
        lines.position(|line| line.starts_with(&format!("{what}{name}")))
    };
    for line in &found {
        let name = line.split(' ').next().unwrap();
        let help = first("# HELP ", &format!("{name} "));
        assert!(help.is_some(), "{name} has no HELP");
        assert!(help < first("", name), "{name}: HELP stands first");
    }
    check(&scrape).await;
}

#[test]
fn the_document_tells_of_every_metric_and_of_no_other() {
    let golden = std::fs::read_to_string(root().join(GOLDEN)).unwrap();
    let golden: BTreeSet<String> = golden.lines().map(str::to_owned).collect();
    let document = std::fs::read_to_string(root().join(DOCUMENT)).unwrap();
    let rows = document.lines().filter_map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let name = cells.get(1)?.strip_prefix('`')?.strip_suffix('`')?;
        let (kind, labels) = (cells.get(2)?, cells.get(3)?.replace(['`', ' '], ""));
        // Those that are there only at times can't be in a scrape that is to be the same each time.
        let at_times = cells.get(5)?.contains("only while");
        Some((
            format!("{name} {kind} {labels}").trim_end().to_owned(),
            at_times,
        ))
    });
    let rows: BTreeMap<String, bool> = rows.collect();
    let told: BTreeSet<String> = rows.keys().cloned().collect();
    let missing: Vec<_> = golden.difference(&told).collect();
    assert!(missing.is_empty(), "{DOCUMENT} lacks {missing:#?}");
    let others = told.difference(&golden).filter(|row| !rows[*row]);
    let others: Vec<_> = others.collect();
    assert!(others.is_empty(), "{DOCUMENT} has also {others:#?}");
}

/// `promtool check metrics`. Where promtool is not installed the check is left out, but never in CI.
async fn check(scrape: &str) {
    let Some(promtool) = promtool().await else {
        assert!(
            std::env::var_os("CI").is_none_or(|ci| ci != "true"),
            "promtool is missing; `make test` fetches it"
        );
        eprintln!("NOT CHECKED by promtool, which is not installed");
        return;
    };
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(scrape.as_bytes()).await.unwrap();
    drop(input);
    let output = child.wait_with_output().await.unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && told.trim().is_empty(),
        "promtool: {said}{told}"
    );
}

/// The program, in the path or where `infra/dev/need.sh` keeps it.
async fn promtool() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let kept = cache.or(home)?.join("trustcard/tools/promtool");
    for found in [PathBuf::from("promtool"), kept] {
        let version = Command::new(&found).arg("--version").output().await;
        if version.is_ok_and(|output| output.status.success()) {
            return Some(found);
        }
    }
    None
}

#[tokio::test]
async fn a_role_without_metrics_has_none() {
    let data = tempfile::tempdir().unwrap();
    let variables = [("ENABLE_METRICS", "false")];
    let up = Up::start(data.path(), &["--sample-site", "--no-ml"], &variables).await;
    let (status, body) = up.get("/metrics").await;
    assert_eq!(
        (status, &body["error"]),
        (404, &"RESOURCE_NOT_FOUND".into())
    );
    let (_, told) = up.get("/status").await;
    assert_eq!(told["configuration"]["metrics_enabled"], false);
    let commit = told["application"]["commit"].as_str().unwrap();
    assert!(!commit.is_empty(), "{told}");
}
