//! The examples of `client/examples`, run as a partner would.

use std::path::PathBuf;

use tokio::process::Command;

use crate::{process::binary, servers::root};

/// Exit code of the script that makes the Python environment when PyPI can't be reached.
const NOT_FETCHED: i32 = 3;

/// Where an example that is no Rust lies.
#[must_use]
pub fn example(name: &str) -> PathBuf {
    root().join("client/examples").join(name)
}

/// A Rust example that was built beside the binary.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn built(name: &str) -> PathBuf {
    let path = binary().with_file_name("examples").join(name);
    assert!(
        path.is_file(),
        "{} is missing: run `cargo build -p trustcard-client --examples` first, as `make test` does",
        path.display()
    );
    path
}

/// The Python that has what the examples need; `None`, and said so, where that can't be fetched outside CI.
///
/// # Panics
/// When it can't be made.
pub async fn python() -> Option<PathBuf> {
    let script = root().join("infra/dev/examples_python.sh");
    let output = Command::new(script).output().await.expect("bash");
    let error = String::from_utf8_lossy(&output.stderr);
    let ci = std::env::var("CI").is_ok_and(|value| value == "true");
    if output.status.code() == Some(NOT_FETCHED) && !ci {
        eprintln!("SKIPPED: the Python examples, for want of PyPI: {error}");
        return None;
    }
    assert!(output.status.success(), "{error}");
    let path = String::from_utf8(output.stdout).expect("a UTF-8 path");
    Some(PathBuf::from(path.trim()))
}

/// Runs a program to its end; what it printed.
///
/// # Panics
/// When it fails.
pub async fn printed(command: &mut Command) -> String {
    command.kill_on_drop(true);
    let output = command.output().await.expect("it starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    String::from_utf8(output.stdout).expect("UTF-8")
}
