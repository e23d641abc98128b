//! Decoding: every way a record can be wrong has its own code, and nothing at all panics.

use proptest::prelude::*;
use serde_json::json;
use trustcard_schemas::{
    AnalysisResult, DecodeError, Detections, Header, PostScraped, Reason, Submission, decode,
    events::submission::Origin,
};

use crate::fixtures;

const TYPE: &str = "trustcard.post.submitted.v1";

fn headers(event_type: &str) -> Vec<Header> {
    vec![
        Header::new("ce_specversion", "1.0"),
        Header::new("ce_id", "6879ce0d-7ada-5b1e-91a6-73d106d87102"),
        Header::new("ce_type", event_type.to_owned()),
    ]
}

fn good() -> Vec<u8> {
    fixtures::record("post-submitted.v1.minimal")
        .value
        .unwrap()
        .to_vec()
}

fn error(headers: &[Header], value: Option<&[u8]>) -> DecodeError {
    decode::<Submission>(headers, value).unwrap_err()
}

#[test]
fn three_headers_are_all_that_reading_takes() {
    let event: Submission = decode(&headers(TYPE), Some(&good())).unwrap();
    assert_eq!(event.post.post_id, "DAzDZ1-RCTB");
    assert!(matches!(event.origin, Origin::Single { .. }));
}

#[test]
fn each_missing_or_unusable_header_is_named() {
    for name in ["ce_type", "ce_specversion", "ce_id"] {
        let mut without = headers(TYPE);
        without.retain(|h| h.name != name);
        assert_eq!(
            error(&without, Some(&good())),
            DecodeError::MissingHeader(name)
        );
        let mut garbled = headers(TYPE);
        for header in garbled.iter_mut().filter(|h| h.name == name) {
            header.value = vec![0xff, 0xfe].into();
        }
        assert_eq!(
            error(&garbled, Some(&good())),
            DecodeError::MissingHeader(name)
        );
    }
    let mut later = headers(TYPE);
    later[0].value = "2.0".into();
    let found = error(&later, Some(&good()));
    assert_eq!(found, DecodeError::MissingHeader("ce_specversion"));
    assert_eq!(found.reason(), Reason::MissingHeader);
    assert!(found.to_string().contains("ce_specversion"), "{found}");
    assert_eq!(
        error(&[], None),
        DecodeError::MissingHeader("ce_type"),
        "a record of another program"
    );
}

#[test]
fn another_event_and_another_version_are_told_apart() {
    for (event_type, reason) in [
        ("trustcard.post.scraped.v1", Reason::UnknownType),
        ("com.example.thing", Reason::UnknownType),
        ("", Reason::UnknownType),
        ("v1", Reason::UnknownType),
        ("TRUSTCARD.POST.SUBMITTED.V1", Reason::UnknownType),
        ("trustcard.post.submitted", Reason::UnknownType),
        ("trustcard.post.submitted.v2", Reason::UnknownVersion),
        ("trustcard.post.submitted.v10", Reason::UnknownVersion),
        ("trustcard.post.submitted.", Reason::UnknownVersion),
    ] {
        let found = error(&headers(event_type), Some(&good()));
        assert_eq!(found.reason(), reason, "{event_type:?}: {found}");
    }
    assert_eq!(
        error(&headers("x.v1"), Some(&good())),
        DecodeError::UnknownType {
            found: "x.v1".into(),
            expected: TYPE
        }
    );
}

#[test]
fn each_unreadable_value_has_its_code() {
    let mut duplicate = good();
    duplicate.splice(1..1, br#""force":true,"#.iter().copied());
    let mut duplicate_tag = String::from_utf8(good()).unwrap();
    duplicate_tag = duplicate_tag.replace(r#""kind":"#, r#""kind":"batch","kind":"#);
    let mut unknown_with_bad_utf8 = good();
    unknown_with_bad_utf8.splice(1..1, b"\"later\":\"\xc3\x28\",".iter().copied());
    let mut known_with_bad_utf8 = String::from_utf8(good()).unwrap();
    known_with_bad_utf8 = known_with_bad_utf8.replace("req-7f3c0a19", "req-\u{1}?");
    let known_with_bad_utf8: Vec<u8> = known_with_bad_utf8
        .bytes()
        .map(|b| if b == 1 { 0xff } else { b })
        .collect();
    let mut marked = b"\xef\xbb\xbf".to_vec();
    marked.extend(good());
    let twice = [good(), good()].concat();
    let truncated = good()[..good().len() - 1].to_vec();
    let with = |property: &str, value: serde_json::Value| {
        let mut event: serde_json::Value = serde_json::from_slice(&good()).unwrap();
        event[property] = value;
        event.to_string().into_bytes()
    };
    let cases: Vec<(&str, Option<Vec<u8>>, Reason)> = vec![
        ("a tombstone", None, Reason::EmptyPayload),
        ("no bytes", Some(vec![]), Reason::EmptyPayload),
        ("white space", Some(b" \n".to_vec()), Reason::InvalidJson),
        ("text", Some(b"hello".to_vec()), Reason::InvalidJson),
        ("cut off", Some(truncated), Reason::InvalidJson),
        ("two values", Some(twice), Reason::InvalidJson),
        ("a byte order mark", Some(marked), Reason::InvalidJson),
        ("NUL bytes", Some(vec![0; 64]), Reason::InvalidJson),
        (
            "NaN",
            Some(b"{\"force\":NaN}".to_vec()),
            Reason::InvalidJson,
        ),
        (
            "bad UTF-8 where it is read",
            Some(known_with_bad_utf8),
            Reason::InvalidJson,
        ),
        (
            "bad UTF-8 where it is skipped",
            Some(unknown_with_bad_utf8),
            Reason::InvalidJson,
        ),
        (
            "a lone surrogate",
            Some(br#"{"analysis_id":"\ud800"}"#.to_vec()),
            Reason::InvalidJson,
        ),
        ("a list", Some(b"[]".to_vec()), Reason::SchemaMismatch),
        ("null", Some(b"null".to_vec()), Reason::SchemaMismatch),
        (
            "an empty object",
            Some(b"{}".to_vec()),
            Reason::SchemaMismatch,
        ),
        (
            "a flag that is text",
            Some(with("force", json!("yes"))),
            Reason::SchemaMismatch,
        ),
        (
            "a null that is required",
            Some(with("post", json!(null))),
            Reason::SchemaMismatch,
        ),
        (
            "an id that is no UUID",
            Some(with("analysis_id", json!("1"))),
            Reason::SchemaMismatch,
        ),
        (
            "an unknown variant",
            Some(with("origin", json!({"kind": "carrier_pigeon"}))),
            Reason::SchemaMismatch,
        ),
        (
            "a place below 0",
            Some(with(
                "origin",
                json!({"kind": "batch", "batch_id": "6879ce0d-7ada-5b1e-91a6-73d106d87102", "index": -1}),
            )),
            Reason::SchemaMismatch,
        ),
        (
            "a time beyond 64 bits",
            Some(with(
                "run",
                json!({"started_ms": 1e30, "cause": "submission"}),
            )),
            Reason::SchemaMismatch,
        ),
        ("a key twice", Some(duplicate), Reason::SchemaMismatch),
        (
            "a tag twice",
            Some(duplicate_tag.into_bytes()),
            Reason::SchemaMismatch,
        ),
    ];
    for (what, value, reason) in cases {
        let found = error(&headers(TYPE), value.as_deref());
        assert_eq!(found.reason(), reason, "{what}: {found}");
    }
}

/// Values nested 10,000 deep are refused or skipped, in every place a parser could recurse: a known property, a property
/// that is skipped, one that is buffered for its tag, and one of any shape.
#[test]
fn deep_nesting_does_not_overflow_the_stack() {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let objects = format!("{}1{}", r#"{"a":"#.repeat(10_000), "}".repeat(10_000));
    let submission = String::from_utf8(good()).unwrap();
    let result = fixtures::record("analysis-finished.v1").value.unwrap();
    let result = std::str::from_utf8(&result).unwrap();
    let metadata = r#""metadata":{"flag":"SENSATIONALISM"}"#;
    assert!(result.contains(metadata));
    for deep in [deep.as_str(), objects.as_str()] {
        assert_eq!(
            error(&headers(TYPE), Some(deep.as_bytes())).reason(),
            Reason::SchemaMismatch
        );
        let known = submission.replace(r#""force":false"#, &format!(r#""force":{deep}"#));
        error(&headers(TYPE), Some(known.as_bytes()));
        let tagged = submission.replace(
            r#""kind":"single""#,
            &format!(r#""x":{deep},"kind":"single""#),
        );
        assert_eq!(
            error(&headers(TYPE), Some(tagged.as_bytes())).reason(),
            Reason::InvalidJson
        );
        let skipped =
            submission.replace(r#""force":false"#, &format!(r#""x":{deep},"force":false"#));
        decode::<Submission>(&headers(TYPE), Some(skipped.as_bytes())).unwrap();
        let any = result.replace(metadata, &format!(r#""metadata":{deep}"#));
        let found = decode::<AnalysisResult>(
            &headers("trustcard.analysis.finished.v1"),
            Some(any.as_bytes()),
        );
        assert_eq!(found.unwrap_err().reason(), Reason::InvalidJson);
    }
}

#[test]
fn every_decode_error_has_its_own_reason() {
    let errors = [
        DecodeError::Empty,
        DecodeError::MissingHeader("ce_id"),
        DecodeError::UnknownType {
            found: "x".into(),
            expected: TYPE,
        },
        DecodeError::UnknownVersion("x".into()),
        DecodeError::Json("x".into()),
        DecodeError::Schema("x".into()),
    ];
    let mut reasons: Vec<Reason> = errors.iter().map(DecodeError::reason).collect();
    reasons.sort();
    reasons.dedup();
    assert_eq!(reasons.len(), errors.len());
}

fn decode_as_all(value: &[u8]) {
    let _ = decode::<Submission>(&headers(TYPE), Some(value));
    let _ = decode::<PostScraped>(&headers("trustcard.post.scraped.v1"), Some(value));
    let _ = decode::<Detections>(&headers("trustcard.post.detected.v1"), Some(value));
    let _ = decode::<AnalysisResult>(&headers("trustcard.analysis.finished.v1"), Some(value));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(
        names in prop::collection::vec(("[a-z_]{0,12}", prop::collection::vec(any::<u8>(), 0..40)), 0..6),
        value in prop::option::of(prop::collection::vec(any::<u8>(), 0..400)),
    ) {
        let strange: Vec<Header> = names.into_iter().map(|(n, v)| Header::new(n, v)).collect();
        prop_assert!(decode::<Submission>(&strange, value.as_deref()).is_err());
        if let Some(value) = value {
            decode_as_all(&value);
        }
    }

    #[test]
    fn damaged_records_never_panic(
        which in 0..fixtures::EVENTS.len(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut value = fixtures::record(fixtures::EVENTS[which]).value.unwrap().to_vec();
        for (place, byte) in damage {
            let place = place.index(value.len());
            value[place] = byte;
        }
        decode_as_all(&value);
        value.truncate(cut.index(value.len()));
        decode_as_all(&value);
    }
}
