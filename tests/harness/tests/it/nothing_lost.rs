//! Every accepted post ends as a result, whatever dies.

use std::collections::BTreeSet;

use serde_json::json;
use trustcard_tests::{
    process::Up,
    wait::{until, until_count},
};

fn load(prefix: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("load{prefix}{number:05}"))
        .collect()
}

#[tokio::test]
async fn a_202_survives_sigkill_before_any_stage_has_joined_its_group() {
    let data = tempfile::tempdir().unwrap();
    let up = Up::start(data.path(), &["--sample-site", "--no-ml"], &[]).await;
    let (status, answer) = up
        .post(
            "/api/analyze",
            &json!({ "url": "https://www.instagram.com/p/loadA/" }),
        )
        .await
        .unwrap();
    assert_eq!(status, 202, "{answer}");
    up.sigkill().await;

    let up = Up::start(data.path(), &["--sample-site", "--no-ml"], &[]).await;
    let result = up
        .ended_analysis(answer["analysis_id"].as_str().unwrap())
        .await;
    assert_eq!(result["status"], "completed", "{result}");
}

#[tokio::test]
async fn killed_in_the_middle_of_500_posts_every_accepted_one_still_ends() {
    let data = tempfile::tempdir().unwrap();
    let up = Up::start(data.path(), &["--sample-site", "--no-ml"], &[]).await;
    let ids = up.submit(&load("kill", 500)).await;
    until("a fifth of them", async || {
        let (_, totals) = up.get("/status").await;
        (totals["database"]["completed"].as_u64()? >= 100).then_some(())
    })
    .await;
    up.sigkill().await;

    let up = Up::start(data.path(), &["--sample-site", "--no-ml"], &[]).await;
    for id in &ids {
        let result = up.ended_analysis(id).await;
        assert_eq!(result["status"], "completed", "{result}");
    }
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 500);
}

#[tokio::test]
async fn a_load_larger_than_the_broker_holds_is_refused_in_part_and_wholly_answered() {
    let data = tempfile::tempdir().unwrap();
    let up = Up::start(data.path(), &["--sample-site", "--no-ml"], &[]).await;
    let mut ids = BTreeSet::new();
    for part in load("full", 3000).chunks(500) {
        ids.extend(up.submit(part).await);
    }
    assert_eq!(ids.len(), 3000);
    until_count("results", 3000, async || {
        let (_, status) = up.get("/status").await;
        let database = &status["database"];
        Some(database["completed"].as_u64()? + database["failed"].as_u64().unwrap_or(0))
    })
    .await;
    let (_, status) = up.get("/status").await;
    assert_eq!(status["database"]["completed"], 3000, "{status}");
}

#[tokio::test]
async fn racing_submissions_of_one_post_are_one_analysis_with_one_result() {
    let data = tempfile::tempdir().unwrap();
    let up = Up::start(data.path(), &["--sample-site", "--no-ml"], &[]).await;
    let body = json!({ "url": "https://www.instagram.com/reel/loadRace/" });
    let answers = futures::future::join_all((0..32).map(|_| up.post("/api/analyze", &body))).await;
    let ids: BTreeSet<String> = answers
        .into_iter()
        .map(|answer| {
            answer.unwrap().1["analysis_id"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(ids.len(), 1);
    let result = up.ended_analysis(ids.first().unwrap()).await;
    assert_eq!(result["post_id"], "loadRace");
    let (_, list) = up.get("/api/results?limit=100").await;
    assert_eq!(list["analyses"].as_array().unwrap().len(), 1, "{list}");
}
