//! How a process ends.

use serde_json::json;
use trustcard_tests::{process::Up, wait::until};

#[tokio::test]
async fn sigterm_drains_and_the_next_start_finishes_what_was_left() {
    let data = tempfile::tempdir().unwrap();
    let up = Up::start(data.path(), &["--sample-site", "--no-ml"], &[]).await;
    let codes: Vec<String> = (0..50).map(|number| format!("loadterm{number}")).collect();
    let ids = up.submit(&codes).await;
    up.signal("TERM").await;
    assert!(up.ended().await.success());

    let up = Up::start(data.path(), &["--sample-site", "--no-ml"], &[]).await;
    for id in &ids {
        assert_eq!(up.ended_analysis(id).await["status"], "completed");
    }
}

#[tokio::test]
async fn readiness_falls_while_the_process_still_answers() {
    let data = tempfile::tempdir().unwrap();
    // A grace so long that the test, not time, decides what is seen first; the second signal ends it.
    let variables = [("TRUSTCARD__OPS__UNREADY_GRACE_MS", "600000")];
    let up = Up::start(data.path(), &["--sample-site", "--no-ml"], &variables).await;
    until("readiness", async || {
        (up.get("/health/ready").await.0 == 200).then_some(())
    })
    .await;
    up.signal("TERM").await;
    until("its fall", async || {
        (up.get("/health/ready").await.0 == 503).then_some(())
    })
    .await;
    assert_eq!(up.get("/health/live").await.0, 200);
    let (status, _) = up
        .post(
            "/api/analyze",
            &json!({ "url": "https://www.instagram.com/p/loadlate/" }),
        )
        .await
        .unwrap();
    assert_eq!(
        status, 202,
        "callers that were not sent elsewhere yet are still served"
    );
    up.signal("TERM").await;
    assert_eq!(up.ended().await.code(), Some(130));
}

#[tokio::test]
async fn readiness_comes_with_every_part() {
    let data = tempfile::tempdir().unwrap();
    let up = Up::start(data.path(), &["--sample-site", "--no-ml"], &[]).await;
    until("readiness", async || {
        (up.get("/health/ready").await.0 == 200).then_some(())
    })
    .await;
    let (status, health) = up.get("/health").await;
    assert_eq!(
        (status, health["status"].as_str()),
        (200, Some("healthy")),
        "{health}"
    );
}
