//! /docs in a browser: it shows every operation, from this server alone, and its policy keeps nothing of it from working.

use std::path::Path;

use axum::{Router, http::header, response::Html, routing::get};
use tokio::{net::TcpListener, process::Command};
use trustcard_tests::{answer::Answer, process::Up};

/// What a browser made of a page.
struct Seen {
    /// The document after its scripts ran.
    page: String,
    /// What the browser logged, the console of the page included.
    log: String,
}

impl Seen {
    /// Opens an address in Chromium until it is quiet. Time is virtual: it goes on while nothing is under way.
    async fn of(url: &str, profile: &Path) -> Self {
        let mut browser = Command::new("chromium");
        browser
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--enable-logging=stderr",
                "--virtual-time-budget=20000",
                "--window-size=1200,1600",
                "--dump-dom",
            ])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(url)
            .kill_on_drop(true);
        // TRUSTCARD_TEST_SCREENSHOT=page.png keeps a picture of what is seen.
        if let Ok(picture) = std::env::var("TRUSTCARD_TEST_SCREENSHOT") {
            browser.arg(format!("--screenshot={picture}"));
        }
        let output = browser.output().await;
        let output = output.expect("chromium: apt-get install chromium");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let seen = Self {
            page: text(&output.stdout),
            log: text(&output.stderr),
        };
        assert!(
            output.status.success() && !seen.page.is_empty(),
            "{}",
            seen.log
        );
        seen
    }

    /// Lines of the page's console.
    fn console(&self) -> Vec<&str> {
        let lines = self.log.lines();
        lines.filter(|line| line.contains("CONSOLE")).collect()
    }

    /// Lines that tell of something the policy kept from working.
    fn violations(&self) -> Vec<&str> {
        let lines = self.log.lines();
        lines
            .filter(|line| line.contains("Content Security Policy"))
            .collect()
    }
}

#[tokio::test]
async fn the_page_shows_every_operation_and_breaks_no_policy() {
    let data = tempfile::tempdir().unwrap();
    let up = Up::start(data.path(), &["--sample-site", "--no-ml"], &[]).await;
    let seen = Seen::of(&format!("{}/docs", up.url), &data.path().join("browser")).await;
    assert_eq!(seen.violations(), [""; 0]);
    assert_eq!(seen.console(), [""; 0]);
    let document = Answer::to(up.request("GET", "/openapi.json")).await.json();
    for (path, item) in document["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            let summary = operation["summary"].as_str().unwrap();
            assert!(
                seen.page.contains(summary),
                "{summary} of {path} is not shown"
            );
        }
        assert!(
            seen.page.contains(&format!("data-path=\"{path}\"")),
            "{path} is not shown"
        );
    }
    assert!(seen.page.contains("Getting started"), "the guide is shown");
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
    let seen = Seen::of(&url, &data.path().join("browser")).await;
    server.abort();
    assert!(seen.violations().len() >= 2, "{}", seen.log);
}
