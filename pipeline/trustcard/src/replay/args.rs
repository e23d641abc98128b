//! The command line of `trustcard replay`.

use std::num::NonZeroU32;

use clap::Args;
use jiff::Timestamp;

use crate::dlq::args::PlaceArgs;

/// Options of `replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Score again what was detected from this time on, such as 2026-11-20T00:00:00Z
    #[arg(long, value_name = "T", required_unless_present = "id")]
    pub from: Option<Timestamp>,
    /// And before this time; by default now
    #[arg(long, value_name = "T")]
    pub to: Option<Timestamp>,
    /// Name of this replay: a start with the name of one that was begun goes on with it, in the same run
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub id: Option<String>,
    /// Copy at most this many; the next start with the same --id goes on
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    pub max: u64,
    /// Copy at most this many a second
    #[arg(long, default_value = "500", value_name = "N")]
    pub rate: NonZeroU32,
    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// One JSON document
    #[arg(long)]
    pub json: bool,
    /// Where the topics and rows are.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// Longest name of a replay.
const LONGEST: usize = 64;

fn name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if text.is_empty() || text.len() > LONGEST || !text.chars().all(plain) {
        return Err(format!(
            "a name has 1 to {LONGEST} letters, digits, dots, dashes or underscores"
        ));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parts_of_group_names() {
        assert_eq!(name("weights-1.2_b").as_deref(), Ok("weights-1.2_b"));
        for wrong in ["", "a b", "a/b", "ä", &"x".repeat(65)] {
            assert!(name(wrong).is_err(), "{wrong}");
        }
    }
}
