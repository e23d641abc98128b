//! The embedded broker refuses in time instead of losing silently.

use rdkafka::{
    ClientConfig,
    message::Message as _,
    producer::{BaseProducer, BaseRecord, Producer},
};
use schemas::{Reason, Record, topics};
use trustcard_engine::{Outcome, Publisher};

use crate::support::{
    IN, Log, Note, OUT, PATIENCE, Rig, STAGE, TestStage, config, forward, note, to, topic, until,
};

/// A note of about 10 kB.
fn big(id: u32) -> Note {
    Note {
        text: "x".repeat(10_000),
        ..note(id)
    }
}

/// Publishes to a topic, one big note after the other, until it is full. The ids that were acknowledged.
async fn fill(publisher: &Publisher, topic: &str) -> Vec<u32> {
    let mut written = Vec::new();
    loop {
        let ids: Vec<u32> = (written.len() as u32..).take(20).collect();
        let records: Vec<Record> = ids.iter().map(|id| to(topic, &big(*id))).collect();
        let Ok(reserved) = publisher.reserve(records) else {
            return written;
        };
        for result in reserved.publish().await {
            result.unwrap();
        }
        written.extend(ids);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_consumer_is_stopped_publishing_is_refused_in_time_and_nothing_is_lost() {
    let rig = Rig::new(2);
    let publisher = rig.publisher();
    let written = fill(&publisher, IN).await;
    // Two partitions of 2.5 MiB, one of them full.
    assert!((200..=520).contains(&written.len()), "{}", written.len());
    assert_eq!(
        rig.ids(IN).await,
        written,
        "the broker still has all of them"
    );

    let started = rig.start(TestStage::each(|m| forward_small(m.event.id)), config());
    rig.settled(written.len()).await;
    let next = written.len() as u32;
    until("there is room again", async || {
        publisher.reserve(vec![to(IN, &big(next))]).is_ok()
    })
    .await;
    let reserved = publisher.reserve(vec![to(IN, &big(next))]).unwrap();
    reserved.publish().await[0].unwrap();
    rig.settled(written.len() + 1).await;
    started.drain().await.unwrap();
    assert_eq!(rig.ids(OUT).await, (0..=next).collect::<Vec<_>>());
}

fn forward_small(id: u32) -> Outcome {
    Outcome::Forward(vec![to(OUT, &note(id))])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_whose_output_is_full_holds_back_and_so_fills_its_input_and_all_of_it_arrives_later()
 {
    let rig = Rig::with(&[
        topic(IN, 1, &[&topics::group(STAGE)]),
        topic(OUT, 1, &[&topics::group("downstream")]),
        topic(&topics::dead_letters(STAGE), 1, &[]),
    ]);
    let publisher = rig.publisher();
    let mut config = config();
    config.max_in_flight_records = 50;
    let started = rig.start(TestStage::each(forward), config);
    let mut sent = 0_u32;
    // Nobody reads the output: it fills, then the input does.
    until("the input is full as well", async || {
        let full = publisher.reserve(vec![to(IN, &big(sent))]);
        let Ok(reserved) = full else {
            let paused = rig.metric(r#"trustcard_paused{task_name="echo"}"#);
            return paused == 1.0;
        };
        reserved.publish().await[0].unwrap();
        sent += 1;
        false
    })
    .await;
    let stopped_at = rig.written(OUT).await;
    assert!((200..260).contains(&stopped_at), "{stopped_at}");
    assert_eq!(rig.ids(OUT).await.len(), stopped_at, "nothing was dropped");
    assert_eq!(rig.committed().await[&0], stopped_at as i64);

    // A group that reads the output is what the meter waits for.
    let seen: Log<u32> = Log::default();
    let log = seen.clone();
    let downstream = TestStage::each(move |message| {
        log.lock().unwrap().push(message.event.id);
        Outcome::Skip(Reason::AlreadyFinished)
    });
    let downstream = rig.start(
        downstream.named("downstream", OUT),
        crate::support::config(),
    );
    rig.settled(sent as usize).await;
    until("downstream has seen all", async || {
        seen.lock().unwrap().len() == sent as usize
    })
    .await;
    started.drain().await.unwrap();
    downstream.drain().await.unwrap();
    let mut ids = seen.lock().unwrap().clone();
    ids.sort_unstable();
    assert_eq!(ids, (0..sent).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_small_records_are_refused_before_their_record_sets_run_out() {
    let rig = Rig::new(1);
    let publisher = rig.publisher();
    let small = |id: u32| Record {
        topic: IN.into(),
        key: None,
        value: Some(id.to_string().into()),
        headers: Vec::new(),
    };
    let mut written = 0_u32;
    while let Ok(reserved) = publisher.reserve((written..written + 500).map(small).collect()) {
        assert!(reserved.publish().await.iter().all(Result::is_ok));
        written += 500;
    }
    assert!((10_000..=50_000).contains(&written), "{written}");
    let kept = rig.raw(IN).await;
    let kept: Vec<u32> = kept
        .iter()
        .map(|m| {
            std::str::from_utf8(m.payload().unwrap())
                .unwrap()
                .parse()
                .unwrap()
        })
        .collect();
    assert_eq!(kept, (0..written).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_nobody_must_read_is_a_rolling_window_that_never_blocks() {
    let rig = Rig::new(1);
    let publisher = rig.publisher();
    // 8 MB, more than the broker keeps.
    for chunk in 0..8 {
        let records = (0..100).map(|n| to(OUT, &big(chunk * 100 + n))).collect();
        let reserved = publisher.reserve(records).unwrap();
        assert!(reserved.publish().await.iter().all(Result::is_ok));
    }
    assert_eq!(rig.written(OUT).await, 800);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_has_the_partition_that_kafkas_own_partitioner_gives_it() {
    let rig = Rig::with(&[topic(IN, 7, &["g"]), topic("theirs", 7, &[])]);
    rig.publish(&(0..300).map(note).collect::<Vec<_>>()).await;
    let bootstrap = rig.kafka.bootstrap().to_owned();
    let sent = tokio::task::spawn_blocking(move || {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("partitioner", "murmur2_random")
            .create()
            .unwrap();
        for id in 0..300 {
            let key = note(id).key;
            let record = BaseRecord::to("theirs").key(&key).payload("");
            producer.send(record).map_err(|(e, _)| e).unwrap();
        }
        producer.flush(PATIENCE)
    });
    sent.await.unwrap().unwrap();
    let places = async |topic| {
        let all = rig.raw(topic).await;
        let mut places: Vec<_> = all
            .iter()
            .map(|m| (m.key().unwrap().to_vec(), m.partition()))
            .collect();
        places.sort();
        places
    };
    assert_eq!(places(IN).await, places("theirs").await);
}
