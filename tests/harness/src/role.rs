//! A role as a process of its own, as an operator would run it.

use std::{collections::BTreeMap, fs::File, path::PathBuf, process::ExitStatus};

use tokio::process::{Child, Command};

use crate::{api::Api, process::command, servers::free_ports, wait::until};

/// A running role. Dropped, it is killed.
#[derive(Debug)]
pub struct RoleProcess {
    child: Child,
    /// Its HTTP endpoints: health and metrics, and those of the API where it is the API.
    pub api: Api,
    log: PathBuf,
}

impl RoleProcess {
    /// Starts `trustcard ROLE arguments` with these settings; its log goes to `log`.
    ///
    /// # Panics
    /// When it can't be started.
    #[must_use]
    pub fn start(
        role: &str,
        arguments: &[&str],
        settings: &BTreeMap<String, String>,
        log: PathBuf,
    ) -> Self {
        let port = free_ports(1);
        let file = File::options().create(true).append(true).open(&log);
        let file = file.expect("a log file");
        let mut command = command(&[role]);
        command
            .args(arguments)
            .env("API_PORT", port.to_string())
            .env("TRUSTCARD__OPS__PORT", port.to_string())
            .envs(settings)
            .stdout(file.try_clone().expect("a log file"))
            .stderr(file);
        Self {
            child: command.spawn().expect("trustcard starts"),
            api: Api::new(format!("http://127.0.0.1:{port}")),
            log,
        }
    }

    /// Waits until it says that it is ready.
    ///
    /// # Panics
    /// When it ends instead; with the end of its log.
    pub async fn ready(&mut self) {
        let Self { child, api, log } = self;
        until("a role to be ready", async || {
            if let Some(status) = child.try_wait().expect("a child") {
                panic!("a role ended early with {status}: {}", end_of(log));
            }
            let (status, _) = api.try_get("/health/ready").await?;
            (status == 200).then_some(())
        })
        .await;
    }

    /// Its process id.
    ///
    /// # Panics
    /// When it was waited for.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Sends a signal by name, such as `TERM`.
    ///
    /// # Panics
    /// When it does not run.
    pub async fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill")
            .args([format!("-{name}"), pid])
            .status();
        assert!(sent.await.expect("kill").success());
    }

    /// Ends it with SIGKILL.
    ///
    /// # Panics
    /// When it can't be killed.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("SIGKILL");
    }

    /// Asks it to end, and waits for that.
    ///
    /// # Panics
    /// When it does not run.
    pub async fn stop(&mut self) -> ExitStatus {
        self.signal("TERM").await;
        self.ended().await
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it can't be waited for.
    pub async fn ended(&mut self) -> ExitStatus {
        self.child.wait().await.expect("a child")
    }

    /// How it ended, if it has.
    ///
    /// # Panics
    /// When it can't be asked.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child")
    }

    /// The sum of a metric over all its series whose labels hold `labels`; 0 when there is none, `None` when it does not answer.
    pub async fn metric(&self, name: &str, labels: &str) -> Option<f64> {
        let text = self.api.try_text("/metrics").await?;
        let samples = text.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (metric, rest) = series.split_once('{').unwrap_or((series, ""));
            (metric == name && rest.contains(labels)).then(|| value.parse::<f64>().ok())?
        });
        Some(samples.sum())
    }

    /// Everything it has logged.
    #[must_use]
    pub fn logged(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

fn end_of(log: &PathBuf) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines
        .get(lines.len().saturating_sub(20)..)
        .unwrap_or_default()
        .join("\n")
}
