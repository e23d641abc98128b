//! The committed schemas beside the types they are made of, and beside those of every release: a reader of any release reads what
//! is written now, and a reader of now what was written then.

use std::{collections::BTreeSet, fs};

use serde_json::Value;
use trustcard_schemas::{
    AnalysisResult, DecodeError, Deletion, Detections, Event, PostScraped, Reason, Record,
    Submission, asyncapi, decode, json_schema,
};

use crate::{checker::breaks, fixtures};

/// Breaks that the order of a roll-out covers: every reader learns the new value before the first writer uses it. Each stays as
/// long as a release that does not know the value is compared, and one that no longer occurs fails the test.
const READERS_FIRST: [&str; 0] = [];
/// New reason codes, which are such a break at every place where a reason is told.
const REASONS_FIRST: [&str; 3] = ["codec", "media_too_long", "no_faces"];
/// These places.
const REASONS_AT: [&str; 7] = [
    "analysis-finished.v1.json: previous reader: /coverage/*/reason",
    "analysis-finished.v1.json: previous reader: /error/code",
    "post-detected.v1.json: previous reader: /content/media/*/failure",
    "post-detected.v1.json: previous reader: /pictures/*/ai_generated/reason",
    "post-detected.v1.json: previous reader: /pictures/*/face_manipulation/reason",
    "post-detected.v1.json: previous reader: /pictures/*/text/reason",
    "post-scraped.v1.json: previous reader: /content/media/*/failure",
];

#[test]
fn committed_schemas_are_what_the_types_say_now() {
    let schemas = json_schema::files()
        .into_iter()
        .map(|(name, text)| (format!("json/{name}"), text));
    for (name, text) in schemas.chain([(asyncapi::FILE.to_owned(), asyncapi::document())]) {
        let committed = fs::read_to_string(fixtures::folder(&name)).unwrap_or_default();
        assert!(
            committed == text,
            "{name} is stale: run `make schemas` and commit the result"
        );
    }
}

#[test]
fn generating_twice_gives_the_same_bytes() {
    assert_eq!(json_schema::files(), json_schema::files());
    assert_eq!(asyncapi::document(), asyncapi::document());
}

#[test]
fn there_is_a_schema_for_every_event_and_no_other() {
    let generated: BTreeSet<String> = json_schema::files().into_iter().map(|f| f.0).collect();
    let golden: BTreeSet<String> = fixtures::EVENTS.map(|name| format!("{name}.json")).into();
    assert_eq!(generated, golden);
    assert_eq!(BTreeSet::from_iter(json_files("json")), golden);
}

#[test]
fn no_reader_of_any_release_breaks_and_none_of_this_one_on_older_records() {
    let mut found = BTreeSet::new();
    for version in releases() {
        let folder = format!("json/released/{version}");
        for name in json_files(&folder) {
            let current = fixtures::folder("json").join(&name);
            assert!(current.exists(), "{name} was released and is gone");
            let old = fixtures::json(&format!("{folder}/{name}"));
            let new = fixtures::json(&format!("json/{name}"));
            assert_eq!(old["$id"], new["$id"], "{version}: {name}");
            found.extend(breaks(&old, &new).iter().map(|b| format!("{name}: {b}")));
        }
    }
    let mut expected: BTreeSet<String> = READERS_FIRST.map(str::to_owned).into();
    for place in REASONS_AT {
        expected
            .extend(REASONS_FIRST.map(|code| format!("{place}: value \"{code}\" is not known")));
    }
    assert_eq!(
        found, expected,
        "schemas/README.md, Versions, says what to do about a break"
    );
}

/// What the comparison of schemas can't see: how the types really read, and whether the old schemas take what is really written.
#[test]
fn records_of_every_release_are_read_now_and_those_of_now_fit_the_schemas_of_every_release() {
    for version in releases() {
        let folder = format!("json/released/{version}");
        let schemas = json_files(&folder);
        for schema in &schemas {
            let name = schema.trim_end_matches(".json");
            let validator = fixtures::validator(&format!("{folder}/{schema}"));
            for suffix in ["", ".minimal"] {
                let then = fixtures::record_in(&format!("{folder}/records"), name, suffix);
                read(name, &then).unwrap_or_else(|error| panic!("{version}: {name}: {error}"));
                let now = fixtures::record(&format!("{name}{suffix}"));
                let mut value = serde_json::from_slice(now.value.as_ref().unwrap()).unwrap();
                learned_first(&mut value);
                if let Err(error) = validator.validate(&value) {
                    panic!("{version}: {name}{suffix}: {error}");
                }
                // A reader finds the event by what the release called it, under the key it had.
                assert_eq!((&then.topic, &then.key), (&now.topic, &now.key), "{name}");
                for header in &then.headers {
                    let same = now.headers.iter().find(|one| one.name == header.name);
                    assert!(same.is_some(), "{version}: {name}: {}", header.name);
                    if ["ce_type", "ce_dataschema", "content-type"].contains(&&*header.name) {
                        assert_eq!(same, Some(header), "{version}: {name}");
                    }
                }
            }
        }
        assert!(schemas.len() >= 4, "{version}: {schemas:?}");
    }
}

/// Puts a code that every release knows in the place of each of [`REASONS_FIRST`].
fn learned_first(value: &mut Value) {
    match value {
        Value::String(text) if REASONS_FIRST.contains(&text.as_str()) => {
            *value = Reason::NotInstalled.code().into();
        }
        Value::Array(items) => items.iter_mut().for_each(learned_first),
        Value::Object(properties) => properties.values_mut().for_each(learned_first),
        _ => {}
    }
}

fn read(name: &str, record: &Record) -> Result<(), DecodeError> {
    fn as_event<E: Event>(record: &Record) -> Result<(), DecodeError> {
        decode::<E>(&record.headers, record.value.as_deref()).map(drop)
    }
    match name {
        "post-submitted.v1" => as_event::<Submission>(record),
        "post-scraped.v1" => as_event::<PostScraped>(record),
        "post-detected.v1" => as_event::<Detections>(record),
        "analysis-deleted.v1" => as_event::<Deletion>(record),
        "analysis-finished.v1" => as_event::<AnalysisResult>(record),
        other => panic!("{other} was released and nothing reads it"),
    }
}

/// The versions that were released, one folder each.
fn releases() -> Vec<String> {
    let mut versions: Vec<String> = fs::read_dir(fixtures::folder("json/released"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    versions.sort();
    assert!(!versions.is_empty());
    versions
}

/// Names of the schemas in a folder.
fn json_files(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(fixtures::folder(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".json")).collect()
}
