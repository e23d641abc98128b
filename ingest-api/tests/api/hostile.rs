//! Bodies that are made to exhaust or to confuse: row 16 of the fault table. Compressed bodies are read of batches alone (see
//! `lines`), and there only to the limit of what comes out; elsewhere they are 415 before a byte of them is looked at.

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use uuid::Uuid;

use crate::support::{Answer, Api, url};

const SINGLE: &str = "/api/analyze";
const BATCH: &str = "/api/analyze/batch";

/// Everywhere a body is read, and a field of it that holds text.
fn places() -> [(String, &'static str); 3] {
    let feedback = format!("/api/reports/{}/feedback", Uuid::from_u128(1));
    [
        (SINGLE.to_owned(), "url"),
        (BATCH.to_owned(), "urls"),
        (feedback, "comment"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_bodies_are_refused_before_they_arrive() {
    let api = Api::start().await;
    for (path, _) in places() {
        for coding in ["gzip", "zstd", "br", "deflate", "x-gzip", "identity, gzip"] {
            if path == BATCH && ["gzip", "zstd"].contains(&coding) {
                continue;
            }
            // Nine megabytes that would be a thousand times as many are announced and never sent.
            let head = format!(
                "POST {path} HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-type: application/json\r\n\
                 content-encoding: {coding}\r\ncontent-length: 9000000\r\n\r\n"
            );
            let mut stream = TcpStream::connect(api.address).await.unwrap();
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.unwrap();
            Answer::parse(&bytes).error(415, "UNSUPPORTED_MEDIA_TYPE");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_beyond_the_limit_is_refused_before_the_body_arrives() {
    let api = Api::start().await;
    for (path, _) in places() {
        for length in ["10000001", "18446744073709551615"] {
            let head = format!(
                "POST {path} HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-type: application/json\r\n\
                 content-length: {length}\r\n\r\n"
            );
            let mut stream = TcpStream::connect(api.address).await.unwrap();
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut bytes = Vec::new();
            // What HTTP itself does not allow is ended by the server's own means.
            let _ = stream.read_to_end(&mut bytes).await;
            let answer = Answer::parse(&bytes);
            if length == "10000001" {
                answer.error(413, "PAYLOAD_TOO_LARGE");
            } else {
                assert!((400..500).contains(&answer.status), "{}", answer.status);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nesting_ten_thousand_deep_is_malformed() {
    let api = Api::start().await;
    let (open, close) = ("[".repeat(10_000), "]".repeat(10_000));
    let (map, end) = ("{\"a\":".repeat(10_000), "}".repeat(10_000));
    for (path, field) in places() {
        for body in [
            format!("{open}{close}"),
            open.clone(),
            format!("{{\"{field}\":{open}{close}}}"),
            format!("{{\"{field}\":{open}}}"),
            format!("{{\"{field}\":{map}1{end}}}"),
            format!("{{\"other\":{open}{close}}}"),
        ] {
            let answer = api.post_bytes(&path, body.as_bytes()).await;
            // A list of one item, however deep that is, is a list: the item alone is refused.
            if path == BATCH && answer.status == 202 {
                assert_eq!(answer.json()["accepted"], 0);
                continue;
            }
            answer.error(422, "INVALID_INPUT");
        }
    }
    assert_eq!(api.published().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_urls_are_too_many() {
    let api = Api::start().await;
    // Within the limit in bytes, so that they are counted.
    for item in ["1", "\"x\"", "{}"] {
        let body = format!(
            "{{\"urls\":[{}{item}]}}",
            format!("{item},").repeat(999_999)
        );
        let answer = api.post_bytes(BATCH, body.as_bytes()).await;
        let details = answer.error(413, "PAYLOAD_TOO_LARGE");
        assert_eq!(
            (&details["limit"], &details["unit"]),
            (&json!(10_000), &json!("URLs"))
        );
    }
    let address = format!("\"{}\",", url("A"));
    let body = format!("{{\"urls\":[{}1]}}", address.repeat(1_000_000));
    let answer = api.post_bytes(BATCH, body.as_bytes()).await;
    let details = answer.error(413, "PAYLOAD_TOO_LARGE");
    assert_eq!(details["unit"], "bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_given_twice_is_malformed_and_so_are_too_many() {
    let api = Api::start().await;
    let address = url("A");
    for (path, body) in [
        (
            SINGLE,
            format!(r#"{{"url":"{address}","url":"{address}"}}"#),
        ),
        (
            SINGLE,
            format!(r#"{{"url":"{address}","\u0075rl":"{address}"}}"#),
        ),
        (
            SINGLE,
            format!(r#"{{"url":"{address}","force":true,"force":false}}"#),
        ),
        (
            BATCH,
            format!(r#"{{"urls":["{address}"],"urls":["{address}"]}}"#),
        ),
        (
            SINGLE,
            format!(r#"{{{}"url":"{address}"}}"#, "\"a\":1,".repeat(9_000)),
        ),
    ] {
        let answer = api.post_bytes(path, body.as_bytes()).await;
        answer.error(422, "INVALID_INPUT");
    }
    assert_eq!(api.published().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_is_none_is_malformed() {
    let api = Api::start().await;
    let bodies: [&[u8]; 9] = [
        br#"{"url":"https://www.instagram.com/p/A\ud800/"}"#,
        br#"{"url":"\ud800\ud800"}"#,
        br#"{"\ud800":1,"url":"x"}"#,
        br#"{"url":"https://www.instagram.com/p/A\u0000/"}"#,
        br#"{"url":"https://www.instagram.com\u0000.example.com/p/A/"}"#,
        b"{\"url\":\"https://www.instagram.com/p/A\0/\"}",
        b"\0{\"url\":\"https://www.instagram.com/p/A/\"}",
        b"{\"url\":\"https://www.instagram.com/p/A/\"}\0",
        b"{\"url\":\"\xff\xfe\"}",
    ];
    for body in bodies {
        let answer = api.post_bytes(SINGLE, body).await;
        answer.error(422, "INVALID_INPUT");
    }
    let answer = api
        .post_bytes(
            BATCH,
            br#"{"urls":["\ud800","a\u0000b","https://www.instagram.com/p/A\u0000/"]}"#,
        )
        .await;
    assert_eq!(answer.status, 202, "one bad URL never fails the rest");
    let told = answer.json();
    assert_eq!(
        (
            &told["accepted"],
            told["rejected"].as_array().unwrap().len()
        ),
        (&json!(0), 3)
    );
    assert_eq!(api.published().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_and_cursors_that_are_none_are_malformed() {
    let api = Api::start().await;
    let odd = [
        "x",
        "%00",
        "%ff",
        "%ed%a0%80",
        "00000000-0000-0000-0000-00000000000g",
        "00000000000000000000000000000000",
        "%7B00000000-0000-0000-0000-000000000000%7D",
        &"0".repeat(5_000),
    ];
    for id in odd {
        for path in [
            format!("/api/results/{id}"),
            format!("/api/reports/{id}"),
            format!("/api/reports/{id}/feedback"),
            format!("/api/batches/{id}"),
        ] {
            api.get(&path).await.error(422, "INVALID_INPUT");
        }
        let path = format!("/api/results?cursor={id}&status={id}&limit={id}");
        let details = api.get(&path).await.error(422, "INVALID_INPUT");
        let entries = details["errors"].as_array().unwrap().len();
        assert!(
            entries == 3 || details["field"] == "query",
            "{id}: {details}"
        );
    }
}
