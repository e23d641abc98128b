//! The AsyncAPI document: its examples fit what it says of their messages, and it speaks of the topics that others read.

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};
use trustcard_schemas::{Event, asyncapi, topics};

use crate::fixtures;

fn document() -> Value {
    fixtures::json(asyncapi::FILE)
}

/// Validates one part of a message, `headers` or `payload`.
fn validator(document: &Value, message: &str, part: &str) -> Validator {
    let mut schema = json!({ "$ref": format!("#/components/messages/{message}/{part}") });
    schema["components"] = document["components"].clone();
    jsonschema::options()
        .with_draft(Draft::Draft7)
        .should_validate_formats(true)
        .build(&schema)
        .unwrap()
}

#[test]
fn every_example_fits_its_message() {
    let document = document();
    let messages = document["components"]["messages"].as_object().unwrap();
    assert_eq!(messages.len(), 4);
    for (name, message) in messages {
        let examples = message["examples"].as_array().unwrap();
        assert!(!examples.is_empty(), "{name}");
        for example in examples {
            for part in ["headers", "payload"] {
                if let Err(error) = validator(&document, name, part).validate(&example[part]) {
                    panic!("{name}: {}: {part}: {error}", example["name"]);
                }
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let document = document();
    let example = &document["components"]["messages"]["finished"]["examples"][0];
    let mut payload = example["payload"].clone();
    payload["trust_score"] = "high".into();
    assert!(!validator(&document, "finished", "payload").is_valid(&payload));
    assert!(!validator(&document, "deleted", "payload").is_valid(&payload));
    for header in ["ce_id", "ce_type", "content-type"] {
        let mut headers = example["headers"].clone();
        headers.as_object_mut().unwrap().remove(header);
        assert!(!validator(&document, "finished", "headers").is_valid(&headers));
    }
    assert!(!validator(&document, "deleted", "headers").is_valid(&example["headers"]));
}

/// The body is described twice, in the draft that AsyncAPI's tools know and in the present one; both take the same.
#[test]
fn both_descriptions_of_a_result_take_the_golden_records_and_refuse_the_same() {
    let document = document();
    let body = validator(&document, "finished", "payload");
    let schema = fixtures::validator("json/analysis-finished.v1.json");
    for name in ["analysis-finished.v1", "analysis-finished.v1.minimal"] {
        let golden = fixtures::record(name);
        let value: Value = serde_json::from_slice(golden.value.as_ref().unwrap()).unwrap();
        assert!(body.is_valid(&value) && schema.is_valid(&value), "{name}");
        for property in value.as_object().unwrap().keys() {
            for change in [Value::Null, json!([1]), json!(-1.5)] {
                let mut other = value.clone();
                other[property] = change;
                let (a, b) = (body.is_valid(&other), schema.is_valid(&other));
                assert_eq!(a, b, "{name}: {property}: {}", other[property]);
            }
        }
    }
}

#[test]
fn it_speaks_of_the_topics_that_others_read() {
    let document = document();
    let address = |channel: &str| document["channels"][channel]["address"].as_str().unwrap();
    assert_eq!(address("results"), topics::RESULTS);
    assert_eq!(address("resultsLatest"), topics::RESULTS_LATEST);
    assert_eq!(address("feedback"), topics::FEEDBACK);
    let letters = document["channels"]["deadLetters"]["parameters"]["stage"]["enum"].clone();
    assert_eq!(letters, json!(topics::STAGES));
    for stage in topics::STAGES {
        let filled = address("deadLetters").replace("{stage}", stage);
        assert_eq!(filled, topics::dead_letters(stage));
    }
    let finished = &document["components"]["messages"]["finished"]["name"];
    assert_eq!(finished, trustcard_schemas::AnalysisResult::TYPE);
}
