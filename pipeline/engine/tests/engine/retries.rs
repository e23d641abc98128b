//! Messages that wait on retry topics: through all of them, byte for byte, and on.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use jiff::Timestamp;
use rdkafka::message::{Header as RawHeader, Message as _, OwnedHeaders, OwnedMessage};
use schemas::{Header, Reason, Record, dead_letter::DeadLetter, retry, retry::Retry, topics};
use trustcard_engine::{Clock, Outcome, SystemClock};

use crate::{
    ground::{Ground, bytewise, headers, ids, letter},
    support::{Log, TestStage, note, notes, to, until},
};

/// The one message that always fails.
const POOR: u32 = 77;

/// Headers of a note, then one without a value and one with an empty one.
fn strange_headers(id: u32) -> OwnedHeaders {
    let all = to("", &note(id)).headers;
    let headers = all.iter().fold(OwnedHeaders::new(), |headers, header| {
        headers.insert(RawHeader {
            key: &header.name,
            value: Some(&*header.value),
        })
    });
    let none: RawHeader<'_, &[u8]> = RawHeader {
        key: "nothing",
        value: None,
    };
    let empty: RawHeader<'_, &[u8]> = RawHeader {
        key: "empty",
        value: Some(&b""[..]),
    };
    headers.insert(none).insert(empty)
}

fn retry_of(message: &OwnedMessage) -> Retry {
    Retry::read(&headers(message)).unwrap().0
}

async fn a_message_that_always_fails(ground: Ground) {
    ground
        .send(
            notes(0..40)
                .iter()
                .map(|note| to(ground.input, note))
                .collect(),
        )
        .await;
    let before = ground.read(ground.input).await;
    let offset = before.iter().filter(|m| m.partition() == 2).count();
    let offset = i64::try_from(offset).unwrap();
    let sent_ms = SystemClock.now().as_millisecond() - 3_600_000;
    let value = to("", &note(POOR)).value.unwrap().to_vec();
    ground
        .send_raw(2, sent_ms, ("poor-key", value, strange_headers(POOR)))
        .await;

    let tried: Log<(String, u32, i64)> = Log::default();
    let (log, forward) = (tried.clone(), ground.forward());
    let stage = TestStage::each(move |message| {
        if message.event.id != POOR {
            return forward(message);
        }
        let meta = &message.meta;
        let sent = meta.timestamp.as_millisecond();
        log.lock()
            .unwrap()
            .push((meta.topic.to_string(), meta.attempt, sent));
        Outcome::retry(Reason::UpstreamTimeout)
    });
    let mut config = ground.config();
    config.retry.attempts = 3;
    let started = ground.run(stage, config);
    until("it is a dead letter", async || {
        !ground.dead().await.is_empty()
    })
    .await;
    started.drain().await.unwrap();

    // It was tried three times on each topic, as what it was first.
    let all = [
        ground.input.to_owned(),
        topics::retry(ground.stage, 1),
        topics::retry(ground.stage, 2),
        topics::retry(ground.stage, 3),
    ];
    let expected: Vec<(String, u32, i64)> = (0..12_u32)
        .map(|n| (all[n as usize / 3].clone(), n + 1, sent_ms))
        .collect();
    assert_eq!(*tried.lock().unwrap(), expected);

    let origin = ground.read(ground.input).await;
    let origin = origin
        .iter()
        .find(|m| m.key() == Some(b"poor-key"))
        .unwrap();
    let mut first_failure = None;
    let mut not_before = Timestamp::MIN.as_millisecond();
    for ((tier, delay), attempts) in (1..).zip([150, 300, 600]).zip([3, 6, 9]) {
        let waiting = ground.read(&topics::retry(ground.stage, tier)).await;
        assert_eq!(waiting.len(), 1, "tier {tier}");
        assert_eq!(bytewise(&waiting[0], retry::HEADERS), bytewise(origin, 0));
        let told = retry_of(&waiting[0]);
        let first = *first_failure.get_or_insert(told.first_failure);
        assert!(told.due_ms >= not_before + delay);
        assert!(told.due_ms >= first.as_millisecond() + delay);
        not_before = told.due_ms;
        let expected = Retry {
            due_ms: told.due_ms,
            attempts,
            first_failure: first,
            topic: ground.input.to_owned(),
            partition: 2,
            offset,
            timestamp_ms: sent_ms,
        };
        assert_eq!(told, expected);
    }

    let dead = ground.dead().await;
    assert_eq!(dead.len(), 1);
    assert_eq!(bytewise(&dead[0], 9), bytewise(origin, 0));
    let (_, _, kept) = bytewise(origin, 0);
    assert!(kept.contains(&("nothing".to_owned(), None)));
    assert!(kept.contains(&("empty".to_owned(), Some(Vec::new()))));
    let found = letter(&dead[0]);
    assert!(found.last_failure.as_millisecond() >= not_before);
    let expected = DeadLetter {
        topic: ground.input.to_owned(),
        partition: 2,
        offset,
        timestamp_ms: sent_ms,
        stage: ground.stage.to_owned(),
        code: Reason::UpstreamTimeout,
        attempts: 12,
        first_failure: first_failure.unwrap(),
        last_failure: found.last_failure,
    };
    assert_eq!(found, expected);
    let (_, _, all) = bytewise(&dead[0], 0);
    let values: BTreeSet<_> = all[all.len() - 9..].iter().map(|(_, v)| v).collect();
    assert_eq!(values.len(), 9, "every header has a distinct value");

    assert_eq!(
        ids(&ground.read(&ground.out).await),
        (0..40).collect::<Vec<_>>()
    );
    let metric = |tier| {
        let labels = format!(r#"{{task_name="{}",tier="{tier}"}}"#, ground.stage);
        ground.metric(&format!("trustcard_retry_records_total{labels}"))
    };
    assert_eq!([metric(1), metric(2), metric(3)], [1.0; 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_always_fails_waits_on_every_retry_topic_and_dies_as_it_was_sent() {
    a_message_that_always_fails(Ground::embedded(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_comes_back_from_the_tier_that_waits_as_long_as_was_asked() {
    let ground = Ground::embedded(1);
    ground
        .send(
            notes(0..20)
                .iter()
                .map(|note| to(ground.input, note))
                .collect(),
        )
        .await;
    let forward = ground.forward();
    let stage = TestStage::each(
        move |message| match (message.event.id, message.meta.attempt) {
            // As long as the second tier, and longer than any wait in process: not tried in process again.
            (3, 1) => Outcome::Retry {
                reason: Reason::UpstreamRateLimited,
                after: Some(Duration::from_millis(300)),
            },
            (4, 1..=3) => Outcome::retry(Reason::UpstreamTimeout),
            _ => forward(message),
        },
    );
    let started = ground.run(stage, ground.config());
    until("all came through", async || {
        ground.read(&ground.out).await.len() >= 20
    })
    .await;
    started.drain().await.unwrap();
    assert_eq!(
        ids(&ground.read(&ground.out).await),
        (0..20).collect::<Vec<_>>()
    );
    assert_eq!(ground.dead().await.len(), 0);
    let mut waited = Vec::new();
    for tier in 1..=3 {
        let waiting = ground.read(&topics::retry(ground.stage, tier)).await;
        waited.push((
            ids(&waiting),
            waiting
                .iter()
                .map(|m| retry_of(m).attempts)
                .collect::<Vec<_>>(),
        ));
    }
    assert_eq!(
        waited,
        [(vec![4], vec![2]), (vec![3], vec![1]), (vec![], vec![])]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lies_on_a_retry_topic_without_its_headers_is_taken_as_it_is() {
    let ground = Ground::embedded(1);
    let topic = topics::retry(ground.stage, 2);
    let stray = |id, header: &[Header]| {
        let mut record = to(&topic, &note(id));
        record.headers.extend(header.iter().cloned());
        record
    };
    let mut broken = stray(2, &[]);
    broken.value = Some(Bytes::from_static(b"{"));
    let half = [Header::new("retry-due", "soon")];
    let records: Vec<Record> = vec![stray(1, &half), broken];
    ground.send(records.clone()).await;
    let started = ground.run(TestStage::each(ground.forward()), ground.config());
    until("both were settled", async || {
        ground.read(&ground.out).await.len() + ground.dead().await.len() == 2
    })
    .await;
    started.drain().await.unwrap();
    assert_eq!(ids(&ground.read(&ground.out).await), [1]);
    let dead = ground.dead().await;
    let found = letter(&dead[0]);
    let place = (found.topic, found.partition, found.offset, found.attempts);
    assert_eq!(place, (topic.clone(), 0, 1, 1));
    assert_eq!(found.code, Reason::InvalidJson);
    let origin = ground.read(&topic).await;
    assert_eq!(bytewise(&dead[0], 9), bytewise(&origin[1], 0));
}

/// On a real broker, in transactions.
mod real {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_message_that_always_fails_waits_on_every_retry_topic_and_dies_as_it_was_sent() {
        a_message_that_always_fails(Ground::real(5, |_| false).await).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn one_record_in_a_hundred_is_poison_and_the_dead_letters_are_exact() {
        let ground = Ground::real(3, |_| false).await;
        let poison = |id: u32| -> Record {
            let mut record = to(ground.input, &note(id));
            record.key = Some(Bytes::from(format!("poison-{id}")));
            match id / 100 % 6 {
                0 => record.value = None,
                1 => record.value = Some(Bytes::new()),
                2 => record.value = Some(Bytes::from_static(b"{\"id\": 1,")),
                3 => record.value = Some(Bytes::from_static(b"{\"x\":\"\xff\xfe\"}")),
                4 => record.headers.clear(),
                _ => record.value = Some(Bytes::from_static(b"{\"id\":\"one\"}")),
            }
            record
        };
        let all = (0..3_000).map(|id| match id % 100 {
            50 => poison(id),
            _ => to(ground.input, &note(id)),
        });
        ground.send(all.collect()).await;
        let started = ground.run(TestStage::each(ground.forward()), ground.config());
        until("all are done", async || ground.done().await >= 3_000).await;
        started.drain().await.unwrap();

        let good: Vec<u32> = (0..3_000).filter(|id| id % 100 != 50).collect();
        assert_eq!(ids(&ground.read(&ground.out).await), good);
        let input = ground.read(ground.input).await;
        let sent = input
            .iter()
            .filter(|message| message.key().unwrap().starts_with(b"poison-"));
        let mut sent: Vec<_> = sent.map(|message| bytewise(message, 0)).collect();
        let dead = ground.dead().await;
        let mut found: Vec<_> = dead.iter().map(|message| bytewise(message, 9)).collect();
        sent.sort_unstable();
        found.sort_unstable();
        assert_eq!(sent.len(), 30);
        assert_eq!(found, sent);
        let nulls = found.iter().filter(|(_, value, _)| value.is_none()).count();
        let empty = found
            .iter()
            .filter(|(_, value, _)| value.as_deref() == Some(b""));
        assert_eq!((nulls, empty.count()), (5, 5));
        for message in &dead {
            let letter = letter(message);
            let origin = input
                .iter()
                .find(|m| (m.partition(), m.offset()) == (letter.partition, letter.offset));
            assert_eq!(bytewise(message, 9), bytewise(origin.unwrap(), 0));
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn while_dead_letters_cannot_be_written_no_offset_moves() {
        let ground = Ground::real(1, |topic| topic.ends_with(".dead-letters")).await;
        let all = notes(0..10);
        ground
            .send(all.iter().map(|note| to(ground.input, note)).collect())
            .await;
        let forward = ground.forward();
        let stage = TestStage::each(move |message| match message.event.id {
            0 => Outcome::Reject(Reason::PostUndecodable),
            _ => forward(message),
        });
        let started = ground.run(stage, ground.config());
        let failed = format!(
            r#"trustcard_commit_failures_total{{task_name="{}"}}"#,
            ground.stage
        );
        until("a commit has failed", async || ground.metric(&failed) > 0.0).await;
        assert_eq!(ground.done().await, 0);
        assert_eq!(ground.read(&ground.out).await.len(), 0);

        let letters = topics::dead_letters(ground.stage);
        ground.create(&letters, 1).await;
        until("all are done", async || ground.done().await == 10).await;
        started.drain().await.unwrap();
        assert_eq!(ids(&ground.dead().await), [0]);
        assert_eq!(
            ids(&ground.read(&ground.out).await),
            (1..10).collect::<Vec<_>>()
        );
    }
}
