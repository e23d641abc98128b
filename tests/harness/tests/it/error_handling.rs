//! The ten tests of error handling that the first list of wishes names, against a running `trustcard up`.

use serde_json::{Value, json};
use tempfile::TempDir;
use trustcard_tests::{answer::Answer, process::Up, wait::until};

const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";
const POST: &str = "https://www.instagram.com/p/DTCsatire01/";

struct Server {
    up: Up,
    _data: TempDir,
}

impl Server {
    async fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let up = Up::start(data.path(), &["--sample-site", "--no-ml"], &[]).await;
        Self { up, _data: data }
    }

    async fn get(&self, path: &str) -> Answer {
        Answer::to(self.up.request("GET", path)).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::to(self.up.request("POST", path).json(body)).await
    }

    async fn submit(&self) -> String {
        let answer = self.post("/api/analyze", &json!({ "url": POST })).await;
        assert_eq!(answer.status, 202);
        answer.json()["analysis_id"].as_str().unwrap().to_owned()
    }
}

/// Fields with an entry in `details.errors`.
fn fields(details: &Value) -> Vec<&str> {
    let entries = details["errors"].as_array().unwrap().iter();
    entries
        .map(|entry| entry["field"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn invalid_urls() {
    let server = Server::start().await;
    for url in [
        "",
        "no url at all",
        "https://example.com/p/DTCsatire01/",
        "https://instagram.com.example.com/p/DTCsatire01/",
        "https://user@www.instagram.com/p/DTCsatire01/",
        "https://www.instagram.com:8443/p/DTCsatire01/",
        "ftp://www.instagram.com/p/DTCsatire01/",
        "https://www.instagram.com/stories/DTCsatire01/",
        "https://www.instagram.com/p/",
        "https://www.instagram.com/p/DTC%73atire01/",
        "javascript:alert(1)",
    ] {
        let answer = server.post("/api/analyze", &json!({ "url": url })).await;
        let details = answer.error(422, "INVALID_INPUT");
        assert_eq!(details["field"], "url", "{url}");
        assert_eq!(details["value"], url);
        assert_eq!(fields(&details), ["url"]);
    }
}

#[tokio::test]
async fn missing_fields() {
    let server = Server::start().await;
    for (path, body, field) in [
        ("/api/analyze", json!({}), "url"),
        ("/api/analyze", json!({ "url": null }), "url"),
        ("/api/analyze", json!({ "URL": POST }), "url"),
        ("/api/analyze/batch", json!({}), "urls"),
        ("/api/analyze/batch", json!({ "urls": [] }), "urls"),
    ] {
        let details = server.post(path, &body).await.error(422, "INVALID_INPUT");
        assert_eq!(details["field"], field, "{body}");
    }
    let details = server
        .post("/api/analyze", &json!({ "force": "yes" }))
        .await
        .error(422, "INVALID_INPUT");
    assert_eq!(fields(&details), ["url", "force"], "all at once");
}

#[tokio::test]
async fn invalid_uuids() {
    let server = Server::start().await;
    for id in [
        "1",
        "not-a-uuid",
        "00000000-0000-4000-8000-00000000000g",
        "%00",
        "..%2f",
    ] {
        for (path, field) in [
            ("results", "analysis_id"),
            ("reports", "analysis_id"),
            ("batches", "batch_id"),
        ] {
            let answer = server.get(&format!("/api/{path}/{id}")).await;
            let details = answer.error(422, "INVALID_INPUT");
            assert_eq!(details["field"], field, "{path}/{id}");
        }
    }
}

#[tokio::test]
async fn nonexistent_resources() {
    let server = Server::start().await;
    for (path, kind) in [
        ("results", "analysis"),
        ("reports", "analysis"),
        ("batches", "batch"),
    ] {
        let answer = server.get(&format!("/api/{path}/{UNKNOWN}")).await;
        let details = answer.error(404, "RESOURCE_NOT_FOUND");
        assert_eq!(details["resource_type"], kind);
        assert_eq!(details["resource_id"], UNKNOWN);
    }
    let details = server
        .get("/api/nothing")
        .await
        .error(404, "RESOURCE_NOT_FOUND");
    assert_eq!(details["resource_id"], "/api/nothing");
}

#[tokio::test]
async fn url_validation() {
    let server = Server::start().await;
    let url = |length: usize| format!("{POST}?{}", "x".repeat(length - POST.len() - 1));
    let longest = json!({ "url": url(2000) });
    assert_eq!(server.post("/api/analyze", &longest).await.status, 202);
    let too_long = json!({ "url": url(2001) });
    let answer = server.post("/api/analyze", &too_long).await;
    let details = answer.error(422, "INVALID_INPUT");
    assert_eq!(details["field"], "url");
    let shown = details["value"].as_str().unwrap();
    assert!(shown.chars().count() < 300, "cut: {shown}");
    for url in [
        "http://instagram.com/reel/DTCsatire01",
        "https://INSTAGR.AM/p/DTCsatire01/?igsh=1#top",
        "https://m.instagram.com/somebody/p/DTCsatire01/",
    ] {
        let answer = server.post("/api/analyze", &json!({ "url": url })).await;
        assert_eq!(
            (answer.status, &answer.json()["post_id"]),
            (202, &json!("DTCsatire01")),
            "{url}"
        );
    }
}

#[tokio::test]
async fn health_checks() {
    let server = Server::start().await;
    let health = until("every stage to live", async || {
        let answer = server.get("/health").await;
        assert_eq!(answer.status, 200, "degraded at worst");
        (answer.json()["status"] == "healthy").then(|| answer.json())
    })
    .await;
    for check in ["database", "broker", "stages", "instagram"] {
        assert_eq!(health["checks"][check]["status"], "healthy", "{health}");
        assert!(health["checks"][check]["message"].is_string());
    }
    assert_eq!(
        server.get("/health/live").await.json(),
        json!({ "status": "alive" })
    );
    until("readiness", async || {
        let answer = server.get("/health/ready").await;
        (answer.status == 200).then(|| assert_eq!(answer.json(), json!({ "status": "ready" })))
    })
    .await;
}

#[tokio::test]
async fn status_endpoint() {
    let server = Server::start().await;
    let id = server.submit().await;
    server.up.ended_analysis(&id).await;
    let status = server.get("/status").await;
    assert_eq!(status.status, 200);
    let status = status.json();
    assert_eq!(status["application"]["name"], "TrustCard");
    assert_eq!(status["application"]["environment"], "development");
    assert!(status["application"]["version"].is_string());
    assert_eq!(status["configuration"]["rate_limiting_enabled"], false);
    assert_eq!(status["configuration"]["metrics_enabled"], true);
    assert_eq!(status["configuration"]["debug_mode"], true);
    assert_eq!(status["database"]["total_analyses"], 1);
    assert_eq!(status["database"]["completed"], 1);
    assert_eq!(status["database"]["pending"], 0);
    assert!(status.get("cache").is_some(), "{status}");
    let text = status.to_string();
    assert!(!text.contains("dev-secret-key"), "{text}");
}

#[tokio::test]
async fn security_headers() {
    let server = Server::start().await;
    for path in [
        "/",
        "/health",
        "/docs/",
        "/openapi.json",
        "/api/nothing",
        "/api/results/x",
    ] {
        let answer = server.get(path).await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("x-xss-protection", "1; mode=block"),
            ("referrer-policy", "strict-origin-when-cross-origin"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'self'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe-inline"), "{path}: {policy}");
        let permissions = answer.header("permissions-policy").unwrap();
        assert!(
            permissions.starts_with("geolocation=(), microphone=()"),
            "{permissions}"
        );
        for name in ["server", "x-powered-by", "strict-transport-security"] {
            assert_eq!(answer.header(name), None, "{path}");
        }
    }
}

#[tokio::test]
async fn invalid_vote_types() {
    let server = Server::start().await;
    let path = format!("/api/reports/{}/feedback", server.submit().await);
    for vote in [
        json!("true"),
        json!(""),
        json!("accurate!"),
        json!(5),
        json!(null),
    ] {
        let answer = server.post(&path, &json!({ "vote_type": vote })).await;
        let details = answer.error(422, "INVALID_INPUT");
        assert_eq!(details["field"], "vote_type", "{vote}");
    }
    let details = server
        .post(&path, &json!({}))
        .await
        .error(422, "INVALID_INPUT");
    assert_eq!(fields(&details), ["vote_type"]);
    let counted = server.get(&path).await.json();
    assert_eq!(counted["summary"]["total_votes"], 0, "{counted}");
    let answer = server
        .post(&path, &json!({ "vote_type": "MisLeading" }))
        .await;
    assert!(
        (200..300).contains(&answer.status),
        "any case: {}",
        answer.status
    );
    assert_eq!(answer.json()["summary"]["misleading"], 1);
}

#[tokio::test]
async fn comment_validation() {
    let server = Server::start().await;
    let path = format!("/api/reports/{}/feedback", server.submit().await);
    let vote = |comment: &str| json!({ "vote_type": "accurate", "comment": comment });
    let too_long = server.post(&path, &vote(&"é".repeat(1001))).await;
    let details = too_long.error(422, "INVALID_INPUT");
    assert_eq!(details["field"], "comment");
    let both = json!({ "vote_type": "maybe", "comment": 5 });
    let details = server.post(&path, &both).await.error(422, "INVALID_INPUT");
    assert_eq!(fields(&details), ["vote_type", "comment"], "all at once");
    let longest = "é".repeat(1000);
    let padded = format!("  \n{longest}\t ");
    let answer = server.post(&path, &vote(&padded)).await;
    assert!(
        (200..300).contains(&answer.status),
        "characters, trimmed: {}",
        answer.status
    );
    let told = server.get(&path).await.json();
    assert_eq!(told["recent_comments"][0]["comment"], longest.as_str());
}
