//! What coordinator and legs agree on: where to work, when to stop, what to tell at the end.

use std::{
    env,
    io::Read,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Time between two commits of every leg, milliseconds.
pub const COMMIT_MS: u64 = 100;

/// Where a leg works.
#[derive(Debug, Clone)]
pub struct Place {
    /// The broker.
    pub bootstrap: String,
    /// What is read, from its beginning.
    pub input: String,
    /// What is written.
    pub output: String,
    /// A name no other run has: stage, transactional id.
    pub name: String,
}

impl Place {
    /// What [`Place::tell`] told.
    pub fn from_env() -> Result<Self> {
        let value = |name: &str| env::var(name).with_context(|| format!("{name} is not set"));
        Ok(Self {
            bootstrap: value("BENCH_BOOTSTRAP")?,
            input: value("BENCH_INPUT")?,
            output: value("BENCH_OUTPUT")?,
            name: value("BENCH_NAME")?,
        })
    }

    /// Tells it to a process that is to be started.
    pub fn tell(&self, command: &mut Command) {
        command
            .env("BENCH_BOOTSTRAP", &self.bootstrap)
            .env("BENCH_INPUT", &self.input)
            .env("BENCH_OUTPUT", &self.output)
            .env("BENCH_NAME", &self.name)
            .env("BENCH_GROUP", self.group())
            .env("BENCH_COMMIT_MS", COMMIT_MS.to_string());
    }

    /// The consumer group; our runner derives it from the stage's name, and the others do as it does.
    pub fn group(&self) -> String {
        schemas::topics::group(&self.name)
    }
}

/// What a leg says of itself, in one line of JSON, when it ends.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Told {
    /// Commits that were done.
    pub commits: u64,
    /// Commits that were not, and were tried or worked for again.
    pub aborted: u64,
}

/// Becomes true when standard input ends: the coordinator closes it, or is gone.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Watches standard input on a thread.
    pub fn at_end_of_input() -> Result<Self> {
        let stop = Self::default();
        let flag = stop.clone();
        std::thread::Builder::new()
            .name("stop".to_owned())
            .spawn(move || {
                let _ = std::io::stdin().read_to_end(&mut Vec::new());
                flag.0.store(true, Ordering::Release);
            })?;
        Ok(stop)
    }

    /// Whether it is time to end.
    pub fn now(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
