//! Reads the golden records of `schemas/fixtures` and the committed schemas.

use std::{fs, path::PathBuf};

use bytes::Bytes;
use serde_json::Value;
use trustcard_schemas::{Header, Record};

/// Names of the golden records of events: a full and a minimal one each.
pub const EVENTS: [&str; 6] = [
    "post-submitted.v1",
    "post-scraped.v1",
    "post-detected.v1",
    "analysis-deleted.v1",
    "analysis-finished.v1",
    "feedback-given.v1",
];

pub fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

pub fn json(path: &str) -> Value {
    let path = folder(path);
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The validator of a committed schema.
pub fn validator(path: &str) -> jsonschema::Validator {
    jsonschema::options()
        .should_validate_formats(true)
        .build(&json(path))
        .unwrap()
}

/// The record a fixture describes; its value is written without white space, as TrustCard does.
pub fn record(name: &str) -> Record {
    record_in("fixtures", name, "")
}

/// The same of a record in another folder.
pub fn record_in(folder: &str, name: &str, suffix: &str) -> Record {
    let fixture = json(&format!("{folder}/{name}{suffix}.json"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Record {
        topic: text(&fixture["topic"]).into(),
        key: Some(Bytes::from(text(&fixture["key"]))),
        value: Some(Bytes::from(serde_json::to_vec(&fixture["value"]).unwrap())),
        headers: fixture["headers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pair| Header::new(text(&pair[0]), text(&pair[1])))
            .collect(),
    }
}
