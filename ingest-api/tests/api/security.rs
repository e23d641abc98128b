//! What browsers are told, on answers of every kind.

use trustcard_ingest_api::{ApiConfig, Environment};

use crate::support::{Answer, Api, config, post, url};

const JSON: (&str, &str) = ("content-type", "application/json");

fn has_the_headers(answer: &Answer, what: &str) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("x-xss-protection", "1; mode=block"),
        ("referrer-policy", "strict-origin-when-cross-origin"),
        (
            "permissions-policy",
            "geolocation=(), microphone=(), camera=(), payment=(), usb=(), magnetometer=()",
        ),
    ] {
        let found = answer.headers.iter().filter(|(key, _)| key == name);
        let found: Vec<&str> = found.map(|(_, value)| value.as_str()).collect();
        assert_eq!(found, [value], "{name} of {what}");
    }
    let policies = answer.headers.iter();
    let policies = policies.filter(|(key, _)| key == "content-security-policy");
    let policies: Vec<&str> = policies.map(|(_, value)| value.as_str()).collect();
    let is_page = answer
        .header("content-type")
        .is_some_and(|kind| kind.starts_with("text/html"));
    let [policy] = policies[..] else {
        panic!("{policies:?} of {what}");
    };
    let (first, rest) = policy.split_once("; ").unwrap();
    // A page names the hash of its style beside what all have.
    let rest = match rest.split_once("; ") {
        Some((style, rest)) if is_page && style.starts_with("style-src 'sha256-") => rest,
        _ => rest,
    };
    assert_eq!(first, "default-src 'self'", "{what}");
    assert_eq!(
        rest, "frame-ancestors 'none'; base-uri 'self'; form-action 'self'",
        "{what}"
    );
    for name in ["server", "x-powered-by"] {
        assert_eq!(answer.header(name), None, "{what}");
    }
}

/// Answers of every kind, by what they are.
async fn answers(config: ApiConfig) -> Vec<(&'static str, Answer)> {
    let api = Api::with(config).await;
    let id = api.analyze(&url("SEEN")).await.id();
    api.finish(id, &post("SEEN"), |_| {}).await;
    let huge = vec![b' '; 70_000];
    let mut all = vec![
        ("the home page", api.get("/").await),
        ("a script", api.get("/assets/home.js").await),
        ("a report", api.get(&format!("/api/reports/{id}")).await),
        ("a result", api.get(&format!("/api/results/{id}")).await),
        ("metrics", api.get("/metrics").await),
        ("health", api.get("/health").await),
        ("404 of a path", api.get("/nowhere").await),
        ("405", api.send("PUT", "/api/analyze", &[], b"").await),
        (
            "413",
            api.send("POST", "/api/analyze", &[JSON], &huge).await,
        ),
        ("415", api.send("POST", "/api/analyze", &[], b"").await),
        ("422", api.get("/api/results/x").await),
        ("a HEAD", api.send("HEAD", "/", &[], b"").await),
    ];
    let mut last = api.get("/nowhere").await;
    while last.status == 404 {
        last = api.get("/nowhere").await;
    }
    all.push(("429", last));
    all
}

fn limited(environment: Environment) -> ApiConfig {
    let mut config = ApiConfig {
        environment,
        ..config()
    };
    config.rate_limit.enabled = true;
    config.rate_limit.reads_per_minute = 12;
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_the_headers_and_only_production_insists_on_tls() {
    for environment in [Environment::Development, Environment::Production] {
        let mut statuses = Vec::new();
        for (what, answer) in answers(limited(environment)).await {
            has_the_headers(&answer, what);
            let transport = answer.header("strict-transport-security");
            let expected = (environment == Environment::Production)
                .then_some("max-age=31536000; includeSubDomains; preload");
            assert_eq!(transport, expected, "{what}");
            statuses.push(answer.status);
        }
        assert_eq!(
            statuses,
            [
                200, 200, 200, 200, 200, 200, 404, 405, 413, 415, 422, 200, 429
            ]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn origins_are_answered_as_configured() {
    let ours = "https://app.example.com";
    let api = Api::with(ApiConfig {
        cors_origins: vec![ours.to_owned()],
        ..config()
    })
    .await;
    let ask = async |origin: &str| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "content-type"),
        ];
        api.send("OPTIONS", "/api/analyze", &headers, b"").await
    };
    let granted = ask(ours).await;
    assert_eq!(granted.status, 200);
    has_the_headers(&granted, "a preflight");
    assert_eq!(granted.header("access-control-allow-origin"), Some(ours));
    let methods = granted.header("access-control-allow-methods").unwrap();
    assert!(methods.contains("DELETE"), "{methods}");
    assert_eq!(granted.header("access-control-allow-credentials"), None);
    let refused = ask("https://evil.example").await;
    assert_eq!(refused.header("access-control-allow-origin"), None);

    let error = api.send("GET", "/nowhere", &[("origin", ours)], b"").await;
    assert_eq!(error.header("access-control-allow-origin"), Some(ours));
    let told = error.header("access-control-expose-headers").unwrap();
    for name in ["retry-after", "ratelimit", "x-request-id"] {
        assert!(told.contains(name), "{name} missing in {told}");
    }
    let any = Api::with(config()).await;
    let answer = any.send("GET", "/", &[("origin", "null")], b"").await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
}
