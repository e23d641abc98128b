//! How a process ends.

use trustcard_tests::{process::Up, wait::until};

#[tokio::test]
async fn sigterm_drains_and_nothing_is_redone_by_the_next_start() {
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
