//! How often clients may ask.

use futures::future::join_all;
use serde_json::json;
use trustcard_ingest_api::{ApiConfig, rate_limit::RateLimitConfig};

use crate::support::{Answer, Api, url};

/// Limits so small that a test can use them up, and a proxy before the API.
fn few() -> ApiConfig {
    ApiConfig {
        trusted_proxies: vec!["127.0.0.1/32".parse().unwrap()],
        rate_limit: RateLimitConfig {
            per_minute: 3,
            per_hour: 5,
            reads_per_minute: 4,
            reads_per_hour: 9,
            ..RateLimitConfig::default()
        },
        ..ApiConfig::default()
    }
}

/// GET of something that is not there, as the proxy passes it on from `client`.
async fn read(api: &Api, client: &str) -> Answer {
    api.send("GET", "/nowhere", &[("x-forwarded-for", client)], b"")
        .await
}

fn figures(answer: &Answer) -> [u32; 4] {
    [
        "limit-minute",
        "limit-hour",
        "remaining-minute",
        "remaining-hour",
    ]
    .map(|name| answer.header(&format!("x-ratelimit-{name}")))
    .map(|value| value.unwrap().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_response_says_how_its_budget_stands() {
    let api = Api::with(few()).await;
    let answer = read(&api, "203.0.113.1").await;
    assert_eq!((answer.status, figures(&answer)), (404, [4, 9, 3, 8]));
    assert_eq!(
        answer.header("ratelimit-policy"),
        Some(r#""reads-minute";q=4;w=60, "reads-hour";q=9;w=3600"#)
    );
    let told = answer.header("ratelimit").unwrap();
    assert!(told.starts_with(r#""reads-minute";r=3;t="#), "{told}");
    let from = [("x-forwarded-for", "203.0.113.1")];
    let malformed = api.send("POST", "/api/analyze", &from, b"").await;
    assert_eq!((malformed.status, figures(&malformed)), (415, [3, 5, 2, 4]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_told_when_to_come_back_and_does_not_count() {
    let api = Api::with(few()).await;
    for left in [3, 2, 1, 0] {
        assert_eq!(figures(&read(&api, "203.0.113.1").await)[2], left);
    }
    for _ in 0..8 {
        let refused = read(&api, "203.0.113.1").await;
        let details = refused.error(429, "RATE_LIMIT_EXCEEDED");
        let wait = details["retry_after"].as_u64().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
        assert_eq!(
            refused.header("retry-after"),
            Some(wait.to_string().as_str())
        );
        assert_eq!(
            details,
            json!({ "retry_after": wait, "limit_per_minute": 4, "limit_per_hour": 9 })
        );
        assert_eq!(figures(&refused), [4, 9, 0, 5], "eight refusals later");
    }
}

#[tokio::test]
async fn a_budget_comes_back_and_the_hour_is_asked_after_the_minute() {
    let api = Api::with(few()).await;
    let pass = async |seconds| {
        tokio::time::pause();
        tokio::time::advance(std::time::Duration::from_secs(seconds)).await;
        tokio::time::resume();
    };
    for _ in 0..2 {
        for _ in 0..4 {
            assert_eq!(read(&api, "203.0.113.1").await.status, 404);
        }
        read(&api, "203.0.113.1")
            .await
            .error(429, "RATE_LIMIT_EXCEEDED");
        pass(61).await;
    }
    assert_eq!(read(&api, "203.0.113.1").await.status, 404, "the ninth");
    let refused = read(&api, "203.0.113.1").await;
    let wait = refused.error(429, "RATE_LIMIT_EXCEEDED")["retry_after"].clone();
    let wait = wait.as_u64().unwrap();
    assert!(
        (3000..3600).contains(&wait),
        "until the hour's oldest leaves: {wait}"
    );
    pass(wait).await;
    assert_eq!(read(&api, "203.0.113.1").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn polling_never_uses_up_submissions_nor_they_the_polling() {
    let api = Api::with(few()).await;
    while read(&api, "127.0.0.1").await.status == 404 {}
    for code in ["A", "B", "C"] {
        assert_eq!(api.analyze(&url(code)).await.status, 202);
    }
    api.analyze(&url("D"))
        .await
        .error(429, "RATE_LIMIT_EXCEEDED");
    assert_eq!(api.published().await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_escapes_by_writing_headers() {
    let api = Api::with(few()).await;
    let answers = (0..20).map(|lie| {
        let list = format!("198.51.100.{lie}, 10.0.0.{lie}, 203.0.113.7");
        let forwarded = format!("for=198.51.100.{lie}");
        let api = &api;
        async move {
            let headers = [
                ("x-forwarded-for", list.as_str()),
                ("forwarded", forwarded.as_str()),
                ("x-real-ip", "198.51.100.9"),
                ("client-ip", "198.51.100.9"),
            ];
            api.send("GET", "/nowhere", &headers, b"").await.status
        }
    });
    let answers = join_all(answers).await;
    let passed = answers.iter().filter(|status| **status == 404).count();
    assert_eq!(passed, 4, "{answers:?}");
    assert_eq!(
        read(&api, "203.0.113.8").await.status,
        404,
        "another client"
    );

    let nobody = ApiConfig {
        trusted_proxies: Vec::new(),
        ..few()
    };
    let api = Api::with(nobody).await;
    let answers = (0..20).map(|lie| {
        let api = &api;
        async move { read(api, &format!("198.51.100.{lie}")).await.status }
    });
    let passed = join_all(answers)
        .await
        .into_iter()
        .filter(|status| *status == 404);
    assert_eq!(passed.count(), 4, "without a proxy nobody's word counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_of_ipv6_is_one_client() {
    let api = Api::with(few()).await;
    let answers: Vec<u16> = join_all((0..8).map(|host| {
        let api = &api;
        async move { read(api, &format!("2001:db8:0:1::{host:x}")).await.status }
    }))
    .await;
    let passed = answers.iter().filter(|status| **status == 404).count();
    assert_eq!(passed, 4, "{answers:?}");
    assert_eq!(read(&api, "2001:db8:0:2::1").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_and_scrapers_are_exempt_and_limits_can_be_turned_off() {
    let api = Api::with(few()).await;
    for _ in 0..10 {
        for path in ["/health", "/health/live", "/health/ready", "/metrics"] {
            let answer = api.get(path).await;
            assert_eq!(answer.status, 200, "{path}");
            assert_eq!(answer.header("x-ratelimit-limit-minute"), None);
            assert_eq!(answer.header("ratelimit"), None);
        }
    }
    let told = api.get_json("/status").await;
    assert_eq!(told["configuration"]["rate_limiting_enabled"], true);
    let mut off = few();
    off.rate_limit.enabled = false;
    let api = Api::with(off).await;
    for _ in 0..10 {
        let answer = read(&api, "203.0.113.1").await;
        assert_eq!((answer.status, answer.header("ratelimit")), (404, None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_counted_by_budget() {
    let api = Api::with(few()).await;
    while read(&api, "203.0.113.1").await.status == 404 {}
    let text = api.get("/metrics").await.text();
    for line in [
        r#"trustcard_rate_limit_refused_total{budget="reads"} 1"#,
        r#"trustcard_rate_limit_refused_total{budget="writes"} 0"#,
        "trustcard_rate_limit_clients 1",
        "trustcard_rate_limit_clients_forgotten_total 0",
        r#"trustcard_http_requests_total{endpoint="unmatched",method="GET",status_code="429"} 1"#,
    ] {
        assert!(
            text.contains(&format!("{line}\n")),
            "{line} missing in {text}"
        );
    }
}
