//! The engine bench: our runner against the bare client loop, Kafka Streams and ruststream, on one broker, doing the same
//! work. `run` is the coordinator; every leg is a process of its own, so that the kernel counts its CPU-seconds apart.

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};

mod bare;
mod broker;
mod input;
mod leg;
mod ours;
mod peers;
mod run;
mod settings;
mod show;

/// The allocator of the shipped binary.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs every leg, writes target/bench/engine.json and ends with 1 when a mark is missed.
    Run(run::Args),
    /// One leg; started by `run`, told where by its environment, ended by the end of its standard input.
    Leg {
        /// Which.
        #[arg(value_enum)]
        who: Who,
        /// Its guarantee.
        #[arg(value_enum)]
        delivery: Delivery,
    },
}

/// Legs of this binary.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Who {
    /// The loop a competent engineer writes with rdkafka alone.
    Bare,
    /// `engine::Runner`.
    Ours,
}

/// What a leg guarantees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Delivery {
    /// Outputs acknowledged, then offsets committed.
    AtLeastOnce,
    /// Outputs and offsets in one transaction.
    ExactlyOnce,
}

impl Delivery {
    /// Its name in settings.
    const fn name(self) -> &'static str {
        match self {
            Self::AtLeastOnce => "at_least_once",
            Self::ExactlyOnce => "exactly_once",
        }
    }
}

fn main() -> Result<std::process::ExitCode> {
    match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Leg { who, delivery } => {
            let place = leg::Place::from_env()?;
            let stop = leg::Stop::at_end_of_input()?;
            let told = match who {
                Who::Bare => bare::run(&place, delivery, &stop)?,
                Who::Ours => ours::run(&place, delivery, stop)?,
            };
            println!("{}", serde_json::to_string(&told)?);
            Ok(std::process::ExitCode::SUCCESS)
        }
    }
}
