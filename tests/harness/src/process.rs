//! A `trustcard` process of its own, as an operator would start it.

use std::{
    ops::Deref,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};

use serde_json::Value;
use tokio::process::{Child, Command};

use crate::{api::Api, wait::until};

/// The binary that `cargo build -p trustcard` made beside this program.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn binary() -> PathBuf {
    let this = std::env::current_exe().expect("a program has a path");
    // Tests live in target/*/deps, programs in target/*.
    let folders = this.ancestors().skip(1).take(2);
    let mut found = folders.map(|folder| folder.join("trustcard"));
    found
        .find(|binary| binary.is_file())
        .expect("trustcard is missing: run `cargo build -p trustcard` first, as `make test` does")
}

/// The command, without the caller's own settings.
#[must_use]
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command
        .args(arguments)
        .env("API_PORT", "0")
        .env("LOG_LEVEL", "WARN")
        // Tests ask more often than partners may; the one of the limits turns them on.
        .env("RATE_LIMIT_ENABLED", "false")
        .kill_on_drop(true);
    command
}

/// A running `trustcard up`.
#[derive(Debug)]
pub struct Up {
    child: Child,
    client: Api,
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
        Self {
            child,
            client: Api::new(text("api")),
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
}

impl Deref for Up {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.client
    }
}
