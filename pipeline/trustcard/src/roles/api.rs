//! The HTTP API as a role.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use engine::{lifecycle::Shutdown, publisher::Publisher};
use ingest_api::{ApiConfig, AppState, serve};
use tokio::net::TcpListener;

use super::{Tasks, heartbeat, monitor};
use crate::{
    exit::Failure,
    parts::{ACK_TIMEOUT, MAX_WAITING, Parts},
};

/// Takes the API's address.
///
/// # Errors
/// [`Failure::Configuration`] when it is taken or not this machine's.
pub async fn bind(config: &ApiConfig) -> Result<TcpListener> {
    let (host, port) = (config.host.as_str(), config.port);
    let listener = TcpListener::bind((host, port)).await.map_err(|error| {
        Failure::Configuration(format!(
            "{host}:{port} can't be listened on ({error}); choose API_HOST and API_PORT"
        ))
    })?;
    Ok(listener)
}

/// Starts the API on its listener; the address it listens on.
///
/// # Errors
/// When a part can't be made.
pub fn start(
    listener: TcpListener,
    parts: &Parts,
    shutdown: &Shutdown,
    tasks: &mut Tasks,
) -> Result<SocketAddr> {
    let state = AppState::new(ingest_api::Parts {
        config: parts.settings.api.clone(),
        store: parts.rows.store.clone(),
        policy: parts.settings.store.clone(),
        blobs: parts.blobs.clone(),
        publisher: Publisher::new(&parts.kafka, "trustcard-api", ACK_TIMEOUT, MAX_WAITING)
            .context("the API's producer can't be made")?,
        webhook_addresses: parts.settings.webhook.policy(),
        monitor: monitor::of(&parts.kafka, &[], parts.clock.clone())?,
        clock: parts.clock.clone(),
        readiness: parts.readiness.clone(),
        registry: parts.registry.clone(),
        version: env!("CARGO_PKG_VERSION"),
        commit: env!("TRUSTCARD_COMMIT"),
    })?;
    let local = listener.local_addr()?;
    let until = shutdown.clone();
    tasks.spawn(async move { serve(listener, state, until).await.context("the API broke") });
    heartbeat::start("api", || serde_json::json!({}), parts, shutdown, tasks);
    Ok(local)
}
