//! Every path of the API.

use axum::{
    Router,
    routing::{delete, get, post},
};
use serde::Serialize;

use crate::{
    layers,
    routes::{
        analyze, batch, batches, cache, deletion, feedback, health, home, reports, results, status,
    },
    state::AppState,
};

/// A path and what it is for.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Endpoint {
    /// The method.
    pub method: &'static str,
    /// The route pattern.
    pub path: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// Status of its usual answer.
    #[serde(skip)]
    pub success: u16,
}

const fn endpoint(
    method: &'static str,
    path: &'static str,
    success: u16,
    about: &'static str,
) -> Endpoint {
    Endpoint {
        method,
        path,
        about,
        success,
    }
}

/// What there is, as the home page and the metrics know it.
pub const ENDPOINTS: &[Endpoint] = &[
    endpoint("POST", "/api/analyze", 202, "submit a post"),
    endpoint(
        "POST",
        "/api/analyze/batch",
        202,
        "submit up to 10,000 posts",
    ),
    endpoint("GET", "/api/batches/{batch_id}", 200, "progress of a batch"),
    endpoint("GET", "/api/results", 200, "analyses, newest first"),
    endpoint("GET", "/api/results/{analysis_id}", 200, "one analysis"),
    endpoint(
        "DELETE",
        "/api/results/{analysis_id}",
        200,
        "delete an analysis (admin key)",
    ),
    endpoint(
        "GET",
        "/api/reports/{analysis_id}",
        200,
        "one analysis as a page",
    ),
    endpoint(
        "POST",
        "/api/reports/{analysis_id}/feedback",
        201,
        "say what you think of a result",
    ),
    endpoint(
        "GET",
        "/api/reports/{analysis_id}/feedback",
        200,
        "what readers think of a result",
    ),
    endpoint("GET", "/api/cache/stats", 200, "what is kept for reuse"),
    endpoint(
        "DELETE",
        "/api/cache/clear",
        200,
        "forget what is kept for reuse (admin key)",
    ),
    endpoint(
        "DELETE",
        "/api/cache/analysis/{url}",
        200,
        "forget what is kept of one post (admin key)",
    ),
    endpoint("GET", "/status", 200, "version, settings and counts"),
    endpoint(
        "GET",
        "/health",
        200,
        "state of everything the service needs",
    ),
    endpoint("GET", "/health/live", 200, "whether the process lives"),
    endpoint("GET", "/health/ready", 200, "whether it should get traffic"),
    endpoint("GET", "/metrics", 200, "metrics for Prometheus"),
    endpoint("GET", "/", 200, "this page"),
];

/// The whole API.
pub fn router(state: AppState) -> Router {
    let ops = engine::ops::router(engine::ops::Ops {
        readiness: state.readiness.clone(),
        registry: state.registry.clone(),
        metrics_enabled: state.config.enable_metrics,
    });
    let around = layers::Around::of(&state);
    let routes = Router::new()
        .route("/", get(home::home))
        .route("/assets/trustcard.css", get(home::style))
        .route("/api/analyze", post(analyze::analyze))
        .route("/api/analyze/batch", post(batch::analyze_batch))
        .route("/api/batches/{batch_id}", get(batches::batch))
        .route("/api/results", get(results::list))
        .route(
            "/api/results/{analysis_id}",
            get(results::result).delete(deletion::delete),
        )
        .route("/api/reports/{analysis_id}", get(reports::report))
        .route(
            "/api/reports/{analysis_id}/feedback",
            get(feedback::read).post(feedback::give),
        )
        .route("/api/cache/stats", get(cache::stats))
        .route("/api/cache/clear", delete(cache::clear))
        .route("/api/cache/analysis/{url}", delete(cache::forget))
        .route("/health", get(health::health))
        .route("/status", get(status::status))
        .with_state(state)
        .merge(ops);
    layers::apply(routes, around)
}
