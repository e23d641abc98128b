//! What operators and orchestrators ask.

use engine::Clock;
use serde_json::{Value, json};
use store::{Heartbeat, Operations};
use trustcard_ingest_api::{ApiConfig, Environment};

use crate::support::{Api, config, post, url};

async fn beat(api: &Api, role: &str, details: Value) {
    let at = api.clock.now();
    let beat = Heartbeat {
        role: role.to_owned(),
        instance: format!("{role}-1"),
        version: "1.2.3".to_owned(),
        at,
        details,
    };
    api.store.heartbeat(&beat, at).await.unwrap();
}

async fn all_beat(api: &Api, circuit: &str) {
    beat(api, "admit", json!({})).await;
    beat(api, "record", json!({})).await;
    beat(api, "score", json!({})).await;
    beat(api, "webhook", json!({})).await;
    beat(api, "scrape", json!({ "circuit": circuit, "lag": 7 })).await;
    let models = json!(["clip-linear@1"]);
    beat(
        api,
        "detect",
        json!({ "runtime": "onnxruntime 1.32.0", "models": models }),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_degrades_with_stages_and_circuit_but_stays_200() {
    let api = Api::start().await;
    let told = api.get_json("/health").await;
    assert_eq!(told["status"], "degraded", "no stage lives yet: {told}");
    assert_eq!(told["checks"]["database"]["status"], "healthy");
    assert_eq!(told["checks"]["broker"]["status"], "healthy");
    assert_eq!(told["checks"]["stages"]["status"], "degraded");

    all_beat(&api, "closed").await;
    let told = api.get_json("/health").await;
    assert_eq!(told["status"], "healthy", "{told}");
    let names: Vec<&String> = told["checks"].as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        ["broker", "database", "instagram", "models", "stages"]
    );

    beat(&api, "scrape", json!({ "circuit": "open" })).await;
    let told = api.get_json("/health").await;
    assert_eq!(told["status"], "degraded");
    assert_eq!(told["checks"]["instagram"]["status"], "degraded");

    api.clock.advance(31);
    let told = api.get_json("/health").await;
    assert_eq!(
        told["checks"]["stages"]["status"], "degraded",
        "no sign of life for 30 s"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_gone_is_unhealthy_within_its_second_and_liveness_does_not_care() {
    let mut api = Api::start().await;
    all_beat(&api, "closed").await;
    assert_eq!(api.get("/health").await.status, 200);
    drop(api.broker.take());
    let began = tokio::time::Instant::now();
    let answer = api.get("/health").await;
    assert!(began.elapsed().as_secs() < 5, "bounded");
    assert_eq!(answer.status, 503);
    let told = answer.json();
    assert_eq!(
        (&told["status"], &told["checks"]["broker"]["status"]),
        (&json!("unhealthy"), &json!("unhealthy"))
    );
    assert_eq!(told["checks"]["database"]["status"], "healthy");
    assert_eq!(
        api.get_json("/health/live").await,
        json!({ "status": "alive" })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_follows_the_parts_and_falls_for_good() {
    let api = Api::start().await;
    assert_eq!(
        api.get_json("/health/ready").await,
        json!({ "status": "ready" })
    );
    let part = api.readiness.part("store", "opening");
    let answer = api.get("/health/ready").await;
    assert_eq!(
        (answer.status, &answer.json()["status"]),
        (503, &json!("not_ready"))
    );
    part.ready();
    assert_eq!(api.get("/health/ready").await.status, 200);
    api.readiness.fall();
    assert_eq!(api.get("/health/ready").await.status, 503);
    assert_eq!(api.get("/health/live").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn status_tells_version_settings_counts_and_runtime() {
    let api = Api::start().await;
    all_beat(&api, "closed").await;
    for (code, ends) in [("A", true), ("B", false), ("C", false)] {
        let id = api.analyze(&url(code)).await.id();
        if ends {
            api.finish(id, &post(code), |_| {}).await;
        }
    }
    let told = api.get_json("/status").await;
    let application = json!({ "name": "TrustCard", "version": "1.2.3", "commit": "0123456789ab", "environment": "development" });
    assert_eq!(told["application"], application);
    assert_eq!(told["configuration"]["debug_mode"], true);
    assert_eq!(told["configuration"]["metrics_enabled"], true);
    assert_eq!(told["configuration"]["rate_limiting_enabled"], false);
    let counts =
        json!({ "total_analyses": 3, "completed": 1, "pending": 2, "processing": 0, "failed": 0 });
    assert_eq!(told["database"], counts);
    assert_eq!(told["runtime"], json!(["onnxruntime 1.32.0"]));
    assert_eq!(told["models"], json!([["clip-linear@1"]]));
    assert_eq!(
        told["stages"]["scrape"],
        json!({ "members": 1, "versions": ["1.2.3"], "lag": 7 })
    );
    assert!(
        !told.to_string().contains("scrape-1"),
        "instance names stay inside"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_have_their_names_and_labels_before_and_after_the_first_request() {
    let api = Api::start().await;
    let first = api.get("/metrics").await.text();
    for (name, kind) in [
        ("trustcard_http_requests_total", "counter"),
        ("trustcard_http_request_duration_seconds", "histogram"),
        ("trustcard_http_requests_in_progress", "gauge"),
        ("trustcard_analyses_submitted_total", "counter"),
        ("trustcard_app_info", "gauge"),
    ] {
        assert!(first.contains(&format!("# HELP {name} ")), "{name}");
        assert!(first.contains(&format!("# TYPE {name} {kind}\n")), "{name}");
    }
    let info =
        r#"trustcard_app_info{app_name="TrustCard",environment="development",version="1.2.3"} 1"#;
    assert!(first.contains(info), "{first}");

    let id = api.analyze(&url("A")).await.id();
    api.get(&format!("/api/results/{id}")).await;
    api.get("/no/such/path").await;
    let later = api.get("/metrics").await.text();
    for line in [
        r#"trustcard_http_requests_total{endpoint="/api/analyze",method="POST",status_code="202"} 1"#,
        r#"trustcard_http_requests_total{endpoint="/api/results/{analysis_id}",method="GET",status_code="200"} 1"#,
        r#"trustcard_http_requests_total{endpoint="unmatched",method="GET",status_code="404"} 1"#,
        r#"trustcard_http_request_duration_seconds_count{endpoint="/api/analyze",method="POST"} 1"#,
        r#"trustcard_http_requests_in_progress{endpoint="/metrics",method="GET"} 1"#,
        r#"trustcard_http_requests_in_progress{endpoint="/api/analyze",method="POST"} 0"#,
        "trustcard_analyses_submitted_total 1",
    ] {
        assert!(
            later.contains(&format!("{line}\n")),
            "{line} missing in {later}"
        );
    }
    assert!(!later.contains("/no/such/path"));

    let without = ApiConfig {
        enable_metrics: false,
        ..config()
    };
    let api = Api::with(without).await;
    api.get("/metrics").await.error(404, "RESOURCE_NOT_FOUND");
    let production = ApiConfig {
        environment: Environment::Production,
        ..config()
    };
    let told = Api::with(production).await.get_json("/status").await;
    assert_eq!(told["configuration"]["debug_mode"], false);
}
