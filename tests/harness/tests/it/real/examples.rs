//! Results as others read them, on a real Kafka: kcat, Python and Rust see the same, and a compacted topic is a table.

use std::{collections::BTreeMap, path::Path, time::Duration};

use rdkafka::{
    ClientConfig,
    admin::{
        AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication,
    },
    client::DefaultClientContext,
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use schemas::{AnalysisResult, Deletion, Record, topics};
use serde_json::{Value, json};
use tokio::process::Command;
use trustcard_tests::{
    examples::{built, example, printed, python},
    read,
    wait::until,
};
use uuid::Uuid;

const TIMEOUT: Duration = Duration::from_secs(30);

/// The broker that `make servers-up` starts, or the one `TRUSTCARD_TEST_KAFKA` names.
fn kafka() -> String {
    std::env::var("TRUSTCARD_TEST_KAFKA").unwrap_or_else(|_| "127.0.0.1:19092".to_owned())
}

/// Topics of this test alone, under other names than TrustCard's. Dropped, they are gone.
struct Topics {
    admin: AdminClient<DefaultClientContext>,
    runtime: tokio::runtime::Handle,
    results: String,
    latest: String,
}

impl Topics {
    async fn create() -> Self {
        let name = format!("examples-{}", Uuid::new_v4());
        let mut config = ClientConfig::new();
        let config = config.set("bootstrap.servers", kafka());
        let topics = Self {
            admin: config.create().unwrap(),
            runtime: tokio::runtime::Handle::current(),
            results: format!("{name}.results"),
            latest: format!("{name}.latest"),
        };
        let new = |name, partitions| NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        // Never compacted yet: all of it is in the newest segment.
        let latest = new(&topics.latest, 1).set("cleanup.policy", "compact");
        let created = topics
            .admin
            .create_topics([&new(&topics.results, 3), &latest], &AdminOptions::new())
            .await;
        assert!(created.unwrap().iter().all(Result::is_ok));
        topics
    }

    /// From now on the broker compacts as soon as it looks, all but what was written within 200 ms of the newest record.
    async fn compact(&self) {
        let topic = AlterConfig::new(ResourceSpecifier::Topic(&self.latest))
            .set("cleanup.policy", "compact")
            .set("min.cleanable.dirty.ratio", "0.001")
            .set("segment.ms", "200");
        let altered = self.admin.alter_configs([&topic], &AdminOptions::new());
        assert!(altered.await.unwrap().iter().all(Result::is_ok));
    }

    /// Where a record of TrustCard goes here.
    fn of(&self, topic: &str) -> &str {
        match topic {
            topics::RESULTS => &self.results,
            topics::RESULTS_LATEST => &self.latest,
            other => panic!("{other} is no topic of results"),
        }
    }
}

impl Drop for Topics {
    fn drop(&mut self) {
        let names = [self.results.as_str(), self.latest.as_str()];
        let options = AdminOptions::new();
        let gone = self.admin.delete_topics(&names, &options);
        tokio::task::block_in_place(|| self.runtime.block_on(gone)).ok();
    }
}

/// Writes as a stage does: what belongs together in one transaction, which is kept or given up.
struct Writer<'a> {
    producer: BaseProducer,
    topics: &'a Topics,
}

impl<'a> Writer<'a> {
    fn open(topics: &'a Topics) -> Self {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", kafka())
            .set("transactional.id", &topics.results)
            .create()
            .unwrap();
        producer.init_transactions(TIMEOUT).unwrap();
        Self { producer, topics }
    }

    fn write(&self, records: &[Record], keep: bool) {
        self.producer.begin_transaction().unwrap();
        for record in records {
            let mut headers = OwnedHeaders::new();
            for header in &record.headers {
                headers = headers.insert(Header {
                    key: &header.name,
                    value: Some(&*header.value),
                });
            }
            let mut out = BaseRecord::to(self.topics.of(&record.topic))
                .key(record.key.as_deref().unwrap())
                .headers(headers);
            out.payload = record.value.as_deref();
            self.producer.send(out).map_err(|(error, _)| error).unwrap();
        }
        if keep {
            self.producer.commit_transaction(TIMEOUT).unwrap();
        } else {
            // Given up behind its records, not instead of them.
            self.producer.flush(TIMEOUT).unwrap();
            self.producer.abort_transaction(TIMEOUT).unwrap();
        }
    }
}

const FINISHED: &str =
    include_str!("../../../../../schemas/fixtures/analysis-finished.v1.minimal.json");

/// The result of a run that began at `started_ms`, with a score or failed.
fn result(code: &str, started_ms: i64, score: Option<f64>) -> AnalysisResult {
    let golden: Value = serde_json::from_str(FINISHED).unwrap();
    let mut value = golden["value"].clone();
    value["analysis_id"] = json!(id(code));
    value["run"]["started_ms"] = json!(started_ms);
    value["post"] = post(code);
    if score.is_some() {
        value["status"] = json!("completed");
        value["error"] = Value::Null;
        value["trust_score"] = json!(score);
        value["grade"] = json!("B");
    }
    serde_json::from_value(value).unwrap()
}

fn deletion(code: &str) -> Deletion {
    let at = "2026-11-20T10:30:00.123Z";
    let value = json!({ "analysis_id": id(code), "post": post(code), "deleted_at": at });
    serde_json::from_value(value).unwrap()
}

fn post(code: &str) -> Value {
    json!({ "post_id": code, "url": format!("https://www.instagram.com/p/{code}/") })
}

fn id(code: &str) -> Uuid {
    schemas::identity::derive(&["example", code])
}

/// What a reader said of each analysis, in its order.
fn by_analysis(lines: impl Iterator<Item = (String, String)>) -> BTreeMap<String, Vec<String>> {
    let mut said: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (analysis, what) in lines {
        said.entry(analysis).or_default().push(what);
    }
    said
}

async fn kcat(topics: &Topics) -> BTreeMap<String, Vec<String>> {
    let mut command = Command::new(example("results.sh"));
    let text = printed(command.args([&kafka(), &topics.results])).await;
    by_analysis(text.lines().map(|line| {
        let mut parts = line.splitn(3, '\t');
        let (key, kind) = (parts.next().unwrap(), parts.next().unwrap());
        let value = parts.next().unwrap();
        let what = if value == "deleted" {
            assert_eq!(kind, "trustcard.analysis.deleted.v1");
            value.to_owned()
        } else {
            assert_eq!(kind, "trustcard.analysis.finished.v1");
            let value: Value = serde_json::from_str(value).unwrap();
            assert_eq!(value["analysis_id"], key);
            value["trust_score"].to_string()
        };
        (key.to_owned(), what)
    }))
}

async fn in_rust(topics: &Topics) -> BTreeMap<String, Vec<String>> {
    let mut command = Command::new(built("results"));
    let group = format!("{}.rust", topics.results);
    let bootstrap = kafka();
    let arguments = [&*bootstrap, &group, &topics.results, "--until-end"];
    let text = printed(command.args(arguments)).await;
    by_analysis(text.lines().map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let what = match words[..] {
            [_, "deleted"] => "deleted".to_owned(),
            [_, "beta", "post_unavailable:", ..] => "null".to_owned(),
            [_, _, score, "B"] => score.parse::<f64>().map(|s| json!(s).to_string()).unwrap(),
            _ => panic!("{line}"),
        };
        (words[0].to_owned(), what)
    }))
}

async fn in_python(topics: &Topics, python: &Path) -> BTreeMap<String, Vec<String>> {
    let mut command = Command::new(python);
    let group = format!("{}.python", topics.results);
    command.arg(example("results.py"));
    let bootstrap = kafka();
    let arguments = [&*bootstrap, &group, &topics.results, "--until-end"];
    let text = printed(command.args(arguments)).await;
    by_analysis(text.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        let what = match line["deleted"] == true {
            true => "deleted".to_owned(),
            false => line["trust_score"].to_string(),
        };
        (line["analysis_id"].as_str().unwrap().to_owned(), what)
    }))
}

async fn table(topics: &Topics, python: &Path) -> Value {
    let mut command = Command::new(python);
    command.arg(example("latest_table.py"));
    let text = printed(command.args([&kafka(), &topics.latest])).await;
    serde_json::from_str(&text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn kcat_python_and_rust_read_the_same_results_and_a_compacted_topic_is_a_table() {
    let topics = Topics::create().await;
    let writer = Writer::open(&topics);
    let first = result("alpha", 1_000, Some(60.5));
    let last = result("alpha", 3_000, Some(90.25));
    writer.write(&first.records(true).unwrap(), true);
    let given_up = result("alpha", 2_000, Some(1.0));
    writer.write(&given_up.records(true).unwrap(), false);
    let failed = result("beta", 1_000, None).records(true).unwrap();
    writer.write(&failed, true);
    let gone = result("gamma", 1_000, Some(80.75)).records(true).unwrap();
    writer.write(&[gone, last.records(true).unwrap()].concat(), true);
    writer.write(&deletion("gamma").tombstones(true).unwrap(), true);
    // Older than what is known: the topic has it behind the newer one, the table does not take it.
    let late = &first.records(true).unwrap()[1];
    writer.write(std::slice::from_ref(late), true);

    let said = |of: &str, what: &[&str]| {
        let what: Vec<String> = what.iter().map(ToString::to_string).collect();
        (id(of).to_string(), what)
    };
    let expected = BTreeMap::from([
        said("alpha", &["60.5", "90.25"]),
        said("beta", &["null"]),
        said("gamma", &["80.75", "deleted"]),
    ]);
    assert_eq!(kcat(&topics).await, expected, "kcat");
    assert_eq!(in_rust(&topics).await, expected, "Rust");
    let Some(python) = python().await else { return };
    assert_eq!(in_python(&topics, &python).await, expected, "Python");

    let posts = json!({ "alpha": 90.25, "beta": null });
    assert_eq!(table(&topics, &python).await, posts);
    // Compaction leaves the last record of each post; that is the newest run again.
    topics.compact().await;
    writer.write(&last.records(true).unwrap()[1..], true);
    let alpha = until("the broker to compact", async || {
        // Only what is behind the newest segment is compacted, so that has to be begun anew.
        writer.write(&failed[1..], true);
        tokio::time::sleep(Duration::from_millis(500)).await;
        let records = read::all(&kafka(), &topics.latest).await;
        let alpha = records
            .iter()
            .filter(|r| r.key.as_deref() == Some(b"alpha"));
        let alpha: Vec<_> = alpha.cloned().collect();
        (alpha.len() == 1).then_some(alpha)
    })
    .await;
    let kept: Value = serde_json::from_slice(alpha[0].value.as_ref().unwrap()).unwrap();
    assert_eq!(kept["trust_score"], 90.25);
    assert_eq!(table(&topics, &python).await, posts);
}
