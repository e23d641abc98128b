//! A clock of one process' own: Debian's libfaketime, preloaded, reads it from a file that a test writes.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Where Debian's libfaketime is.
const FAKETIME: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
];
/// What libfaketime lacks.
const BESIDE: &str = include_str!("faketime.c");

/// libfaketime takes memory to tell the time. An allocator that asks for the time while it is at work would wait for itself: it
/// must make no arena and give nothing back.
const TIMELESS: &str = "narenas:1,oversize_threshold:0,dirty_decay_ms:-1,muzzy_decay_ms:-1";

/// Which clocks of a process follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    /// The wall clock alone, as when an operator or NTP sets it.
    Wall,
    /// The monotonic clock too: to the process, time has passed.
    All,
}

/// A clock that tests step.
#[derive(Debug)]
pub struct FakeClock {
    file: PathBuf,
    variables: Vec<(&'static str, String)>,
}

impl FakeClock {
    /// A clock that tells the time until it is stepped; its files are in `folder`.
    ///
    /// # Panics
    /// When libfaketime or a C compiler is not installed.
    #[must_use]
    pub fn new(folder: &Path, follows: Follows) -> Self {
        let library = FAKETIME.into_iter().find(|path| Path::new(path).exists());
        let library = library.expect("libfaketime: apt-get install libfaketime");
        let file = folder.join("clock");
        let path = file.to_str().expect("a UTF-8 path").to_owned();
        let mut variables = vec![
            ("LD_PRELOAD", format!("{}:{library}", beside(folder))),
            ("FAKETIME_TIMESTAMP_FILE", path),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("MALLOC_CONF", TIMELESS.to_owned()),
        ];
        if follows == Follows::Wall {
            variables.push(("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()));
        }
        let clock = Self { file, variables };
        clock.step("+0");
        clock
    }

    /// What a process needs in its environment to go by it.
    #[must_use]
    pub fn variables(&self) -> Vec<(&str, &str)> {
        let variables = self.variables.iter();
        variables
            .map(|(name, value)| (*name, value.as_str()))
            .collect()
    }

    /// Sets it to so many seconds beside the true time, such as `+3600`.
    ///
    /// # Panics
    /// When its file can't be written.
    pub fn step(&self, by: &str) {
        std::fs::write(&self.file, by).expect("the clock file");
    }
}

/// A library of what libfaketime lacks, to be loaded before it.
fn beside(folder: &Path) -> String {
    let (source, library) = (folder.join("beside.c"), folder.join("beside.so"));
    std::fs::write(&source, BESIDE).expect("a file");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &source])
        .status();
    assert!(built.expect("a C compiler").success(), "{BESIDE}");
    library.to_str().expect("a UTF-8 path").to_owned()
}
