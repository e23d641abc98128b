//! What the benches of the pipeline are told.

use std::path::PathBuf;

use clap::Parser;

/// Options of a bench.
#[derive(Debug, Parser)]
pub struct Options {
    /// Folder of the report, NAME.json.
    #[arg(long, default_value = "target/bench")]
    pub out: PathBuf,
    /// A short run, which is no measurement.
    #[arg(long)]
    pub quick: bool,
}
