//! Everything that can be set, in one value: each room's own settings under its name.

use std::path::PathBuf;

use detect::DetectConfig;
use engine::{
    RunnerConfig, halt::LimitsConfig, lag::LagConfig, retry::RetryConfig,
    telemetry::TelemetryConfig,
};
use ingest_api::{ApiConfig, admit::AdmitConfig};
use score::ScoringConfig;
use scrape::ScrapeConfig;
use serde::{Deserialize, Serialize};
use store::StorePolicy;
use webhook::WebhookConfig;

mod check;
mod database;
mod kafka;
mod load;
mod topics;

pub use check::check;
pub use database::{Backend, DatabaseConfig};
pub use kafka::KafkaConfig;
pub use load::load;
pub use topics::TopicsConfig;

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
    /// Telling partners.
    pub webhook: WebhookConfig,
    /// How much bulk is let follow.
    pub admit: AdmitConfig,
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
    /// As much as there is room for.
    pub admit: RunnerConfig,
    /// Many rows at once: one transaction of the store each.
    pub record: RunnerConfig,
    /// Many posts at a time: they wait for the upstream, not for this machine.
    pub scrape: RunnerConfig,
    /// A few posts at a time: the models' threads are the limit.
    pub detect: RunnerConfig,
    /// Many at once, as for `record`.
    pub score: RunnerConfig,
    /// Many at a time: they wait for receivers.
    pub webhook: RunnerConfig,
}

impl Default for Stages {
    fn default() -> Self {
        let run = |batch_size, concurrency| RunnerConfig {
            batch_size,
            concurrency,
            ..RunnerConfig::default()
        };
        Self {
            admit: run(64, 1),
            record: run(256, 2),
            scrape: run(1, 64),
            detect: run(1, 8),
            score: run(64, 2),
            webhook: RunnerConfig {
                retry: RetryConfig {
                    attempts: 2,
                    initial_ms: 1_000,
                    ..RetryConfig::default()
                },
                // A receiver may be away for hours.
                retry_topics_ms: vec![60_000, 20 * 60_000, 4 * 3_600_000],
                // A receiver that is gone is not the stage's fault.
                limits: LimitsConfig {
                    run_length: 0,
                    window: 100_000,
                    ratio: 1.0,
                },
                ..run(1, 256)
            },
        }
    }
}

impl Stages {
    /// Sets the delays of every stage's retry topics, milliseconds.
    #[cfg(feature = "sample-site")]
    pub fn retry_after(&mut self, delays_ms: &[u64]) {
        let all = [
            &mut self.admit,
            &mut self.record,
            &mut self.scrape,
            &mut self.detect,
            &mut self.score,
            &mut self.webhook,
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

impl Settings {
    /// Everything that is wrong with it, each a sentence that begins with its key. Those of the API are looked for only where
    /// it is served, so that no other role needs its secret.
    fn problems(&self, serves_api: bool) -> Vec<String> {
        let stages = &self.stages;
        let runners = [
            ("admit", &stages.admit),
            ("record", &stages.record),
            ("scrape", &stages.scrape),
            ("detect", &stages.detect),
            ("score", &stages.score),
            ("webhook", &stages.webhook),
        ];
        let under = |section: &str, problems: Vec<String>| -> Vec<String> {
            let sentences = problems.iter();
            sentences
                .map(|problem| format!("{section}.{problem}"))
                .collect()
        };
        let mut problems = Vec::new();
        for (stage, runner) in runners {
            let found = runner.problems().into_iter().map(str::to_owned);
            problems.extend(under(&format!("stages.{stage}"), found.collect()));
        }
        let scrape = self.scrape.problems().into_iter();
        problems.extend(scrape.map(|found| format!("scrape.{} {}", found.key, found.problem)));
        let scoring = self.scoring.problems().into_iter();
        problems.extend(scoring.map(|found| found.to_string()));
        problems.extend(under("telemetry", self.telemetry.problems()));
        problems.extend(under("kafka", self.kafka.problems()));
        problems.extend(under("database", self.database.problems()));
        let topics = self.topics.problems(runners.map(|(_, runner)| runner));
        problems.extend(under("topics", topics));
        let webhook = self.webhook.problems().into_iter().map(str::to_owned);
        problems.extend(under("webhook", webhook.collect()));
        problems.extend(under("admit", self.admit.problems()));
        problems.extend(under("monitor", self.monitor.problems()));
        if self.embedded.partitions == 0 {
            problems.push("embedded.partitions must be at least 1".to_owned());
        }
        if serves_api {
            problems.extend(self.api.problems());
        }
        problems
    }
}
