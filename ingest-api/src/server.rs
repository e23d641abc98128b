//! Listening, and ending without cutting anybody off.

use std::net::SocketAddr;

use engine::lifecycle::Shutdown;
use tokio::net::TcpListener;

use crate::{router, state::AppState};

/// Serves the API until shutdown begins; then no connection is accepted, requests in flight are answered, and what is left
/// after `drain_ms` (a caller that stopped in the middle of a request) is cut.
///
/// # Errors
/// When the listener breaks.
pub async fn serve(
    listener: TcpListener,
    state: AppState,
    shutdown: Shutdown,
) -> std::io::Result<()> {
    let drain = state.config.drain();
    let part = state.readiness.part("api", "starting");
    let until = shutdown.clone();
    let app = router::router(state).into_make_service_with_connect_info::<SocketAddr>();
    let server =
        axum::serve(listener, app).with_graceful_shutdown(async move { until.wait().await });
    part.ready();
    tokio::select! {
        ended = async { server.await } => ended,
        () = async {
            shutdown.wait().await;
            tokio::time::sleep(drain).await;
        } => {
            tracing::warn!("requests that did not end in time were cut");
            Ok(())
        }
    }
}
