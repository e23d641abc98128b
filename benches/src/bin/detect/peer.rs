//! The peer: a bare loop over ONNX Runtime in Python, a process that waits for each round.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// A process that is ready.
pub struct Peer {
    child: Child,
    asked: ChildStdin,
    told: BufReader<ChildStdout>,
}

/// What it tells of a round.
#[derive(Debug, Deserialize)]
pub struct Told {
    pub pictures: usize,
    pub seconds: f64,
    pub cpu_seconds: f64,
    /// Features of the first picture.
    pub features: Vec<f32>,
}

impl Peer {
    /// Starts it on the pictures of a folder, and waits until its models are open and warm.
    pub fn start(python: &Path, pictures: &Path, model: &Path, threads: usize) -> Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/onnxruntime/peer.py");
        let mut child = Command::new(python)
            .arg(script)
            .args([pictures, model])
            .arg(threads.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} can't be started", python.display()))?;
        let asked = child.stdin.take().context("no standard input")?;
        let told = child.stdout.take().context("no standard output")?;
        let mut peer = Self {
            child,
            asked,
            told: BufReader::new(told),
        };
        ensure!(peer.line()?.trim() == "ready", "the peer did not start");
        Ok(peer)
    }

    /// One round over all pictures.
    pub fn round(&mut self) -> Result<Told> {
        writeln!(self.asked, "go")?;
        Ok(serde_json::from_str(&self.line()?)?)
    }

    /// Its most memory, MiB.
    pub fn peak_mib(&self) -> Result<f64> {
        Ok(benches::process::peak_mib(self.child.id())?)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        let read = self.told.read_line(&mut line)?;
        ensure!(read > 0, "the peer has ended; see above");
        Ok(line)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
