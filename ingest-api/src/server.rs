//! Listening, and ending without cutting anybody off.

use std::{net::SocketAddr, time::Duration};

use engine::lifecycle::Shutdown;
use store::Heartbeat;
use tokio::{net::TcpListener, time::MissedTickBehavior};

use crate::{router, routes::health, state::AppState};

/// How often metrics that are read from rows are read; roles give signs of life as often.
const REFRESH: Duration = Duration::from_secs(10);

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
    let refreshing = refresh(state.clone());
    let listeners = state.listeners.clone();
    let app = router::router(state).into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, app).with_graceful_shutdown(async move {
        until.wait().await;
        // Who listens would go on for as long as a batch takes.
        listeners.end();
    });
    part.ready();
    tokio::select! {
        ended = async { server.await } => ended,
        () = refreshing => Ok(()),
        () = async {
            shutdown.wait().await;
            tokio::time::sleep(drain).await;
        } => {
            tracing::warn!("requests that did not end in time were cut");
            Ok(())
        }
    }
}

/// Keeps up what is known only from rows; never ends. While the store does not tell, what was known stands.
async fn refresh(state: AppState) {
    let mut ticks = tokio::time::interval(REFRESH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Some(beats) = health::heartbeats(&state).await {
            state.metrics.analyses_in_progress.set(in_progress(&beats));
        }
    }
}

/// Analyses begun and not ended: those that scrape works on, and all that wait for the stages after it.
fn in_progress(beats: &[Heartbeat]) -> i64 {
    let parts = [("scrape", "in_flight"), ("detect", "lag"), ("score", "lag")];
    let of = |(stage, number)| health::backlog(beats, stage, number).unwrap_or(0);
    i64::try_from(parts.map(of).into_iter().sum::<u64>()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_analysis_is_in_progress_from_its_scrape_to_its_score() {
        let beat = |role: &str, lag: u64, in_flight: u64| Heartbeat {
            role: role.to_owned(),
            instance: "i".to_owned(),
            version: "0".to_owned(),
            at: jiff::Timestamp::UNIX_EPOCH,
            details: json!({ "lag": lag, "in_flight": in_flight }),
        };
        let beats = [
            beat("record", 1000, 1000),
            beat("scrape", 1000, 1),
            beat("detect", 20, 2),
            beat("detect", 20, 2),
            beat("score", 300, 3),
        ];
        assert_eq!(in_progress(&beats), 341);
        assert_eq!(in_progress(&[]), 0);
    }
}
