//! The legs: how each is started, and what it guarantees.

use std::{env, path::PathBuf, process::Command, time::Duration};

use anyhow::Result;

use crate::Delivery;

/// One way of doing the work.
#[derive(Debug, Clone)]
pub struct Leg {
    /// Its key in the report.
    pub name: &'static str,
    /// What it guarantees.
    pub delivery: Delivery,
    /// How long it runs before it is measured.
    pub warm_up: Duration,
    start: Start,
}

#[derive(Debug, Clone)]
enum Start {
    /// This binary, as `leg WHO DELIVERY`.
    This(&'static str),
    /// Java with this class path.
    Java(String),
    /// Another binary.
    Binary(PathBuf),
}

/// Names of the legs, for other modules.
pub const BARE_ALO: &str = "bare_at_least_once";
/// See [`BARE_ALO`].
pub const BARE_EO: &str = "bare_transactional";
/// See [`BARE_ALO`].
pub const OURS_ALO: &str = "engine_at_least_once";
/// See [`BARE_ALO`].
pub const OURS_EO: &str = "engine_exactly_once";
/// See [`BARE_ALO`].
pub const STREAMS: &str = "kafka_streams_exactly_once_v2";
/// See [`BARE_ALO`].
pub const RUSTSTREAM: &str = "ruststream_exactly_once";

/// Every leg that can be run here; the peers need what was built of them.
pub fn all(streams: Option<&str>, ruststream: Option<&PathBuf>, quick: bool) -> Vec<Leg> {
    let seconds = |full, short| Duration::from_secs(if quick { short } else { full });
    let rust = seconds(10, 2);
    let leg = |name, delivery, start, warm_up| Leg {
        name,
        delivery,
        warm_up,
        start,
    };
    let (alo, eo) = (Delivery::AtLeastOnce, Delivery::ExactlyOnce);
    let mut legs = vec![
        leg(BARE_ALO, alo, Start::This("bare"), rust),
        leg(OURS_ALO, alo, Start::This("ours"), rust),
        leg(BARE_EO, eo, Start::This("bare"), rust),
        leg(OURS_EO, eo, Start::This("ours"), rust),
    ];
    if let Some(path) = streams {
        // The compilers of a JVM need longer.
        let start = Start::Java(path.to_owned());
        legs.push(leg(STREAMS, eo, start, seconds(60, 8)));
    }
    if let Some(binary) = ruststream {
        let start = Start::Binary(binary.clone());
        legs.push(leg(RUSTSTREAM, eo, start, rust));
    }
    legs
}

impl Leg {
    /// The process, not yet started.
    pub fn command(&self) -> Result<Command> {
        Ok(match &self.start {
            Start::This(who) => {
                let mut command = Command::new(env::current_exe()?);
                command.args(["leg", who, self.delivery.name()]);
                command
            }
            Start::Java(path) => {
                let mut command = Command::new("java");
                command.args([
                    "-Xms512m",
                    "-Xmx512m",
                    "-cp",
                    path,
                    "trustcard.bench.Streams",
                ]);
                command
            }
            Start::Binary(path) => Command::new(path),
        })
    }
}
