//! What operators and orchestrators ask of every role: /health/live, /health/ready and /metrics.

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus::{Registry, TextEncoder};
use serde_json::json;

use crate::lifecycle::{Readiness, Shutdown};

/// What the endpoints answer from.
#[derive(Debug, Clone)]
pub struct Ops {
    /// Whether the process should get traffic.
    pub readiness: Readiness,
    /// Its metrics.
    pub registry: Registry,
    /// Whether metrics are shown; /metrics is 404 otherwise (ENABLE_METRICS).
    pub metrics_enabled: bool,
}

/// The three endpoints. Liveness depends on nothing: a process that can answer lives.
pub fn router(ops: Ops) -> Router {
    let router = Router::new()
        .route("/health/live", get(live))
        .route("/health/ready", get(ready));
    let router = if ops.metrics_enabled {
        router.route("/metrics", get(metrics))
    } else {
        router
    };
    router.with_state(ops)
}

/// Serves them until shutdown.
///
/// # Errors
/// When the listener breaks.
pub async fn serve(
    listener: tokio::net::TcpListener,
    ops: Ops,
    shutdown: Shutdown,
) -> std::io::Result<()> {
    axum::serve(listener, router(ops))
        .with_graceful_shutdown(async move { shutdown.wait().await })
        .await
}

/// A process that can answer lives.
pub async fn live() -> Json<serde_json::Value> {
    Json(json!({ "status": "alive" }))
}

/// Whether every part is ready; 503 until then.
pub async fn ready(State(ops): State<Ops>) -> Response {
    // Why not is in the log: reasons may name internals, and anybody may ask.
    if ops.readiness.missing().is_empty() {
        Json(json!({ "status": "ready" })).into_response()
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({ "status": "not_ready" })),
        )
            .into_response()
    }
}

/// Every metric of the process, as Prometheus reads them.
pub async fn metrics(State(ops): State<Ops>) -> Response {
    match TextEncoder::new().encode_to_string(&ops.registry.gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(address: std::net::SocketAddr, path: &str) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn readiness_follows_its_parts_and_liveness_follows_nothing() {
        let ops = Ops {
            readiness: Readiness::new(),
            registry: Registry::new(),
            metrics_enabled: true,
        };
        let counter = prometheus::IntCounter::new("ops_test_total", "A test.").unwrap();
        ops.registry.register(Box::new(counter.clone())).unwrap();
        counter.inc();
        let part = ops.readiness.part("broker", "connecting");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let server = tokio::spawn(serve(listener, ops.clone(), shutdown.clone()));

        let not_ready = get(address, "/health/ready").await;
        assert!(not_ready.starts_with("HTTP/1.1 503"), "{not_ready}");
        let body = |answer: &str| answer.split_once("\r\n\r\n").unwrap().1.to_owned();
        assert_eq!(body(&not_ready), r#"{"status":"not_ready"}"#);
        part.ready();
        let ready = get(address, "/health/ready").await;
        assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
        assert_eq!(body(&ready), r#"{"status":"ready"}"#);
        ops.readiness.fall();
        assert!(
            get(address, "/health/ready")
                .await
                .starts_with("HTTP/1.1 503")
        );
        assert!(
            get(address, "/health/live")
                .await
                .contains(r#"{"status":"alive"}"#)
        );
        assert!(get(address, "/metrics").await.contains("ops_test_total 1"));

        shutdown.begin();
        server.await.unwrap().unwrap();
    }
}
