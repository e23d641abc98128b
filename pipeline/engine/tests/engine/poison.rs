//! Records that can't be read, or whose output can't be written: a partition never stalls, and each dead letter is the record
//! byte for byte, with headers that say where it came from and why.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use rdkafka::{
    ClientConfig,
    message::{Header as RawHeader, Message as _, OwnedHeaders, OwnedMessage},
    producer::{BaseProducer, BaseRecord, Producer},
};
use schemas::{Reason, Record, dead_letter::DeadLetter, topics};
use trustcard_engine::{Clock, Outcome, SystemClock};

use crate::ground::{bytewise, letter};
use crate::support::{
    IN, Log, Note, OUT, PATIENCE, Rig, STAGE, TestStage, config, forward, note, notes, to,
};

const GOOD: std::ops::Range<u32> = 0..900;
/// Text of a note whose output is made larger than any topic allows.
const BALLOON: &str = "balloon";

/// Poison, each with a key that names the reason it must be rejected for.
fn poison() -> Vec<Record> {
    let record = |reason: Reason, change: &dyn Fn(&mut Record)| {
        let mut record = to(IN, &note(1_000));
        record.key = Some(Bytes::from(reason.code()));
        change(&mut record);
        record
    };
    let value =
        |bytes: &'static [u8]| move |r: &mut Record| r.value = Some(Bytes::from_static(bytes));
    let header = |name: &'static str, value: &'static str| {
        move |record: &mut Record| {
            let found = record.headers.iter_mut().find(|h| h.name == name);
            found.unwrap().value = value.into();
        }
    };
    vec![
        record(Reason::InvalidJson, &value(b"{\"id\": 1,")),
        record(
            Reason::InvalidJson,
            &value(b"{\"id\":1,\"key\":\"k\",\"text\":\"\",\"x\":\"\xff\xfe\"}"),
        ),
        record(Reason::SchemaMismatch, &value(b"{\"id\":\"one\"}")),
        record(Reason::EmptyPayload, &value(b"")),
        record(Reason::EmptyPayload, &|r| r.value = None),
        record(Reason::UnknownVersion, &header("ce_type", "test.note.v9")),
        record(Reason::UnknownType, &header("ce_type", "test.other.v1")),
        record(Reason::MissingHeader, &|r| r.headers.clear()),
        record(Reason::MissingHeader, &|r| {
            r.headers.retain(|h| h.name != "ce_id")
        }),
        record(Reason::MissingHeader, &header("ce_specversion", "0.3")),
        record(Reason::OutputTooLarge, &|r| {
            let text = BALLOON.to_owned();
            r.value = to(
                IN,
                &Note {
                    text,
                    ..note(1_001)
                },
            )
            .value;
        }),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poison_never_stalls_a_partition_and_its_dead_letters_are_exact() {
    let rig = Rig::new(3);
    let began = SystemClock.now();
    let poison = poison();
    let mut records: Vec<Record> = notes(GOOD).iter().map(|note| to(IN, note)).collect();
    for (n, bad) in poison.iter().enumerate() {
        records.insert(n * 80 + 3, bad.clone());
    }
    rig.send(records).await;

    let told: Log<(u32, Reason)> = Log::default();
    let log = told.clone();
    let stage = TestStage::each(|message| {
        if message.event.text == BALLOON {
            let text = "x".repeat(1_000_000);
            return Outcome::Forward(vec![to(OUT, &Note { text, ..note(1) })]);
        }
        forward(message)
    })
    .on_dead_letter(move |id, letter| {
        log.lock().unwrap().push((id, letter.code));
        Ok(Vec::new())
    });
    let started = rig.start(stage, config());
    rig.settled(GOOD.len() + poison.len()).await;
    started.drain().await.unwrap();
    let ended = SystemClock.now();

    assert_eq!(rig.ids(OUT).await, GOOD.collect::<Vec<_>>());
    let inputs = rig.raw(IN).await;
    let inputs: BTreeMap<(i32, i64), &OwnedMessage> = inputs
        .iter()
        .map(|message| ((message.partition(), message.offset()), message))
        .collect();
    let dead = rig.raw(&topics::dead_letters(STAGE)).await;
    assert_eq!(dead.len(), poison.len());
    let mut places = BTreeSet::new();
    for message in &dead {
        let letter = letter(message);
        let place = (letter.partition, letter.offset);
        let origin = inputs[&place];
        assert_eq!(bytewise(message, 9), bytewise(origin, 0), "{letter:?}");
        assert_eq!(origin.key(), Some(letter.code.code().as_bytes()));
        assert_eq!(letter.topic, IN);
        assert_eq!(Some(letter.timestamp_ms), origin.timestamp().to_millis());
        assert_eq!((letter.stage.as_str(), letter.attempts), (STAGE, 1));
        assert!(began <= letter.first_failure && letter.first_failure <= letter.last_failure);
        assert!(letter.last_failure <= ended);
        places.insert(place);
    }
    assert_eq!(places.len(), poison.len(), "each has a place of its own");
    // A stage is told only of what it could have read.
    assert_eq!(*told.lock().unwrap(), [(1_001, Reason::OutputTooLarge)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_header_of_a_dead_letter_says_its_own_thing_and_null_header_values_survive() {
    let rig = Rig::new(4);
    // Places it at partition 2, offset 3, so that no two numbers are alike.
    rig.publish(&notes(0..40)).await;
    let before = rig.raw(IN).await;
    let offset = before.iter().filter(|m| m.partition() == 2).count();
    let bootstrap = rig.kafka.bootstrap().to_owned();
    let headers = to(IN, &note(77)).headers;
    let sent = tokio::task::spawn_blocking(move || {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .create()
            .unwrap();
        let mut raw = OwnedHeaders::new();
        for header in &headers {
            raw = raw.insert(RawHeader {
                key: &header.name,
                value: Some(&*header.value),
            });
        }
        let none: RawHeader<'_, &[u8]> = RawHeader {
            key: "nothing",
            value: None,
        };
        let empty: RawHeader<'_, &[u8]> = RawHeader {
            key: "empty",
            value: Some(&b""[..]),
        };
        let value = to(IN, &note(77)).value.unwrap();
        let record = BaseRecord::to(IN)
            .partition(2)
            .timestamp(1_234_567)
            .headers(raw.insert(none).insert(empty));
        producer
            .send(record.key("poor-key").payload(&value[..]))
            .map_err(|(e, _)| e)
            .unwrap();
        producer.flush(PATIENCE)
    });
    sent.await.unwrap().unwrap();

    let stage = TestStage::each(|message| match message.event.id {
        77 => Outcome::retry(Reason::UpstreamTimeout),
        _ => forward(message),
    });
    let mut config = config();
    config.retry.attempts = 6;
    let started = rig.start(stage, config);
    rig.settled(41).await;
    started.drain().await.unwrap();

    let dead = rig.raw(&topics::dead_letters(STAGE)).await;
    assert_eq!(dead.len(), 1);
    let origin = rig.raw(IN).await;
    let origin = origin
        .iter()
        .find(|m| m.key() == Some(b"poor-key"))
        .unwrap();
    assert_eq!(bytewise(&dead[0], 9), bytewise(origin, 0));
    let (_, _, headers) = bytewise(origin, 0);
    assert!(headers.contains(&("nothing".to_owned(), None)));
    assert!(headers.contains(&("empty".to_owned(), Some(Vec::new()))));
    let found = letter(&dead[0]);
    assert!(found.first_failure < found.last_failure);
    let expected = DeadLetter {
        topic: IN.to_owned(),
        partition: 2,
        offset: i64::try_from(offset).unwrap(),
        timestamp_ms: 1_234_567,
        stage: STAGE.to_owned(),
        code: Reason::UpstreamTimeout,
        attempts: 6,
        first_failure: found.first_failure,
        last_failure: found.last_failure,
    };
    assert_eq!(found, expected);
    let (_, _, all) = bytewise(&dead[0], 0);
    let values: BTreeSet<_> = all[all.len() - 9..]
        .iter()
        .map(|(_, value)| value)
        .collect();
    assert_eq!(values.len(), 9, "every header has a distinct value");
}
