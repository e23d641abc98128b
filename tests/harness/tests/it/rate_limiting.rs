//! The six tests of rate limiting that the first list of wishes names, against running processes, with the limits that there are
//! by default: 10 writes a minute and 100 an hour, 120 reads and 3,000.

use std::{collections::BTreeMap, net::IpAddr};

use serde_json::json;
use tempfile::TempDir;
use trustcard_tests::{
    answer::Answer,
    broker::embedded,
    faketime::{FakeClock, Follows},
    process::Up,
    role::RoleProcess,
};

const WRITES_A_MINUTE: u64 = 10;
const READS_A_MINUTE: u64 = 120;

struct Server {
    up: Up,
    _data: TempDir,
}

impl Server {
    async fn start(variables: &[(&str, &str)]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut all = vec![("RATE_LIMIT_ENABLED", "true")];
        all.extend(variables);
        let up = Up::start(data.path(), &["--sample-site", "--no-ml"], &all).await;
        Self { up, _data: data }
    }

    async fn get(&self, path: &str) -> Answer {
        Answer::to(self.up.request("GET", path)).await
    }

    /// A write that costs nothing else.
    async fn write(&self) -> Answer {
        Answer::to(self.up.request("POST", "/api/analyze").json(&json!({}))).await
    }
}

#[tokio::test]
async fn rate_limit_headers() {
    let server = Server::start(&[]).await;
    for (answer, minute, hour) in [
        (server.write().await, WRITES_A_MINUTE, 100),
        (server.get("/api/results").await, READS_A_MINUTE, 3_000),
        (server.get("/nowhere").await, READS_A_MINUTE, 3_000),
    ] {
        assert_eq!(answer.number("x-ratelimit-limit-minute"), minute);
        assert_eq!(answer.number("x-ratelimit-limit-hour"), hour);
        let left = answer.number("x-ratelimit-remaining-minute");
        assert!(left < minute && left >= minute - 2, "{left} of {minute}");
        let left = answer.number("x-ratelimit-remaining-hour");
        assert!(left < hour && left >= hour - 2, "{left} of {hour}");
        let policy = answer.header("ratelimit-policy").unwrap();
        assert!(policy.contains(&format!("q={minute};w=60")), "{policy}");
        assert!(answer.header("ratelimit").unwrap().contains(";r="));
    }
}

#[tokio::test]
async fn per_minute_limit() {
    let server = Server::start(&[]).await;
    for n in 1..=WRITES_A_MINUTE {
        let answer = server.write().await;
        assert_eq!(answer.status, 422, "number {n}");
        assert_eq!(
            answer.number("x-ratelimit-remaining-minute"),
            WRITES_A_MINUTE - n
        );
    }
    for _ in 0..3 {
        let refused = server.write().await;
        let _ = refused.error(429, "RATE_LIMIT_EXCEEDED");
        let hour = refused.number("x-ratelimit-remaining-hour");
        assert_eq!(
            hour,
            100 - WRITES_A_MINUTE,
            "what is refused does not count"
        );
    }
    assert_eq!(
        server.get("/nowhere").await.status,
        404,
        "reads have a budget of their own"
    );
}

/// Nobody waits: the API's clock, the monotonic one included, is libfaketime's, and is moved on by what Retry-After says.
#[tokio::test]
async fn rate_limit_recovery() {
    let broker = embedded(1);
    let data = tempfile::tempdir().unwrap();
    let clock = FakeClock::new(data.path(), Follows::All);
    let bootstrap = ("TRUSTCARD__KAFKA__BOOTSTRAP", broker.kafka().bootstrap());
    let on = ("RATE_LIMIT_ENABLED", "true");
    let settings: BTreeMap<String, String> = clock
        .variables()
        .into_iter()
        .chain([bootstrap, on])
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let folder = data.path().to_str().unwrap();
    let log = data.path().join("api.log");
    let mut api = RoleProcess::start("api", &["--data-dir", folder], &settings, log);
    api.ready().await;
    let write = || Answer::to(api.api.request("POST", "/api/analyze").json(&json!({})));
    for round in 0..2 {
        for n in 1..=WRITES_A_MINUTE {
            assert_eq!(write().await.status, 422, "{n} of round {round}");
        }
        let refused = write().await;
        let _ = refused.error(429, "RATE_LIMIT_EXCEEDED");
        assert!((1..=61).contains(&refused.number("retry-after")));
        // All of the minute, so that all of the budget is there again.
        clock.step(&format!("+{}", 61 * (round + 1)));
    }
    let answer = write().await;
    assert_eq!(answer.status, 422);
    let hour = answer.number("x-ratelimit-remaining-hour");
    assert_eq!(hour, 100 - 2 * WRITES_A_MINUTE - 1, "the hour goes on");
}

#[tokio::test]
async fn exempt_endpoints() {
    let server = Server::start(&[("TRUSTCARD__API__RATE_LIMIT__READS_PER_MINUTE", "1")]).await;
    assert_eq!(server.get("/nowhere").await.status, 404);
    let _ = server
        .get("/nowhere")
        .await
        .error(429, "RATE_LIMIT_EXCEEDED");
    for path in [
        "/health",
        "/health/live",
        "/health/ready",
        "/metrics",
        "/docs",
        "/docs/swagger-ui.css",
        "/redoc",
        "/openapi.json",
    ] {
        for _ in 0..3 {
            let answer = server.get(path).await;
            assert_ne!(answer.status, 429, "{path}");
            assert_eq!(answer.header("x-ratelimit-limit-minute"), None, "{path}");
            assert_eq!(answer.header("ratelimit"), None, "{path}");
        }
    }
    let _ = server
        .get("/status")
        .await
        .error(429, "RATE_LIMIT_EXCEEDED");
}

#[tokio::test]
async fn error_response_format() {
    let server = Server::start(&[("RATE_LIMIT_PER_MINUTE", "1")]).await;
    assert_eq!(server.write().await.status, 422);
    let refused = server.write().await;
    let details = refused.error(429, "RATE_LIMIT_EXCEEDED");
    let wait = refused.number("retry-after");
    assert!((1..=61).contains(&wait), "{wait}");
    assert_eq!(
        details,
        json!({ "retry_after": wait, "limit_per_minute": 1, "limit_per_hour": 100 })
    );
    let message = refused.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains(&format!("{wait} seconds")), "{message}");
    assert_eq!(refused.header("x-frame-options"), Some("DENY"));
}

#[tokio::test]
async fn per_ip_tracking() {
    let server = Server::start(&[]).await;
    // All of 127.0.0.0/8 is this machine, so clients of different addresses can be real.
    let client = |last: u8| {
        let builder = reqwest::Client::builder().no_proxy();
        let address = IpAddr::from([127, 0, 0, last]);
        builder.local_address(address).build().unwrap()
    };
    let (one, other) = (client(2), client(3));
    let write = async |client: &reqwest::Client| {
        let request = client.post(format!("{}/api/analyze", server.up.url));
        // Nobody before the API is trusted, so this is a lie that changes nothing.
        let request = request.header("x-forwarded-for", "203.0.113.7");
        Answer::to(request.json(&json!({}))).await
    };
    for _ in 0..WRITES_A_MINUTE {
        assert_eq!(write(&one).await.status, 422);
    }
    let _ = write(&one).await.error(429, "RATE_LIMIT_EXCEEDED");
    let fresh = write(&other).await;
    assert_eq!(fresh.status, 422, "another client");
    let left = fresh.number("x-ratelimit-remaining-minute");
    assert_eq!(left, WRITES_A_MINUTE - 1);
    let _ = write(&one).await.error(429, "RATE_LIMIT_EXCEEDED");
}
