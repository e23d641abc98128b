//! The first thing a newcomer types.

use serde_json::Value;
use trustcard_tests::process::command;

#[tokio::test]
async fn the_demo_ends_with_every_post_as_expected() {
    let data = tempfile::tempdir().unwrap();
    let arguments = [
        "demo",
        "--exit",
        "--json",
        "--no-ml",
        "--data-dir",
        data.path().to_str().unwrap(),
    ];
    let output = command(&arguments).output().await.unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let posts = document["posts"].as_array().unwrap();
    let odd: Vec<&Value> = posts
        .iter()
        .filter(|post| post["as_expected"] != true)
        .collect();
    assert!(odd.is_empty(), "{odd:#?}");
    assert!(output.status.success());
    assert!(posts.len() >= 24, "{} posts", posts.len());

    let completed: Vec<&Value> = posts
        .iter()
        .map(|post| &post["result"])
        .filter(|r| r["status"] == "completed")
        .collect();
    for result in &completed {
        let ai = result["coverage"]
            .as_array()
            .unwrap()
            .iter()
            .find(|entry| entry["component"] == "ai_detection")
            .unwrap();
        assert_eq!(
            (&ai["status"], &ai["reason"]),
            (&Value::from("skipped"), &Value::from("models_off"))
        );
    }
    let scores: std::collections::BTreeSet<String> = completed
        .iter()
        .map(|r| r["trust_score"].to_string())
        .collect();
    assert!(
        scores.len() >= 8,
        "posts that argue differently score differently: {scores:?}"
    );
}

#[tokio::test]
async fn the_table_is_for_people_and_says_what_was_not_checked() {
    let data = tempfile::tempdir().unwrap();
    let output = command(&[
        "demo",
        "--exit",
        "--no-ml",
        "--data-dir",
        data.path().to_str().unwrap(),
    ])
    .output()
    .await
    .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for expected in [
        "strongest reasons",
        "not checked",
        "p50",
        "p99",
        "Where to look next",
        "ai ocr deepfake",
        "post_unavailable",
    ] {
        assert!(text.contains(expected), "{expected} is missing in\n{text}");
    }
}

mod real {
    use serde_json::Value;
    use trustcard_tests::{cluster::Cluster, read::all, wait::until};

    #[tokio::test]
    async fn the_demo_on_kafka_and_cql_ends_with_every_post_as_expected() {
        let cluster = Cluster::start(3).await;
        let data = cluster.folder().join("demo-data");
        let data = data.to_str().unwrap();
        let arguments = [
            "demo",
            "--real",
            "--exit",
            "--json",
            "--no-ml",
            "--data-dir",
            data,
        ];
        let demo = cluster.run(&arguments).await;
        // Shown when what follows fails.
        eprintln!("{}\n{}", demo.status, String::from_utf8_lossy(&demo.stderr));
        assert!(demo.status.success());
        let document: Value = serde_json::from_slice(&demo.stdout).unwrap();
        assert_eq!(document["as_expected"], true, "{document:#}");
        let posts = document["posts"].as_array().unwrap();
        assert!(posts.len() >= 24, "{} posts", posts.len());

        // They went through that broker, and into no other store. On a slow machine the last commit of the demo's end may have
        // been given up; who comes next makes it.
        let [_score] = cluster.roles(["score"]).await;
        let bootstrap = cluster.kafka.bootstrap();
        let results = until("every result to be on its topic", async || {
            let results = all(&bootstrap, "trustcard.results").await;
            (results.len() >= posts.len()).then_some(results)
        })
        .await;
        assert_eq!(results.len(), posts.len());
        let folder = std::path::Path::new(data).join("demo");
        assert!(folder.join("media").exists() && !folder.join("trustcard.db").exists());
    }
}
