//! The endpoints that every role has, as the API describes them: /health/live, /health/ready and /metrics.

use axum::{
    Json,
    extract::{FromRef, State},
    response::Response,
};
use engine::ops::{self, Ops};
use serde_json::Value;

use crate::{openapi::shapes::Probe, state::AppState};

impl FromRef<AppState> for Ops {
    fn from_ref(state: &AppState) -> Self {
        Self {
            readiness: state.readiness.clone(),
            registry: state.registry.clone(),
            metrics_enabled: state.config.enable_metrics,
        }
    }
}

/// Whether the process lives
///
/// Depends on nothing: a process that can answer lives.
#[utoipa::path(
    get,
    path = "/health/live",
    operation_id = "get_liveness",
    tag = "monitoring",
    responses((status = 200, description = "It lives.", body = Probe, example = json!({ "status": "alive" })))
)]
pub async fn live() -> Json<Value> {
    ops::live().await
}

/// Whether it should get traffic
///
/// Not before all its parts are ready, and not once it began to shut down.
#[utoipa::path(
    get,
    path = "/health/ready",
    operation_id = "get_readiness",
    tag = "monitoring",
    responses(
        (status = 200, description = "It should.", body = Probe, example = json!({ "status": "ready" })),
        (status = 503, description = "Not now.", body = Probe, example = json!({ "status": "not_ready" }))
    )
)]
pub async fn ready(ops: State<Ops>) -> Response {
    ops::ready(ops).await
}

/// Metrics for Prometheus
///
/// Missing where ENABLE_METRICS is false.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "get_metrics",
    tag = "monitoring",
    responses((status = 200, description = "Every metric, in the text format.", body = String, content_type = "text/plain"))
)]
pub async fn metrics(ops: State<Ops>) -> Response {
    ops::metrics(ops).await
}
