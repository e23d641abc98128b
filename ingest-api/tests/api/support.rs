//! A running API to talk to, and a client that sends exactly the bytes it is given.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use engine::{
    Clock,
    embedded::{EmbeddedBroker, EmbeddedTopic},
    lag::{Monitor, Watched},
    lifecycle::{Readiness, Shutdown},
    publisher::Publisher,
};
use jiff::Timestamp;
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::Headers,
};
use schemas::{AnalysisResult, Header, PostRef, Run, Submission, topics};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use store::{Analyses, BlobStore, KeyRole, Keys, SqliteStore, StorePolicy};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use trustcard_ingest_api::{ApiConfig, AppState, Parts, keys::NewKey, serve};
use uuid::Uuid;

/// When tests begin.
pub const START_MS: i64 = 1_795_167_000_000;
/// How long the broker may take in these tests.
const ACK_TIMEOUT: Duration = Duration::from_millis(1500);
/// More than anything here should take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A clock that only tests move.
#[derive(Debug)]
pub struct TestClock(AtomicI64);

impl TestClock {
    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

/// Headers, key and value of a record.
pub type Read = (Vec<Header>, Vec<u8>, Vec<u8>);

/// A running API.
pub struct Api {
    pub address: SocketAddr,
    pub store: Arc<SqliteStore>,
    pub database: PathBuf,
    pub blobs: BlobStore,
    pub clock: Arc<TestClock>,
    pub publisher: Publisher,
    pub broker: Option<EmbeddedBroker>,
    pub readiness: Readiness,
    pub shutdown: Shutdown,
    pub server: JoinHandle<std::io::Result<()>>,
    bootstrap: String,
    _folder: tempfile::TempDir,
}

impl Api {
    pub async fn start() -> Self {
        Self::with(config()).await
    }

    pub async fn with(config: ApiConfig) -> Self {
        Self::on(1, config).await
    }

    /// With submissions on this many partitions; [`Self::submissions`] and [`Self::published`] look at the first alone.
    pub async fn on(partitions: u32, config: ApiConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("trustcard.db");
        let policy = StorePolicy::default();
        let store = Arc::new(SqliteStore::open(&database, policy.clone()).unwrap());
        let blobs = BlobStore::local(&folder.path().join("media")).unwrap();
        let broker = EmbeddedBroker::start(&[
            EmbeddedTopic {
                name: topics::SUBMISSIONS.to_owned(),
                partitions,
                required_groups: vec![topics::group("record")],
            },
            EmbeddedTopic {
                name: topics::SUBMISSIONS_BULK.to_owned(),
                partitions: 1,
                required_groups: vec![topics::group("admit")],
            },
            EmbeddedTopic {
                name: topics::DETECTIONS.to_owned(),
                partitions: 1,
                required_groups: vec![topics::group("score")],
            },
            EmbeddedTopic {
                name: topics::FEEDBACK.to_owned(),
                partitions: 1,
                required_groups: Vec::new(),
            },
            EmbeddedTopic {
                name: topics::dead_letters("record"),
                partitions: 1,
                required_groups: Vec::new(),
            },
        ])
        .unwrap();
        let kafka = broker.kafka();
        let publisher = Publisher::new(kafka, "ingest-api", ACK_TIMEOUT, 100_000).unwrap();
        let clock = Arc::new(TestClock(AtomicI64::new(START_MS)));
        let (readiness, shutdown) = (Readiness::new(), Shutdown::new());
        let record = Watched {
            group: topics::group("record"),
            topics: vec![topics::SUBMISSIONS.to_owned()],
        };
        let state = AppState::new(Parts {
            config,
            store: store.clone(),
            policy,
            blobs: blobs.clone(),
            publisher: publisher.clone(),
            webhook_addresses: outbound::UrlPolicy::any_host(false),
            monitor: Monitor::new(kafka, vec![record], Vec::new(), clock.clone()).unwrap(),
            clock: clock.clone(),
            readiness: readiness.clone(),
            registry: prometheus::Registry::new(),
            version: "1.2.3",
            commit: "0123456789ab",
        })
        .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self {
            address: listener.local_addr().unwrap(),
            store,
            database,
            blobs,
            clock,
            publisher,
            bootstrap: kafka.bootstrap().to_owned(),
            broker: Some(broker),
            readiness,
            server: tokio::spawn(serve(listener, state, shutdown.clone())),
            shutdown,
            _folder: folder,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"").await
    }

    pub async fn get_json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_bytes(path, body.to_string().as_bytes()).await
    }

    pub async fn post_bytes(&self, path: &str, body: &[u8]) -> Answer {
        self.send("POST", path, &[("content-type", "application/json")], body)
            .await
    }

    pub async fn analyze(&self, url: &str) -> Answer {
        self.post("/api/analyze", &json!({ "url": url })).await
    }

    /// A new key of a holder. Keys are read once in their life: make all of a test before the first is sent.
    pub async fn key(&self, holder: &str, role: KeyRole) -> String {
        let key = NewKey::draw().unwrap();
        let row = key.row(holder, role, self.now());
        self.store.add_key(&row).await.unwrap();
        key.text.expose_secret().to_owned()
    }

    pub async fn get_as(&self, key: &str, path: &str) -> Answer {
        self.send_as(key, "GET", path, b"").await
    }

    pub async fn post_as(&self, key: &str, path: &str, body: &Value) -> Answer {
        self.send_as(key, "POST", path, body.to_string().as_bytes())
            .await
    }

    pub async fn send_as(&self, key: &str, method: &str, path: &str, body: &[u8]) -> Answer {
        let bearer = format!("Bearer {key}");
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
        ];
        self.send(method, path, &headers, body).await
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// One request on a connection of its own. What the server does not read is no error: it may answer early.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut from, mut to) = stream.into_split();
        let writing = async {
            if to.write_all(head.as_bytes()).await.is_ok() {
                let _ = to.write_all(body).await;
            }
        };
        let mut bytes = Vec::new();
        let reading = from.read_to_end(&mut bytes);
        let both = async { tokio::join!(writing, reading) };
        let (_, read) = tokio::time::timeout(PATIENCE, both).await.unwrap();
        assert!(
            read.is_ok() || !bytes.is_empty(),
            "{method} {path}: {read:?}"
        );
        Answer::parse(&bytes)
    }

    /// How many submissions the topic has taken.
    pub async fn published(&self) -> i64 {
        self.records_of(topics::SUBMISSIONS.to_owned()).await
    }

    /// How many records a topic has taken.
    pub async fn records_of(&self, topic: String) -> i64 {
        let bootstrap = self.bootstrap.clone();
        tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = ClientConfig::new()
                .set("bootstrap.servers", bootstrap)
                .create()
                .unwrap();
            let asked = consumer.fetch_watermarks(&topic, 0, PATIENCE);
            asked.unwrap().1
        })
        .await
        .unwrap()
    }

    /// The submissions in the topic, decoded as a stage would, with the headers they came with.
    pub async fn submissions(&self) -> Vec<(Submission, Vec<Header>)> {
        let records = self.records(topics::SUBMISSIONS).await.into_iter();
        let read = records.map(|(headers, key, value)| {
            let submission: Submission = schemas::decode(&headers, Some(&value)).unwrap();
            assert_eq!(key, submission.post.post_id.as_bytes());
            (submission, headers)
        });
        read.collect()
    }

    /// The only record of a topic: headers, key and value.
    pub async fn record(&self, topic: &'static str) -> Read {
        let mut records = self.records(topic).await;
        assert_eq!(records.len(), 1, "{topic}");
        records.remove(0)
    }

    async fn records(&self, topic: &'static str) -> Vec<Read> {
        let count = usize::try_from(self.records_of(topic.to_owned()).await).unwrap();
        let bootstrap = self.bootstrap.clone();
        tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = ClientConfig::new()
                .set("bootstrap.servers", bootstrap)
                .set("group.id", "test")
                .create()
                .unwrap();
            let mut from = TopicPartitionList::new();
            from.add_partition_offset(topic, 0, Offset::Beginning)
                .unwrap();
            consumer.assign(&from).unwrap();
            (0..count)
                .map(|_| {
                    let message = consumer.poll(PATIENCE).unwrap().unwrap().detach();
                    let headers = message.headers().unwrap().iter().map(|header| {
                        let value = header.value.unwrap_or_default().to_vec();
                        Header::new(header.key.to_owned(), value)
                    });
                    let (key, value) = (message.key().unwrap(), message.payload().unwrap());
                    (headers.collect(), key.to_vec(), value.to_vec())
                })
                .collect()
        })
        .await
        .unwrap()
    }

    /// Ends an analysis as the score stage would, its run having begun now.
    pub async fn finish(&self, id: Uuid, post: &PostRef, how: impl FnOnce(&mut AnalysisResult)) {
        let now = self.clock.now();
        let mut result = completed();
        result.analysis_id = id;
        result.run = Run::submitted(now);
        result.post = post.clone();
        result.created_at = now;
        result.completed_at = now + Duration::from_millis(2500);
        how(&mut result);
        self.store.finish(&result, now).await.unwrap();
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Settings of a test: the defaults, but callers may ask as often as they like.
pub fn config() -> ApiConfig {
    let mut config = ApiConfig::default();
    config.rate_limit.enabled = false;
    config
}

/// A completed result, the golden one of the contracts.
pub fn completed() -> AnalysisResult {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../schemas/fixtures/analysis-finished.v1.json"
    );
    let record: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    serde_json::from_value(record["value"].clone()).unwrap()
}

/// A post.
pub fn post(shortcode: &str) -> PostRef {
    PostRef::parse(&url(shortcode), 2000).unwrap()
}

/// Its address.
pub fn url(shortcode: &str) -> String {
    format!("https://www.instagram.com/p/{shortcode}/")
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn parse(bytes: &[u8]) -> Self {
        let end = bytes
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(bytes)));
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let header = |line: &str| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        };
        Self {
            status: status.parse().unwrap(),
            headers: lines.map(header).collect(),
            body: bytes[end + 4..].to_vec(),
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn id(&self) -> Uuid {
        assert_eq!(self.status, 202, "{}", self.text());
        self.json()["analysis_id"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    }

    /// Asserts that this is an error of the one shape, and gives its details.
    pub fn error(&self, status: u16, code: &str) -> Value {
        let body = self.json();
        assert_eq!(
            (self.status, &body["error"]),
            (status, &json!(code)),
            "{body}"
        );
        let keys: Vec<&String> = body.as_object().unwrap().keys().collect();
        assert_eq!(
            keys,
            ["error", "message", "details", "status_code", "request_id"]
        );
        assert_eq!(body["status_code"], status);
        assert!(!body["message"].as_str().unwrap().is_empty());
        assert_eq!(
            body["request_id"].as_str(),
            self.header("x-request-id"),
            "{body}"
        );
        assert_eq!(self.header("content-type"), Some("application/json"));
        body["details"].clone()
    }
}
