//! The command line of `trustcard dlq`.

use std::{num::NonZeroU32, path::PathBuf};

use clap::{Args, Subcommand, builder::PossibleValuesParser};
use schemas::{Reason, topics};

/// Commands about dead letters.
#[derive(Debug, Subcommand)]
pub enum DlqCommand {
    /// Count the letters of every stage, or of one, by reason
    Ls {
        /// Only this stage
        #[arg(value_parser = stages())]
        stage: Option<String>,
        /// One JSON document
        #[arg(long)]
        json: bool,
        /// Where the letters are.
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Show one letter: where it came from, why it died, its headers and its value
    Show {
        /// Its stage
        #[arg(value_parser = stages())]
        stage: String,
        /// PARTITION:OFFSET on the dead-letter topic (of the original record under `trustcard up`), or its `ce_id`
        letter: String,
        /// One JSON document
        #[arg(long)]
        json: bool,
        /// Where the letters are.
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Send letters back to the topic they came from, each once
    Replay(SendArgs),
    /// Let a stage go on that stopped itself
    Release {
        /// The stage
        #[arg(value_parser = stages())]
        stage: String,
        /// One JSON document
        #[arg(long)]
        json: bool,
        /// Where its row is.
        #[command(flatten)]
        place: PlaceArgs,
    },
}

/// Options of `dlq replay`.
#[derive(Debug, Args)]
pub struct SendArgs {
    /// The stage whose letters are sent
    #[arg(value_parser = stages())]
    pub stage: String,
    /// Only letters with this reason; the others stay open
    #[arg(long, value_parser = codes())]
    pub code: Option<String>,
    /// Send at most this many; the next start goes on behind them
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub max: u64,
    /// Send at most this many a second
    #[arg(long, default_value = "100", value_name = "N")]
    pub rate: NonZeroU32,
    /// Refuse letters that were sent back this often already
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub cap: u32,
    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// One JSON document
    #[arg(long)]
    pub json: bool,
    /// Where the letters are.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// Where letters are looked for.
#[derive(Debug, Args)]
pub struct PlaceArgs {
    /// Broker; by default the configured one, unless `trustcard up` runs on the data folder
    #[arg(long)]
    pub bootstrap: Option<String>,
    /// Folder of rows
    #[arg(long, default_value = "data")]
    pub data_dir: PathBuf,
}

fn stages() -> PossibleValuesParser {
    PossibleValuesParser::new(topics::STAGES)
}

fn codes() -> PossibleValuesParser {
    PossibleValuesParser::new(Reason::ALL.iter().map(|reason| reason.code()))
}
