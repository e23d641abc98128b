//! `trustcard dlq`: what operators do with dead letters.

use anyhow::Result;

use crate::settings::Settings;
use args::DlqCommand;

pub mod args;
mod fate;
mod letter;
mod look;
pub mod place;
mod progress;
mod send;

/// Runs a command. `false` when something is not as it should be: a letter was refused or is not there, a stage to be
/// released does not stand still.
///
/// # Errors
/// When the broker or the store does not answer.
pub async fn run(command: DlqCommand, settings: &Settings) -> Result<bool> {
    match command {
        DlqCommand::Ls { stage, json, place } => {
            look::ls(stage.as_deref(), json, &place, settings).await?;
            Ok(true)
        }
        DlqCommand::Show {
            stage,
            letter,
            json,
            place,
        } => look::show(&stage, &letter, json, &place, settings).await,
        DlqCommand::Replay(args) => send::run(&args, settings).await,
        DlqCommand::Release { stage, json, place } => {
            look::release(&stage, json, &place, settings).await
        }
    }
}

/// The group whose offsets say how far the letters of a stage were dealt with.
fn group(stage: &str) -> String {
    format!("trustcard.dlq.{stage}")
}
