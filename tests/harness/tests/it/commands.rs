//! The client commands against a running `up`, and the exit codes they promise.

use std::process::{Output, Stdio};

use serde_json::{Value, json};
use store::{Operations, SqliteStore, StorePolicy};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use trustcard_tests::{
    process::{Up, command},
    wait::until,
};

async fn run(arguments: &[&str]) -> Output {
    command(arguments).output().await.unwrap()
}

#[tokio::test]
async fn submit_sends_a_file_and_waits_and_results_shows_what_came_out() {
    let data = tempfile::tempdir().unwrap();
    let up = Up::start(data.path(), &["--sample-site", "--no-ml"], &[]).await;
    let file = data.path().join("urls.txt");
    let lines: Vec<String> = (0..40)
        .map(|n| format!("https://www.instagram.com/p/loadcli{n:02}/"))
        .collect();
    std::fs::write(
        &file,
        format!("{}\nhttps://example.com/p/abc/\n", lines.join("\n")),
    )
    .unwrap();

    let sent = run(&[
        "submit",
        "--file",
        file.to_str().unwrap(),
        "--wait",
        "--json",
        "--api",
        &up.url,
    ])
    .await;
    let document: Value = serde_json::from_slice(&sent.stdout).unwrap();
    assert_eq!(
        (document["accepted"].as_u64(), sent.status.code()),
        (Some(40), Some(1)),
        "{document}"
    );
    let refused = &document["rejected"][0];
    assert_eq!(
        (refused["index"].as_u64(), refused["url"].as_str()),
        (Some(40), Some("https://example.com/p/abc/"))
    );

    let listed = run(&[
        "results",
        "--json",
        "--limit",
        "100",
        "--status",
        "completed",
        "--api",
        &up.url,
    ])
    .await;
    let lines = String::from_utf8(listed.stdout).unwrap();
    assert_eq!(lines.lines().count(), 40);
    let table = String::from_utf8(run(&["results", "--api", &up.url]).await.stdout).unwrap();
    assert!(
        table.contains("strongest reasons") && table.contains("loadcli"),
        "{table}"
    );
}

#[tokio::test]
async fn results_follow_prints_each_result_as_it_comes_and_kcat_reads_the_same() {
    let data = tempfile::tempdir().unwrap();
    let up = Up::start(data.path(), &["--sample-site", "--no-ml"], &[]).await;
    let mut follow = command(&[
        "results",
        "--follow",
        "--json",
        "--data-dir",
        data.path().to_str().unwrap(),
    ]);
    let mut follow = follow.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    // It reads from the end of the topic as of its start, so posts are sent until it has seen one.
    let sending = async {
        for number in 0.. {
            let ids = up.submit(&[format!("loadtail{number}")]).await;
            up.ended_analysis(&ids[0]).await;
        }
    };
    let seen = tokio::select! { line = lines.next_line() => line, () = sending => unreachable!() };
    let result: Value = serde_json::from_str(&seen.unwrap().unwrap()).unwrap();
    assert_eq!(result["status"], "completed");
    let id = result["analysis_id"].as_str().unwrap();
    delete_by_hand(&up.bootstrap, id).await;
    let deleted = json!({ "analysis_id": id, "deleted": true }).to_string();
    loop {
        let line = lines.next_line().await.unwrap().expect("it goes on");
        if line == deleted {
            break;
        }
        assert!(line.contains("completed"), "{line}");
    }
    follow.kill().await.unwrap();

    let kcat = [
        "-b",
        &up.bootstrap,
        "-t",
        "trustcard.results",
        "-C",
        "-e",
        "-q",
        "-o",
        "beginning",
        "-f",
        "%k %s\n",
    ];
    let read = tokio::process::Command::new("kcat")
        .args(kcat)
        .output()
        .await
        .unwrap();
    let text = String::from_utf8(read.stdout).unwrap();
    assert!(
        text.lines().any(|line| line.starts_with(id)),
        "{id} is not among\n{text}"
    );
}

/// Writes a tombstone to the results topic, as a deletion does.
async fn delete_by_hand(bootstrap: &str, id: &str) {
    let topic = ["-b", bootstrap, "-t", "trustcard.results"];
    let mut kcat = tokio::process::Command::new("kcat");
    let kcat = kcat.args(topic).args(["-P", "-Z", "-K", "|"]);
    let mut kcat = kcat.stdin(Stdio::piped()).spawn().unwrap();
    let mut input = kcat.stdin.take().unwrap();
    let line = format!("{id}|\n");
    input.write_all(line.as_bytes()).await.unwrap();
    drop(input);
    assert!(kcat.wait().await.unwrap().success());
}

#[tokio::test]
async fn what_cannot_be_read_becomes_a_dead_letter_on_the_topic_and_a_row() {
    let data = tempfile::tempdir().unwrap();
    let up = Up::start(data.path(), &["--sample-site", "--no-ml"], &[]).await;
    let file = data.path().join("poison");
    std::fs::write(&file, "not json").unwrap();
    let produce = [
        "-b",
        &up.bootstrap,
        "-t",
        "trustcard.submissions",
        "-P",
        "-k",
        "bad",
        "-H",
        "x=y",
        file.to_str().unwrap(),
    ];
    assert!(
        tokio::process::Command::new("kcat")
            .args(produce)
            .status()
            .await
            .unwrap()
            .success()
    );

    for stage in ["scrape", "record"] {
        let topic = format!("trustcard.{stage}.dead-letters");
        let read = [
            "-b",
            &up.bootstrap,
            "-t",
            &topic,
            "-C",
            "-e",
            "-q",
            "-f",
            "%k|%s|%h\n",
        ];
        let letter = until("a dead letter", async || {
            let output = tokio::process::Command::new("kcat")
                .args(read)
                .output()
                .await
                .unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            (!text.is_empty()).then_some(text)
        })
        .await;
        assert!(
            letter.starts_with("bad|not json|x=y,dl-origin-topic=trustcard.submissions"),
            "{letter}"
        );
        assert!(letter.contains("dl-code=missing_header"), "{letter}");
    }

    let store =
        SqliteStore::open(&data.path().join("trustcard.db"), StorePolicy::default()).unwrap();
    let rows = store.dead_letters("scrape", 10).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (rows[0].key.as_deref(), rows[0].value.as_deref()),
        (Some(&b"bad"[..]), Some(&b"not json"[..]))
    );
    assert_eq!(rows[0].headers[0], ("x".to_owned(), b"y".to_vec()));

    // Its neighbours are not held up.
    let ids = up.submit(&["loadafter".to_owned()]).await;
    assert_eq!(up.ended_analysis(&ids[0]).await["status"], "completed");
}

#[tokio::test]
async fn every_failure_has_its_documented_exit_code_and_says_what_to_do() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().to_str().unwrap();

    let unreachable = run(&[
        "submit",
        "https://www.instagram.com/p/abc/",
        "--api",
        "http://127.0.0.1:9",
    ])
    .await;
    assert_eq!(unreachable.status.code(), Some(69));
    assert!(String::from_utf8_lossy(&unreachable.stderr).contains("trustcard up"));

    let mut config = command(&["check-config"]);
    let config = config
        .env("TRUSTCARD__SCRAPE__MEDIA__MAX_PIXELS", "many")
        .output()
        .await
        .unwrap();
    assert_eq!(config.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&config.stderr).contains("max_pixels"));

    let mut two = command(&["check-config"]);
    let two = two
        .env("TRUSTCARD__STAGES__SCRAPE__CONCURRENCY", "0")
        .env("LOG_LEVEL", "LOUD")
        .output()
        .await
        .unwrap();
    assert_eq!(two.status.code(), Some(78));
    let told = String::from_utf8_lossy(&two.stderr).into_owned();
    assert!(
        told.contains("stages.scrape.concurrency") && told.contains("LOUD"),
        "all faults at once: {told}"
    );

    let mut models = command(&["up", "--sample-site", "--data-dir", folder]);
    let models = models
        .env("TRUSTCARD__DETECT__MODELS_DIR", folder)
        .env_remove("ORT_DYLIB_PATH")
        .output()
        .await
        .unwrap();
    assert_eq!(
        models.status.code(),
        Some(66),
        "{}",
        String::from_utf8_lossy(&models.stderr)
    );
    assert!(String::from_utf8_lossy(&models.stderr).contains("trustcard models pull"));

    assert_eq!(run(&["nonsense"]).await.status.code(), Some(2));
}

#[tokio::test]
async fn a_second_up_on_the_same_folder_is_refused_and_the_first_goes_on() {
    let data = tempfile::tempdir().unwrap();
    let up = Up::start(data.path(), &["--sample-site", "--no-ml"], &[]).await;
    let second = run(&[
        "up",
        "--sample-site",
        "--no-ml",
        "--data-dir",
        data.path().to_str().unwrap(),
    ])
    .await;
    assert_eq!(second.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&second.stderr).contains("another `trustcard up`"));
    let ids = up.submit(&["loadfirst".to_owned()]).await;
    assert_eq!(up.ended_analysis(&ids[0]).await["status"], "completed");
}

#[tokio::test]
async fn score_explain_works_a_score_out_and_says_what_it_would_be_by_other_weights() {
    let data = tempfile::tempdir().unwrap();
    let up = Up::start(data.path(), &["--sample-site", "--no-ml"], &[]).await;
    let ids = up.submit(&["DTCconlinks".to_owned()]).await;
    let result = up.ended_analysis(&ids[0]).await;
    let (id, folder) = (ids[0].to_string(), data.path().to_str().unwrap());
    let explain = async |more: &[&str]| {
        run(&[&["score", "explain", &id, "--data-dir", folder], more].concat()).await
    };

    let paper = explain(&[]).await;
    let told = String::from_utf8(paper.stdout).unwrap();
    let score = format!("{:.2}", result["trust_score"].as_f64().unwrap());
    for word in [
        "Conspiracy Sources",
        "-25.00",
        "100.00",
        score.as_str(),
        "credibility of the text",
        "ai_detection (models_off)",
    ] {
        assert!(told.contains(word), "{word} is not in\n{told}");
    }

    // What was linked costs 25 points; without that row the score is as much higher.
    let weights = data.path().join("weights.toml");
    std::fs::write(&weights, "[scoring.sources]\nvery_low = 5.0\n").unwrap();
    let document = explain(&["--json", "--with", weights.to_str().unwrap()]).await;
    let document: Value = serde_json::from_slice(&document.stdout).unwrap();
    assert_eq!(document["trust_score"], result["trust_score"]);
    assert_eq!(document["what_if"]["change"], 20.0, "{document}");
    let (now, then) = (
        &document["scoring_version"],
        &document["what_if"]["scoring_version"],
    );
    assert!(
        now.is_string() && then.is_string() && now != then,
        "{now} {then}"
    );
    let twice = explain(&[
        "--json",
        "--with",
        weights.to_str().unwrap(),
        "--set",
        "sources.very_low=25",
    ])
    .await;
    let twice: Value = serde_json::from_slice(&twice.stdout).unwrap();
    assert_eq!(
        (
            &twice["what_if"]["change"],
            &twice["what_if"]["scoring_version"]
        ),
        (&Value::from(0.0), now)
    );

    assert_eq!(
        explain(&["--set", "sources.verylow=3"]).await.status.code(),
        Some(78)
    );
    assert_eq!(explain(&["--set", "sources"]).await.status.code(), Some(78));
    assert_eq!(
        explain(&["--with", "/nonexistent.toml"])
            .await
            .status
            .code(),
        Some(78)
    );
    let unknown = run(&[
        "score",
        "explain",
        "00000000-0000-5000-8000-000000000000",
        "--data-dir",
        folder,
    ])
    .await;
    assert_eq!(unknown.status.code(), Some(1));
    assert_eq!(
        run(&["score", "explain", "abc"]).await.status.code(),
        Some(2)
    );
    // A post that could not be read has a result, and no score to explain.
    let ids = up.submit(&["DTCdeleted1".to_owned()]).await;
    up.ended_analysis(&ids[0]).await;
    let failed = run(&[
        "score",
        "explain",
        &ids[0].to_string(),
        "--data-dir",
        folder,
    ])
    .await;
    assert_eq!(failed.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&failed.stdout).contains("post_unavailable"));
}

#[tokio::test]
async fn the_demo_shows_somebodys_own_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let posts = folder.path().join("posts");
    std::fs::create_dir_all(posts.join("walk")).unwrap();
    let picture = include_bytes!("../../../../consumers/detect/tests/fixtures/baseline.jpg");
    for name in ["one.jpg", "walk/1.jpg", "walk/2.jpg"] {
        std::fs::write(posts.join(name), picture).unwrap();
    }
    std::fs::write(
        posts.join("one.txt"),
        "Read https://www.infowars.com/story before it is gone!!!",
    )
    .unwrap();
    let (posts, data) = (posts.to_str().unwrap(), folder.path().to_str().unwrap());
    let output = run(&[
        "demo",
        "--exit",
        "--json",
        "--no-ml",
        "--posts",
        posts,
        "--data-dir",
        data,
    ])
    .await;
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success());
    let results = document["posts"].as_array().unwrap();
    assert_eq!(results.len(), 2, "{document}");
    let one = results
        .iter()
        .find(|post| post["title"] == "one.jpg")
        .unwrap();
    assert!(
        one["result"]["trust_score"].as_f64().unwrap() < 80.0,
        "{one}"
    );
    let adjustments = one["result"]["trust_score_breakdown"]["adjustments"]
        .as_array()
        .unwrap();
    let linked = adjustments
        .iter()
        .find(|one| one["category"] == "Conspiracy Sources")
        .unwrap();
    assert_eq!(
        (
            linked["impact"].as_f64(),
            linked["metadata"]["domains"][0].as_str()
        ),
        (Some(-25.0), Some("infowars.com"))
    );
    assert_eq!(
        results.iter().find(|post| post["title"] == "walk").unwrap()["result"]["post_info"]["image_count"],
        2
    );
}

#[tokio::test]
async fn a_demo_leaves_the_folder_of_a_running_up_alone() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("demo");
    std::fs::create_dir(&folder).unwrap();
    let up = Up::start(&folder, &["--sample-site", "--no-ml"], &[]).await;
    let ids = up.submit(&["loadkept".to_owned()]).await;
    assert_eq!(up.ended_analysis(&ids[0]).await["status"], "completed");
    let shown = data.path().to_str().unwrap();

    let demo = run(&["demo", "--exit", "--no-ml", "--data-dir", shown]).await;
    assert_eq!(demo.status.code(), Some(78));
    let told = String::from_utf8_lossy(&demo.stderr).into_owned();
    assert!(told.contains("another `trustcard up`"), "{told}");
    assert!(folder.join("trustcard.db").exists() && folder.join("up.json").exists());
    let ids = up.submit(&["loadnext".to_owned()]).await;
    assert_eq!(up.ended_analysis(&ids[0]).await["status"], "completed");
}
