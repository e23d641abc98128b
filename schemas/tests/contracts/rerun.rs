//! An event as part of another run: only the run and what follows from it change.

use bytes::Bytes;
use trustcard_schemas::{
    DecodeError, Detections, Header, PostScraped, Record, Run, Submission, decode,
    identity::RunCause,
    rerun::{Step, rerun},
};

use crate::fixtures;

const AGAIN: Run = Run {
    started_ms: 1_795_200_000_000,
    cause: RunCause::Rescore,
};

fn changed<E: Step>(name: &str) -> (Record, Record, E) {
    let before = fixtures::record(name);
    let old: E = decode(&before.headers, before.value.as_deref()).unwrap();
    let after = rerun::<E>(&before, AGAIN, old.run()).unwrap();
    let event: E = decode(&after.headers, after.value.as_deref()).unwrap();
    assert_eq!(event.run(), AGAIN);
    assert_eq!(event.analysis_id(), old.analysis_id());
    assert_ne!(event.id(), old.id());
    assert_eq!((&after.key, &after.topic), (&before.key, &before.topic));
    let value: serde_json::Value = serde_json::from_slice(after.value.as_ref().unwrap()).unwrap();
    assert_eq!(
        value["supersedes"],
        serde_json::to_value(old.run()).unwrap(),
        "{name}"
    );
    (before, after, event)
}

#[test]
fn id_and_time_follow_the_run_and_other_headers_stay() {
    fn check<E: Step>(name: &str) {
        let (before, after, event) = changed::<E>(name);
        assert_eq!(before.headers.len(), after.headers.len());
        for (old, new) in before.headers.iter().zip(&after.headers) {
            let expected = match &*old.name {
                "ce_id" => event.id().to_string().into(),
                "ce_time" => event.time().to_string().into(),
                _ => old.value.clone(),
            };
            assert_eq!((&new.name, &new.value), (&old.name, &expected));
        }
    }
    check::<Submission>("post-submitted.v1");
    check::<PostScraped>("post-scraped.v1");
    check::<Detections>("post-detected.v1.minimal");
}

/// Numbers in a form this program would not write, properties it does not know, white space, order: all of it stays.
#[test]
fn every_other_byte_of_the_value_stays() {
    let mut record = fixtures::record("post-submitted.v1.minimal");
    let text = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
    let text = text.replace(
        r#""supersedes":null,"#,
        r#""later" : { "x":1.50e0,"y":[ 0.1000000000000000055511151231257827 ] } ,"#,
    );
    assert!(text.contains("later"));
    record.value = Some(Bytes::from(text.clone()));
    let old: Submission = decode(&record.headers, record.value.as_deref()).unwrap();
    let after = rerun::<Submission>(&record, AGAIN, old.run).unwrap();
    let run = |run: Run| serde_json::to_string(&run).unwrap();
    let expected = text.replace(
        &format!(r#""run":{},"#, run(old.run)),
        &format!(r#""run":{},"supersedes":{},"#, run(AGAIN), run(old.run)),
    );
    // Between the values of an object, white space is not part of any of them.
    let expected = expected.replace(r#""later" : {"#, r#""later":{"#);
    let expected = expected.replace("} ,", "},");
    assert_eq!(after.value.unwrap(), expected);
}

#[test]
fn doing_it_again_gives_the_same_bytes() {
    let (before, after, _) = changed::<Detections>("post-detected.v1");
    let old: Detections = decode(&before.headers, before.value.as_deref()).unwrap();
    assert_eq!(rerun::<Detections>(&before, AGAIN, old.run).unwrap(), after);
}

#[test]
fn what_is_no_such_event_is_refused() {
    let scraped = fixtures::record("post-scraped.v1");
    let found = rerun::<Detections>(&scraped, AGAIN, AGAIN).unwrap_err();
    assert!(matches!(found, DecodeError::UnknownType { .. }));
    let headers = vec![Header::new("x", "y")];
    let nothing = Record {
        headers,
        value: None,
        ..scraped
    };
    assert!(rerun::<PostScraped>(&nothing, AGAIN, AGAIN).is_err());
}
