//! Everything that can be set, in one value: each room's own settings under its name.

use std::{collections::HashMap, ffi::OsString, path::PathBuf};

use anyhow::{Context, Result};
use detect::DetectConfig;
use engine::{RunnerConfig, config::Layers, lag::LagConfig, telemetry::TelemetryConfig};
use ingest_api::ApiConfig;
use score::ScoringConfig;
use scrape::ScrapeConfig;
use serde::{Deserialize, Serialize};
use store::StorePolicy;

use crate::{exit::Failure, show::say};

mod database;
mod kafka;
mod topics;

pub use database::{Backend, DatabaseConfig};
pub use kafka::KafkaConfig;
pub use topics::TopicsConfig;

/// Plain names that operators know from the application before, and the keys they set.
const PLAIN_NAMES: &[(&str, &str)] = &[
    ("ENVIRONMENT", "api.environment"),
    ("API_HOST", "api.host"),
    ("API_PORT", "api.port"),
    ("APP_NAME", "api.app_name"),
    ("CORS_ORIGINS", "api.cors_origins"),
    ("DEBUG", "api.debug"),
    ("ENABLE_METRICS", "api.enable_metrics"),
    ("MAX_COMMENT_LENGTH", "api.max_comment_length"),
    ("MAX_URL_LENGTH", "api.max_url_length"),
    ("RATE_LIMIT_ENABLED", "api.rate_limit.enabled"),
    ("RATE_LIMIT_PER_HOUR", "api.rate_limit.per_hour"),
    ("RATE_LIMIT_PER_MINUTE", "api.rate_limit.per_minute"),
    ("SECRET_KEY", "api.secret_key"),
    ("LOG_LEVEL", "telemetry.level"),
    ("LOG_JSON", "telemetry.json"),
];
const LISTS: &[&str] = &[
    "api.cors_origins",
    "api.proxy_headers",
    "api.trusted_proxies",
    "database.nodes",
    "scrape.network.media_hosts",
    "stages.record.retry_topics_ms",
    "stages.scrape.retry_topics_ms",
    "stages.detect.retry_topics_ms",
    "stages.score.retry_topics_ms",
    "monitor.groups",
];

/// All settings.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The HTTP API.
    pub api: ApiConfig,
    /// Logs and traces.
    pub telemetry: TelemetryConfig,
    /// The broker.
    pub kafka: KafkaConfig,
    /// TrustCard's topics on it.
    pub topics: TopicsConfig,
    /// Where rows are.
    pub database: DatabaseConfig,
    /// Where media are.
    pub blobs: BlobsConfig,
    /// How long what is kept.
    pub store: StorePolicy,
    /// The embedded broker of `up` and `demo`.
    pub embedded: EmbeddedConfig,
    /// Health and metrics of roles that run alone.
    pub ops: OpsConfig,
    /// The scrape stage.
    pub scrape: ScrapeConfig,
    /// The detect stage.
    pub detect: DetectConfig,
    /// Weights and grades.
    pub scoring: ScoringConfig,
    /// How each stage is run.
    pub stages: Stages,
    /// Which groups' lag is watched, and how often.
    pub monitor: LagConfig,
}

/// Where media are.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BlobsConfig {
    /// A folder that all roles share; `media` in the data folder where it is not set.
    pub dir: Option<PathBuf>,
}

/// The embedded broker.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmbeddedConfig {
    /// Partitions of every topic. Each holds at most 5 MB or 100,000 record sets that were not yet worked on.
    pub partitions: u32,
}

impl Default for EmbeddedConfig {
    fn default() -> Self {
        Self { partitions: 4 }
    }
}

/// Health and metrics of roles that run alone; the API serves them on its own port.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OpsConfig {
    /// Address to listen on.
    pub host: String,
    /// Port; 0 takes a free one.
    pub port: u16,
    /// How long a role stays as it is after a signal, unready, so that callers are sent elsewhere first, in milliseconds.
    pub unready_grace_ms: u64,
    /// How long a role may drain after that, in seconds.
    pub drain_deadline_s: u64,
}

impl Default for OpsConfig {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 9100,
            unready_grace_ms: 1000,
            drain_deadline_s: 30,
        }
    }
}

/// How each stage is run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stages {
    /// Many rows at once: one transaction of the store each.
    pub record: RunnerConfig,
    /// Many posts at a time: they wait for the upstream, not for this machine.
    pub scrape: RunnerConfig,
    /// A few posts at a time: the models' threads are the limit.
    pub detect: RunnerConfig,
    /// Many at once, as for `record`.
    pub score: RunnerConfig,
}

impl Default for Stages {
    fn default() -> Self {
        let run = |batch_size, concurrency| RunnerConfig {
            batch_size,
            concurrency,
            ..RunnerConfig::default()
        };
        Self {
            record: run(256, 2),
            scrape: run(1, 64),
            detect: run(1, 8),
            score: run(64, 2),
        }
    }
}

impl Stages {
    /// Sets the delays of every stage's retry topics, milliseconds.
    #[cfg(feature = "sample-site")]
    pub fn retry_after(&mut self, delays_ms: &[u64]) {
        let all = [
            &mut self.record,
            &mut self.scrape,
            &mut self.detect,
            &mut self.score,
        ];
        for stage in all {
            stage.retry_topics_ms = delays_ms.to_vec();
        }
    }
}

/// Whether somebody chose a level of logs, so that no command chooses another.
#[must_use]
pub fn names_log_level() -> bool {
    ["LOG_LEVEL", "TRUSTCARD__TELEMETRY__LEVEL"]
        .iter()
        .any(|name| std::env::var_os(name).is_some())
}

/// Reads the settings of this process; those of the API are checked only where it is served, so that no other role needs its
/// secret.
///
/// # Errors
/// [`Failure::Configuration`], naming the key.
pub fn load(serves_api: bool) -> Result<Settings> {
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let variables: HashMap<String, String> = std::env::vars_os().filter_map(text).collect();
    let environment = variables
        .get("ENVIRONMENT")
        .map_or("development", String::as_str)
        .to_owned();
    let layers = Layers {
        environment,
        directory: PathBuf::from("config"),
        variables,
        plain_names: PLAIN_NAMES,
        lists: LISTS,
        dotted: &["kafka.client"],
    };
    let settings: Settings =
        engine::config::load(&layers).map_err(|error| Failure::Configuration(error.to_string()))?;
    let mut problems = settings.problems();
    if serves_api {
        problems.extend(settings.api.problems());
    }
    if problems.is_empty() {
        return Ok(settings);
    }
    Err(Failure::Configuration(format!(
        "the configuration is wrong:\n  {}",
        problems.join("\n  ")
    ))
    .into())
}

impl Settings {
    /// Everything that is wrong with it, each naming its key.
    fn problems(&self) -> Vec<String> {
        let stages = &self.stages;
        let runners = [
            ("record", &stages.record),
            ("scrape", &stages.scrape),
            ("detect", &stages.detect),
            ("score", &stages.score),
        ];
        let mut problems: Vec<String> = runners
            .iter()
            .filter_map(|(stage, runner)| Some(format!("stages.{stage}: {}", runner.problem()?)))
            .collect();
        problems.extend(self.scrape.validate().err().map(|error| error.to_string()));
        problems.extend(
            self.scoring
                .validate()
                .err()
                .map(|error| format!("scoring: {error}")),
        );
        problems.extend(self.telemetry.problem());
        problems.extend(self.kafka.problem());
        problems.extend(self.database.problem());
        problems.extend(self.topics.problems(runners.map(|(_, runner)| runner)));
        let monitor = self.monitor.problem();
        problems.extend(monitor.map(|problem| format!("monitor.{problem}")));
        if self.embedded.partitions == 0 {
            problems.push("embedded.partitions must be at least 1".to_owned());
        }
        problems
    }
}

/// `trustcard check-config`: prints what is in effect as TOML; secrets are never written by their own types.
///
/// # Errors
/// When it can't be written.
pub fn print(settings: &Settings) -> Result<()> {
    say!(
        "{}",
        toml::to_string_pretty(settings).context("the settings can't be written as TOML")?
    );
    Ok(())
}
