//! Values of settings in the forms they are kept and shown in.

use std::collections::BTreeMap;

use config::{Map, Value, ValueKind};
use serde::Serialize;
use serde_json::Value as Json;

/// Every value of a settings struct by its dotted key; lists are values, and so are sections without any.
pub(super) fn flatten(settings: &impl Serialize) -> BTreeMap<String, Json> {
    let mut values = BTreeMap::new();
    // What can't be shown as JSON is not shown.
    if let Ok(Json::Object(sections)) = serde_json::to_value(settings) {
        for (name, section) in sections {
            descend(name, section, &mut values);
        }
    }
    values
}

fn descend(key: String, value: Json, values: &mut BTreeMap<String, Json>) {
    match value {
        Json::Object(children) if !children.is_empty() => {
            for (name, child) in children {
                descend(format!("{key}.{name}"), child, values);
            }
        }
        value => {
            values.insert(key, value);
        }
    }
}

/// As JSON.
pub(super) fn json(value: &Value) -> Json {
    match &value.kind {
        ValueKind::Nil => Json::Null,
        ValueKind::Boolean(flag) => (*flag).into(),
        ValueKind::I64(number) => (*number).into(),
        ValueKind::I128(number) => number.to_string().into(),
        ValueKind::U64(number) => (*number).into(),
        ValueKind::U128(number) => number.to_string().into(),
        ValueKind::Float(number) => (*number).into(),
        ValueKind::String(text) => text.as_str().into(),
        ValueKind::Table(table) => {
            let fields = table
                .iter()
                .map(|(name, value)| (name.clone(), json(value)));
            Json::Object(fields.collect())
        }
        ValueKind::Array(items) => items.iter().map(json).collect(),
    }
}

/// For people.
pub(super) fn text(value: &Json) -> String {
    match value {
        Json::Null => "(not set)".to_owned(),
        Json::String(text) if !text.is_empty() => text.clone(),
        other => other.to_string(),
    }
}

/// Values by the names that lead to them, as one table. A section wins over a value of the same name.
pub(super) fn tree<'a>(values: Vec<(Vec<&'a str>, &Value)>) -> Map<String, Value> {
    let mut sections: BTreeMap<&str, Vec<(Vec<&'a str>, &Value)>> = BTreeMap::new();
    let mut table = Map::new();
    for (mut path, value) in values {
        let name = if path.is_empty() { "" } else { path.remove(0) };
        if path.is_empty() {
            table.insert(name.to_owned(), value.clone());
        } else {
            sections.entry(name).or_default().push((path, value));
        }
    }
    for (name, below) in sections {
        table.insert(name.to_owned(), Value::from(tree(below)));
    }
    table
}
