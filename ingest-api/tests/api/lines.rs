//! Batches as lines, compressed or not.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, Api, config, url};

const PATH: &str = "/api/analyze/batch";
const LINES: (&str, &str) = ("content-type", "application/x-ndjson");

async fn post(api: &Api, coding: Option<&str>, body: &[u8]) -> Answer {
    let mut headers = vec![LINES];
    headers.extend(coding.map(|coding| ("content-encoding", coding)));
    api.send("POST", PATH, &headers, body).await
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_has_its_own_outcome_and_a_bad_one_names_itself() {
    let api = Api::start().await;
    let (one, two) = (url("ONE"), url("TWO"));
    let body = format!(
        "{one}\n\n{{\"url\":\"{two}\",\"client_ref\":\"order-2\"}}\r\nnonsense\n{{\"url\":7}}\n\"{one}\"\n"
    );
    let answer = post(&api, None, body.as_bytes()).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let told = answer.json();
    let of = |member: &str| -> Vec<Value> {
        let outcomes = told["outcomes"].as_array().unwrap();
        outcomes
            .iter()
            .map(|outcome| outcome[member].clone())
            .collect()
    };
    assert_eq!(of("index"), [0, 1, 2, 3, 4]);
    assert_eq!(
        of("status"),
        ["accepted", "accepted", "rejected", "rejected", "duplicate"]
    );
    assert_eq!(of("client_ref")[1], "order-2");
    assert_eq!(of("analysis_id")[4], of("analysis_id")[0]);
    assert_eq!(of("code")[2], "INVALID_INPUT");
    let faults: Vec<&str> = (0..2)
        .map(|n| told["rejected"][n]["error"]["message"].as_str().unwrap())
        .collect();
    assert!(faults[0].starts_with("line 4, url: "), "{faults:?}");
    assert_eq!(faults[1], "line 5, url: must be a string");
    assert_eq!(
        (&told["accepted"], &told["duplicates"]),
        (&json!(2), &json!(1))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_lines_are_the_same_batch() {
    let api = Api::on(4, config()).await;
    let lines: Vec<String> = (0..2_000).map(|n| url(&format!("load{n}"))).collect();
    let body = lines.join("\n").into_bytes();
    for (coding, body) in [
        ("gzip", gzip(&body)),
        ("zstd", zstd::bulk::compress(&body, 1).unwrap()),
    ] {
        assert!(body.len() < 20_000);
        let answer = post(&api, Some(coding), &body).await;
        assert_eq!(
            answer.json()["accepted"],
            2_000,
            "{coding}: {}",
            answer.status
        );
    }
    let beyond = gzip("x\n".repeat(10_001).as_bytes());
    let details = post(&api, Some("gzip"), &beyond)
        .await
        .error(413, "PAYLOAD_TOO_LARGE");
    assert_eq!(details, json!({ "limit": 10_000, "unit": "URLs" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_bursts_or_is_cut_off_is_refused_and_nothing_accepted() {
    let api = Api::start().await;
    let bomb = gzip(&vec![b' '; 200_000_000]);
    assert!(bomb.len() < 2_000_000);
    let details = post(&api, Some("gzip"), &bomb)
        .await
        .error(413, "PAYLOAD_TOO_LARGE");
    assert_eq!(details["limit"], 10_000_000);
    let body = format!("{}\n{}\n", url("A"), url("B"));
    let packed = zstd::bulk::compress(body.as_bytes(), 1).unwrap();
    let cut = post(&api, Some("zstd"), &packed[..packed.len() - 1]).await;
    assert_eq!(cut.error(422, "INVALID_INPUT")["field"], "body");
    let plain = post(&api, Some("gzip"), body.as_bytes()).await;
    plain.error(422, "INVALID_INPUT");
    post(&api, Some("br"), body.as_bytes())
        .await
        .error(415, "UNSUPPORTED_MEDIA_TYPE");
    assert_eq!(api.published().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn results_come_as_lines_and_go_on_behind_a_cursor() {
    let api = Api::start().await;
    let body = format!(
        "{}\nbad\n{{\"url\":\"{}\",\"client_ref\":\"b\"}}\n{}\n",
        url("A"),
        url("B"),
        url("C")
    );
    let told = post(&api, None, body.as_bytes()).await.json();
    let path = format!(
        "/api/batches/{}/results",
        told["batch_id"].as_str().unwrap()
    );
    let lines = async |query: &str| -> Vec<Value> {
        let answer = api.get(&format!("{path}{query}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
        let text = unchunked(&answer.body);
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let fresh = lines("").await;
    let of = |lines: &[Value], member: &str| -> Vec<Value> {
        lines.iter().map(|line| line[member].clone()).collect()
    };
    assert_eq!(of(&fresh, "index"), [0, 2, 3]);
    assert_eq!(of(&fresh, "status"), ["pending"; 3]);
    assert_eq!(
        of(&fresh, "result"),
        [Value::Null, Value::Null, Value::Null]
    );
    let id: Uuid = fresh[1]["analysis_id"].as_str().unwrap().parse().unwrap();
    let queued: Vec<_> = api
        .submissions()
        .await
        .into_iter()
        .map(|(s, _)| s)
        .collect();
    store::Analyses::project(&*api.store, &queued, api.now())
        .await
        .unwrap();
    api.finish(id, &crate::support::post("B"), |_| {}).await;
    let ended = lines("").await;
    assert_eq!(of(&ended, "status"), ["pending", "completed", "pending"]);
    assert_eq!(ended[1]["client_ref"], "b");
    assert_eq!(
        ended[1]["result"]["grade"].as_str(),
        Some(ended[1]["result"]["grade"].as_str().unwrap())
    );
    assert_eq!(ended[1]["result"]["analysis_id"], json!(id));
    let cursor = ended[0]["cursor"].as_str().unwrap();
    let rest = lines(&format!("?cursor={cursor}")).await;
    assert_eq!(of(&rest, "index"), [2, 3]);
    let last = ended[2]["cursor"].as_str().unwrap();
    assert_eq!(lines(&format!("?cursor={last}")).await, [Value::Null; 0]);
    let odd = api.get(&format!("{path}?cursor=zz")).await;
    assert_eq!(odd.error(422, "INVALID_INPUT")["field"], "cursor");
    let unknown = format!("/api/batches/{}/results", Uuid::from_u128(1));
    api.get(&unknown).await.error(404, "RESOURCE_NOT_FOUND");
}

/// A body without the frames of its chunks.
pub fn unchunked(mut body: &[u8]) -> String {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&body[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        let begin = end + 2;
        whole.extend_from_slice(&body[begin..(begin + size).min(body.len())]);
        body = body.get(begin + size + 2..).unwrap_or_default();
    }
    String::from_utf8(whole).unwrap()
}
