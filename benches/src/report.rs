//! The outcome of a bench, for people and for machines: `target/bench/NAME.json`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde::Serialize;
use serde_json::Value;

use crate::Spread;

/// A figure that must reach a mark.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mark {
    /// What is measured, with its unit.
    pub name: String,
    /// What was measured.
    pub value: f64,
    /// Its range over the rounds, where it has one.
    pub spread: Option<Spread>,
    /// What it must be.
    pub mark: f64,
    /// Whether `mark` is the most it may be, instead of the least.
    pub at_most: bool,
    /// Whether it is.
    pub ok: bool,
}

impl Mark {
    /// A figure whose median must be `mark` or more.
    #[must_use]
    pub fn at_least(name: impl Into<String>, measured: Spread, mark: f64) -> Self {
        Self {
            name: name.into(),
            value: measured.median,
            spread: Some(measured),
            mark,
            at_most: false,
            ok: measured.median >= mark,
        }
    }

    /// A figure that must be `mark` or less.
    #[must_use]
    pub fn at_most(name: impl Into<String>, value: f64, mark: f64) -> Self {
        Self {
            name: name.into(),
            value,
            spread: None,
            mark,
            at_most: true,
            ok: value <= mark,
        }
    }
}

/// A figure that is told and has no mark.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// What is measured, with its unit.
    pub name: String,
    /// What was measured.
    pub spread: Spread,
}

impl Figure {
    /// Of what was measured several times.
    ///
    /// # Errors
    /// When it was never measured.
    pub fn of(
        name: impl Into<String>,
        measured: impl IntoIterator<Item = f64>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            name: name.into(),
            spread: Spread::of(measured).context("nothing was measured")?,
        })
    }

    /// Of what was measured once.
    #[must_use]
    pub fn once(name: impl Into<String>, measured: f64) -> Self {
        Self {
            name: name.into(),
            spread: Spread {
                median: measured,
                min: measured,
                max: measured,
            },
        }
    }
}

/// The outcome of a bench.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The bench, and the name of its file.
    pub name: String,
    /// False for a short run: it shows that the bench works, its figures mean nothing.
    pub measurement: bool,
    /// The figures with a mark, first because they are what counts.
    pub ratios: Vec<Mark>,
    /// Figures beside them.
    pub others: Vec<Figure>,
    /// What was measured in full.
    pub legs: Value,
    /// Under which conditions.
    pub settings: Value,
}

impl Report {
    /// Whether every mark was reached.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.ratios.iter().all(|ratio| ratio.ok)
    }

    /// Writes `FOLDER/NAME.json`; the path of it.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write(&self, folder: &Path) -> io::Result<PathBuf> {
        fs::create_dir_all(folder)?;
        let path = folder.join(format!("{}.json", self.name));
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        fs::write(&path, text)?;
        Ok(path)
    }

    /// The figures with a mark, a line each, and what a short run is worth.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut text = String::new();
        for ratio in &self.ratios {
            let verdict = if ratio.ok { "ok    " } else { "MISSED" };
            let sign = if ratio.at_most { "<=" } else { ">=" };
            let value = match ratio.spread {
                Some(spread) => format!("{spread:.2}"),
                None => format!("{:.2}", ratio.value),
            };
            text += &format!(
                "{verdict}  {value:<22} {sign} {:<4} {}\n",
                ratio.mark, ratio.name
            );
        }
        for figure in &self.others {
            text += &format!("        {:<30.2} {}\n", figure.spread, figure.name);
        }
        if !self.measurement {
            text += "A short run: it shows that the bench works and is not a measurement.\n";
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report() -> Report {
        let spread = Spread::of([0.9, 0.7, 0.8]).unwrap();
        Report {
            name: "sample".to_owned(),
            measurement: true,
            ratios: vec![
                Mark::at_least("as fast", spread, 0.8),
                Mark::at_most("memory, MiB", 61.0, 60.0),
            ],
            others: Vec::new(),
            legs: json!([{ "leg": "a" }]),
            settings: json!({}),
        }
    }

    #[test]
    fn a_missed_mark_is_told_and_fails_the_bench() {
        let mut report = report();
        assert_eq!(
            report
                .ratios
                .iter()
                .map(|ratio| ratio.ok)
                .collect::<Vec<_>>(),
            [true, false]
        );
        assert!(!report.passed());
        assert!(
            report.summary().contains("MISSED  61.00"),
            "{}",
            report.summary()
        );
        report.ratios.pop();
        assert!(report.passed());
        assert!(!report.summary().contains("not a measurement"));
        report.measurement = false;
        assert!(report.summary().contains("not a measurement"));
    }

    #[test]
    fn the_file_has_name_value_mark_and_verdict_of_every_ratio() {
        let folder = tempfile::tempdir().unwrap();
        let path = report().write(&folder.path().join("deep")).unwrap();
        assert!(path.ends_with("deep/sample.json"));
        let read: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let first = &read["ratios"][0];
        assert_eq!(first["name"], "as fast");
        assert_eq!(first["value"], 0.8);
        assert_eq!(first["mark"], 0.8);
        assert_eq!(first["ok"], true);
        assert_eq!(read["ratios"][1]["ok"], false);
    }
}
