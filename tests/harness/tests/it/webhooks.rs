//! A partner is told when its analyses and its batch have ended: on embedded parts here, on real servers in [`crate::real`].

use std::{
    collections::BTreeMap,
    path::Path,
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpListener,
    process::Command,
};
use trustcard_tests::{
    api::Api,
    examples,
    process::{Up, command},
    servers::free_ports,
    wait::until,
};

/// What roles are told in both tests.
pub const VARIABLES: [(&str, &str); 1] = [("TRUSTCARD__WEBHOOK__ALLOW_LOOPBACK", "true")];

/// A partner's server. It refuses the first messages, so many.
#[derive(Clone, Default)]
struct Receiver {
    refuse: Arc<AtomicUsize>,
    /// By `webhook-id`: how often it was taken, and the last that was.
    taken: Arc<Mutex<BTreeMap<String, (usize, Value)>>>,
    secret: Arc<Mutex<String>>,
}

impl Receiver {
    async fn start(refuse: usize) -> (Self, String) {
        let receiver = Self {
            refuse: Arc::new(refuse.into()),
            ..Self::default()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let router = Router::new().route("/hook", post(take));
        let router = router.with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (receiver, url)
    }

    fn taken(&self) -> Vec<(usize, Value)> {
        self.taken.lock().unwrap().values().cloned().collect()
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    let (id, at) = (text("webhook-id"), text("webhook-timestamp"));
    let secret = receiver.secret.lock().unwrap().clone();
    let signed = schemas::webhook::sign(&secret, &id, at.parse().unwrap(), &body);
    if signed != Some(text("webhook-signature")) {
        return StatusCode::UNAUTHORIZED;
    }
    let less = |left: usize| left.checked_sub(1);
    let refused = receiver
        .refuse
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    if refused.is_ok() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let message = serde_json::from_slice(&body).unwrap();
    let mut taken = receiver.taken.lock().unwrap();
    let before = taken.get(&id).map_or(0, |(count, _)| *count);
    taken.insert(id, (before + 1, message));
    StatusCode::NO_CONTENT
}

/// Makes a webhook, submits a batch, is told of every analysis and of the batch, each once, and drops the webhook.
pub async fn a_partner_is_told(api: &Api, key: &str) {
    let partner = api.keyed(key);
    let (receiver, url) = Receiver::start(2).await;
    let ask = json!({ "url": url });
    let (status, made) = until("the key to be known", async || {
        let answer = partner.post("/api/webhooks", &ask).await?;
        (answer.0 != 401).then_some(answer)
    })
    .await;
    assert_eq!(status, 201, "{made}");
    *receiver.secret.lock().unwrap() = made["secret"].as_str().unwrap().to_owned();
    let path = format!("/api/webhooks/{}", made["webhook_id"].as_str().unwrap());

    let codes = ["loadtold1", "loadtold2", "DTCdeleted1"];
    let urls = codes.map(|code| format!("https://www.instagram.com/p/{code}/"));
    let batch = json!({ "urls": urls });
    let (status, batch) = partner.post("/api/analyze/batch", &batch).await.unwrap();
    assert_eq!(status, 202, "{batch}");
    until("four messages", async || {
        (receiver.taken().len() >= 4).then_some(())
    })
    .await;
    let taken = receiver.taken();
    assert!(taken.iter().all(|(count, _)| *count == 1), "{taken:?}");
    let of = |kind: &str| -> Vec<&Value> {
        let messages = taken.iter().map(|(_, message)| message);
        messages.filter(|message| message["type"] == kind).collect()
    };
    assert_eq!(of("analysis.completed").len(), 2, "{taken:?}");
    let failed = of("analysis.failed");
    assert_eq!(failed[0]["data"]["post_id"], "DTCdeleted1");
    assert_eq!(failed[0]["data"]["error"], "post_unavailable");
    let ended = of("batch.completed");
    assert_eq!(ended[0]["data"]["batch_id"], batch["batch_id"]);
    assert_eq!(ended[0]["data"]["completed"], 2, "{ended:?}");
    assert_eq!(ended[0]["data"]["failed"], 1, "{ended:?}");

    // An attempt is noted after the receiver has answered.
    let deliveries = format!("{path}/deliveries");
    let log = until("six attempts", async || {
        let (_, log) = partner.get(&deliveries).await;
        (log["deliveries"].as_array()?.len() >= 6).then_some(log)
    })
    .await;
    let attempts = log["deliveries"].as_array().unwrap().iter();
    let statuses: Vec<u64> = attempts
        .map(|one| one["status"].as_u64().unwrap())
        .collect();
    let count = |wanted| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!((count(503), count(204)), (2, 4), "{log}");
    assert_eq!(partner.delete(&path).await.0, 200);
    assert_eq!(partner.delete(&path).await.0, 404);
}

/// TrustCard on embedded parts, and the key of a partner.
async fn with_a_partner(data: &Path) -> (Up, String) {
    let up = Up::start(data, &["--sample-site", "--no-ml"], &VARIABLES).await;
    let create = ["keys", "create", "--holder", "acme", "--json", "--data-dir"];
    let made = command(&[&create[..], &[data.to_str().unwrap()]].concat());
    let made = { made }.output().await.unwrap();
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    (up, made["key"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_partner_is_told_on_embedded_parts() {
    let data = tempfile::tempdir().unwrap();
    let (up, key) = with_a_partner(data.path()).await;
    a_partner_is_told(&up, &key).await;
}

#[tokio::test]
async fn the_receiver_among_the_examples_takes_what_is_signed_once_and_nothing_else() {
    let data = tempfile::tempdir().unwrap();
    let (up, key) = with_a_partner(data.path()).await;
    let partner = up.keyed(&key);
    let port = free_ports(1);
    let url = format!("http://127.0.0.1:{port}/");
    let ask = json!({ "url": url, "events": ["analysis.completed"] });
    let made = until("the key to be known", async || {
        let (status, made) = partner.post("/api/webhooks", &ask).await?;
        (status == 201).then_some(made)
    })
    .await;
    let secret = made["secret"].as_str().unwrap();
    let mut receiver = Command::new("python3")
        .arg(examples::example("webhook.py"))
        .arg(port.to_string())
        .env("TRUSTCARD_WEBHOOK_SECRET", secret)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut told = BufReader::new(receiver.stdout.take().unwrap()).lines();

    let analysis = &partner.submit(&["loadexample".to_owned()]).await[0];
    let line = told.next_line().await.unwrap().unwrap();
    let message: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(message["data"]["analysis_id"], json!(analysis));

    let now = engine::Clock::now(&engine::SystemClock).as_second();
    let send = async |id: &str, at: i64, secret: &str, body: &'static str| {
        let signature = schemas::webhook::sign(secret, id, at, body.as_bytes()).unwrap();
        let request = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = request.post(&url).body(body);
        let request = request
            .header("webhook-id", id)
            .header("webhook-timestamp", at)
            .header("webhook-signature", signature);
        request.send().await.unwrap().status().as_u16()
    };
    let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    assert_eq!(send("forged", now, other, "{}").await, 401);
    assert_eq!(send("stale", now - 3_600, secret, "{}").await, 401);
    for _ in 0..2 {
        assert_eq!(send("twice", now, secret, r#"{"n":1}"#).await, 204);
    }
    assert_eq!(send("last", now, secret, r#"{"n":2}"#).await, 204);
    for body in [r#"{"n":1}"#, r#"{"n":2}"#] {
        assert_eq!(told.next_line().await.unwrap().unwrap(), body);
    }
}
