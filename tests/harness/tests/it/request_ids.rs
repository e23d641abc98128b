//! The id of a request on the wire and in the log: the same in the body of every kind of error, in its header, and in the line that
//! tells of it.

use std::collections::BTreeMap;

use engine::EmbeddedBroker;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use trustcard_tests::{answer::Answer, broker::embedded, role::RoleProcess, wait::until};

/// An API whose log can be read.
struct Logged {
    api: RoleProcess,
    broker: Option<EmbeddedBroker>,
    data: TempDir,
}

impl Logged {
    async fn start(variables: &[(&str, &str)]) -> Self {
        let broker = embedded(1);
        let data = tempfile::tempdir().unwrap();
        let bootstrap = broker.kafka().bootstrap().to_owned();
        let mut settings: BTreeMap<String, String> = [
            ("TRUSTCARD__KAFKA__BOOTSTRAP", bootstrap.as_str()),
            ("LOG_LEVEL", "INFO"),
            ("LOG_JSON", "true"),
        ]
        .iter()
        .chain(variables)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
        settings.insert("NO_COLOR".to_owned(), "1".to_owned());
        let folder = data.path().to_str().unwrap();
        let log = data.path().join("api.log");
        let mut api = RoleProcess::start("api", &["--data-dir", folder], &settings, log);
        api.ready().await;
        Self {
            api,
            broker: Some(broker),
            data,
        }
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.api.api.request(method, path)
    }

    /// Sends a request under an id of its own and looks for that in all three places.
    async fn check(&self, status: u16, code: &str, request: reqwest::RequestBuilder) {
        let id = format!("wire-{status}-{}", code.to_lowercase());
        let answer = Answer::to(request.header("x-request-id", &id)).await;
        let _ = answer.error(status, code);
        assert_eq!(answer.header("x-request-id"), Some(id.as_str()));
        self.logged(status, &id).await;
    }

    /// Waits for the line that tells of the answer.
    async fn logged(&self, status: u16, id: &str) {
        until("the line of the log", async || {
            let text = self.api.logged();
            let mut lines = text
                .lines()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok());
            lines
                .any(|line| {
                    line["status"] == status && line.to_string().contains(&format!("\"{id}\""))
                })
                .then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn every_kind_of_error_has_its_id_in_body_header_and_log() {
    let mut logged = Logged::start(&[]).await;
    let post = json!({ "url": "https://www.instagram.com/p/WIRE1/" });
    let unknown = "/api/results/00000000-0000-4000-8000-000000000000";
    let check = async |status, code, request| logged.check(status, code, request).await;
    check(404, "RESOURCE_NOT_FOUND", logged.request("GET", unknown)).await;
    check(
        405,
        "METHOD_NOT_ALLOWED",
        logged.request("PATCH", "/api/analyze"),
    )
    .await;
    refused_by_length(&logged).await;
    let text = logged.request("POST", "/api/analyze").body("url");
    check(415, "UNSUPPORTED_MEDIA_TYPE", text).await;
    check(
        422,
        "INVALID_INPUT",
        logged.request("GET", "/api/results/x"),
    )
    .await;
    incomplete(&logged).await;

    let analyze = || logged.request("POST", "/api/analyze").json(&post);
    assert_eq!(Answer::to(analyze()).await.status, 202);
    let database = logged.data.path().join("trustcard.db");
    let broker = logged.broker.take();
    drop(broker);
    let analyze = || logged.request("POST", "/api/analyze").json(&post);
    logged.check(503, "BROKER_UNAVAILABLE", analyze()).await;
    let database = rusqlite::Connection::open(database).unwrap();
    database.execute_batch("DROP TABLE analyses").unwrap();
    logged.check(500, "DATABASE_ERROR", analyze()).await;
}

/// 413: a body whose declared length is too much. Nothing of it is sent, so that the answer is not lost with the connection.
async fn refused_by_length(logged: &Logged) {
    let answer = raw(logged, "wire-413", "content-length: 70000\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(
        answer.contains("\r\nx-request-id: wire-413\r\n"),
        "{answer}"
    );
    assert!(answer.contains(r#""request_id":"wire-413""#), "{answer}");
    assert!(
        answer.contains(r#""error":"PAYLOAD_TOO_LARGE""#),
        "{answer}"
    );
    logged.logged(413, "wire-413").await;
}

/// Sends a submission byte by byte as given; the answer.
async fn raw(logged: &Logged, id: &str, rest: &str) -> String {
    let address = logged.api.api.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /api/analyze HTTP/1.1\r\nhost: test\r\nconnection: close\r\nx-request-id: {id}\r\n\
         content-type: application/json\r\n{rest}"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// 400: a body that ends before its declared length.
async fn incomplete(logged: &Logged) {
    let answer = raw(logged, "wire-400", "content-length: 100\r\n\r\n{\"url\":").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(
        answer.contains("\r\nx-request-id: wire-400\r\n"),
        "{answer}"
    );
    assert!(answer.contains(r#""request_id":"wire-400""#), "{answer}");
    assert!(answer.contains(r#""error":"INVALID_INPUT""#), "{answer}");
    logged.logged(400, "wire-400").await;
}

#[tokio::test]
async fn so_have_the_refusals_of_those_who_may_not() {
    let variables = [
        ("ENVIRONMENT", "staging"),
        ("RATE_LIMIT_ENABLED", "true"),
        ("TRUSTCARD__API__RATE_LIMIT__READS_PER_MINUTE", "1"),
    ];
    let logged = Logged::start(&variables).await;
    let batch = json!({ "urls": ["https://www.instagram.com/p/WIRE1/"] });
    let batch = logged.request("POST", "/api/analyze/batch").json(&batch);
    logged.check(401, "UNAUTHORIZED", batch).await;
    assert_eq!(
        Answer::to(logged.request("GET", "/status")).await.status,
        200
    );
    let read = logged.request("GET", "/status");
    logged.check(429, "RATE_LIMIT_EXCEEDED", read).await;
}
