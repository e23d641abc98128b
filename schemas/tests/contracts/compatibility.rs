//! The committed schemas beside the types they are made of, and beside those of the last release.

use std::{collections::BTreeSet, fs};

use trustcard_schemas::json_schema;

use crate::{checker::breaks, fixtures};

/// Breaks that the order of a roll-out covers: every reader learns the new value before the first writer uses it. Each is
/// deleted when the release is cut, and one that no longer occurs fails the test.
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
    for (name, text) in json_schema::files() {
        let path = fixtures::folder("json").join(&name);
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == text,
            "{name} is stale: run `make schemas` and commit the result"
        );
    }
}

#[test]
fn generating_twice_gives_the_same_bytes() {
    assert_eq!(json_schema::files(), json_schema::files());
}

#[test]
fn there_is_a_schema_for_every_event_and_no_other() {
    let generated: BTreeSet<String> = json_schema::files().into_iter().map(|f| f.0).collect();
    let golden: BTreeSet<String> = fixtures::EVENTS.map(|name| format!("{name}.json")).into();
    assert_eq!(generated, golden);
    let committed: BTreeSet<String> = fs::read_dir(fixtures::folder("json"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".json"))
        .collect();
    assert_eq!(committed, golden);
}

#[test]
fn no_reader_of_the_last_release_breaks_and_none_of_this_one_on_older_records() {
    let mut found = BTreeSet::new();
    let mut compared = 0;
    for entry in fs::read_dir(fixtures::folder("json/released")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let old = fixtures::json(&format!("json/released/{name}"));
        let current = fixtures::folder("json").join(&name);
        assert!(current.exists(), "{name} was released and is gone");
        let new = fixtures::json(&format!("json/{name}"));
        assert_eq!(old["$id"], new["$id"], "{name}");
        found.extend(breaks(&old, &new).iter().map(|b| format!("{name}: {b}")));
        compared += 1;
    }
    // Events that are newer than the last release have nothing to be compared with.
    assert!(compared >= 4);
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
