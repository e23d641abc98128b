//! Publishing from outside a stage, and looking on.

use std::{collections::BTreeSet, time::Duration};

use futures::StreamExt;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use schemas::envelope::text;
use tracing::Instrument;
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};
use trustcard_engine::{
    Kafka, Publisher,
    publisher::Full,
    tail::{From, TailError, tail},
};

use crate::support::{IN, OUT, PATIENCE, Rig, TestStage, config, forward, note, notes, read, to};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_broker_publishing_fails_in_bounded_time_record_by_record() {
    // Port 1 of the loopback interface: nobody listens there.
    let kafka = Kafka::new("127.0.0.1:1", Default::default());
    let publisher = Publisher::new(&kafka, "test", Duration::from_millis(500), 100).unwrap();
    assert!(!publisher.broker_reachable(Duration::from_millis(200)).await);
    let records = notes(0..3).iter().map(|note| to(IN, note)).collect();
    let reserved = publisher.reserve(records).unwrap();
    let results = tokio::time::timeout(PATIENCE, reserved.publish())
        .await
        .unwrap();
    assert_eq!(results.len(), 3);
    assert!(results.iter().all(Result::is_err), "{results:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn room_in_the_queue_is_for_all_records_or_for_none() {
    let kafka = Kafka::new("127.0.0.1:1", Default::default());
    let publisher = Publisher::new(&kafka, "test", Duration::from_millis(500), 10).unwrap();
    let records = |n| {
        notes(0..n)
            .iter()
            .map(|note| to(IN, note))
            .collect::<Vec<_>>()
    };
    let first = publisher.reserve(records(6)).unwrap();
    assert_eq!(publisher.reserve(records(5)).err(), Some(Full::Queue));
    let second = publisher.reserve(records(4)).unwrap();
    drop(first);
    assert!(publisher.reserve(records(6)).is_ok());
    drop(second);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_from_the_end_sees_what_comes_and_one_from_the_beginning_sees_all() {
    let rig = Rig::new(2);
    assert!(rig.publisher().broker_reachable(PATIENCE).await);
    rig.publish(&notes(0..5)).await;
    let next = tail(&rig.kafka, IN, From::End).await.unwrap();
    let all = tail(&rig.kafka, IN, From::Beginning).await.unwrap();
    rig.publish(&notes(5..8)).await;
    let ids = async |stream: std::pin::Pin<Box<dyn futures::Stream<Item = _> + Send>>, n| {
        let records: Vec<Result<_, TailError>> = stream.take(n).collect().await;
        let mut ids: Vec<u32> = records
            .iter()
            .map(|r| read(r.as_ref().unwrap()).id)
            .collect();
        ids.sort_unstable();
        ids
    };
    let next = tokio::time::timeout(PATIENCE, ids(Box::pin(next), 3)).await;
    assert_eq!(next.unwrap(), [5, 6, 7]);
    let all = tokio::time::timeout(PATIENCE, ids(Box::pin(all), 8)).await;
    assert_eq!(all.unwrap(), (0..8).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_keeps_its_key_value_and_headers_and_a_tombstone_stays_one() {
    let rig = Rig::new(1);
    let mut sent = vec![to(OUT, &note(1)), to(OUT, &note(2))];
    sent[1].value = None;
    rig.send(sent.clone()).await;
    assert_eq!(rig.contents(OUT).await, sent);
    assert_eq!(text(&sent[0].headers, "ce_type"), Some("test.note.v1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_stage_forwards_belongs_to_the_trace_of_what_it_read() {
    let provider = SdkTracerProvider::builder().build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    // For the whole process: what a span is worth is decided once, by whichever test comes by first.
    tracing_subscriber::registry().with(layer).init();
    let rig = Rig::new(1);
    let request = tracing::info_span!("request");
    rig.publish(&notes(0..5)).instrument(request).await;
    let started = rig.start(TestStage::each(forward), config());
    rig.settled(5).await;
    started.drain().await.unwrap();

    // version-trace-span-flags
    let parents = async |topic| {
        let all = rig.contents(topic).await;
        let parents = all
            .iter()
            .map(|r| text(&r.headers, "traceparent").unwrap().to_owned());
        let split = |p: String| p.split('-').map(str::to_owned).collect::<Vec<_>>();
        parents.map(split).collect::<Vec<_>>()
    };
    let (read, written) = (parents(IN).await, parents(OUT).await);
    let traces: BTreeSet<&String> = read.iter().chain(&written).map(|p| &p[1]).collect();
    assert_eq!(traces.len(), 1, "one trace");
    let spans: BTreeSet<&String> = read.iter().chain(&written).map(|p| &p[2]).collect();
    assert_eq!(spans.len(), 1 + 5, "the request, and each message");
}
