//! Row 12: the whole input comes again, twice.

use std::collections::{BTreeMap, BTreeSet};

use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer},
};
use uuid::Uuid;

use super::{Report, Size, balance, groups, submit};
use crate::{
    cluster::Cluster,
    read::{self, Seen},
    wait::until,
    watch::Watch,
};

/// Runs the row.
pub async fn run(size: &Size) -> Report {
    let mut report = Report::new("12", "the whole input replayed twice");
    let cluster = Cluster::start(6).await;
    let [api, _record, _scrape, _detect, _score] = cluster
        .roles(["api", "record", "scrape", "detect", "score"])
        .await;
    let bootstrap = cluster.kafka.bootstrap();
    let watch = Watch::start(&bootstrap).await;
    let accepted = submit(&api.api, "row12-", size.submissions / 5).await;
    watch.reach(accepted.len()).await;
    let before = rows(&cluster, &accepted).await;

    let input = schemas::topics::SUBMISSIONS;
    let records = read::all(&bootstrap, input).await;
    for _ in 0..2 {
        produce(&bootstrap, input, records.clone()).await;
    }
    let end: usize = records.len() * 3;
    for stage in ["record", "scrape"] {
        let group = schemas::topics::group(stage);
        until("the input to be read again", async || {
            let offsets = groups::committed(&bootstrap, &group, input).await;
            let read: i64 = offsets.values().sum();
            (read >= i64::try_from(end).ok()?).then_some(())
        })
        .await;
    }
    report.figure("records replayed", records.len() * 2);
    let after = rows(&cluster, &accepted).await;
    let changed = before.iter().filter(|(id, row)| after.get(id) != Some(row));
    let changed = changed.count();
    report.figure("rows changed", changed);
    report.check(changed == 0 && before.len() == after.len(), "rows changed");
    balance(&cluster, &accepted, &mut report).await;
    report
}

/// Rows as the store holds them, by analysis.
async fn rows(cluster: &Cluster, accepted: &BTreeSet<Uuid>) -> BTreeMap<Uuid, String> {
    let store = cluster.store().await;
    let mut rows = BTreeMap::new();
    let now = engine::Clock::now(&engine::SystemClock);
    for id in accepted {
        let row = store.analysis(*id, now).await.expect("a row");
        rows.insert(*id, format!("{row:?}"));
    }
    rows
}

/// Appends records as they were.
///
/// # Panics
/// When the broker does not take them.
pub async fn produce(bootstrap: &str, topic: &'static str, records: Vec<Seen>) {
    let bootstrap = bootstrap.to_owned();
    let sending = tokio::task::spawn_blocking(move || append(&bootstrap, topic, &records));
    sending.await.expect("a producer");
}

fn append(bootstrap: &str, topic: &str, records: &[Seen]) {
    let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("enable.idempotence", "true")
        .set("partitioner", "murmur2_random")
        .set("message.max.bytes", "16777216")
        .create()
        .expect("a producer");
    for record in records {
        let headers = record.headers.iter();
        let headers = headers.fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header {
                key,
                value: value.as_deref(),
            })
        });
        let mut next = BaseRecord::<[u8], [u8]>::to(topic).headers(headers);
        if let Some(key) = &record.key {
            next = next.key(key);
        }
        if let Some(value) = &record.value {
            next = next.payload(value);
        }
        while let Err((_, back)) = producer.send(next) {
            next = back;
            producer.poll(std::time::Duration::from_millis(50));
        }
    }
    producer
        .flush(std::time::Duration::from_secs(60))
        .expect("all acknowledged");
}
