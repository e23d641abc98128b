//! A `trustcard` process of its own, as an operator would start it.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};

use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::wait::until;

/// The binary that `cargo build -p trustcard` made beside this test.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let folder = test
        .ancestors()
        .nth(2)
        .expect("tests live in target/*/deps");
    let binary = folder.join("trustcard");
    assert!(
        binary.exists(),
        "{} is missing: run `cargo build -p trustcard` first, as `make test` does",
        binary.display()
    );
    binary
}

/// The command, without the caller's own settings.
#[must_use]
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command
        .args(arguments)
        .env("API_PORT", "0")
        .env("LOG_LEVEL", "WARN")
        .kill_on_drop(true);
    command
}

/// A running `trustcard up`.
#[derive(Debug)]
pub struct Up {
    child: Child,
    http: reqwest::Client,
    /// Base address of its API.
    pub api: String,
    /// Address of its broker.
    pub bootstrap: String,
}

impl Up {
    /// Starts `trustcard up --data-dir ... arguments` and waits until its API listens.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start(data_dir: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let run_file = data_dir.join("up.json");
        let _ = std::fs::remove_file(&run_file);
        let mut command = command(&["up", "--data-dir", data_dir.to_str().expect("a UTF-8 path")]);
        command
            .args(arguments)
            .envs(variables.iter().copied())
            .stdout(Stdio::null());
        let mut child = command.spawn().expect("trustcard starts");
        let told: Value = until("up.json", async || {
            assert!(
                child.try_wait().expect("a child").is_none(),
                "trustcard up ended early"
            );
            serde_json::from_slice(&std::fs::read(&run_file).ok()?).ok()
        })
        .await;
        let text = |key: &str| {
            told[key]
                .as_str()
                .expect("up.json names its addresses")
                .to_owned()
        };
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("an HTTP client");
        Self {
            child,
            http,
            api: text("api"),
            bootstrap: text("bootstrap"),
        }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Ends it the hard way.
    pub async fn sigkill(mut self) {
        self.child.kill().await.expect("SIGKILL");
    }

    /// Sends a signal by name, such as `TERM`.
    pub async fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([format!("-{name}"), self.pid().to_string()])
            .status()
            .await;
        assert!(status.expect("kill").success());
    }

    /// Waits for its end.
    pub async fn ended(mut self) -> ExitStatus {
        self.child.wait().await.expect("a child")
    }

    /// GET; status and JSON body (null when the body is none).
    pub async fn get(&self, path: &str) -> (u16, Value) {
        let answer = self
            .http
            .get(format!("{}{path}", self.api))
            .send()
            .await
            .expect("the API answers");
        (
            answer.status().as_u16(),
            answer.json().await.unwrap_or_default(),
        )
    }

    /// GET of a page that is text.
    pub async fn text(&self, path: &str) -> String {
        let answer = self
            .http
            .get(format!("{}{path}", self.api))
            .send()
            .await
            .expect("the API answers");
        answer.text().await.expect("text")
    }

    /// POST of JSON; `None` when the connection broke.
    pub async fn post(&self, path: &str, body: &Value) -> Option<(u16, Value)> {
        let answer = self
            .http
            .post(format!("{}{path}", self.api))
            .json(body)
            .send()
            .await
            .ok()?;
        Some((
            answer.status().as_u16(),
            answer.json().await.unwrap_or_default(),
        ))
    }

    /// Submits posts by their shortcodes, again where there is no room for all; the ids of their analyses.
    ///
    /// # Panics
    /// When the API refuses one for good.
    pub async fn submit(&self, shortcodes: &[String]) -> Vec<String> {
        let mut urls: Vec<String> = shortcodes
            .iter()
            .map(|code| format!("https://www.instagram.com/p/{code}/"))
            .collect();
        let mut ids = Vec::new();
        until("room for all of them", async || {
            let (status, answer) = self
                .post("/api/analyze/batch", &json!({ "urls": urls }))
                .await?;
            assert!(status == 202 || status == 503, "{status} {answer}");
            if status == 503 {
                return None;
            }
            let text = |item: &Value, key: &str| item[key].as_str().unwrap_or_default().to_owned();
            ids.extend(
                answer["items"]
                    .as_array()?
                    .iter()
                    .map(|item| text(item, "analysis_id")),
            );
            let rejected = answer["rejected"].as_array()?;
            assert!(
                rejected.iter().all(|item| item["retryable"] == true),
                "{answer}"
            );
            urls = rejected.iter().map(|item| text(item, "url")).collect();
            urls.is_empty().then_some(())
        })
        .await;
        ids
    }

    /// The result of an analysis, once it has ended.
    pub async fn ended_analysis(&self, analysis_id: &str) -> Value {
        until("a terminal result", async || {
            let (status, body) = self.get(&format!("/api/results/{analysis_id}")).await;
            (status == 200 && (body["status"] == "completed" || body["status"] == "failed"))
                .then_some(body)
        })
        .await
    }
}
