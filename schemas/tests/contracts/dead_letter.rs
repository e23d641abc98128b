//! Dead letters: the record that died byte for byte, and nine headers that say where it came from and why.

use bytes::Bytes;
use trustcard_schemas::{
    Header, Reason, Record,
    dead_letter::{DeadLetter, replays, sent_back},
};

fn dead(stage: &str) -> DeadLetter {
    DeadLetter {
        topic: "trustcard.posts".into(),
        partition: 7,
        offset: 1_234_567_890_123,
        timestamp_ms: 1_795_167_060_034,
        stage: stage.into(),
        code: Reason::SchemaMismatch,
        attempts: 4,
        first_failure: "2026-11-20T09:31:01.5Z".parse().unwrap(),
        last_failure: "2026-11-20T10:36:33.07Z".parse().unwrap(),
    }
}

/// A record no one could have meant: bytes that are no text, a header twice, an empty header.
fn strange() -> Record {
    Record {
        topic: "trustcard.posts".into(),
        key: Some(Bytes::from_static(b"\x00\xffkey")),
        value: Some(Bytes::from_static(b"{ \"spaced\" : \x80 \r\n")),
        headers: vec![
            Header::new("ce_id", vec![0xff, 0x00]),
            Header::new("twice", "1"),
            Header::new("twice", "2"),
            Header::new("empty", ""),
        ],
    }
}

#[test]
fn key_value_and_headers_stay_as_they_were_and_nine_headers_follow() {
    let original = strange();
    let record = dead("detect").record(original.clone());
    assert_eq!(record.topic, "trustcard.detect.dead-letters");
    assert_eq!(record.key, original.key);
    assert_eq!(record.value, original.value);
    assert_eq!(record.headers[..4], original.headers);
    let told: Vec<(&str, &str)> = record.headers[4..]
        .iter()
        .map(|h| (&*h.name, std::str::from_utf8(&h.value).unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ("dl-origin-topic", "trustcard.posts"),
            ("dl-origin-partition", "7"),
            ("dl-origin-offset", "1234567890123"),
            ("dl-origin-timestamp", "1795167060034"),
            ("dl-stage", "detect"),
            ("dl-code", "schema_mismatch"),
            ("dl-attempts", "4"),
            ("dl-first-failure", "2026-11-20T09:31:01.5Z"),
            ("dl-last-failure", "2026-11-20T10:36:33.07Z"),
        ]
    );
    assert_eq!(
        DeadLetter::read(&record.headers),
        Some((dead("detect"), original.headers.as_slice()))
    );
}

#[test]
fn records_without_key_value_or_headers_die_as_they_are() {
    let empty = Record {
        topic: "trustcard.posts".into(),
        key: None,
        value: None,
        headers: vec![],
    };
    let record = dead("score").record(empty);
    assert_eq!((record.key, record.value), (None, None));
    assert_eq!(
        DeadLetter::read(&record.headers),
        Some((dead("score"), [].as_slice()))
    );
}

#[test]
fn a_record_that_died_twice_tells_of_the_last_time_and_keeps_the_first() {
    let first = dead("scrape").record(strange());
    let second = DeadLetter {
        topic: first.topic.clone().into(),
        partition: 0,
        offset: 12,
        attempts: 1,
        ..dead("detect")
    };
    let twice = second.record(first.clone());
    let (read, rest) = DeadLetter::read(&twice.headers).unwrap();
    assert_eq!(read, second);
    assert_eq!(rest, first.headers);
    let (read, rest) = DeadLetter::read(rest).unwrap();
    assert_eq!(read, dead("scrape"));
    assert_eq!(rest, strange().headers);
}

#[test]
fn headers_that_a_tool_appended_are_not_taken_for_the_records_own() {
    let mut record = dead("detect").record(strange());
    record.headers.push(Header::new("mirrored-from", "eu-1"));
    assert_eq!(
        DeadLetter::read(&record.headers),
        Some((dead("detect"), strange().headers.as_slice()))
    );
}

#[test]
fn without_any_one_header_or_with_a_malformed_one_it_is_no_dead_letter() {
    let whole = dead("detect").record(strange()).headers;
    for place in 4..whole.len() {
        let name = &whole[place].name;
        let mut missing = whole.clone();
        missing.remove(place);
        assert_eq!(DeadLetter::read(&missing), None, "without {name}");
        let mut garbled = whole.clone();
        garbled[place].value = vec![0xff].into();
        assert_eq!(DeadLetter::read(&garbled), None, "garbled {name}");
    }
    for (name, value) in [
        ("dl-origin-partition", "x"),
        ("dl-origin-offset", "1.5"),
        ("dl-origin-timestamp", ""),
        ("dl-code", "no_such_reason"),
        ("dl-attempts", "-1"),
        ("dl-first-failure", "yesterday"),
        ("dl-last-failure", "1795167060034"),
    ] {
        let mut malformed = whole.clone();
        let header = malformed.iter_mut().find(|h| h.name == name).unwrap();
        header.value = value.into();
        assert_eq!(DeadLetter::read(&malformed), None, "{name} = {value:?}");
    }
    assert_eq!(DeadLetter::read(&strange().headers), None);
    assert_eq!(DeadLetter::read(&[]), None);
}

#[test]
fn the_size_of_a_record_counts_key_value_and_headers() {
    let record = strange();
    let headers = "ce_id".len() + 2 + ("twice".len() + 1) * 2 + "empty".len();
    assert_eq!(record.size(), 5 + 17 + headers);
    let grown = dead("detect").record(record.clone());
    assert!(grown.size() > record.size());
    assert!(
        grown.size() < record.size() + 1024,
        "far below the 64 KiB that dead-letter topics allow more"
    );
}

#[test]
fn a_record_that_is_sent_back_counts_it_once_and_keeps_its_own_headers() {
    let mut headers = strange().headers;
    assert_eq!(replays(&headers), 0);
    for times in 1..=3 {
        headers = sent_back(&headers);
        assert_eq!(replays(&headers), times);
        assert_eq!(headers[..4], strange().headers);
        assert_eq!(headers.len(), 5);
        // It dies again: the count is one of its own headers now.
        let letter = dead("detect").record(Record {
            headers: headers.clone(),
            ..strange()
        });
        let (_, own) = DeadLetter::read(&letter.headers).unwrap();
        assert_eq!(replays(own), times);
    }
    headers[4].value = "many".into();
    assert_eq!(replays(&headers), 0);
}
