//! What roles log: fields for machines, on standard error and in the file, to the last line, and never a secret.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Value, json};
use trustcard_tests::{api::Api, role::RoleProcess, wait::until};

/// Secrets that a process is given or that callers send, each of a form that nothing else has.
const SECRETS: [&str; 8] = [
    "s3cr3t-of-hashes-0123456789abcdef0123456789",
    "s3cr3t-upstream-cookie",
    "s3cr3t-database-password",
    "s3cr3t-sasl-password",
    "s3cr3t-key-password",
    "s3cr3t-bearer-key",
    "s3cr3t-caller-cookie",
    "s3cr3t-unknown-header",
];

/// Settings that hold secrets, at the level that tells most.
fn settings() -> BTreeMap<String, String> {
    let settings = [
        ("LOG_LEVEL", "TRACE"),
        ("LOG_JSON", "true"),
        ("SECRET_KEY", SECRETS[0]),
        ("TRUSTCARD__SCRAPE__UPSTREAM__SESSION_ID", SECRETS[1]),
        ("TRUSTCARD__DATABASE__USERNAME", "trustcard"),
        ("TRUSTCARD__DATABASE__PASSWORD", SECRETS[2]),
        ("TRUSTCARD__KAFKA__CLIENT__SASL_USERNAME", "trustcard"),
        ("TRUSTCARD__KAFKA__CLIENT__SASL_PASSWORD", SECRETS[3]),
        ("TRUSTCARD__KAFKA__CLIENT__SSL_KEY_PASSWORD", SECRETS[4]),
    ];
    settings
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// Asks for everything with headers that hold secrets, the way callers do.
async fn ask_with_secrets(api: &Api) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = json!({ "url": "https://www.instagram.com/p/loadlogs/" });
    for (method, path) in [
        ("POST", "/api/analyze"),
        ("POST", "/api/analyze/batch"),
        ("GET", "/api/results"),
        ("GET", "/no/such/path"),
        ("DELETE", "/api/results/none"),
        ("GET", "/status"),
    ] {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = http
            .request(method, format!("{}{path}", api.url))
            .bearer_auth(SECRETS[5])
            .header("cookie", format!("session={}", SECRETS[6]))
            .header("x-api-key", SECRETS[7])
            .json(&post);
        request.send().await.unwrap();
    }
}

/// The lines of a log, each of which must be a JSON object.
fn lines(text: &str) -> Vec<Value> {
    let parse = |line| {
        let parsed: Result<Value, _> = serde_json::from_str(line);
        let parsed = parsed.unwrap_or_else(|_| panic!("no JSON: {line}"));
        assert!(parsed["timestamp"].is_string() && parsed["level"].is_string());
        parsed
    };
    text.lines().map(parse).collect()
}

/// Everything in the log files of a folder.
fn files(folder: &Path) -> String {
    let files = std::fs::read_dir(folder).unwrap();
    let read = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    read.collect()
}

fn assert_no_secret(log: &str) {
    assert!(!log.is_empty());
    for secret in SECRETS {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} was logged");
    }
}

#[tokio::test]
async fn lines_carry_the_request_the_analysis_the_record_and_the_trace_and_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let logs = folder.path().join("logs");
    let mut settings = settings();
    let file = logs.join("app.log").display().to_string();
    settings.insert("LOG_FILE".to_owned(), file);
    let log = folder.path().join("stderr.log");
    let data = folder.path().join("data");
    let arguments = [
        "--sample-site",
        "--no-ml",
        "--data-dir",
        data.to_str().unwrap(),
    ];
    let mut up = RoleProcess::start("up", &arguments, &settings, log);
    up.ready().await;
    ask_with_secrets(&up.api).await;
    // A deleted post: the scraper says so in its log.
    let deleted = json!({ "url": "https://www.instagram.com/p/DTCdeleted1/" });
    let (status, answer) = up.api.post("/api/analyze", &deleted).await.unwrap();
    assert_eq!(status, 202, "{answer}");
    let id = answer["analysis_id"].as_str().unwrap();
    up.api.ended_analysis(id).await;
    assert!(up.stop().await.success());

    let (told, filed) = (up.logged(), files(&logs));
    assert_no_secret(&told);
    assert_no_secret(&filed);
    // `up` greets on standard output, which is the same file here.
    let told: String = told
        .lines()
        .filter(|line| line.starts_with('{'))
        .flat_map(|line| [line, "\n"])
        .collect();
    let (told, filed) = (lines(&told), lines(&filed));
    // Threads write to each in an order of their own.
    let messages = |lines: &[Value]| -> Vec<String> {
        let told = lines
            .iter()
            .map(|line| format!("{} {}", line["target"], line["message"]));
        let mut told: Vec<_> = told.collect();
        told.sort();
        told
    };
    assert_eq!(messages(&told), messages(&filed), "to the last line");

    let of = |wanted: &[(&str, &str)]| {
        let holds = |line: &&Value| {
            let mut wanted = wanted.iter();
            wanted.all(|(field, value)| line[field] == *value)
        };
        let found = filed.iter().find(holds);
        found.unwrap_or_else(|| panic!("no line has {wanted:?}"))
    };
    let answered = of(&[("message", "answered"), ("route", "/api/analyze")]);
    assert!(answered["request_id"].is_string() && answered["seconds"].is_f64());
    assert!(answered["status"].is_u64(), "{answered}");
    assert_eq!(answered["trace_id"].as_str().unwrap().len(), 32);
    // The end of the deleted post, told where it was found, within the trace of the request that sent it.
    let ended = of(&[("code", "post_unavailable"), ("analysis_id", id)]);
    for field in ["stage", "topic", "event_id", "post_id"] {
        assert!(ended[field].is_string(), "{field} in {ended}");
    }
    for field in ["partition", "offset"] {
        assert!(ended[field].is_i64() || ended[field].is_u64(), "{ended}");
    }
    let trace = ended["trace_id"].as_str().unwrap();
    let request = of(&[
        ("message", "answered"),
        ("route", "/api/analyze"),
        ("trace_id", trace),
    ]);
    assert_eq!(request["status"], 202);
    let done = of(&[
        ("message", "batch done"),
        ("stage", "scrape"),
        ("trace_id", trace),
    ]);
    assert!(done["seconds"].is_f64() && done["messages"] == 1, "{done}");
    assert!(of(&[("message", "committed"), ("group", "trustcard.scrape")])["seconds"].is_f64());

    // What libraries tell beyond INFO is of no use to an operator.
    let noisy = filed.iter().find(|line| {
        let target = line["target"].as_str().unwrap_or_default();
        !target.starts_with("trustcard") && (line["level"] == "DEBUG" || line["level"] == "TRACE")
    });
    assert_eq!(noisy, None);
}

#[tokio::test]
async fn a_process_that_is_ended_at_once_has_its_last_line_in_the_file_and_old_files_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let logs = folder.path().join("logs");
    std::fs::create_dir(&logs).unwrap();
    for day in 10..20 {
        std::fs::write(logs.join(format!("app.2020-01-{day}.log")), "").unwrap();
    }
    std::fs::write(logs.join("other.2020-01-01.log"), "").unwrap();
    let settings = [
        ("LOG_LEVEL", "INFO".to_owned()),
        ("LOG_FILE", logs.join("app.log").display().to_string()),
        ("TRUSTCARD__TELEMETRY__KEEP_FILES", "3".to_owned()),
        // It would drain for a minute.
        ("TRUSTCARD__OPS__UNREADY_GRACE_MS", "60000".to_owned()),
    ];
    let settings = settings
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let data = folder.path().join("data");
    let arguments = [
        "--sample-site",
        "--no-ml",
        "--data-dir",
        data.to_str().unwrap(),
    ];
    let log = folder.path().join("stderr.log");
    let mut up = RoleProcess::start("up", &arguments, &settings, log);
    up.ready().await;
    let kept: Vec<String> = std::fs::read_dir(&logs)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    let ours = kept.iter().filter(|name| name.starts_with("app."));
    assert!((1..=3).contains(&ours.count()), "{kept:?}");
    assert!(kept.iter().any(|name| name.starts_with("other.")));

    up.signal("TERM").await;
    until("the drain to begin", async || {
        up.logged().contains("draining").then_some(())
    })
    .await;
    up.signal("TERM").await;
    assert_eq!(up.ended().await.code(), Some(130));
    let told = up.logged();
    assert!(
        !told.lines().any(|line| line.starts_with("{\"")),
        "text for people in development: {told}"
    );
    let filed = files(&logs);
    let last = lines(&filed)
        .into_iter()
        .rfind(|line| line["level"] == "ERROR");
    assert_eq!(last.unwrap()["code"], 130);
}

#[tokio::test]
async fn a_start_that_fails_is_a_line_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [("LOG_JSON", "true"), ("LOG_FILE", "/proc/none/app.log")];
    let settings = |count: usize| {
        let settings = settings.iter().take(count);
        settings
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .chain([
                (
                    "TRUSTCARD__DATABASE__BACKEND".to_owned(),
                    "scylla".to_owned(),
                ),
                (
                    "TRUSTCARD__DATABASE__NODES".to_owned(),
                    "127.0.0.1:9".to_owned(),
                ),
            ])
            .collect()
    };
    let log = folder.path().join("store.log");
    let mut role = RoleProcess::start("score", &[], &settings(1), log);
    assert_eq!(role.ended().await.code(), Some(69));
    let told = lines(&role.logged());
    let last = told.last().unwrap();
    assert_eq!(
        (&last["level"], &last["message"]),
        (&json!("ERROR"), &json!("ended"))
    );
    assert!(last["error"].as_str().unwrap().contains("127.0.0.1:9"));

    let log = folder.path().join("file.log");
    let mut role = RoleProcess::start("score", &[], &settings(2), log);
    assert_eq!(role.ended().await.code(), Some(78));
    assert!(role.logged().contains("LOG_FILE"), "{}", role.logged());
}

mod real {
    use trustcard_tests::cluster::Cluster;

    use super::*;

    #[tokio::test]
    async fn no_role_logs_a_secret_on_real_servers_at_any_level() {
        let mut cluster = Cluster::start(1).await;
        cluster.settings.extend(settings());
        let mut roles = cluster
            .roles(["api", "record", "scrape", "detect", "score"])
            .await;
        let api = roles[0].api.clone();
        ask_with_secrets(&api).await;
        let ids = api.submit(&["loadsecret".to_owned()]).await;
        assert_eq!(api.ended_analysis(&ids[0]).await["status"], "completed");
        for role in &mut roles {
            assert!(role.stop().await.success(), "{}", role.logged());
            let log = role.logged();
            assert_no_secret(&log);
            lines(&log);
        }
    }
}
