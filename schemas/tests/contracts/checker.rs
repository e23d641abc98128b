//! Compares two versions of a JSON Schema: would a reader made for one break on what a writer made for the other may write?
//!
//! It knows the part of JSON Schema that is generated from Rust types (types, properties, items, alternatives, constants,
//! references, formats and bounds); anything else counts as a constraint that must be equal on both sides.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Keywords that say nothing about which values are valid.
const ANNOTATIONS: [&str; 8] = [
    "$schema",
    "$id",
    "$defs",
    "$comment",
    "title",
    "description",
    "default",
    "examples",
];
/// Keywords compared one by one below.
const STRUCTURE: [&str; 9] = [
    "$ref",
    "type",
    "const",
    "enum",
    "anyOf",
    "oneOf",
    "properties",
    "required",
    "items",
];
/// Deeper than any schema of ours; a schema that contains itself ends here.
const MAX_DEPTH: usize = 32;

/// Every way in which the change from `old` to `new` breaks somebody: readers of the previous version that meet new
/// records, and readers of the new version that meet old ones. Empty when it breaks nobody.
pub fn breaks(old: &Value, new: &Value) -> Vec<String> {
    let mut found = BTreeSet::new();
    for (reader, writer, previous) in [(old, new, true), (new, old, false)] {
        let mut pass = Pass {
            reader,
            writer,
            previous,
            found: &mut found,
        };
        pass.node(reader, writer, "", 0);
    }
    found.into_iter().collect()
}

/// One reader against one writer.
struct Pass<'a> {
    reader: &'a Value,
    writer: &'a Value,
    /// Whether the reader is the older of the two.
    previous: bool,
    found: &'a mut BTreeSet<String>,
}

/// What a schema allows at one place, alternatives and references resolved.
#[derive(Default)]
struct Shape<'a> {
    anything: bool,
    constants: BTreeSet<String>,
    types: BTreeMap<&'a str, Vec<&'a Value>>,
}

impl Pass<'_> {
    fn report(&mut self, path: &str, what: &str) {
        let reader = if self.previous {
            "previous reader"
        } else {
            "new reader"
        };
        let path = if path.is_empty() { "/" } else { path };
        self.found.insert(format!("{reader}: {path}: {what}"));
    }

    fn node(&mut self, reader: &Value, writer: &Value, path: &str, depth: usize) {
        if depth > MAX_DEPTH {
            return self.report(path, "nested too deep to be compared");
        }
        let accepts = shape(self.reader, reader, 0);
        let writes = shape(self.writer, writer, 0);
        if accepts.anything {
            return;
        }
        if writes.anything {
            return self.report(path, "may now be anything");
        }
        if !accepts.types.contains_key("string") {
            for constant in writes.constants.difference(&accepts.constants) {
                self.report(path, &format!("value {constant} is not known"));
            }
        }
        for (name, written) in &writes.types {
            let accepted = match (accepts.types.get(name), *name) {
                (None, "integer") => accepts.types.get("number"),
                (accepted, _) => accepted,
            };
            match accepted {
                None => self.report(path, &format!("{name} is not accepted")),
                Some(accepted) if *name == "object" => {
                    self.objects(accepted, written, path, depth);
                }
                Some(accepted) => self.scalars(accepted, written, path, depth),
            }
        }
    }

    /// Every alternative written must meet an accepted one with the same tag.
    fn objects(&mut self, accepted: &[&Value], written: &[&Value], path: &str, depth: usize) {
        for object in written {
            let tag = tag(object);
            match accepted
                .iter()
                .find(|candidate| self::tag(candidate) == tag)
            {
                None => self.report(path, &format!("variant {tag:?} is not known")),
                Some(reader) => self.properties(reader, object, path, depth),
            }
        }
    }

    fn properties(&mut self, reader: &Value, writer: &Value, path: &str, depth: usize) {
        self.constraints(reader, writer, path);
        let always = names(&writer["required"]);
        let required = names(&reader["required"]);
        for missing in required.difference(&always) {
            let path = format!("{path}/{missing}");
            self.report(&path, "is required but not always written");
        }
        for (name, property) in reader["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}/{name}");
            match writer["properties"].get(name) {
                Some(written) => self.node(property, written, &path, depth + 1),
                None if self.previous && !required.contains(name.as_str()) => {
                    self.report(&path, "is no longer written");
                }
                None => {}
            }
        }
    }

    fn scalars(&mut self, accepted: &[&Value], written: &[&Value], path: &str, depth: usize) {
        for (reader, writer) in accepted.iter().zip(written) {
            self.constraints(reader, writer, path);
            if let Some(items) = reader.get("items") {
                let written = writer.get("items").unwrap_or(&Value::Bool(true));
                self.node(items, written, &format!("{path}/*"), depth + 1);
            }
        }
    }

    /// A reader without the constraint takes everything; otherwise the writer must keep to the same one.
    fn constraints(&mut self, reader: &Value, writer: &Value, path: &str) {
        for (keyword, limit) in reader.as_object().into_iter().flatten() {
            let known =
                ANNOTATIONS.contains(&keyword.as_str()) || STRUCTURE.contains(&keyword.as_str());
            let promised = writer.get(keyword);
            if !known && promised != Some(limit) {
                let promised = promised.map_or("nothing".to_owned(), Value::to_string);
                self.report(
                    path,
                    &format!("{keyword} is {limit} here, {promised} there"),
                );
            }
        }
    }
}

fn shape<'a>(root: &'a Value, node: &'a Value, depth: usize) -> Shape<'a> {
    let mut shape = Shape::default();
    collect(root, node, depth, &mut shape);
    shape
}

fn collect<'a>(root: &'a Value, node: &'a Value, depth: usize, shape: &mut Shape<'a>) {
    if let Some(target) = node["$ref"].as_str().filter(|_| depth < MAX_DEPTH) {
        match root.pointer(target.trim_start_matches('#')) {
            Some(target) => collect(root, target, depth + 1, shape),
            None => shape.anything = true,
        }
        return;
    }
    let alternatives = [&node["anyOf"], &node["oneOf"]];
    if alternatives.iter().any(|list| list.is_array()) {
        for branch in alternatives.iter().filter_map(|list| list.as_array()) {
            for alternative in branch {
                collect(root, alternative, depth + 1, shape);
            }
        }
        return;
    }
    if let Some(constant) = node.get("const") {
        shape.constants.insert(constant.to_string());
        return;
    }
    if let Some(constants) = node["enum"].as_array() {
        shape
            .constants
            .extend(constants.iter().map(Value::to_string));
        return;
    }
    match &node["type"] {
        Value::String(name) => shape.types.entry(name).or_default().push(node),
        Value::Array(several) => {
            for name in several.iter().filter_map(Value::as_str) {
                shape.types.entry(name).or_default().push(node);
            }
        }
        _ => shape.anything = true,
    }
}

/// The constant properties of an object, which tell its variants apart.
fn tag(object: &Value) -> BTreeMap<&str, &Value> {
    object["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, property)| Some((name.as_str(), property.get("const")?)))
        .collect()
}

fn names(list: &Value) -> BTreeSet<&str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}
