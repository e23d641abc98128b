//! /docs in a browser: it shows every operation, from this server alone, and its policy keeps nothing of it from working.

use axum::{Router, http::header, response::Html, routing::get};
use tokio::net::TcpListener;
use trustcard_tests::{answer::Answer, browser::Browser, process::Up};

#[tokio::test]
async fn the_page_shows_every_operation_and_breaks_no_policy() {
    let data = tempfile::tempdir().unwrap();
    let up = Up::start(data.path(), &["--sample-site", "--no-ml"], &[]).await;
    let document = Answer::to(up.request("GET", "/openapi.json")).await.json();
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.values().map(|item| item.as_object().unwrap().len());
    let operations: usize = operations.sum();

    let mut browser = Browser::start(&data.path().join("browser")).await;
    browser.open(&format!("{}/docs", up.url)).await;
    browser
        .until(&format!(
            "document.querySelectorAll('.opblock').length === {operations}"
        ))
        .await;
    let page = browser.evaluate("document.documentElement.outerHTML").await;
    let page = page.as_str().unwrap();
    assert_eq!(browser.complaints().await, [""; 0]);
    for (path, item) in paths {
        for operation in item.as_object().unwrap().values() {
            let summary = operation["summary"].as_str().unwrap();
            assert!(page.contains(summary), "{summary} of {path} is not shown");
        }
        let shown = page.contains(&format!("data-path=\"{path}\""));
        assert!(shown, "{path} is not shown");
    }
    assert!(page.contains("Getting started"), "the guide is shown");
    browser.close().await;
}

/// Otherwise a page without violations proves nothing.
#[tokio::test]
async fn a_violation_would_be_seen() {
    let page = || async {
        let policy = [(header::CONTENT_SECURITY_POLICY, "default-src 'self'")];
        (
            policy,
            Html("<p style=\"color: red\">a</p><script>document.title = 'b'</script>"),
        )
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let router = Router::new().route("/", get(page));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let data = tempfile::tempdir().unwrap();
    let mut browser = Browser::start(&data.path().join("browser")).await;
    browser.open(&url).await;
    let complaints = browser.complaints().await;
    let kept = complaints
        .iter()
        .filter(|one| one.contains("Content Security Policy"));
    assert!(kept.count() >= 2, "{complaints:?}");
    browser.close().await;
    server.abort();
}
