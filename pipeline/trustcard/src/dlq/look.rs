//! `trustcard dlq ls`, `show` and `release`.

use std::collections::BTreeMap;

use anyhow::Result;
use jiff::Timestamp;
use schemas::topics;
use serde::Serialize;
use serde_json::json;

use super::{args::PlaceArgs, letter::Letter, place::Place};
use crate::{
    rows,
    settings::Settings,
    show::{numbers, say, table},
};

/// Letters of a stage with one reason.
#[derive(Debug, Default, Serialize)]
struct Count {
    /// Nobody has dealt with them yet.
    open: u64,
    /// Sent back, or found to need nothing.
    done: u64,
    /// When the oldest of them died.
    oldest: Option<Timestamp>,
    /// When the newest of them died.
    newest: Option<Timestamp>,
}

impl Count {
    fn see(&mut self, letter: &Letter, open: bool) {
        if open {
            self.open += 1;
        } else {
            self.done += 1;
        }
        if let Some(died) = letter.told.as_ref().map(|told| told.last_failure) {
            self.oldest = Some(self.oldest.map_or(died, |oldest| oldest.min(died)));
            self.newest = self.newest.max(Some(died));
        }
    }
}

/// Counts letters by stage and reason.
///
/// # Errors
/// When they can't be read.
pub async fn ls(
    stage: Option<&str>,
    json: bool,
    args: &PlaceArgs,
    settings: &Settings,
) -> Result<()> {
    let (place, store) = Place::find(args, settings).await?;
    let mut all = BTreeMap::new();
    let mut halts = BTreeMap::new();
    for name in topics::STAGES {
        if stage.is_some_and(|stage| stage != name) {
            continue;
        }
        let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
        let see =
            |letter: Letter, open| counts.entry(letter.code()).or_default().see(&letter, open);
        place.letters(name, see).await?;
        all.insert(name, counts);
        if let Some(halt) = store.halted(name).await.map_err(rows::failed)? {
            halts.insert(name, halt);
        }
    }
    if json {
        say!("{}", json!({ "stages": all, "halted": halts }));
        return Ok(());
    }
    let mut shown = table(&["stage", "code", "open", "done", "oldest", "newest"]);
    let time = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), |at| format!("{at:.0}"));
    for (stage, counts) in &all {
        for (code, count) in counts {
            shown.add_row([
                (*stage).to_owned(),
                (*code).to_owned(),
                count.open.to_string(),
                count.done.to_string(),
                time(count.oldest),
                time(count.newest),
            ]);
        }
    }
    numbers(&mut shown, &[2, 3]);
    if all.values().all(BTreeMap::is_empty) {
        say!("No dead letters.");
    } else {
        say!("{shown}");
    }
    for (stage, halt) in &halts {
        say!(
            "{stage} stands still since {}: {}. Go on with `trustcard dlq release {stage}`.",
            halt.at,
            halt.reason
        );
    }
    Ok(())
}

/// Shows one letter; `false` when there is none.
///
/// # Errors
/// When it can't be read.
pub async fn show(
    stage: &str,
    wanted: &str,
    json: bool,
    args: &PlaceArgs,
    settings: &Settings,
) -> Result<bool> {
    let (place, _) = Place::find(args, settings).await?;
    let found = match at(wanted) {
        Some((partition, offset)) => place.letter(stage, partition, offset).await?,
        None => {
            let mut found = None;
            let see = |letter: Letter, open| {
                if letter.event_id() == Some(wanted) {
                    found = Some((letter, open));
                }
            };
            place.letters(stage, see).await?;
            found
        }
    };
    let Some((letter, open)) = found else {
        eprintln!(
            "There is no letter {wanted} of {stage}; `trustcard dlq ls` counts what there is."
        );
        return Ok(false);
    };
    let document = letter.document(open);
    if json {
        say!("{document}");
    } else {
        say!("{document:#}");
    }
    Ok(true)
}

fn at(wanted: &str) -> Option<(i32, i64)> {
    let (partition, offset) = wanted.split_once(':')?;
    Some((partition.parse().ok()?, offset.parse().ok()?))
}

/// Lets a stage go on; `false` when it did not stand still.
///
/// # Errors
/// When the store does not answer.
pub async fn release(
    stage: &str,
    json: bool,
    args: &PlaceArgs,
    settings: &Settings,
) -> Result<bool> {
    let (_, store) = Place::find(args, settings).await?;
    let released = store.release(stage).await.map_err(rows::failed)?;
    if json {
        say!("{}", json!({ "stage": stage, "released": released }));
        return Ok(released.is_some());
    }
    match &released {
        Some(halt) => say!(
            "{stage} goes on. It stood still since {}: {}",
            halt.at,
            halt.reason
        ),
        None => say!("{stage} does not stand still; nothing was changed."),
    }
    Ok(released.is_some())
}
