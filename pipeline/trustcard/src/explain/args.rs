//! The command line of `trustcard score`: the stage itself, or a word about one of its results.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use uuid::Uuid;

use crate::cli::RoleArgs;

/// `score` alone runs the stage.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ScoreArgs {
    /// What else to do.
    #[command(subcommand)]
    pub command: Option<ScoreCommand>,
    /// Where the stage keeps its data.
    #[command(flatten)]
    pub role: RoleArgs,
}

/// Commands about scores.
#[derive(Debug, Subcommand)]
pub enum ScoreCommand {
    /// Show how a score came about, as one would work it out on paper, and what it would be by other weights
    Explain(ExplainArgs),
}

/// Options of `score explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The analysis
    #[arg(value_name = "ANALYSIS_ID")]
    pub analysis: Uuid,
    /// Also show what the score would be by the [scoring] of this file, on top of the configured one
    #[arg(long, value_name = "FILE")]
    pub with: Option<PathBuf>,
    /// Also show what it would be with this key of [scoring] changed, such as ai.points=20; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// One JSON document
    #[arg(long)]
    pub json: bool,
    /// Folder of rows
    #[arg(long, default_value = "data")]
    pub data_dir: PathBuf,
}
