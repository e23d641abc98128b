//! Logs and traces. Logs go to standard error, and to a file where one is configured; spans to an OTLP receiver over HTTP when
//! one is. Trace ids exist either way, so that every record carries a `traceparent` and every line within a span its
//! `trace_id`.

use std::{io::IsTerminal, path::PathBuf, time::Duration};

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing::Level;
use tracing_subscriber::{
    EnvFilter, Layer, fmt::format::JsonFields, layer::SubscriberExt, util::SubscriberInitExt,
};

mod config;
pub(crate) mod file;
mod json;
pub mod propagation;

pub use config::{Rotation, TelemetryConfig};

/// Target of spans that only the log needs, never sent. Like all spans that lines of the log are found by they are made as
/// `error_span!`, so that they are there at every level of the log.
pub const LOGGED: &str = "trustcard_logged";

/// Libraries that say more than an operator wants to read.
const QUIET: &str = "ort=warn,librdkafka=error,rdkafka=error,hyper=warn,hyper_util=warn,reqwest=warn,h2=warn,rustls=warn,\
                     opentelemetry=warn,tract_onnx=warn,tract_core=warn,scylla=warn,tower_http=warn";

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level is none of the five.
    #[error("telemetry.level (LOG_LEVEL): {0:?} is none of TRACE, DEBUG, INFO, WARN, ERROR")]
    Level(String),
    /// The exporter does not accept its settings.
    #[error("telemetry.otlp_endpoint: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The file can't be written.
    #[error("telemetry.file (LOG_FILE): {0} can't be written: {1}")]
    File(PathBuf, String),
    /// Something else listens to this process already.
    #[error("logs are set up already: {0}")]
    Installed(#[from] tracing_subscriber::util::TryInitError),
}

/// Sends what is left when the process ends.
#[derive(Debug)]
pub struct TelemetryGuard(SdkTracerProvider);

impl TelemetryGuard {
    /// Sends the remaining spans and writes the remaining lines. Blocks, at most a few seconds, so not for a thread of the
    /// runtime.
    pub fn flush(self) {
        if let Err(error) = self.0.shutdown_with_timeout(Duration::from_secs(3)) {
            tracing::warn!(%error, "the last spans were not sent");
        }
        file::close();
    }
}

/// Sets up logs and traces for the whole process; `role` becomes part of the service's name.
///
/// # Errors
/// See [`TelemetryError`].
pub fn init(config: &TelemetryConfig, role: &str) -> Result<TelemetryGuard, TelemetryError> {
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
            "info,{QUIET},{}={sent},{LOGGED}=off",
            propagation::TARGET
        )));
    let logs = tracing_subscriber::fmt::layer();
    let logs = if config.json == Some(true) {
        let logs = logs.with_writer(std::io::stderr);
        logs.fmt_fields(JsonFields::new())
            .event_format(json::JsonLines)
            .boxed()
    } else {
        let logs = logs.with_writer(std::io::stderr);
        logs.with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .boxed()
    };
    let file = config.file.as_deref();
    let file = file.map(|path| file::open(config, path)).transpose()?;
    let file = file.map(|writer| {
        let layer = tracing_subscriber::fmt::layer().with_writer(writer);
        layer
            .fmt_fields(JsonFields::new())
            .event_format(json::JsonLines)
    });
    tracing_subscriber::registry()
        .with(spans)
        .with(logs.and_then(file).with_filter(filter(&config.level)?))
        .try_init()?;
    Ok(TelemetryGuard(provider))
}

/// Shows in `registry` what is counted of the log.
///
/// # Errors
/// When a name is taken.
pub fn register(registry: &prometheus::Registry) -> prometheus::Result<()> {
    file::register(registry)
}

/// The level that a name stands for.
fn level(name: &str) -> Option<Level> {
    match name.to_ascii_uppercase().as_str() {
        "TRACE" => Some(Level::TRACE),
        "DEBUG" => Some(Level::DEBUG),
        "INFO" => Some(Level::INFO),
        "WARN" | "WARNING" => Some(Level::WARN),
        "ERROR" => Some(Level::ERROR),
        _ => None,
    }
}

/// Our own crates at the level asked for, libraries at INFO at most: their details are of no use to an operator, and may hold
/// what was sent and received.
fn filter(name: &str) -> Result<EnvFilter, TelemetryError> {
    let level = level(name).ok_or_else(|| TelemetryError::Level(name.to_owned()))?;
    let libraries = level.min(Level::INFO);
    Ok(EnvFilter::new(format!(
        "{libraries},trustcard={level},{QUIET},{}=off",
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
