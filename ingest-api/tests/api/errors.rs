//! One shape for every error.

use serde_json::json;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use trustcard_ingest_api::ApiConfig;

use crate::support::{Answer, Api, config, url};

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_methods_and_ids() {
    let api = Api::start().await;
    let details = api
        .get("/api/nothing")
        .await
        .error(404, "RESOURCE_NOT_FOUND");
    assert_eq!(
        details,
        json!({ "resource_type": "path", "resource_id": "/api/nothing" })
    );
    let answer = api.send("DELETE", "/api/analyze", &[], b"").await;
    answer.error(405, "METHOD_NOT_ALLOWED");
    assert_eq!(answer.header("allow"), Some("POST"));
    let answer = api.send("BREW", "/api/results", &[], b"").await;
    answer.error(405, "METHOD_NOT_ALLOWED");
    for path in ["/api/results/x", "/api/reports/x", "/api/results/%ff"] {
        let details = api.get(path).await.error(422, "INVALID_INPUT");
        assert_eq!(details["field"], "analysis_id", "{path}");
    }
    let id = uuid::Uuid::from_u128(5);
    for path in [format!("/api/results/{id}"), format!("/api/reports/{id}")] {
        let answer = api.get(&path).await;
        let details = answer.error(404, "RESOURCE_NOT_FOUND");
        assert_eq!(
            details,
            json!({ "resource_type": "analysis", "resource_id": id })
        );
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_the_wrong_type_or_size() {
    let api = Api::start().await;
    let body = json!({ "url": url("A") }).to_string();
    for headers in [
        &[][..],
        &[("content-type", "text/plain")],
        &[("content-type", "application/x-www-form-urlencoded")],
        &[JSON, ("content-encoding", "gzip")],
    ] {
        let answer = api
            .send("POST", "/api/analyze", headers, body.as_bytes())
            .await;
        answer.error(415, "UNSUPPORTED_MEDIA_TYPE");
    }
    let charset = [("content-type", "Application/JSON; charset=utf-8")];
    let answer = api
        .send("POST", "/api/analyze", &charset, body.as_bytes())
        .await;
    assert_eq!(answer.status, 202);
    let large = vec![b' '; 64 * 1024 + 1];
    api.post_bytes("/api/analyze", &large)
        .await
        .error(413, "PAYLOAD_TOO_LARGE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_say_its_length_meets_the_same_limit() {
    let api = Api::start().await;
    let chunk = format!("4000\r\n{}\r\n", " ".repeat(0x4000));
    for (chunks, status) in [(4, 422), (5, 413)] {
        let request = format!(
            "POST /api/analyze HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-type: application/json\r\n\
             transfer-encoding: chunked\r\n\r\n{}0\r\n\r\n",
            chunk.repeat(chunks)
        );
        let mut stream = TcpStream::connect(api.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        assert_eq!(Answer::parse(&bytes).status, status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_at_fault_has_its_entry() {
    let api = Api::start().await;
    let body = json!({ "url": 5, "force": "yes" });
    let details = api
        .post("/api/analyze", &body)
        .await
        .error(422, "INVALID_INPUT");
    assert_eq!(
        details["errors"],
        json!([
            { "field": "url", "value": "5", "message": "must be a string" },
            { "field": "force", "value": "yes", "message": "must be true or false" },
        ])
    );
    let details = api
        .post("/api/analyze", &json!({}))
        .await
        .error(422, "INVALID_INPUT");
    assert_eq!(details["errors"][0]["message"], "is required");
    let path = "/api/results?limit=0&status=done&cursor=zz";
    let details = api.get(path).await.error(422, "INVALID_INPUT");
    let fields: Vec<_> = details["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| &e["field"])
        .collect();
    assert_eq!(fields, ["limit", "status", "cursor"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_bodies_are_refused_and_harm_nothing() {
    let api = Api::start().await;
    let deep = "[".repeat(10_000);
    let closed = format!(r#"{{"url":{deep}{}}}"#, "]".repeat(10_000));
    let object = format!("{}1{}", r#"{"u":"#.repeat(10_000), "}".repeat(10_000));
    let good = url("A");
    let bodies = [
        String::new(),
        deep.clone(),
        closed,
        object,
        format!(r#"{{"url":"{good}","url":"{good}"}}"#),
        r#"{"url":"\ud800"}"#.to_owned(),
        r#"{"url":"https://www.instagram.com/p/A\u0000/"}"#.to_owned(),
        "{\"url\":\"https://www.instagram.com/p/A\0/\"}".to_owned(),
        format!(r#"{{"url":"{good}"}} trailing"#),
        format!("\u{feff}{{\"url\":\"{good}\"}}"),
    ];
    for body in &bodies {
        let answer = api.post_bytes("/api/analyze", body.as_bytes()).await;
        answer.error(422, "INVALID_INPUT");
    }
    let bytes = b"{\"url\":\"https://www.instagram.com/p/\xff/\"}";
    api.post_bytes("/api/analyze", bytes)
        .await
        .error(422, "INVALID_INPUT");
    for body in [deep.as_bytes(), br#"{"urls":["a"],"urls":["b"]}"#] {
        api.post_bytes("/api/analyze/batch", body)
            .await
            .error(422, "INVALID_INPUT");
    }
    let items = format!(
        r#"{{"urls":["\ud800","{good}",{deep}{}]}}"#,
        "]".repeat(10_000)
    );
    let told = api.post_bytes("/api/analyze/batch", items.as_bytes()).await;
    assert_eq!(
        told.json()["accepted"],
        1,
        "one bad item never fails the rest: {}",
        told.text()
    );
    let million = format!(r#"{{"urls":[{}"x"]}}"#, r#""x","#.repeat(999_999));
    api.post_bytes("/api/analyze/batch", million.as_bytes())
        .await
        .error(413, "PAYLOAD_TOO_LARGE");
    let huge = vec![b' '; 40_000_000];
    api.post_bytes("/api/analyze/batch", &huge)
        .await
        .error(413, "PAYLOAD_TOO_LARGE");
    assert_eq!(api.published().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_problems_for_who_asks_for_them() {
    let api = Api::start().await;
    let accept = [("accept", "application/problem+json")];
    let answer = api.send("GET", "/api/results/x", &accept, b"").await;
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    let told = answer.json();
    assert_eq!(
        (&told["type"], &told["title"], &told["status"]),
        (
            &json!("about:blank"),
            &json!("Unprocessable Entity"),
            &json!(422)
        )
    );
    assert_eq!(
        (&told["detail"], &told["error"]),
        (&told["message"], &json!("INVALID_INPUT"))
    );
    assert_eq!(told["details"]["field"], "analysis_id");
    assert_eq!(told["request_id"].as_str(), answer.header("x-request-id"));
    let plain = api.get("/api/results/x").await;
    plain.error(422, "INVALID_INPUT");
    assert!(
        plain
            .headers
            .contains(&("vary".to_owned(), "accept".to_owned()))
    );
}

/// What nobody outside should read: the store's language and files, paths and lines of sources, addresses.
fn leaks(text: &str, api: &Api) -> Option<String> {
    let folder = api.database.parent().unwrap().display().to_string();
    let own = api.address.to_string();
    let words = [
        "sqlite",
        "select ",
        "insert ",
        "update ",
        "delete from",
        "no such table",
        "rdkafka",
        "librdkafka",
        "broker:",
        "panicked",
        ".rs:",
        "/src/",
        "/tmp",
        "backtrace",
        "127.0.0.1",
        "dev-secret-key",
        "unwrap",
        ".db",
        folder.as_str(),
        own.as_str(),
    ];
    let lower = text.to_lowercase();
    let found = words.iter().find(|word| lower.contains(*word));
    found.map(|word| format!("{word} in {text}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_error_tells_what_is_inside() {
    let mut api = Api::with(ApiConfig {
        body_timeout_ms: 500,
        ..config()
    })
    .await;
    let id = api.analyze(&url("LEAK")).await.id();
    let json = json!({ "url": url("NEXT") }).to_string();
    let batch = json!({ "urls": [url("NEXT")] }).to_string();
    type Headers<'a> = &'a [(&'a str, &'a str)];
    let requests: &[(&str, String, Headers<'_>, &str)] = &[
        ("GET", "/../../etc/passwd".to_owned(), &[], ""),
        (
            "GET",
            "/api/results?cursor=%27%20OR%201=1".to_owned(),
            &[],
            "",
        ),
        ("GET", "/api/results/%00".to_owned(), &[], ""),
        ("GET", format!("/api/results/{id}"), &[], ""),
        ("GET", format!("/api/reports/{id}"), &[], ""),
        ("GET", "/api/results".to_owned(), &[], ""),
        ("GET", format!("/api/batches/{id}"), &[], ""),
        ("POST", "/api/analyze".to_owned(), &[JSON], &json),
        ("POST", "/api/analyze/batch".to_owned(), &[JSON], &batch),
        ("POST", "/api/analyze".to_owned(), &[JSON], "{\"url\":"),
        (
            "POST",
            "/api/analyze".to_owned(),
            &[("content-type", "text/sql")],
            "SELECT 1",
        ),
        ("PATCH", "/api/analyze".to_owned(), &[], ""),
    ];
    let database = rusqlite::Connection::open(&api.database).unwrap();
    let tables = ["analyses", "batches", "items", "chunks", "outbox"];
    let mut codes = std::collections::BTreeSet::new();
    for what in ["well", "without a broker", "without tables"] {
        if what == "without a broker" {
            drop(api.broker.take());
        }
        if what == "without tables" {
            for table in tables {
                database
                    .execute_batch(&format!("DROP TABLE {table}"))
                    .unwrap();
            }
        }
        for (method, path, headers, body) in requests {
            let answer = api.send(method, path, headers, body.as_bytes()).await;
            if answer.status >= 400 {
                let code = answer.json()["error"].as_str().unwrap().to_owned();
                answer.error(answer.status, &code);
                codes.insert((answer.status, code));
            }
            assert_eq!(leaks(&answer.text(), &api), None, "{what}: {method} {path}");
        }
    }
    let found: Vec<(u16, &str)> = codes
        .iter()
        .map(|(status, code)| (*status, code.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            (404, "RESOURCE_NOT_FOUND"),
            (405, "METHOD_NOT_ALLOWED"),
            (415, "UNSUPPORTED_MEDIA_TYPE"),
            (422, "INVALID_INPUT"),
            (500, "DATABASE_ERROR"),
            (503, "BROKER_UNAVAILABLE"),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sane_request_id_is_kept_and_another_replaced() {
    let api = Api::start().await;
    let kept = api
        .send("GET", "/nowhere", &[("x-request-id", "abc-1")], b"")
        .await;
    kept.error(404, "RESOURCE_NOT_FOUND");
    assert_eq!(kept.header("x-request-id"), Some("abc-1"));
    let odd = api
        .send("GET", "/nowhere", &[("x-request-id", "a b<c>")], b"")
        .await;
    odd.error(404, "RESOURCE_NOT_FOUND");
    assert_eq!(odd.header("x-request-id").unwrap().len(), 36);
    assert!(
        api.get("/health/live")
            .await
            .header("x-request-id")
            .is_some()
    );
}
