//! `trustcard score explain`: a stored score as a person would work it out on paper, and what it would be by other weights.

use std::path::Path;

use anyhow::{Context, Result};
use score::{Scorer, ScoringConfig};
use toml::{Table, Value};

use crate::{dlq::place::running_up, exit::Failure, rows, settings::Settings, show::say};
use args::{ExplainArgs, ScoreCommand};
use engine::{Clock, SystemClock};

pub mod args;
mod paper;

/// Runs the command. `Ok(false)`: there is no such result, or it has no score.
///
/// # Errors
/// When the store can't be asked, or the other weights make no sense.
pub async fn run(command: ScoreCommand, settings: &Settings) -> Result<bool> {
    let ScoreCommand::Explain(args) = command;
    let wanted = other_weights(&args, &settings.scoring)?;
    let store = if running_up(&args.data_dir).is_some() {
        rows::embedded(settings, &args.data_dir)?
    } else {
        rows::open(settings, &args.data_dir).await?.store
    };
    let row = store.analysis(args.analysis, SystemClock.now()).await;
    let Some(result) = row.map_err(rows::failed)?.and_then(|row| row.result) else {
        eprintln!("There is no result of {}.", args.analysis);
        return Ok(false);
    };
    let then = match wanted {
        None => None,
        Some(config) => {
            let scorer = Scorer::new(config).map_err(refused)?;
            let then = scorer.assess_again(&result);
            Some(then.context("the result holds no findings to score again")?)
        }
    };
    if args.json {
        say!(
            "{}",
            serde_json::to_string_pretty(&paper::document(&result, then.as_ref()))?
        );
    } else {
        say!("{}", paper::calculation(&result));
        if let Some(then) = &then {
            say!("\n{}", paper::what_if(&result, then));
        }
    }
    Ok(result.trust_score.is_some())
}

/// The configured weights with those of `--with` and `--set` in their place; `None` where neither was said.
fn other_weights(args: &ExplainArgs, configured: &ScoringConfig) -> Result<Option<ScoringConfig>> {
    if args.with.is_none() && args.set.is_empty() {
        return Ok(None);
    }
    let mut config = configured.clone();
    if let Some(file) = &args.with {
        config = config.changed(&scoring_of(file)?).map_err(refused)?;
    }
    for change in &args.set {
        config = config.with(change).map_err(refused)?;
    }
    Ok(Some(config))
}

/// The `[scoring]` table of a file that is shaped like those of the environments.
fn scoring_of(file: &Path) -> Result<Table> {
    let shown = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::Configuration(format!("{shown} can't be read: {error}")))?;
    let mut table: Table = toml::from_str(&text)
        .map_err(|error| Failure::Configuration(format!("{shown}: {error}")))?;
    match table.remove("scoring") {
        Some(Value::Table(scoring)) => Ok(scoring),
        _ => Err(Failure::Configuration(format!("{shown} has no [scoring]")).into()),
    }
}

fn refused(error: impl std::fmt::Display) -> Failure {
    Failure::Configuration(error.to_string())
}
