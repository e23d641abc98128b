//! The AsyncAPI 3 document of the topics that others than TrustCard read: results, results.latest, feedback and dead letters. Made from the same
//! types as the records, with golden records as its examples.
//!
//! AsyncAPI's tools know JSON Schema draft 7, so bodies are described in that draft here; the schemas of [`crate::json_schema`] say
//! the same in the present one.

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::{
    AnalysisResult, Deletion, Event, FeedbackGiven, Reason, dead_letter,
    envelope::{CONTENT_TYPE, data_schema},
    topics,
};

/// File name of the document.
pub const FILE: &str = "asyncapi.json";

/// Where bodies are kept in the document.
const SCHEMAS: &str = "/components/schemas";
/// Version of AsyncAPI's binding to Kafka.
const BINDING: &str = "0.5.0";
const HOUR_MS: u64 = 3_600_000;

const COMPLETED: &str = include_str!("../fixtures/analysis-finished.v1.json");
const FAILED: &str = include_str!("../fixtures/analysis-finished.v1.minimal.json");
const DELETED: &str = include_str!("../fixtures/analysis-deleted.v1.json");
const VOTE: &str = include_str!("../fixtures/feedback-given.v1.json");
const BARE_VOTE: &str = include_str!("../fixtures/feedback-given.v1.minimal.json");
const LETTER: &str = include_str!("../fixtures/dead-letter.v1.json");

/// The document's text. Equal types give equal bytes.
#[must_use]
pub fn document() -> String {
    let mut settings = SchemaSettings::draft07();
    settings.meta_schema = None;
    settings.definitions_path = SCHEMAS.into();
    let mut bodies = settings.into_generator();
    let (finished, voted) = (finished(&mut bodies), voted(&mut bodies));
    let schemas: Map<String, Value> = bodies.take_definitions(true).into_iter().collect();
    let document = json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "TrustCard: topics",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What TrustCard tells about posts and how far to trust them, on Apache Kafka. Written by `make schemas` from the Rust types of `schemas/`, whose README.md has the rules for readers.",
            "license": { "name": env!("CARGO_PKG_LICENSE") }
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {
            "kafka": {
                "host": "{bootstrap}",
                "protocol": "kafka",
                "description": "Apache Kafka 3.0 or newer. Read with `isolation.level=read_committed`.",
                "variables": { "bootstrap": {
                    "default": "127.0.0.1:9092",
                    "description": "Address of a broker; TLS and login are as its operator says."
                } }
            }
        },
        "channels": channels(),
        "operations": operations(),
        "components": {
            "messages": { "finished": finished, "deleted": deleted(), "voted": voted, "deadLetter": letter() },
            "schemas": schemas
        }
    });
    format!("{document:#}\n")
}

fn channels() -> Value {
    let results = json!({
        "finished": { "$ref": "#/components/messages/finished" },
        "deleted": { "$ref": "#/components/messages/deleted" }
    });
    json!({
        "results": {
            "address": topics::RESULTS,
            "title": "Results",
            "description": "One terminal result of each (analysis, run), completed or failed, exactly once for a read-committed reader. Records of one analysis are in one partition, in the order they were written.",
            "messages": results,
            "bindings": kafka_channel("delete", "retention.ms", topics::RESULTS_H)
        },
        "resultsLatest": {
            "address": topics::RESULTS_LATEST,
            "title": "The newest result of each post",
            "description": "The same records under another key, compacted: read from the beginning it is a table of posts, and goes on as the changes of that table. No value under a key means that the post has no result any more.",
            "messages": results,
            "bindings": kafka_channel("compact", "delete.retention.ms", topics::LATEST_TOMBSTONES_H)
        },
        "feedback": {
            "address": topics::FEEDBACK,
            "title": "Votes",
            "description": "What readers think of results, one record a vote that was counted. A vote that was given while the broker was away is counted and not told.",
            "messages": { "voted": { "$ref": "#/components/messages/voted" } },
            "bindings": kafka_channel("delete", "retention.ms", topics::FEEDBACK_H)
        },
        "deadLetters": {
            "address": topics::dead_letters("{stage}"),
            "title": "Dead letters",
            "description": "Records that a stage could not process: for operators. Key, value and headers are those of the record, byte for byte, with nine headers behind them.",
            "parameters": { "stage": {
                "enum": topics::STAGES,
                "description": "The stage that gave up."
            } },
            "messages": { "deadLetter": { "$ref": "#/components/messages/deadLetter" } },
            "bindings": kafka_channel("delete", "retention.ms", topics::DEAD_LETTERS_H)
        }
    })
}

fn kafka_channel(policy: &str, kept_as: &str, hours: u64) -> Value {
    let mut configuration = Map::new();
    configuration.insert("cleanup.policy".to_owned(), json!([policy]));
    configuration.insert(kept_as.to_owned(), json!(hours * HOUR_MS));
    json!({ "kafka": { "topicConfiguration": configuration, "bindingVersion": BINDING } })
}

fn operations() -> Value {
    let sends = |channel: &str, summary: &str| {
        json!({
            "action": "send",
            "channel": { "$ref": format!("#/channels/{channel}") },
            "summary": summary
        })
    };
    json!({
        "sendResults": sends("results", "Tells how a run of an analysis ended, or that an analysis was deleted."),
        "sendResultsLatest": sends("resultsLatest", "Tells the newest result of a post, or that there is none any more."),
        "sendFeedback": sends("feedback", "Tells that a reader voted on a result."),
        "sendDeadLetters": sends("deadLetters", "Keeps what a stage could not process.")
    })
}

fn finished(bodies: &mut SchemaGenerator) -> Value {
    json!({
        "name": AnalysisResult::TYPE,
        "title": "An analysis ended",
        "summary": "The terminal result of one run: a score with every reason for it, or why there is none.",
        "contentType": CONTENT_TYPE,
        "headers": headers::<AnalysisResult>(),
        "payload": bodies.subschema_for::<AnalysisResult>().to_value(),
        "bindings": key(),
        "examples": [example("completed", COMPLETED, true), example("failed", FAILED, true)]
    })
}

fn deleted() -> Value {
    json!({
        "name": Deletion::TYPE,
        "title": "An analysis was deleted",
        "summary": "A tombstone: no value. Its key is the one that the results had, its headers are those of the deletion.",
        "contentType": CONTENT_TYPE,
        "headers": headers::<Deletion>(),
        "payload": { "type": "null", "description": "No value." },
        "bindings": key(),
        "examples": [example("deleted", DELETED, false)]
    })
}

fn voted(bodies: &mut SchemaGenerator) -> Value {
    json!({
        "name": FeedbackGiven::TYPE,
        "title": "A reader voted",
        "summary": "One vote on a result. Who voted is not told.",
        "contentType": CONTENT_TYPE,
        "headers": headers::<FeedbackGiven>(),
        "payload": bodies.subschema_for::<FeedbackGiven>().to_value(),
        "bindings": { "kafka": {
            "key": { "type": "string", "description": "The analysis id." },
            "bindingVersion": BINDING
        } },
        "examples": [example("with a comment", VOTE, true), example("without", BARE_VOTE, true)]
    })
}

fn letter() -> Value {
    let told = [
        "The topic it was consumed from.",
        "Its partition there.",
        "Its offset there.",
        "Its timestamp there, milliseconds since the Unix epoch.",
        "The stage that gave up.",
        "Why: one of the stable reason codes.",
        "How often it was tried, the first time included.",
        "When it failed first, RFC 3339.",
        "When it failed last, RFC 3339.",
    ];
    let properties: Map<String, Value> = dead_letter::NAMES
        .iter()
        .zip(told)
        .map(|(name, told)| {
            let mut header = json!({ "type": "string", "description": told });
            if *name == dead_letter::CODE {
                header["enum"] = Reason::ALL.iter().map(|reason| reason.code()).collect();
            }
            ((*name).to_owned(), header)
        })
        .collect();
    json!({
        "name": "trustcard.dead-letter",
        "title": "A record that could not be processed",
        "summary": "Any record at all, as it was; only the headers that say where it came from and why it failed are sure to be there.",
        "headers": { "type": "object", "properties": properties, "required": dead_letter::NAMES },
        "payload": { "description": "The value as it was; of a record that TrustCard wrote it is JSON." },
        "examples": [example("timeout", LETTER, true)]
    })
}

/// The key of a record of results.
fn key() -> Value {
    json!({ "kafka": {
        "key": { "type": "string", "description": "On `trustcard.results` the analysis id, on `trustcard.results.latest` the post id." },
        "bindingVersion": BINDING
    } })
}

/// The headers of an event, as they are written; only `ce_specversion`, `ce_id` and `ce_type` are needed to read it.
fn headers<E: Event>() -> Value {
    let constant = |value: &str| json!({ "type": "string", "const": value });
    let text = |told: &str| json!({ "type": "string", "description": told });
    json!({
        "type": "object",
        "properties": {
            "ce_specversion": constant("1.0"),
            "ce_id": { "type": "string", "format": "uuid", "description": "The same on redelivery, retry and republish: what to deduplicate by." },
            "ce_type": constant(E::TYPE),
            "ce_source": constant(E::SOURCE),
            "ce_time": { "type": "string", "format": "date-time", "description": "When what it tells happened." },
            "ce_subject": text("The analysis id of a result or a vote, the post id of a deletion."),
            "ce_dataschema": constant(&data_schema::<E>()),
            "content-type": constant(CONTENT_TYPE),
            "traceparent": text("W3C trace context; absent where tracing is off.")
        },
        "required": ["ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "ce_subject", "ce_dataschema", "content-type"]
    })
}

/// A golden record as an example; `valued` is whether it has a value on the topic it is an example for.
fn example(name: &str, golden: &str, valued: bool) -> Value {
    let mut record: Value = serde_json::from_str(golden).unwrap_or_default();
    let pairs = record["headers"].take();
    let headers: Map<String, Value> = pairs
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|pair| Some((pair[0].as_str()?.to_owned(), pair[1].clone())))
        .collect();
    let payload = if valued {
        record["value"].take()
    } else {
        Value::Null
    };
    json!({ "name": name, "headers": headers, "payload": payload })
}
