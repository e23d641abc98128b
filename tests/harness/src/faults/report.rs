//! What a row showed.

use std::{fmt::Display, time::Duration};

/// One row: figures, and what was not as it must be.
#[derive(Debug, Clone)]
pub struct Report {
    /// Its number in the fault table, with a letter where a row has several parts.
    pub row: &'static str,
    /// What was done.
    pub what: &'static str,
    /// What was seen, by name.
    pub figures: Vec<(String, String)>,
    /// What was not as it must be.
    pub problems: Vec<String>,
}

impl Report {
    pub(super) const fn new(row: &'static str, what: &'static str) -> Self {
        Self {
            row,
            what,
            figures: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// A row that could not be run to its end.
    #[must_use]
    pub fn broken(problem: String) -> Self {
        let mut report = Self::new("-", "not run to its end");
        report.problems.push(problem);
        report
    }

    pub(super) fn figure(&mut self, name: impl Into<String>, value: impl Display) {
        self.figures.push((name.into(), value.to_string()));
    }

    pub(super) fn check(&mut self, holds: bool, problem: impl Into<String>) {
        if !holds {
            self.problems.push(problem.into());
        }
    }

    /// A time that may be at most `mark`, where `timed` says that marks count.
    pub(super) fn time(&mut self, name: &str, taken: Duration, mark: Duration, timed: bool) {
        self.figure(name, format!("{:.1} s", taken.as_secs_f64()));
        self.check(
            !timed || taken <= mark,
            format!(
                "{name}: {:.1} s, more than {:.0} s",
                taken.as_secs_f64(),
                mark.as_secs_f64()
            ),
        );
    }

    /// Whether the row passes.
    #[must_use]
    pub const fn passes(&self) -> bool {
        self.problems.is_empty()
    }
}
