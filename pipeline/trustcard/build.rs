//! Tells the binary which commit it was built from: `TRUSTCARD_COMMIT` of the build's environment, else what git says, else
//! `unknown`.

use std::{path::Path, process::Command};

fn main() {
    println!("cargo::rerun-if-env-changed=TRUSTCARD_COMMIT");
    let given = std::env::var("TRUSTCARD_COMMIT").ok();
    let commit = given
        .filter(|commit| !commit.is_empty())
        .or_else(from_git)
        .unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=TRUSTCARD_COMMIT={commit}");
}

fn from_git() -> Option<String> {
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    // Both are written to by whatever moves to another commit.
    for name in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", name])?;
        if Path::new(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    Some(commit)
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let told = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !told.trim().is_empty()).then(|| told.trim().to_owned())
}
