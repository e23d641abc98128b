//! docs/production_deployment.md, infra/trustcard.env and docs/seed.md say what there is: variables, commands, files, alerts,
//! metrics, tests.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use regex::Regex;
use trustcard_tests::{
    process::command,
    servers::{root, succeed},
};

/// Keys of the environment that librdkafka names, not we.
const CLIENT: &str = "TRUSTCARD__KAFKA__CLIENT__";

/// Names the folder of the files of settings, and so can't be set in one.
const FOLDER: &str = "TRUSTCARD_CONFIG_DIR";

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn guide() -> String {
    read("docs/production_deployment.md")
}

/// Every match of a pattern's first group.
fn all(pattern: &str, text: &str) -> BTreeSet<String> {
    let found = Regex::new(pattern).unwrap();
    let found = found.captures_iter(text);
    found.map(|found| found[1].to_owned()).collect()
}

/// Names and values of the template, defaults included.
fn template() -> BTreeMap<String, String> {
    let line = Regex::new("(?m)^#?([A-Z][A-Z0-9_]*)=(.*)$").unwrap();
    let text = read("infra/trustcard.env");
    let lines = line.captures_iter(&text);
    lines
        .map(|line| (line[1].to_owned(), line[2].to_owned()))
        .collect()
}

/// Every setting that `trustcard check-config --json` shows, as its variable.
fn variables(shown: &str) -> BTreeSet<String> {
    let shown: serde_json::Value = serde_json::from_str(shown).unwrap();
    let settings = shown["settings"].as_array().unwrap().iter();
    let keys = settings.map(|setting| setting["key"].as_str().unwrap().replace('.', "__"));
    keys.map(|key| format!("TRUSTCARD__{}", key.to_uppercase()))
        .filter(|name| !name.starts_with(CLIENT))
        .collect()
}

/// What `trustcard check-config --json` shows with the template's values, files of certificates made for it.
async fn effective(values: &BTreeMap<String, String>) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let mut certificates = Command::new(root().join("infra/dev/certificates.sh"));
    certificates.arg(folder.path().join("tls"));
    succeed(certificates).await;
    let tls = folder.path().join("tls").to_str().unwrap().to_owned();
    let mut check = command(&["check-config", "--json"]);
    check.env_clear().current_dir(folder.path());
    for (name, value) in values {
        let value = match (name.as_str(), value.as_str()) {
            ("SECRET_KEY", "") => "0123456789abcdef0123456789abcdef".to_owned(),
            (_, "") => "anything".to_owned(),
            (FOLDER, _) => root().join("config").display().to_string(),
            (_, value) => value.replace("/etc/trustcard/tls", &tls),
        };
        check.env(name, value);
    }
    let output = check.output().await.unwrap();
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[tokio::test]
async fn the_template_has_every_variable_and_no_other() {
    let template = template();
    let shown = effective(&template).await.unwrap();
    let mut unknown = template.clone();
    unknown.insert("TRUSTCARD__API__PROT".to_owned(), "1".to_owned());
    let refused = effective(&unknown).await.unwrap_err();
    assert!(
        refused.contains("prot"),
        "what does not exist is told: {refused}"
    );

    let there = variables(&shown);
    // A plain name is the way to set what it names; the template gives one of the two.
    let source = read("pipeline/trustcard/src/settings/load.rs");
    let plain: BTreeMap<String, String> = Regex::new(r#"\("([A-Z_]+)", "([a-z_.]+)"\)"#)
        .unwrap()
        .captures_iter(&source)
        .map(|pair| {
            let key = pair[2].replace('.', "__").to_uppercase();
            (format!("TRUSTCARD__{key}"), pair[1].to_owned())
        })
        .collect();
    assert!(plain.len() >= 14, "{plain:?}");
    let named = |key: &String| plain.get(key).unwrap_or(key).clone();
    let missing: Vec<String> = there
        .iter()
        // Weights are a file's: too many, and too much one thing, for variables.
        .filter(|name| !name.starts_with("TRUSTCARD__SCORING__"))
        .map(named)
        .filter(|name| !template.contains_key(name))
        .collect();
    assert!(
        missing.is_empty(),
        "not in infra/trustcard.env: {missing:#?}"
    );
    for name in template
        .keys()
        .filter(|name| !name.starts_with("TRUSTCARD__"))
    {
        let known = name == FOLDER || plain.values().any(|plain| plain == name);
        assert!(known, "{name} is no plain name");
    }
}

#[test]
fn variables_of_the_guide_are_those_of_the_template() {
    let (guide, template) = (guide(), template());
    let named = all(r"(TRUSTCARD__[A-Z0-9_]*[A-Z0-9])", &guide);
    assert!(named.len() > 20, "{named:?}");
    for name in named {
        let known = name.starts_with(CLIENT)
            || format!("{name}__") == CLIENT
            || name == "TRUSTCARD__SECTION__KEY"
            || template.contains_key(&name);
        assert!(known, "{name} is not in infra/trustcard.env");
    }
    let (_, rest) = guide.split_once("ENVIRONMENT=production").unwrap();
    let (block, _) = rest.split_once("```").unwrap();
    for name in all("(?m)^([A-Z][A-Z0-9_]*)=", block) {
        assert!(
            name.starts_with(CLIENT) || template.contains_key(&name),
            "{name}"
        );
    }
}

#[tokio::test]
async fn commands_of_the_guide_are_the_binarys() {
    let guide = guide();
    let run = Regex::new(r"(?m)(?:`|^| )trustcard ((?:[a-z]+(?:-[a-z]+)?)(?: [a-z]+)?)((?: (?:--?[a-z-]+|[A-Z:]+|[a-z0-9./]+))*)").unwrap();
    let mut seen = BTreeSet::new();
    for found in run.captures_iter(&guide) {
        let whole = found[0].trim_matches(['`', ' ']).to_owned();
        if !seen.insert(whole.clone()) {
            continue;
        }
        let words: Vec<&str> = found[1].split(' ').collect();
        let help = async |words: &[&str]| {
            let mut arguments = words.to_vec();
            arguments.push("--help");
            let output = command(&arguments).output().await.unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            output.status.success().then_some(text)
        };
        let nested = matches!(words[0], "topics" | "dlq" | "models" | "keys");
        let depth = if nested { words.len() } else { 1 };
        let Some(told) = help(&words[..depth]).await else {
            panic!("`{whole}`: there is no such command");
        };
        for option in all(r"(--[a-z][a-z-]+)", &found[2]) {
            assert!(told.contains(&option), "`{whole}`: no {option} in {told}");
        }
    }
    assert!(seen.len() > 12, "{seen:?}");
}

#[test]
fn files_alerts_and_metrics_of_the_guide_exist() {
    let guide = guide();
    let files = all(r"\b((?:infra|docs|tests)/[A-Za-z0-9_./@-]*[a-z])", &guide);
    assert!(files.len() > 8, "{files:?}");
    for file in files {
        assert!(root().join(&file).exists(), "{file}");
    }
    for link in all(r"\]\(([^)#:]+)\)", &guide) {
        assert!(root().join("docs").join(&link).exists(), "{link}");
    }
    let headings = all(r"(?m)^##+ (.+)$", &guide);
    let anchors: BTreeSet<String> = headings
        .iter()
        .map(|heading| heading.to_lowercase().replace(' ', "-"))
        .collect();
    for anchor in all(r"\]\(#([^)]+)\)", &guide) {
        assert!(anchors.contains(&anchor), "{anchor}");
    }
    let alerts = all(r"(?m)alert: (\w+)$", &read("infra/prometheus/alerts.yml"));
    for alert in &alerts {
        assert!(
            guide.contains(&format!("`{alert}`")),
            "{alert} is not in the guide"
        );
    }
    let mut sources = String::new();
    for room in ["pipeline", "ingest-api", "consumers"] {
        gather(&root().join(room), &mut sources);
    }
    for metric in all(r"`(trustcard_[a-z_]+)[` ]", &guide) {
        // A user or a keyspace of an example is no metric.
        let example = ["trustcard_schema", "trustcard_look"].contains(&metric.as_str());
        assert!(
            example || sources.contains(&format!("\"{metric}\"")),
            "{metric}"
        );
    }
}

#[test]
fn files_and_tests_that_show_the_seeds_lines_exist() {
    let text = read("docs/seed.md");
    let rows = text
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| The seed"));
    let mut sources = String::new();
    for room in ["schemas", "pipeline", "ingest-api", "consumers", "tests"] {
        gather(&root().join(room), &mut sources);
    }
    let tests = all(r"fn ([a-z0-9_]+)\(", &sources);
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert!(
            cells.iter().all(|cell| !cell.is_empty()) && cells.len() >= 2,
            "{row}"
        );
        for file in all("`([A-Za-z0-9_.@-]+/[A-Za-z0-9_./@-]+)`", row) {
            assert!(root().join(&file).exists(), "{file}");
        }
        for test in all("`([a-z0-9]+_[a-z0-9_]+)`", cells[cells.len() - 1]) {
            assert!(tests.contains(&test), "{test}");
        }
    }
}

/// The text of every Rust file below a folder.
fn gather(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}
