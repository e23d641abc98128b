//! Logs and traces. Logs go to standard error; spans to an OTLP receiver over HTTP when one is configured. Trace ids exist
//! either way, so that every record carries a `traceparent`.

use std::{io::IsTerminal, time::Duration};

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use serde::{Deserialize, Serialize};
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

pub mod propagation;

/// Libraries that say more than an operator wants to read.
const QUIET: &str = "ort=warn,librdkafka=error,rdkafka=error,hyper=warn,hyper_util=warn,reqwest=warn,h2=warn,rustls=warn,\
                     opentelemetry=warn,tract_onnx=warn,tract_core=warn";

/// Settings of logs and traces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// Least level to log: `TRACE`, `DEBUG`, `INFO`, `WARN` (or `WARNING`) or `ERROR`.
    pub level: String,
    /// JSON lines for machines instead of text for people.
    pub json: bool,
    /// Base address of an OTLP receiver, such as `http://127.0.0.1:4318`; empty sends nothing.
    pub otlp_endpoint: String,
    /// Share of new traces that are sent, 0 to 1. A trace begun elsewhere follows its own flag.
    pub sample_ratio: f64,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            level: "INFO".to_owned(),
            json: false,
            otlp_endpoint: String::new(),
            sample_ratio: 1.0,
        }
    }
}

impl TelemetryConfig {
    /// What is wrong with it, if anything; names the key.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        if let Err(error) = filter(&self.level) {
            return Some(error.to_string());
        }
        let endpoint = &self.otlp_endpoint;
        if !endpoint.is_empty()
            && !endpoint.starts_with("http://")
            && !endpoint.starts_with("https://")
        {
            return Some("telemetry.otlp_endpoint must begin with http:// or https://".to_owned());
        }
        (!(0.0..=1.0).contains(&self.sample_ratio))
            .then(|| "telemetry.sample_ratio must lie between 0 and 1".to_owned())
    }
}

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level is none of the five.
    #[error("telemetry.level (LOG_LEVEL): {0:?} is none of TRACE, DEBUG, INFO, WARN, ERROR")]
    Level(String),
    /// The exporter does not accept its settings.
    #[error("telemetry.otlp_endpoint: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// Something else listens to this process already.
    #[error("logs are set up already: {0}")]
    Installed(#[from] tracing_subscriber::util::TryInitError),
}

/// Sends what is left when the process ends.
#[derive(Debug)]
pub struct TelemetryGuard(SdkTracerProvider);

impl TelemetryGuard {
    /// Sends the remaining spans. Blocks, at most a few seconds, so not for a thread of the runtime.
    pub fn flush(self) {
        if let Err(error) = self.0.shutdown_with_timeout(Duration::from_secs(3)) {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

/// Sets up logs and traces for the whole process; `role` becomes part of the service's name.
///
/// # Errors
/// See [`TelemetryError`].
pub fn init(config: &TelemetryConfig, role: &str) -> Result<TelemetryGuard, TelemetryError> {
    let filter = filter(&config.level)?;
    let provider = provider(config, role)?;
    // Spans reach traces whatever the level of the log; only what is DEBUG or finer is left out.
    let sent = if config.otlp_endpoint.is_empty() {
        "off"
    } else {
        "info"
    };
    let spans = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("trustcard"))
        .with_filter(EnvFilter::new(format!(
            "info,{QUIET},{}={sent}",
            propagation::TARGET
        )));
    let logs = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let logs = if config.json {
        logs.json().flatten_event(true).boxed()
    } else {
        logs.with_target(false).boxed()
    };
    tracing_subscriber::registry()
        .with(spans)
        .with(logs.with_filter(filter))
        .try_init()?;
    Ok(TelemetryGuard(provider))
}

fn filter(level: &str) -> Result<EnvFilter, TelemetryError> {
    let level = match level.to_ascii_uppercase().as_str() {
        "TRACE" => "trace",
        "DEBUG" => "debug",
        "INFO" => "info",
        "WARN" | "WARNING" => "warn",
        "ERROR" => "error",
        _ => return Err(TelemetryError::Level(level.to_owned())),
    };
    Ok(EnvFilter::new(format!(
        "{level},{QUIET},{}=off",
        propagation::TARGET
    )))
}

fn provider(config: &TelemetryConfig, role: &str) -> Result<SdkTracerProvider, TelemetryError> {
    use opentelemetry_sdk::trace::Sampler;
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.sample_ratio)));
    let builder = SdkTracerProvider::builder()
        .with_resource(
            Resource::builder()
                .with_service_name(format!("trustcard-{role}"))
                .build(),
        )
        .with_sampler(sampler);
    if config.otlp_endpoint.is_empty() {
        return Ok(builder.build());
    }
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_endpoint(format!(
            "{}/v1/traces",
            config.otlp_endpoint.trim_end_matches('/')
        ))
        .with_timeout(Duration::from_secs(5))
        .build()?;
    Ok(builder.with_batch_exporter(exporter).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_level_names_are_accepted_and_others_are_named_in_the_error() {
        for level in ["DEBUG", "INFO", "WARNING", "ERROR", "info"] {
            assert!(filter(level).is_ok(), "{level}");
        }
        assert!(filter("LOUD").unwrap_err().to_string().contains("LOUD"));
    }
}
