//! The JSON Schemas of the event bodies (draft 2020-12), generated from the Rust types.
//!
//! They describe what a reader accepts: a property that a reader can do without is not required, although TrustCard always
//! writes it, as `null` where it has no value.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value};

use crate::{
    AnalysisResult, Deletion, Detections, Event, FeedbackGiven, PostScraped, Submission,
    envelope::{data_schema, version},
};

/// File name and text of every schema, in the order of the topics. Equal types give equal bytes.
#[must_use]
pub fn files() -> Vec<(String, String)> {
    vec![
        file::<Submission>(),
        file::<PostScraped>(),
        file::<Detections>(),
        file::<Deletion>(),
        file::<AnalysisResult>(),
        file::<FeedbackGiven>(),
    ]
}

fn file<E: Event + JsonSchema>() -> (String, String) {
    let name = format!("{}.{}.json", E::SCHEMA, version(E::TYPE).unwrap_or("v1"));
    (name, format!("{:#}\n", document::<E>()))
}

fn document<E: Event + JsonSchema>() -> Value {
    let generated = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<E>();
    let mut rest = match generated.to_value() {
        Value::Object(properties) => properties,
        _ => Map::new(),
    };
    let mut document = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            document.insert(name.to_owned(), value);
        }
    };
    put("$schema", rest.remove("$schema"));
    put("$id", Some(data_schema::<E>().into()));
    put("title", Some(E::TYPE.into()));
    put("description", rest.remove("description"));
    rest.remove("title");
    document.extend(rest);
    Value::Object(document)
}
