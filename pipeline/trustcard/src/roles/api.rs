//! The HTTP API as a role.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use engine::{lifecycle::Shutdown, publisher::Publisher};
use ingest_api::{AppState, serve};
use tokio::net::TcpListener;

use super::{Tasks, heartbeat};
use crate::{
    exit::Failure,
    parts::{ACK_TIMEOUT, MAX_WAITING, Parts},
};

/// Starts the API; the address it listens on.
///
/// # Errors
/// When the port is taken, the configuration forbids it, or a part can't be made.
pub async fn start(parts: &Parts, shutdown: &Shutdown, tasks: &mut Tasks) -> Result<SocketAddr> {
    let config = parts.settings.api.clone();
    let address = (config.host.clone(), config.port);
    let listener = TcpListener::bind((address.0.as_str(), address.1))
        .await
        .map_err(|error| {
            let (host, port) = &address;
            Failure::Configuration(format!(
                "{host}:{port} can't be listened on ({error}); choose API_HOST and API_PORT"
            ))
        })?;
    let state = AppState::new(ingest_api::Parts {
        config,
        store: parts.store.clone(),
        policy: parts.settings.store.clone(),
        publisher: Publisher::new(&parts.kafka, "trustcard-api", ACK_TIMEOUT, MAX_WAITING)
            .context("the API's producer can't be made")?,
        clock: parts.clock.clone(),
        readiness: parts.readiness.clone(),
        registry: parts.registry.clone(),
        version: env!("CARGO_PKG_VERSION"),
    })?;
    let local = listener.local_addr()?;
    let until = shutdown.clone();
    tasks.spawn(async move { serve(listener, state, until).await.context("the API broke") });
    heartbeat::start("api", || serde_json::json!({}), parts, shutdown, tasks);
    Ok(local)
}
