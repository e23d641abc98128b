//! Every path of the API, each with its description: a handler that is not annotated does not get in.

use axum::{
    Router,
    routing::{get, post},
};
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    layers, openapi,
    routes::{
        analyze, batch, batches, cache, deletion, docs, events, feedback, health, home, pipeline,
        probes, quota, reports, results, status, webhooks,
    },
    state::AppState,
};

/// The whole API.
pub fn router(state: AppState) -> Router {
    let around = layers::Around::of(&state);
    let (routes, _) = described(state.config.enable_metrics);
    layers::apply(routes.with_state(state), around)
}

/// The document of an API that shows its metrics or does not.
#[must_use]
pub fn document(metrics: bool) -> OpenApi {
    described(metrics).1
}

fn described(metrics: bool) -> (Router<AppState>, OpenApi) {
    let mut routes = OpenApiRouter::with_openapi(openapi::beginning())
        .routes(routes!(home::home))
        .routes(routes!(analyze::analyze))
        .routes(routes!(batch::analyze_batch))
        .routes(routes!(batches::batch))
        .routes(routes!(batches::results))
        .routes(routes!(events::batch))
        .routes(routes!(quota::quota))
        .routes(routes!(webhooks::create, webhooks::list))
        .routes(routes!(webhooks::delete))
        .routes(routes!(webhooks::deliveries))
        .routes(routes!(results::list))
        .routes(routes!(results::result, deletion::delete))
        .routes(routes!(events::analysis))
        .routes(routes!(reports::report))
        .routes(routes!(feedback::read, feedback::give))
        .routes(routes!(cache::stats))
        .routes(routes!(cache::clear))
        .routes(routes!(cache::forget))
        .routes(routes!(health::health))
        .routes(routes!(probes::live))
        .routes(routes!(probes::ready))
        .routes(routes!(status::status))
        .routes(routes!(pipeline::pipeline))
        .routes(routes!(docs::document))
        .routes(routes!(docs::docs))
        .routes(routes!(docs::redoc));
    if metrics {
        routes = routes.routes(routes!(probes::metrics));
    }
    let (routes, document) = routes.split_for_parts();
    // What pages are made of is no part of the API.
    let routes = routes
        .route("/", post(home::submit))
        .route("/api/reports/{analysis_id}", post(reports::vote))
        .route(
            "/api/reports/{analysis_id}/pictures/{index}",
            get(reports::picture),
        )
        .route(
            "/api/reports/{analysis_id}/preview.png",
            get(reports::preview),
        )
        .route("/assets/icon.svg", get(home::icon))
        .route("/assets/home.js", get(home::script))
        .route("/assets/pipeline.js", get(pipeline::script))
        .route("/docs/", get(docs::index))
        .route("/docs/{file}", get(docs::file));
    (routes, openapi::complete(document))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Paths that no document describes: files of pages.
    const FILES: [&str; 7] = [
        "/api/reports/{analysis_id}/pictures/{index}",
        "/api/reports/{analysis_id}/preview.png",
        "/assets/icon.svg",
        "/assets/home.js",
        "/assets/pipeline.js",
        "/docs/",
        "/docs/{file}",
    ];

    /// Every path of a router. It shows them in its debug form alone.
    fn paths(router: &Router<AppState>) -> BTreeSet<String> {
        let shown = format!("{router:?}");
        let (_, rest) = shown.split_once("paths: {").unwrap();
        let (paths, _) = rest.split_once("fallback_router").unwrap();
        let quoted = paths.split('"').skip(1).step_by(2);
        quoted.map(str::to_owned).collect()
    }

    #[test]
    fn every_path_is_described_and_no_other() {
        for metrics in [true, false] {
            let (router, document) = described(metrics);
            let described: BTreeSet<String> = document.paths.paths.keys().cloned().collect();
            let files = FILES.iter().map(ToString::to_string);
            let expected: BTreeSet<String> = described.iter().cloned().chain(files).collect();
            assert_eq!(paths(&router), expected);
            assert_eq!(described.contains("/metrics"), metrics);
        }
    }
}
