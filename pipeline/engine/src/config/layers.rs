//! What the file and the environment say, key by key.

use std::{collections::BTreeMap, path::Path};

use config::{File, FileFormat, Source, Value, ValueKind};

use super::{Fault, Layers, Leaf, PREFIX};

/// Values by key, the winning layer's.
pub(super) type Leaves = BTreeMap<String, Leaf>;

/// Every value that a layer sets, and the faults of layers that can't be read.
pub(super) fn read(layers: &Layers) -> (Leaves, Vec<Fault>) {
    let (mut leaves, mut faults) = (Leaves::new(), Vec::new());
    if let Some(path) = &layers.file {
        match file(layers, path) {
            Ok(found) => set(&mut leaves, found),
            Err(fault) => faults.push(fault),
        }
    }
    set(&mut leaves, prefixed(layers));
    set(&mut leaves, plain(layers));
    (leaves, faults)
}

fn set(leaves: &mut Leaves, found: Vec<Leaf>) {
    leaves.extend(found.into_iter().map(|leaf| (leaf.key.clone(), leaf)));
}

fn file(layers: &Layers, path: &Path) -> Result<Vec<Leaf>, Fault> {
    let origin = path.display().to_string();
    let source = File::from(path).format(FileFormat::Toml);
    let values = source.required(layers.file_required).collect();
    let values = values.map_err(|error| Fault::of_file(&origin, &error))?;
    let mut leaves = Vec::new();
    for (name, value) in values {
        descend(&origin, name, value, &mut leaves);
    }
    Ok(leaves)
}

/// The values below `key`. A section without any is one itself, so that one that does not exist is noticed.
fn descend(origin: &str, key: String, value: Value, leaves: &mut Vec<Leaf>) {
    match value.kind {
        ValueKind::Table(children) if !children.is_empty() => {
            for (name, child) in children {
                descend(origin, format!("{key}.{name}"), child, leaves);
            }
        }
        _ => leaves.push(Leaf {
            key,
            value,
            origin: origin.to_owned(),
        }),
    }
}

/// What variables with our prefix set.
fn prefixed(layers: &Layers) -> Vec<Leaf> {
    let leaf = |(name, text): (&String, &String)| {
        let key = name.to_lowercase().strip_prefix(PREFIX)?.replace("__", ".");
        let (key, value) = match layers.dotted_parts(&key) {
            Some((map, child)) => {
                let child = child.replace('_', ".");
                (format!("{map}.{child}"), Value::from(text.as_str()))
            }
            None => {
                let value = parse(layers, &key, text);
                (key, value)
            }
        };
        let origin = name.clone();
        Some(Leaf { key, value, origin })
    };
    layers.variables.iter().filter_map(leaf).collect()
}

/// What plain names set; an empty one sets nothing.
fn plain(layers: &Layers) -> Vec<Leaf> {
    let named = layers.plain_names.iter().filter_map(|(name, key)| {
        let text = layers.variables.get(*name)?;
        (!text.is_empty()).then(|| Leaf {
            key: (*key).to_owned(),
            value: parse(layers, key, text),
            origin: (*name).to_owned(),
        })
    });
    named.collect()
}

/// A list, or the text as it stands: `config` makes a number or a boolean of it where the key has that type, and a password
/// keeps its leading zero.
fn parse(layers: &Layers, key: &str, text: &str) -> Value {
    if !layers.lists.contains(&key) {
        return Value::from(text);
    }
    let items: Vec<String> = match serde_json::from_str::<Vec<serde_json::Value>>(text) {
        Ok(items) => items.into_iter().map(item).collect(),
        Err(_) => text.split(',').map(str::to_owned).collect(),
    };
    Value::from(items)
}

/// An item of a JSON list as it would stand between commas.
fn item(item: serde_json::Value) -> String {
    match item {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    }
}
