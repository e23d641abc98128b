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
const C11_WAITS: &str = include_str!("faketime.c");

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
            ("LD_PRELOAD", format!("{library}:{}", c11_waits(folder))),
            ("FAKETIME_TIMESTAMP_FILE", path),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
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

/// A library of what libfaketime lacks, to be loaded beside it.
fn c11_waits(folder: &Path) -> String {
    let (source, library) = (folder.join("c11_waits.c"), folder.join("c11_waits.so"));
    std::fs::write(&source, C11_WAITS).expect("a file");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &source])
        .status();
    assert!(built.expect("a C compiler").success(), "{C11_WAITS}");
    library.to_str().expect("a UTF-8 path").to_owned()
}
