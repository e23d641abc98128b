//! Holders of keys and what only they may do, across the rooms: on embedded parts here, on real servers in [`crate::real`].

use std::{collections::BTreeSet, process::Output};

use schemas::topics;
use serde_json::{Value, json};
use trustcard_tests::{
    api::Api,
    faults::row12::produce,
    process::{Up, command},
    read::{self, Seen},
    wait::until,
};

/// Submits, votes, deletes, tells the score stage again of what was deleted, and submits again; `keys` makes keys, `metrics` gives the
/// page of the score stage.
pub async fn a_deletion_from_end_to_end(
    api: &Api,
    bootstrap: &str,
    admin: &str,
    metrics: impl AsyncFn() -> Option<String>,
) {
    let admin = api.keyed(admin);
    let submission = json!({ "url": "https://www.instagram.com/p/loadGone/" });
    let submit = async || {
        let (status, answer) = api.post("/api/analyze", &submission).await.unwrap();
        assert_eq!(status, 202, "{answer}");
        answer["analysis_id"].as_str().unwrap().to_owned()
    };
    let id = submit().await;
    let first = api.ended_analysis(&id).await;
    assert_eq!(first["status"], "completed", "{first}");
    let results = async || of(read::all(bootstrap, topics::RESULTS).await, &id);
    let latest = async || {
        of(
            read::all(bootstrap, topics::RESULTS_LATEST).await,
            "loadGone",
        )
    };
    until("the result on its topics", async || {
        (results().await.len() == 1 && latest().await.len() == 1).then_some(())
    })
    .await;
    one_of_64_votes_is_taken(api, &id).await;

    let path = format!("/api/results/{id}");
    let (status, told) = admin.delete(&path).await;
    assert_eq!((status, &told["analysis_id"]), (200, &json!(id)), "{told}");
    assert_eq!(api.get(&path).await.0, 404);
    assert_eq!(admin.delete(&path).await.0, 404);
    until("a tombstone on both topics", async || {
        let ends = |records: &[Seen]| records.last().is_some_and(|last| last.value.is_none());
        (ends(&results().await) && ends(&latest().await)).then_some(())
    })
    .await;

    // The same detections once more, as after a rebalance: they are dropped.
    let dropped = async || {
        let text = metrics().await?;
        let mut lines = text.lines();
        let line = lines.find(|line| {
            line.starts_with("trustcard_stage_reasons_total{")
                && [r#"reason="deleted""#, r#"task_name="score""#]
                    .iter()
                    .all(|label| line.contains(label))
        })?;
        line.rsplit(' ').next()?.parse::<f64>().ok()
    };
    let before = dropped().await.unwrap_or_default();
    let late = of(read::all(bootstrap, topics::DETECTIONS).await, "loadGone");
    produce(bootstrap, topics::DETECTIONS, vec![late[0].clone()]).await;
    until("the late detections dropped", async || {
        (dropped().await? > before).then_some(())
    })
    .await;
    assert_eq!(api.get(&path).await.0, 404);

    // What the post is submitted for now is another run; of the old one nothing is left, votes included.
    assert_eq!(submit().await, id);
    let again = api.ended_analysis(&id).await;
    assert_eq!(again["status"], "completed", "{again}");
    assert!(
        again["created_at"].as_str() > first["created_at"].as_str(),
        "{again}"
    );
    let (_, feedback) = api.get(&format!("/api/reports/{id}/feedback")).await;
    assert_eq!(feedback["summary"]["total_votes"], 0);
    until("the new result", async || {
        (results().await.len() == 3 && latest().await.len() == 3).then_some(())
    })
    .await;
    let has_value = |records: Vec<Seen>| -> Vec<bool> {
        records
            .iter()
            .map(|record| record.value.is_some())
            .collect()
    };
    assert_eq!(has_value(results().await), [true, false, true]);
    assert_eq!(has_value(latest().await), [true, false, true]);
}

/// Records with this key, in their order.
fn of(records: Vec<Seen>, key: &str) -> Vec<Seen> {
    let records = records.into_iter();
    records
        .filter(|record| record.key.as_deref() == Some(key.as_bytes()))
        .collect()
}

async fn one_of_64_votes_is_taken(api: &Api, id: &str) {
    let path = format!("/api/reports/{id}/feedback");
    let body = json!({ "vote_type": "MISLEADING", "comment": " race " });
    let answers = futures::future::join_all((0..64).map(|_| api.post(&path, &body))).await;
    let statuses: Vec<u16> = answers
        .into_iter()
        .map(|answer| answer.unwrap().0)
        .collect();
    let count = |wanted| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!((count(201), count(409)), (1, 63), "{statuses:?}");
    let (_, told) = api.get(&path).await;
    assert_eq!(told["summary"]["total_votes"], 1, "{told}");
    assert_eq!(told["recent_comments"][0]["comment"], "race");
}

#[tokio::test]
async fn a_deletion_on_embedded_parts() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().to_str().unwrap();
    let up = Up::start(data.path(), &["--sample-site", "--no-ml"], &[]).await;
    let created = keys(folder, &["create", "--holder", "root", "--role", "admin"]).await;
    let key = created["key"].as_str().unwrap();
    let metrics = async || up.try_text("/metrics").await;
    a_deletion_from_end_to_end(&up, &up.bootstrap, key, metrics).await;
}

async fn run(folder: &str, arguments: &[&str]) -> Output {
    let mut all = vec!["keys"];
    all.extend(arguments);
    all.extend(["--data-dir", folder]);
    command(&all).output().await.unwrap()
}

/// Runs a command of `keys` that must succeed; its JSON.
async fn keys(folder: &str, arguments: &[&str]) -> Value {
    let output = run(folder, &[arguments, &["--json"]].concat()).await;
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn keys_are_made_shown_changed_over_and_revoked() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().to_str().unwrap();
    let variables = [
        ("ENVIRONMENT", "staging"),
        ("TRUSTCARD__API__KEY_LIFE_MS", "50"),
    ];
    let up = Up::start(data.path(), &["--sample-site", "--no-ml"], &variables).await;
    let lists = async |key: &Value| {
        let api = up.keyed(key["key"].as_str().unwrap());
        api.get("/api/results").await.0
    };
    assert_eq!(up.get("/api/results").await.0, 401);

    let first = keys(folder, &["create", "--holder", "acme"]).await;
    assert_eq!(
        (&first["holder"], &first["role"]),
        (&json!("acme"), &json!("partner"))
    );
    until("the new key", async || {
        (lists(&first).await == 200).then_some(())
    })
    .await;
    let second = keys(folder, &["rotate", "acme"]).await;
    assert_ne!(first["key"], second["key"]);
    until("the second key", async || {
        (lists(&second).await == 200).then_some(())
    })
    .await;
    assert_eq!(lists(&first).await, 200, "both live at once");

    let refused = async |arguments: &[&str], why: &str| {
        let output = run(folder, arguments).await;
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains(why), "{told}");
    };
    let old = first["key_id"].as_str().unwrap();
    refused(&["rotate", "acme"], old).await;
    refused(&["create", "--holder", "acme"], "rotate acme").await;
    refused(&["rotate", "nobody"], "create --holder nobody").await;
    refused(&["revoke", "0123456789abcdef"], "there is no key").await;
    let usage = run(folder, &["create", "--holder", "a b"]).await;
    assert_eq!(usage.status.code(), Some(2));

    let revoked = keys(folder, &["revoke", old]).await;
    assert_eq!(revoked["key_id"], first["key_id"]);
    refused(&["revoke", old], "there is no key").await;
    until("the revocation", async || {
        (lists(&first).await == 401).then_some(())
    })
    .await;
    assert_eq!(lists(&second).await, 200);
    keys(folder, &["rotate", "acme"]).await;
    // A name is never given to another, even when nobody has a key under it any more.
    refused(&["create", "--holder", "acme"], "rotate acme").await;

    let quota = keys(folder, &["quota", "acme", "--per-minute", "5"]).await;
    assert_eq!(
        (&quota["per_minute"], &quota["per_hour"]),
        (&json!(5), &json!(1_000_000))
    );
    refused(&["quota", "nobody"], "there is no holder nobody").await;
    until("the quota", async || {
        let api = up.keyed(second["key"].as_str().unwrap());
        let (_, quota) = api.get("/api/quota").await;
        (quota["minute"]["limit"] == 5).then_some(())
    })
    .await;

    let shown = keys(folder, &["ls"]).await;
    let rows = shown["keys"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    assert!(rows[0]["revoked_at"].is_string() && rows[1]["revoked_at"].is_null());
    let members: BTreeSet<&str> = rows[0]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let expected = ["created_at", "holder", "key_id", "revoked_at", "role"];
    assert_eq!(members, expected.into(), "neither the key nor its hash");
    let table = String::from_utf8(run(folder, &["ls"]).await.stdout).unwrap();
    assert!(table.contains(old) && table.contains("partner"), "{table}");
    for key in [&first, &second] {
        let secret = key["key"].as_str().unwrap().rsplit('_').next().unwrap();
        assert!(!table.contains(secret));
        let kept = std::fs::read(data.path().join("trustcard.db")).unwrap();
        assert!(!String::from_utf8_lossy(&kept).contains(secret));
    }
}

#[tokio::test]
async fn a_store_that_is_away_has_its_exit_code() {
    let mut ls = command(&["keys", "ls"]);
    let ls = ls
        .env("TRUSTCARD__DATABASE__BACKEND", "scylla")
        .env("TRUSTCARD__DATABASE__NODES", "127.0.0.1:9");
    assert_eq!(ls.output().await.unwrap().status.code(), Some(69));
}
