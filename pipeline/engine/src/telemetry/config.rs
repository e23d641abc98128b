//! Settings of logs and traces.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Settings of logs and traces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// Least level to log: `TRACE`, `DEBUG`, `INFO`, `WARN` (or `WARNING`) or `ERROR` (LOG_LEVEL).
    pub level: String,
    /// JSON lines for machines instead of text for people on standard error (LOG_JSON); unset it is on everywhere but in
    /// development.
    pub json: Option<bool>,
    /// A file that has the log too, always as JSON lines (LOG_FILE); none where it is not set. Unless `rotation` is `never` the
    /// time stands before the extension: `app.log` becomes `app.2026-11-26.log`.
    pub file: Option<PathBuf>,
    /// When another file is begun; in UTC.
    pub rotation: Rotation,
    /// Files that are kept, the one being written included; older ones are removed.
    pub keep_files: usize,
    /// Base address of an OTLP receiver, such as `http://127.0.0.1:4318`; empty sends nothing.
    pub otlp_endpoint: String,
    /// Share of new traces that are sent, 0 to 1. A trace begun elsewhere follows its own flag.
    pub sample_ratio: f64,
}

/// When another log file is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rotation {
    /// Each midnight.
    #[default]
    Daily,
    /// Each hour.
    Hourly,
    /// Never: for logrotate with `copytruncate`.
    Never,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            level: "INFO".to_owned(),
            json: None,
            file: None,
            rotation: Rotation::default(),
            keep_files: 14,
            otlp_endpoint: String::new(),
            sample_ratio: 1.0,
        }
    }
}

impl TelemetryConfig {
    /// Everything that is wrong with it, each a sentence that begins with its key.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let endpoint = &self.otlp_endpoint;
        let file = self.file.as_ref();
        let checks = [
            (
                super::level(&self.level).is_some(),
                "level must be TRACE, DEBUG, INFO, WARN or ERROR",
            ),
            (
                file.is_none_or(|file| file.file_stem().is_some()),
                "file must name a file",
            ),
            (
                (1..=10_000).contains(&self.keep_files),
                "keep_files must be 1 to 10000",
            ),
            (
                ["", "http://", "https://"].iter().any(|scheme| {
                    endpoint == scheme || (!scheme.is_empty() && endpoint.starts_with(scheme))
                }),
                "otlp_endpoint must begin with http:// or https://",
            ),
            (
                (0.0..=1.0).contains(&self.sample_ratio),
                "sample_ratio must lie between 0 and 1",
            ),
        ];
        let broken = checks.into_iter().filter(|(holds, _)| !holds);
        broken.map(|(_, problem)| problem.to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_that_cant_be_used_is_named() {
        assert!(TelemetryConfig::default().problems().is_empty());
        let config = TelemetryConfig {
            level: "LOUD".to_owned(),
            file: Some("/".into()),
            keep_files: 0,
            otlp_endpoint: "collector:4318".to_owned(),
            sample_ratio: f64::NAN,
            ..TelemetryConfig::default()
        };
        let problems = config.problems();
        let keys = [
            "level",
            "file",
            "keep_files",
            "otlp_endpoint",
            "sample_ratio",
        ];
        assert_eq!(problems.len(), keys.len(), "{problems:?}");
        for (problem, key) in problems.iter().zip(keys) {
            assert!(problem.starts_with(&format!("{key} ")), "{problem}");
        }
        let config = TelemetryConfig {
            level: "warning".to_owned(),
            otlp_endpoint: "http://127.0.0.1:4318".to_owned(),
            ..TelemetryConfig::default()
        };
        assert!(config.problems().is_empty());
    }
}
