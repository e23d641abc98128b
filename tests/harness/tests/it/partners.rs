//! What partners are given beside the API: commands that push and watch, and examples to begin with.

use std::{
    collections::BTreeSet,
    path::Path,
    process::{Output, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    http::{HeaderMap, StatusCode},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::Instant};
use trustcard_tests::{
    examples::{example, printed, python},
    process::{Up, command},
};

async fn run(arguments: &[&str]) -> Output {
    command(arguments).output().await.unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn urls(prefix: &str, count: usize) -> String {
    (0..count)
        .map(|n| format!("https://www.instagram.com/p/{prefix}{n:05}/\n"))
        .collect()
}

/// The lines of a journal that are whole.
fn journal(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let whole = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    whole
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn a_submission_that_was_killed_goes_on_where_it_was() {
    let data = tempfile::tempdir().unwrap();
    let up = Up::start(data.path(), &["--sample-site", "--no-ml"], &[]).await;
    let file = data.path().join("urls.txt");
    std::fs::write(&file, urls("loadcut", 3_500)).unwrap();
    let kept = data.path().join("urls.txt.journal");
    let arguments = ["submit", "--json", "--file", text(&file), "--api", &up.url];

    let mut first = command(&arguments).stdout(Stdio::null()).spawn().unwrap();
    while journal(&kept).len() < 3 {
        assert!(
            first.try_wait().unwrap().is_none(),
            "it ended before it could be killed"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    first.kill().await.unwrap();
    let before: Vec<Value> = journal(&kept)[1..]
        .iter()
        .map(|entry| entry["answer"]["batch_id"].clone())
        .collect();
    assert!((2..7).contains(&before.len()), "{}", before.len());

    // Another file under the same name is not taken for it.
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, urls("loadother", 3_500)).unwrap();
    let refused = run(&arguments).await;
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(told.contains("has changed"), "{told}");
    std::fs::write(&file, whole).unwrap();

    let second = run(&arguments).await;
    assert_eq!(second.status.code(), Some(0), "{second:?}");
    let document: Value = serde_json::from_slice(&second.stdout).unwrap();
    let batches = document["batches"].as_array().unwrap();
    let distinct: BTreeSet<&str> = batches.iter().filter_map(Value::as_str).collect();
    assert_eq!((batches.len(), distinct.len()), (7, 7), "{document}");
    assert_eq!(batches[..before.len()], before, "sent once, named again");
    assert_eq!(document["accepted"], 3_500);
    assert!(!kept.exists(), "all is done");
}

#[tokio::test]
async fn a_results_file_says_what_became_of_every_line_and_a_batch_can_be_watched() {
    let data = tempfile::tempdir().unwrap();
    let up = Up::start(data.path(), &["--sample-site", "--no-ml"], &[]).await;
    let (file, out) = (data.path().join("urls.txt"), data.path().join("out.jsonl"));
    let first = urls("loadfile", 3);
    std::fs::write(
        &file,
        format!("{first}https://example.com/p/x/\n{}", urls("loadmore", 2)),
    )
    .unwrap();

    let submit = ["submit", "--json", "--file", text(&file), "--api", &up.url];
    let sent = run(&[&submit[..], &["--results", text(&out)]].concat()).await;
    assert_eq!(sent.status.code(), Some(1), "one is no post: {sent:?}");
    let written = std::fs::read_to_string(&out).unwrap();
    let lines: Vec<Value> = written
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told: Vec<Value> = lines
        .iter()
        .map(|line| {
            json!([
                line["line"],
                line["analysis"]["status"],
                line["rejected"]["code"]
            ])
        })
        .collect();
    let done = |line: u8| json!([line, "completed", null]);
    let refused = json!([4, null, "INVALID_INPUT"]);
    assert_eq!(
        told,
        [done(1), done(2), done(3), refused, done(5), done(6)],
        "{written}"
    );
    assert_eq!(
        lines[4]["url"],
        "https://www.instagram.com/p/loadmore00000/"
    );
    let analysis = &lines[4]["analysis"];
    assert_eq!(analysis["post_id"], "loadmore00000");
    let reasons = &analysis["trust_score_breakdown"]["adjustments"];
    assert!(reasons.is_array(), "the whole result: {analysis}");

    std::fs::write(&file, urls("loadwatch", 60)).unwrap();
    let sent: Value = serde_json::from_slice(&run(&submit).await.stdout).unwrap();
    let batch = sent["batches"][0].as_str().unwrap();
    let watched = run(&["batch", batch, "--watch", "--json", "--api", &up.url]).await;
    assert_eq!(watched.status.code(), Some(0), "{watched:?}");
    let lines = String::from_utf8(watched.stdout).unwrap();
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["percent"], &last["total"]),
        (&json!(100.0), &json!(60))
    );
    let mut before = -1.0;
    for line in &lines {
        assert!(
            line["percent"].as_f64().unwrap() >= before,
            "never backwards: {line}"
        );
        before = line["percent"].as_f64().unwrap();
    }
    let table = run(&["batch", batch, "--api", &up.url]).await;
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.contains(batch) && table.contains("100 %"), "{table}");
    let nothing = "00000000-0000-4000-8000-000000000000";
    let unknown = run(&["batch", nothing, "--watch", "--api", &up.url]).await;
    assert_eq!(unknown.status.code(), Some(1), "{unknown:?}");
}

#[tokio::test]
async fn the_example_in_python_submits_waits_and_reads() {
    let data = tempfile::tempdir().unwrap();
    let Some(python) = python().await else { return };
    let up = Up::start(data.path(), &["--sample-site", "--no-ml"], &[]).await;
    let file = data.path().join("urls.txt");
    std::fs::write(&file, urls("loadhttpx", 5)).unwrap();
    let mut submit = tokio::process::Command::new(python);
    submit.arg(example("submit.py")).arg(&up.url).arg(&file);
    let read = printed(&mut submit).await;
    let posts: Vec<String> = read
        .lines()
        .map(|line| {
            let result: Value = serde_json::from_str(line).unwrap();
            assert_eq!(result["status"], "completed", "{result}");
            result["post_id"].as_str().unwrap().to_owned()
        })
        .collect();
    let expected: Vec<String> = (0..5).map(|n| format!("loadhttpx{n:05}")).collect();
    assert_eq!(posts, expected);
}

/// A played API: it can't be brought to every answer in seconds. It gives these answers, one a request, and then an empty list.
async fn played(answers: Vec<(u16, String)>) -> (String, Arc<Mutex<Vec<String>>>) {
    let keys = Arc::new(Mutex::new(Vec::new()));
    let (kept, answers) = (Arc::clone(&keys), Mutex::new(answers.into_iter()));
    let answers = Arc::new(answers);
    let app = Router::new().fallback(async move |headers: HeaderMap| {
        let key = headers
            .get("idempotency-key")
            .map(|key| key.to_str().unwrap());
        kept.lock()
            .unwrap()
            .push(key.unwrap_or_default().to_owned());
        let next = answers.lock().unwrap().next();
        let (status, body) = next.unwrap_or((200, "[]".to_owned()));
        let status = StatusCode::from_u16(status).unwrap();
        (status, [("retry-after", "1")], body)
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, keys)
}

#[tokio::test]
async fn a_command_comes_back_when_it_is_asked_to_and_says_why_it_was_refused() {
    let id = "2b0dab6d-a54e-5956-bd30-9c4f608965ad";
    let batch = json!({ "batch_id": id, "total": 1, "percent": 100.0, "later": "unknown",
        "counts": { "pending": 0, "processing": 0, "completed": 1, "failed": 0 },
        "created_at": "2026-11-20T09:31:00Z", "completed_at": "2026-11-20T09:31:02Z" });
    let forbidden = json!({ "error": "FORBIDDEN", "message": "Not with this key.", "details": {} });
    let answers = [
        (429, "{}".to_owned()),
        (503, "no JSON".to_owned()),
        (200, batch.to_string()),
        (403, forbidden.to_string()),
    ];
    let (url, asked) = played(answers.to_vec()).await;

    let arguments = ["batch", id, "--json", "--api", &url];
    let began = Instant::now();
    let waited = run(&arguments).await;
    assert_eq!(waited.status.code(), Some(0), "{waited:?}");
    assert!(began.elapsed() >= Duration::from_secs(2), "twice a second");
    assert_eq!(asked.lock().unwrap().len(), 3);
    let refused = run(&arguments).await;
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(told.contains("403 FORBIDDEN: Not with this key."), "{told}");
    let strange = run(&arguments).await;
    let told = String::from_utf8_lossy(&strange.stderr).into_owned();
    assert_eq!(strange.status.code(), Some(1), "{told}");
    assert!(told.contains("shape"), "{told}");
}

#[tokio::test]
async fn a_request_that_failed_is_sent_again_under_its_key_and_a_remainder_under_another() {
    let id = |n: u8| format!("00000000-0000-4000-8000-00000000000{n}");
    let item = |n: u8, index: u8| json!({ "index": index, "analysis_id": id(n), "post_id": "p" });
    let full = json!({ "code": "BROKER_UNAVAILABLE", "message": "Send it again later." });
    let part = json!({ "batch_id": id(1), "accepted": 1, "duplicates": 0, "items": [item(2, 1)],
        "rejected": [{ "index": 0, "url": "cut", "error": full, "retryable": true }] });
    let rest = json!({ "batch_id": id(3), "accepted": 1, "duplicates": 0, "items": [item(4, 0)] });
    let answers = [
        (500, "{}".to_owned()),
        (202, part.to_string()),
        (503, String::new()),
        (202, rest.to_string()),
    ];
    let (url, keys) = played(answers.to_vec()).await;
    let sent = run(&["submit", "first", "second", "--json", "--api", &url]).await;
    assert_eq!(sent.status.code(), Some(0), "{sent:?}");
    let document: Value = serde_json::from_slice(&sent.stdout).unwrap();
    assert_eq!(document["batches"], json!([id(1), id(3)]));
    assert_eq!(document["accepted"], 2);
    let keys = keys.lock().unwrap();
    assert_eq!(keys.len(), 4, "{keys:?}");
    assert!(keys[0].len() == 36 && keys[0] == keys[1], "{keys:?}");
    assert!(keys[2] == keys[3] && keys[1] != keys[2], "{keys:?}");
}
