//! The checker itself: each kind of break is found, and harmless changes are not taken for one.

use serde_json::{Value, json};

use crate::checker::breaks;

fn released() -> Value {
    json!({
        "type": "object",
        "description": "A thing.",
        "properties": {
            "id": {"type": "string", "format": "uuid"},
            "size": {"type": "integer", "format": "uint32", "minimum": 0},
            "share": {"type": "number"},
            "note": {"type": ["string", "null"]},
            "colour": {"$ref": "#/$defs/Colour"},
            "reason": {"anyOf": [{"$ref": "#/$defs/Colour"}, {"type": "null"}]},
            "parts": {"type": "array", "items": {"type": "object",
                "properties": {"name": {"type": "string"}}, "required": ["name"]}},
            "totals": {"type": "object", "additionalProperties": {"type": "number"}},
            "extra": {"description": "Any shape."},
            "origin": {"oneOf": [
                {"type": "object", "required": ["kind", "who"],
                 "properties": {"kind": {"type": "string", "const": "single"}, "who": {"type": "string"}}},
                {"type": "object", "required": ["kind"],
                 "properties": {"kind": {"type": "string", "const": "batch"}}}]}
        },
        "required": ["id", "size", "share", "colour", "parts", "totals", "origin"],
        "$defs": {"Colour": {"oneOf": [
            {"type": "string", "const": "red", "description": "Red."},
            {"type": "string", "const": "blue"}]}}
    })
}

/// The released schema with `change` made to it.
fn changed(change: fn(&mut Value)) -> Value {
    let mut new = released();
    change(&mut new);
    assert_ne!(new, released(), "the case changes nothing");
    new
}

fn remove(node: &mut Value, name: &str) -> Value {
    let properties = node["properties"].as_object_mut().unwrap();
    let removed = properties.remove(name).unwrap();
    if let Some(required) = node["required"].as_array_mut() {
        required.retain(|r| r != name);
    }
    removed
}

fn require(node: &mut Value, name: &str) {
    node["required"].as_array_mut().unwrap().push(json!(name));
}

#[test]
fn each_kind_of_break_is_found() {
    type Change = fn(&mut Value);
    let cases: Vec<(&str, Change, &[&str])> = vec![
        (
            "drops a required property",
            |new| drop(remove(new, "size")),
            &["previous reader: /size: is required but not always written"],
        ),
        (
            "drops an optional property",
            |new| drop(remove(new, "note")),
            &["previous reader: /note: is no longer written"],
        ),
        (
            "renames a required property",
            |new| {
                let size = remove(new, "size");
                new["properties"]["length"] = size;
                require(new, "length");
            },
            &[
                "new reader: /length: is required but not always written",
                "previous reader: /size: is required but not always written",
            ],
        ),
        (
            "changes a type",
            |new| new["properties"]["id"] = json!({"type": "integer"}),
            &[
                "new reader: /id: string is not accepted",
                "previous reader: /id: integer is not accepted",
            ],
        ),
        (
            "changes the type of an optional property",
            |new| new["properties"]["note"] = json!({"type": ["boolean", "null"]}),
            &[
                "new reader: /note: string is not accepted",
                "previous reader: /note: boolean is not accepted",
            ],
        ),
        (
            "makes a whole number a fraction",
            |new| new["properties"]["size"] = json!({"type": "number"}),
            &["previous reader: /size: number is not accepted"],
        ),
        (
            "makes a fraction a whole number",
            |new| new["properties"]["share"] = json!({"type": "integer"}),
            &["new reader: /share: number is not accepted"],
        ),
        (
            "widens a number",
            |new| new["properties"]["size"]["format"] = json!("uint64"),
            &[
                r#"new reader: /size: format is "uint64" here, "uint32" there"#,
                r#"previous reader: /size: format is "uint32" here, "uint64" there"#,
            ],
        ),
        (
            "lets a number fall below its minimum",
            |new| {
                drop(
                    new["properties"]["size"]
                        .as_object_mut()
                        .unwrap()
                        .remove("minimum"),
                )
            },
            &["previous reader: /size: minimum is 0 here, nothing there"],
        ),
        (
            "narrows text to a pattern",
            |new| new["properties"]["id"]["pattern"] = json!("^a"),
            &[r#"new reader: /id: pattern is "^a" here, nothing there"#],
        ),
        (
            "widens a closed enum",
            |new| {
                let values = new["$defs"]["Colour"]["oneOf"].as_array_mut().unwrap();
                values.push(json!({"type": "string", "const": "green"}));
            },
            &[
                r#"previous reader: /colour: value "green" is not known"#,
                r#"previous reader: /reason: value "green" is not known"#,
            ],
        ),
        (
            "removes an enum value",
            |new| {
                drop(
                    new["$defs"]["Colour"]["oneOf"]
                        .as_array_mut()
                        .unwrap()
                        .remove(0),
                )
            },
            &[
                r#"new reader: /colour: value "red" is not known"#,
                r#"new reader: /reason: value "red" is not known"#,
            ],
        ),
        (
            "opens an enum to any text",
            |new| new["$defs"]["Colour"] = json!({"type": "string"}),
            &[
                "previous reader: /colour: string is not accepted",
                "previous reader: /reason: string is not accepted",
            ],
        ),
        (
            "makes a required property optional",
            |new| {
                new["required"]
                    .as_array_mut()
                    .unwrap()
                    .retain(|r| r != "id")
            },
            &["previous reader: /id: is required but not always written"],
        ),
        (
            "makes a required property nullable",
            |new| new["properties"]["id"]["type"] = json!(["string", "null"]),
            &["previous reader: /id: null is not accepted"],
        ),
        (
            "makes a nullable property never null",
            |new| new["properties"]["note"]["type"] = json!("string"),
            &["new reader: /note: null is not accepted"],
        ),
        (
            "makes an optional property required",
            |new| require(new, "note"),
            &["new reader: /note: is required but not always written"],
        ),
        (
            "adds a required property",
            |new| {
                new["properties"]["added"] = json!({"type": "string"});
                require(new, "added");
            },
            &["new reader: /added: is required but not always written"],
        ),
        (
            "changes what a list holds",
            |new| drop(remove(&mut new["properties"]["parts"]["items"], "name")),
            &["previous reader: /parts/*/name: is required but not always written"],
        ),
        (
            "lets a list hold anything",
            |new| {
                drop(
                    new["properties"]["parts"]
                        .as_object_mut()
                        .unwrap()
                        .remove("items"),
                )
            },
            &["previous reader: /parts/*: may now be anything"],
        ),
        (
            "changes the values of a map",
            |new| new["properties"]["totals"]["additionalProperties"] = json!({"type": "string"}),
            &[
                r#"new reader: /totals: additionalProperties is {"type":"string"} here, {"type":"number"} there"#,
                r#"previous reader: /totals: additionalProperties is {"type":"number"} here, {"type":"string"} there"#,
            ],
        ),
        (
            "refuses unknown properties",
            |new| new["additionalProperties"] = json!(false),
            &["new reader: /: additionalProperties is false here, nothing there"],
        ),
        (
            "gives a free property a type",
            |new| new["properties"]["extra"] = json!({"type": "string"}),
            &["new reader: /extra: may now be anything"],
        ),
        (
            "lets a property be anything",
            |new| new["properties"]["id"] = json!({}),
            &["previous reader: /id: may now be anything"],
        ),
        (
            "adds a variant",
            |new| {
                new["properties"]["origin"]["oneOf"].as_array_mut().unwrap().push(
                    json!({"type": "object", "properties": {"kind": {"type": "string", "const": "file"}}}),
                );
            },
            &[r#"previous reader: /origin: variant {"kind": String("file")} is not known"#],
        ),
        (
            "removes a variant",
            |new| {
                drop(
                    new["properties"]["origin"]["oneOf"]
                        .as_array_mut()
                        .unwrap()
                        .remove(1),
                )
            },
            &[r#"new reader: /origin: variant {"kind": String("batch")} is not known"#],
        ),
        (
            "changes a variant",
            |new| drop(remove(&mut new["properties"]["origin"]["oneOf"][0], "who")),
            &["previous reader: /origin/who: is required but not always written"],
        ),
        (
            "contains itself",
            |new| new["$defs"]["Colour"] = json!({"$ref": "#/$defs/Colour"}),
            &[
                "previous reader: /colour: may now be anything",
                "previous reader: /reason: may now be anything",
            ],
        ),
    ];
    for (what, change, expected) in cases {
        assert_eq!(breaks(&released(), &changed(change)), expected, "{what}");
    }
}

#[test]
fn harmless_changes_break_nobody() {
    type Change = fn(&mut Value);
    let cases: [(&str, Change); 6] = [
        ("adds an optional property", |new| {
            new["properties"]["added"] = json!({"type": ["string", "null"]});
        }),
        ("rewords a description", |new| {
            new["description"] = json!("Another thing.");
        }),
        ("reorders values", |new| {
            new["$defs"]["Colour"]["oneOf"]
                .as_array_mut()
                .unwrap()
                .reverse();
        }),
        ("writes an enum the short way", |new| {
            new["$defs"]["Colour"] = json!({"enum": ["red", "blue"]});
        }),
        ("moves a definition", |new| {
            new["$defs"]["Paint"] = new["$defs"]["Colour"].clone();
            new["properties"]["colour"]["$ref"] = json!("#/$defs/Paint");
        }),
        ("says null another way", |new| {
            new["properties"]["note"] = json!({"anyOf": [{"type": "null"}, {"type": "string"}]});
        }),
    ];
    for (what, change) in cases {
        let found = breaks(&released(), &changed(change));
        assert!(found.is_empty(), "{what}: {found:?}");
    }
    assert!(breaks(&released(), &released()).is_empty());
}
