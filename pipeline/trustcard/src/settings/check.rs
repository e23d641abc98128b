//! `trustcard check-config`: every setting with its value and where that comes from, or every fault.

use anyhow::Result;
use comfy_table::ColumnConstraint;
use engine::config::{Faults, Layers, Loaded};
use serde_json::json;

use super::Settings;
use crate::{
    cli::CheckConfigArgs,
    exit::Failure,
    show::{say, table},
};

/// Longest value in the table, in characters; `--json` has all of it.
const LONGEST: usize = 60;

/// Shows them.
///
/// # Errors
/// [`Failure::Configuration`] when there are faults.
pub fn check(
    args: &CheckConfigArgs,
    layers: &Layers,
    loaded: Result<Loaded<Settings>, Faults>,
) -> Result<()> {
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(faults) => {
            if args.json {
                say!("{}", json!({ "faults": faults.0 }));
            }
            return Err(Failure::Configuration(faults.to_string()).into());
        }
    };
    let effective = loaded.effective(layers);
    if args.json {
        let environment = loaded.settings.api.environment.name();
        say!(
            "{}",
            json!({ "environment": environment, "settings": effective })
        );
        return Ok(());
    }
    let mut shown = table(&["setting", "value", "from"]);
    for one in effective {
        let mut value = one.text();
        if let Some((cut, _)) = value.char_indices().nth(LONGEST) {
            value.truncate(cut);
            value.push('…');
        }
        shown.add_row([one.key, value, one.origin]);
    }
    if let Some(keys) = shown.column_mut(0) {
        keys.set_constraint(ColumnConstraint::ContentWidth);
    }
    say!("{shown}");
    Ok(())
}
