//! What people see: tables, progress bars, short texts.

use std::io::Write;

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

/// Writes one line to standard output.
///
/// # Errors
/// When nobody reads it any more; `main` ends quietly then.
pub fn line(text: std::fmt::Arguments<'_>) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{text}")
}

/// `println!` that gives an error instead of a panic where the reader has gone, as after `| head`.
macro_rules! say {
    ($($text:tt)*) => { $crate::show::line(format_args!($($text)*))? };
}
pub(crate) use say;

/// Width of a table that goes to a file or a pipe, in characters.
const PIPE_WIDTH: u16 = 160;

/// An empty table with these headings; it fits the terminal.
#[must_use]
pub fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    let line = TableStyle::new().header_separator(LineStyle::new(' ', '─', ' ', ' '));
    table
        .load_style(line)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(headings);
    if !table.is_tty() {
        table.set_width(PIPE_WIDTH);
    }
    table
}

/// Aligns columns of numbers to the right.
pub fn numbers(table: &mut Table, columns: &[usize]) {
    for column in columns {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// A progress bar on standard error; invisible where that is no terminal.
#[must_use]
pub fn progress_bar(total: u64, what: &'static str) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{bar:32} {pos}/{len} {prefix}  {per_sec}  {elapsed}  {msg}");
    ProgressBar::new(total)
        .with_prefix(what)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// The strongest reasons for a score, at most `most`, or why there is none.
#[must_use]
pub fn reasons(result: &Value, most: usize) -> String {
    if let Some(code) = result["error"]["code"].as_str() {
        return format!(
            "{code}: {}",
            result["error"]["message"].as_str().unwrap_or_default()
        );
    }
    // A whole result has every adjustment, an entry of a listing the strongest ones.
    let adjustments = result["trust_score_breakdown"]["adjustments"]
        .as_array()
        .or_else(|| result["reasons"].as_array());
    if adjustments.is_none() {
        return "-".to_owned();
    }
    let mut strongest: Vec<(f64, &str)> = adjustments
        .into_iter()
        .flatten()
        .filter_map(|one| Some((one["impact"].as_f64()?, one["category"].as_str()?)))
        .collect();
    strongest.sort_by(|a, b| b.0.abs().total_cmp(&a.0.abs()));
    if strongest.is_empty() {
        return "nothing found".to_owned();
    }
    strongest
        .iter()
        .take(most)
        .map(|(impact, category)| format!("{category} {impact:+}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The score, two decimals at most, or a dash.
#[must_use]
pub fn score(result: &Value) -> String {
    result["trust_score"]
        .as_f64()
        .map_or_else(|| "-".to_owned(), |score| score.to_string())
}

/// A text field, or a dash.
#[must_use]
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}
