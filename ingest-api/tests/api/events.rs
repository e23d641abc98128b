//! Progress of a batch and of an analysis as a stream of events.

use std::time::Duration;

use serde_json::{Value, json};
use store::{Analyses, ProgressStep};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};
use trustcard_ingest_api::ApiConfig;

use crate::support::{Api, config, post, url};

/// A stream of events that is being read.
struct Events(BufReader<TcpStream>);

#[derive(Debug, PartialEq)]
struct Event {
    name: String,
    id: String,
    data: Value,
}

impl Events {
    async fn open(api: &Api, path: &str, last: Option<&str>) -> Self {
        let last = last.map_or_else(String::new, |id| format!("last-event-id: {id}\r\n"));
        let head =
            format!("GET {path}/events HTTP/1.1\r\nhost: t\r\nconnection: close\r\n{last}\r\n");
        let mut stream = TcpStream::connect(api.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut events = Self(BufReader::new(stream));
        let status = events.line().await.unwrap();
        assert!(status.starts_with("HTTP/1.1 200"), "{status}");
        let mut typed = false;
        while let Some(line) = events.line().await.filter(|line| !line.is_empty()) {
            typed |= line == "content-type: text/event-stream";
        }
        assert!(typed);
        events
    }

    /// A line; `None` at the end.
    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = tokio::time::timeout(Duration::from_secs(20), self.0.read_line(&mut line));
        (read.await.unwrap().unwrap() > 0).then(|| line.trim_end().to_owned())
    }

    /// The next event, with how many comments came before it; `None` at the end.
    async fn next(&mut self) -> Option<(Event, usize)> {
        let (mut name, mut id, mut data) = (None, None, None);
        let mut comments = 0;
        loop {
            let line = self.line().await?;
            comments += usize::from(line.starts_with(':'));
            let value = |field: &str| {
                line.strip_prefix(field)
                    .map(|value| value.trim().to_owned())
            };
            name = value("event:").or(name);
            id = value("id:").or(id);
            data = value("data:").or(data);
            if let (true, Some(name), Some(id), Some(data)) = (line.is_empty(), &name, &id, &data) {
                let event = Event {
                    name: name.clone(),
                    id: id.clone(),
                    data: serde_json::from_str(data).unwrap(),
                };
                return Some((event, comments));
            }
        }
    }
}

fn quick() -> ApiConfig {
    let mut config = config();
    config.events.interval_ms = 50;
    config.events.heartbeat_ms = 100;
    config.events.max_listeners = 3;
    config
}

/// A batch of A and B, projected; its path.
async fn batch(api: &Api) -> String {
    let told = api
        .post(
            "/api/analyze/batch",
            &json!({ "urls": [url("A"), url("B")] }),
        )
        .await;
    let queued: Vec<_> = api
        .submissions()
        .await
        .into_iter()
        .map(|(s, _)| s)
        .collect();
    api.store.project(&queued, api.now()).await.unwrap();
    format!("/api/batches/{}", told.json()["batch_id"].as_str().unwrap())
}

async fn end(api: &Api, shortcode: &str) {
    let submissions = api.submissions().await;
    let submission = submissions
        .iter()
        .find(|(s, _)| s.post.post_id == shortcode);
    let id = submission.unwrap().0.analysis_id;
    api.finish(id, &post(shortcode), |_| {}).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_are_told_as_they_change_and_the_stream_ends_with_the_batch() {
    let api = Api::with(quick()).await;
    let path = batch(&api).await;
    let mut events = Events::open(&api, &path, None).await;
    let (first, _) = events.next().await.unwrap();
    assert_eq!(
        (first.name.as_str(), &first.data["counts"]["pending"]),
        ("progress", &json!(2))
    );
    tokio::time::sleep(Duration::from_millis(350)).await;
    end(&api, "A").await;
    let (second, comments) = events.next().await.unwrap();
    assert!(comments >= 2, "{comments} signs of life");
    assert_eq!(second.data["counts"]["completed"], 1);
    assert_eq!(second.data, api.get_json(&path).await);

    // Who was cut off after the first event is told the second, and nothing twice.
    let mut again = Events::open(&api, &path, Some(&first.id)).await;
    assert_eq!(again.next().await.unwrap().0, second);
    let mut seen = Events::open(&api, &path, Some(&second.id)).await;
    let full = api.get(&format!("{path}/events")).await;
    full.error(429, "RATE_LIMIT_EXCEEDED");
    end(&api, "B").await;
    for events in [&mut events, &mut again, &mut seen] {
        let (last, _) = events.next().await.unwrap();
        assert_eq!(
            (last.name.as_str(), &last.data["percent"]),
            ("done", &json!(100.0))
        );
        assert!(events.next().await.is_none(), "the stream ends");
        let head = [("last-event-id", last.id.as_str())];
        let over = api.send("GET", &format!("{path}/events"), &head, b"").await;
        assert_eq!((over.status, over.body.len()), (204, 0));
    }
    let mut late = Events::open(&api, &path, None).await;
    assert_eq!(
        late.next().await.unwrap().0.name,
        "done",
        "places were given back"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_ends_streams_and_others_hear_nothing() {
    let api = Api::with(quick()).await;
    let path = batch(&api).await;
    let mut events = Events::open(&api, &path, None).await;
    assert!(events.next().await.is_some());
    api.shutdown.begin();
    assert!(events.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_analysis_is_told_step_by_step_to_its_end() {
    let api = Api::with(quick()).await;
    batch(&api).await;
    let (submission, _) = api.submissions().await.swap_remove(0);
    let path = format!("/api/results/{}", submission.analysis_id);
    let mut events = Events::open(&api, &path, None).await;
    let (first, _) = events.next().await.unwrap();
    let told = |event: &Event| (event.name.clone(), event.data["status"].clone());
    assert_eq!(told(&first), ("progress".to_owned(), json!("pending")));
    assert_eq!(first.data["trust_score"], Value::Null);

    let step = ProgressStep {
        analysis_id: submission.analysis_id,
        run: submission.run,
        percent: 20,
    };
    api.store.progress(&[step]).await.unwrap();
    let (second, _) = events.next().await.unwrap();
    assert_eq!(told(&second), ("progress".to_owned(), json!("processing")));
    let metrics = api.get("/metrics").await.text();
    assert!(metrics.contains("trustcard_event_listeners{subject=\"analysis\"} 1"));

    end(&api, &submission.post.post_id).await;
    let (last, _) = events.next().await.unwrap();
    assert_eq!(told(&last), ("done".to_owned(), json!("completed")));
    let result = api.get_json(&path).await;
    for (name, value) in last.data.as_object().unwrap() {
        assert_eq!(value, &result[name], "{name}");
    }
    assert!(events.next().await.is_none(), "the stream ends");
    api.get("/api/results/00000000-0000-4000-8000-000000000000/events")
        .await
        .error(404, "RESOURCE_NOT_FOUND");
}
