//! Retries: the record that failed byte for byte, and seven headers that say when to try again and where it came from.

use bytes::Bytes;
use trustcard_schemas::{
    Header, Record,
    retry::{self, Retry},
    topics,
};

fn known() -> Retry {
    Retry {
        due_ms: 1_795_167_090_034,
        attempts: 5,
        first_failure: "2026-11-20T09:31:01.5Z".parse().unwrap(),
        topic: "trustcard.posts".into(),
        partition: 7,
        offset: 1_234_567_890_123,
        timestamp_ms: 1_795_167_060_035,
    }
}

fn strange() -> Record {
    Record {
        topic: "trustcard.posts".into(),
        key: Some(Bytes::from_static(b"\x00\xffkey")),
        value: Some(Bytes::from_static(b"{ \"spaced\" : \x80 \r\n")),
        headers: vec![
            Header::new("ce_id", vec![0xff, 0x00]),
            Header::new("retry-due", "not ours"),
            Header::new("empty", ""),
        ],
    }
}

#[test]
fn key_value_and_headers_stay_as_they_were_and_seven_headers_follow() {
    let original = strange();
    let record = known().record("detect", 2, original.clone());
    assert_eq!(record.topic, "trustcard.detect.retry.2");
    assert_eq!(
        (&record.key, &record.value),
        (&original.key, &original.value)
    );
    assert_eq!(record.headers[..3], original.headers);
    let told: Vec<(&str, &str)> = record.headers[3..]
        .iter()
        .map(|h| (&*h.name, std::str::from_utf8(&h.value).unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ("retry-due", "1795167090034"),
            ("retry-attempts", "5"),
            ("retry-first-failure", "2026-11-20T09:31:01.5Z"),
            ("retry-origin-topic", "trustcard.posts"),
            ("retry-origin-partition", "7"),
            ("retry-origin-offset", "1234567890123"),
            ("retry-origin-timestamp", "1795167060035"),
        ]
    );
    assert_eq!(told.len(), retry::HEADERS);
    let read = Retry::read(&record.headers);
    assert_eq!(read, Some((known(), original.headers.as_slice())));
    assert_eq!(retry::due_ms(&record.headers), Some(1_795_167_090_034));
}

#[test]
fn without_any_one_header_or_with_a_malformed_one_it_is_no_retry() {
    let whole = known().record("score", 1, strange()).headers;
    for place in 3..whole.len() {
        let name = &whole[place].name;
        let mut missing = whole.clone();
        missing.remove(place);
        assert_eq!(Retry::read(&missing), None, "without {name}");
        let mut garbled = whole.clone();
        garbled[place].value = vec![0xff].into();
        assert_eq!(Retry::read(&garbled), None, "garbled {name}");
    }
    assert_eq!(Retry::read(&strange().headers), None);
    assert_eq!(retry::due_ms(&strange().headers), None);
    assert_eq!(Retry::read(&[]), None);
}

#[test]
fn every_stage_has_its_retry_topics_among_all_topics() {
    let all = topics::all();
    for stage in topics::STAGES {
        let own: Vec<String> = (1..=3).map(|tier| topics::retry(stage, tier)).collect();
        assert_eq!(topics::retries(stage), own);
        assert!(own.iter().all(|topic| all.contains(topic)), "{stage}");
    }
    assert_eq!(topics::retry("scrape", 3), "trustcard.scrape.retry.3");
    let mut distinct = all.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), all.len());
}
