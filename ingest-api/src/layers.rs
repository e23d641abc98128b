//! What every request passes through, outermost first: headers for browsers, its id and span, its measure, which origins may read it,
//! who asks and with which key, how often, its deadline, and a net under panics.
//! The bodies of errors are written here, where the request id is known.

use std::{any::Any, sync::Arc};

use axum::{
    Json, Router,
    extract::{MatchedPath, Request, State},
    http::{HeaderValue, header},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
};
use engine::telemetry::propagation;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;

use crate::{
    accept,
    caller::{self, Knowing},
    config::ApiConfig,
    cors,
    error::ApiError,
    metrics::{Metrics, UNMATCHED},
    pages::Pages,
    rate_limit::{self, RateLimiter},
    request_id::{self, RequestId},
    security,
    state::AppState,
};

/// Paths that machines ask every few seconds: logged at DEBUG.
const PROBES: [&str; 4] = ["/health", "/health/live", "/health/ready", "/metrics"];

/// What people open in a browser: errors are pages there, for a browser.
const PAGES: [&str; 4] = ["/", "/api/reports/{analysis_id}", "/pipeline", UNMATCHED];

/// What the layers work with.
pub struct Around {
    metrics: Arc<Metrics>,
    config: Arc<ApiConfig>,
    knowing: Knowing,
    limiter: RateLimiter,
    pages: Arc<Pages>,
}

impl Around {
    /// The parts of the API's state that they need.
    #[must_use]
    pub fn of(state: &AppState) -> Self {
        Self {
            metrics: state.metrics.clone(),
            config: state.config.clone(),
            knowing: state.knowing.clone(),
            limiter: state.limiter.clone(),
            pages: state.pages.clone(),
        }
    }
}

/// Wraps every route, unknown paths and unknown methods included.
pub fn apply(router: Router, around: Around) -> Router {
    let cors = cors::layer(&around.config);
    router
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(around.config.clone(), bound))
        .layer(from_fn(caller::admit))
        .layer(from_fn_with_state(around.limiter, rate_limit::limit))
        .layer(from_fn_with_state(around.knowing, caller::know))
        .layer(cors)
        .layer(from_fn_with_state(around.metrics, observe))
        .layer(from_fn_with_state(around.pages, identify))
        .layer(from_fn_with_state(around.config, security::secure))
}

async fn unknown_path(request: Request) -> ApiError {
    let path = request.uri().path();
    ApiError::not_found(
        "path",
        path,
        "There is nothing here; GET / lists what there is.",
    )
}

async fn unknown_method(request: Request) -> ApiError {
    ApiError::method_not_allowed(request.method().as_str())
}

/// Gives the request its id and its span (the root of its trace), and errors their body.
async fn identify(State(pages): State<Arc<Pages>>, mut request: Request, next: Next) -> Response {
    let id = RequestId::of(request.headers());
    let method = request.method().as_str().to_owned();
    let route = route(&request);
    let span = tracing::error_span!(
        "http.request",
        otel.kind = "server",
        otel.name = format!("{method} {route}"),
        method,
        route,
        status = tracing::field::Empty,
        request_id = id.as_str(),
        trace_id = tracing::field::Empty,
    );
    propagation::name_trace(&span);
    let form = if PAGES.contains(&route.as_str()) && accept::wants_page(request.headers()) {
        Form::Page(pages)
    } else if accept::wants_problem(request.headers()) {
        Form::Problem
    } else {
        Form::Own
    };
    request.extensions_mut().insert(id.clone());
    let mut response = next.run(request).instrument(span.clone()).await;
    span.record("status", response.status().as_u16());
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        response = write_body(response, &error, &id, &form);
    }
    if let Some(value) = id.header() {
        response.headers_mut().insert(request_id::HEADER, value);
    }
    response
}

/// How an error is told.
enum Form {
    /// In our own shape.
    Own,
    /// As RFC 9457 has it.
    Problem,
    /// As a page.
    Page(Arc<Pages>),
}

fn write_body(response: Response, error: &ApiError, id: &RequestId, form: &Form) -> Response {
    let json = |media_type, told: serde_json::Value| {
        let body = Json(told).into_response().into_body();
        let media_type = [(header::CONTENT_TYPE, HeaderValue::from_static(media_type))];
        (media_type, body).into_response()
    };
    let told = match form {
        Form::Own => json("application/json", error.body(id.as_str())),
        Form::Problem => json("application/problem+json", error.problem(id.as_str())),
        Form::Page(pages) => pages.error(error, id.as_str()).into_response(),
    };
    let (mut head, _) = response.into_parts();
    let (of_body, body) = told.into_parts();
    head.headers.remove(header::CONTENT_LENGTH);
    for (name, value) in &of_body.headers {
        head.headers.insert(name, value.clone());
    }
    let varies = HeaderValue::from_static("accept");
    head.headers.append(header::VARY, varies);
    Response::from_parts(head, body)
}

/// Measures the request and logs its end.
async fn observe(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let route = route(&request);
    let measure = metrics.begin(request.method(), &route);
    let response = next.run(request).await;
    let status = response.status().as_u16();
    let seconds = measure.answered(status);
    if PROBES.contains(&route.as_str()) {
        tracing::debug!(status, seconds, "answered");
    } else {
        tracing::info!(status, seconds, "answered");
    }
    response
}

async fn bound(State(config): State<Arc<ApiConfig>>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(config.request_timeout(), next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            tracing::error!(
                timeout_ms = config.request_timeout_ms,
                "the request was given up"
            );
            ApiError::timed_out().into_response()
        }
    }
}

fn panicked(payload: Box<dyn Any + Send + 'static>) -> Response {
    let panic = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    tracing::error!(panic, "a handler panicked");
    ApiError::internal().into_response()
}

/// The pattern of the route: bounded, whatever callers ask for.
fn route(request: &Request) -> String {
    request
        .extensions()
        .get::<MatchedPath>()
        .map_or(UNMATCHED, MatchedPath::as_str)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::StatusCode, routing::get};
    use tower::ServiceExt;

    use super::*;
    use crate::error::Code;

    fn app(config: ApiConfig) -> Router {
        let routes = Router::new()
            .route(
                "/panics",
                get(|| async {
                    if true {
                        panic!("secret at /srv/app.rs:7");
                    }
                }),
            )
            .route("/hangs", get(std::future::pending::<()>));
        around(routes, config)
    }

    fn around(routes: Router, config: ApiConfig) -> Router {
        let registry = prometheus::Registry::new();
        let metrics = Metrics::register(&registry, &config, "0", []).unwrap();
        let pseudonyms = caller::Pseudonyms::new(b"key").unwrap();
        let limiter = RateLimiter::new(&config.rate_limit, pseudonyms, &registry).unwrap();
        let store: Arc<dyn store::Store> = Arc::new(store());
        let around = Around {
            metrics: Arc::new(metrics),
            pages: Arc::new(Pages::new(&config).unwrap()),
            config: Arc::new(config),
            knowing: Knowing {
                proxies: Arc::default(),
                keys: crate::keys::Keys::new(store, std::time::Duration::from_secs(5)),
                patience: std::time::Duration::from_secs(5),
            },
            limiter,
        };
        apply(routes, around)
    }

    /// Nobody has a key here.
    fn store() -> store::SqliteStore {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trustcard.db");
        store::SqliteStore::open(&path, store::StorePolicy::default()).unwrap()
    }

    /// A path for every code, named like it, that answers with it.
    fn failing() -> Router {
        let route =
            |code: Code| get(move || async move { Err::<(), _>(ApiError::new(code, "So.")) });
        let routes = Code::ALL.iter().fold(Router::new(), |routes, code| {
            routes.route(&format!("/{}", code.name()), route(*code))
        });
        let mut config = ApiConfig::default();
        config.rate_limit.enabled = false;
        around(routes, config)
    }

    async fn ask(app: Router, path: &str, id: &str) -> (StatusCode, serde_json::Value) {
        let request = axum::http::Request::get(path)
            .header("x-request-id", id)
            .body(Body::empty())
            .unwrap();
        let response = app.oneshot(request).await.unwrap();
        assert_eq!(response.headers()["x-request-id"], id);
        assert_eq!(response.headers()["x-frame-options"], "DENY");
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 10_000)
            .await
            .unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_panic_is_a_500_of_the_usual_shape_that_tells_nothing() {
        let (status, body) = ask(app(ApiConfig::default()), "/panics", "r-1").await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(body["error"], "INTERNAL_SERVER_ERROR");
        assert_eq!(body["details"], serde_json::json!({}));
        assert_eq!(body["status_code"], 500);
        assert_eq!(body["request_id"], "r-1");
        assert!(!body.to_string().contains("secret"));
    }

    #[tokio::test]
    async fn every_code_has_the_one_shape_on_the_wire_in_both_forms() {
        let app = failing();
        for code in Code::ALL {
            let path = format!("/{}", code.name());
            let (status, body) = ask(app.clone(), &path, "r-1").await;
            let expected = serde_json::json!({
                "error": code.name(), "message": "So.", "details": {}, "status_code": code.status(), "request_id": "r-1",
            });
            assert_eq!((status.as_u16(), body), (code.status(), expected));

            let request = axum::http::Request::get(&path)
                .header("accept", "application/problem+json")
                .header("x-request-id", "r-2");
            let request = request.body(Body::empty()).unwrap();
            let response = app.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status().as_u16(), code.status());
            let media_type = &response.headers()[header::CONTENT_TYPE];
            assert_eq!(media_type, "application/problem+json");
            let bytes = axum::body::to_bytes(response.into_body(), 10_000).await;
            let problem: serde_json::Value = serde_json::from_slice(&bytes.unwrap()).unwrap();
            let expected = serde_json::json!({
                "type": "about:blank", "title": status.canonical_reason(), "status": code.status(), "detail": "So.",
                "error": code.name(), "message": "So.", "details": {}, "status_code": code.status(), "request_id": "r-2",
            });
            assert_eq!(problem, expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_hangs_is_given_up_with_the_usual_shape() {
        let began = tokio::time::Instant::now();
        let (status, body) = ask(app(ApiConfig::default()), "/hangs", "r-1").await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(body["error"], "INTERNAL_SERVER_ERROR");
        assert_eq!(began.elapsed(), ApiConfig::default().request_timeout());
    }

    /// Keeps what is logged.
    #[derive(Clone, Default)]
    struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

    impl std::io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn every_line_of_the_log_names_the_request_and_its_route() {
        let log = Log::default();
        let writer = log.clone();
        // For the whole process: other tests log too, and what is scoped to a thread is lost to their race for callsites.
        tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .init();
        ask(app(ApiConfig::default()), "/panics", "logged-1").await;
        ask(app(ApiConfig::default()), "/nowhere?secret=1", "logged-2").await;
        for code in Code::ALL {
            let path = format!("/{}", code.name());
            ask(failing(), &path, &format!("logged-{}", code.name())).await;
        }
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let line = |id: &str, what: &str| {
            let id = format!("request_id=\"{id}\"");
            let mut lines = text.lines();
            let found = lines.find(|line| line.contains(&id) && line.contains(what));
            found.unwrap_or_else(|| panic!("{what} of {id} missing in {text}"))
        };
        let panicked = line("logged-1", "answered");
        for part in ["route=\"/panics\"", "method=\"GET\"", "status=500"] {
            assert!(panicked.contains(part), "{part} missing in {panicked}");
        }
        assert!(
            line("logged-1", "a handler panicked").contains("secret at"),
            "told here only"
        );
        let nowhere = line("logged-2", "answered");
        assert!(nowhere.contains("route=\"unmatched\"") && nowhere.contains("status=404"));
        assert!(!text.contains("secret=1"), "{text}");
        for code in Code::ALL {
            let told = line(&format!("logged-{}", code.name()), "answered");
            assert!(
                told.contains(&format!("status={}", code.status())),
                "{told}"
            );
        }
    }
}
