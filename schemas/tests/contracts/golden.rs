//! Golden records: what was once written is read, and written again to the same bytes.

use std::collections::BTreeSet;

use serde_json::Value;
use trustcard_schemas::{
    AnalysisResult, DecodeError, Deletion, Detections, Event, FeedbackGiven, Input, PostScraped,
    Record, Submission, ToScore, dead_letter::DeadLetter, decode, encode, topics,
};

use crate::fixtures;

/// Runs `check` with the full and the minimal record of every event, its type and its schema.
macro_rules! for_each_event {
    ($check:ident) => {
        for suffix in ["", ".minimal"] {
            $check::<Submission>("post-submitted.v1", suffix);
            $check::<PostScraped>("post-scraped.v1", suffix);
            $check::<Detections>("post-detected.v1", suffix);
            $check::<Deletion>("analysis-deleted.v1", suffix);
            $check::<AnalysisResult>("analysis-finished.v1", suffix);
            $check::<FeedbackGiven>("feedback-given.v1", suffix);
        }
    };
}

fn validator(name: &str) -> jsonschema::Validator {
    fixtures::validator(&format!("json/{name}.json"))
}

fn value(record: &Record) -> Value {
    serde_json::from_slice(record.value.as_ref().unwrap()).unwrap()
}

fn read<E: Event>(record: &Record, value: &Value) -> Result<E, DecodeError> {
    decode(&record.headers, Some(value.to_string().as_bytes()))
}

#[test]
fn every_golden_record_is_read_and_written_again_to_the_same_bytes() {
    fn check<E: Event>(name: &str, suffix: &str) {
        let golden = fixtures::record(&format!("{name}{suffix}"));
        let event: E = decode(&golden.headers, golden.value.as_deref()).unwrap();
        let again = encode(golden.topic.clone(), &event).unwrap();
        assert_eq!(value(&again), value(&golden), "{name}{suffix}");
        assert_eq!(again, golden, "{name}{suffix}");
    }
    for_each_event!(check);
}

#[test]
fn every_golden_record_fits_its_committed_schema() {
    for name in fixtures::EVENTS {
        for suffix in ["", ".minimal"] {
            let golden = value(&fixtures::record(&format!("{name}{suffix}")));
            if let Err(error) = validator(name).validate(&golden) {
                panic!("{name}{suffix}: {error} at {}", error.instance_path());
            }
        }
    }
}

/// The schema says of each property whether a reader can do without it, and the reader agrees.
#[test]
fn schema_and_reader_agree_on_which_properties_can_be_left_out() {
    fn check<E: Event>(name: &str, suffix: &str) {
        let golden = fixtures::record(&format!("{name}{suffix}"));
        let schema = fixtures::json(&format!("json/{name}.json"));
        let validator = validator(name);
        let required: BTreeSet<&str> = schema["required"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        assert!(!required.is_empty());
        for property in schema["properties"].as_object().unwrap().keys() {
            let mut without = value(&golden);
            without.as_object_mut().unwrap().remove(property).unwrap();
            let optional = !required.contains(property.as_str());
            assert_eq!(validator.is_valid(&without), optional, "{name}: {property}");
            match read::<E>(&golden, &without) {
                Ok(_) => assert!(optional, "{name}: {property} is read as optional"),
                Err(DecodeError::Schema(_)) => assert!(!optional, "{name}: {property}"),
                Err(other) => panic!("{name}: {property}: {other}"),
            }
        }
    }
    for_each_event!(check);
}

/// A reader takes an absent property for a `null` one, and ignores properties it does not know.
#[test]
fn absent_is_null_and_unknown_properties_are_ignored() {
    fn prune(value: &mut Value) {
        match value {
            Value::Object(properties) => {
                properties.retain(|_, property| !property.is_null());
                properties.values_mut().for_each(prune);
                properties.insert("from_a_later_release".into(), serde_json::json!({"a": [1]}));
            }
            Value::Array(items) => items.iter_mut().for_each(prune),
            _ => {}
        }
    }
    fn check<E: Event>(name: &str, suffix: &str) {
        let golden = fixtures::record(&format!("{name}{suffix}"));
        let mut pruned = value(&golden);
        // Free-form objects keep what they are given, so they are left as they are.
        for free in ["/trust_score_breakdown", "/analysis_results"] {
            if let Some(part) = pruned.pointer_mut(free) {
                *part = Value::Null;
            }
        }
        let expected: E = read(&golden, &pruned).unwrap();
        prune(&mut pruned);
        let event: E = read(&golden, &pruned).unwrap();
        assert_eq!(
            encode("t", &event).unwrap(),
            encode("t", &expected).unwrap(),
            "{name}{suffix}"
        );
    }
    for_each_event!(check);
}

/// Together the golden records of an event give every property of its schema a value, so none escapes these tests.
#[test]
fn golden_records_leave_no_property_out() {
    for name in fixtures::EVENTS {
        let schema = fixtures::json(&format!("json/{name}.json"));
        let mut described = BTreeSet::new();
        properties_of(&schema, &schema, "", &mut described);
        let mut given = BTreeSet::new();
        for suffix in ["", ".minimal"] {
            let golden = value(&fixtures::record(&format!("{name}{suffix}")));
            values_of(&golden, "", &mut given);
        }
        let missing: Vec<_> = described.difference(&given).collect();
        assert!(described.len() > 4, "{name}: {described:?}");
        assert!(
            missing.is_empty(),
            "{name}: no golden value for {missing:?}"
        );
    }
}

fn properties_of(root: &Value, node: &Value, path: &str, found: &mut BTreeSet<String>) {
    if let Some(reference) = node["$ref"].as_str() {
        let target = root.pointer(reference.trim_start_matches('#')).unwrap();
        properties_of(root, target, path, found);
    }
    for alternative in ["anyOf", "oneOf"]
        .iter()
        .filter_map(|k| node[*k].as_array())
    {
        for branch in alternative {
            properties_of(root, branch, path, found);
        }
    }
    if let Some(items) = node.get("items") {
        properties_of(root, items, &format!("{path}/*"), found);
    }
    for (name, property) in node["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}/{name}");
        properties_of(root, property, &path, found);
        found.insert(path);
    }
}

fn values_of(node: &Value, path: &str, found: &mut BTreeSet<String>) {
    match node {
        Value::Null => {}
        Value::Object(properties) => {
            for (name, property) in properties {
                let path = format!("{path}/{name}");
                values_of(property, &path, found);
                if !property.is_null() {
                    found.insert(path);
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                values_of(item, &format!("{path}/*"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn a_completed_result_goes_to_both_result_topics_with_the_key_each_is_compacted_or_kept_by() {
    let golden = fixtures::record("analysis-finished.v1");
    let result: AnalysisResult = decode(&golden.headers, golden.value.as_deref()).unwrap();
    let records = result.records(true).unwrap();
    assert_eq!(records.len(), 2);
    assert_eq!(records[0], golden);
    assert_eq!(records[1].topic, topics::RESULTS_LATEST);
    assert_eq!(records[1].key.as_deref(), Some(b"CHAIm2sHSQZ".as_slice()));
    assert_eq!(records[1].value, golden.value);
    assert_eq!(result.records(false).unwrap(), vec![golden]);
}

#[test]
fn a_deletion_leaves_tombstones_under_the_keys_that_its_results_had() {
    let golden = fixtures::record("analysis-deleted.v1");
    let deletion: Deletion = decode(&golden.headers, golden.value.as_deref()).unwrap();
    let tombstones = deletion.tombstones(true).unwrap();
    let told: Vec<_> = tombstones
        .iter()
        .map(|record| (&*record.topic, record.key.as_deref(), &record.value))
        .collect();
    let id = deletion.analysis_id.to_string();
    assert_eq!(
        told,
        [
            (topics::RESULTS, Some(id.as_bytes()), &None),
            (
                topics::RESULTS_LATEST,
                Some(b"CHAIm2sHSQZ".as_slice()),
                &None
            ),
        ]
    );
    assert!(
        tombstones
            .iter()
            .all(|record| record.headers == golden.headers)
    );
    assert_eq!(deletion.tombstones(false).unwrap(), tombstones[..1]);
}

#[test]
fn the_score_stage_is_told_of_detections_and_of_deletions_and_of_nothing_else() {
    let read = |name: &str| {
        let golden = fixtures::record(name);
        ToScore::read(&golden.headers, golden.value.as_deref())
    };
    assert!(matches!(read("post-detected.v1"), Ok(ToScore::Detected(_))));
    assert!(matches!(
        read("analysis-deleted.v1"),
        Ok(ToScore::Deleted(_))
    ));
    assert!(matches!(
        read("post-scraped.v1"),
        Err(DecodeError::UnknownType { .. })
    ));
}

#[test]
fn the_golden_dead_letter_is_read_and_leads_back_to_the_record_that_died() {
    let golden = fixtures::record("dead-letter.v1");
    let (dead, headers) = DeadLetter::read(&golden.headers).unwrap();
    let original = Record {
        topic: dead.topic.clone().into(),
        key: golden.key.clone(),
        value: golden.value.clone(),
        headers: headers.to_vec(),
    };
    decode::<Submission>(&original.headers, original.value.as_deref()).unwrap();
    assert_eq!(dead.record(original), golden);
}
