//! What is wrong with a configuration: key, value, problem and remedy of each fault.

use std::{collections::BTreeMap, fmt};

use config::ConfigError;
use serde::Serialize;
use serde_json::Value as Json;

use super::{HIDDEN, Layers, Leaf, Leaves, values};

/// How alike a key must be to be proposed instead of one that does not exist, 0 to 1.
const ALIKE: f64 = 0.8;

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The key, dotted.
    pub key: String,
    /// What it was given, hidden where it is secret; `None` where it was given nothing.
    pub value: Option<String>,
    /// `default`, the path of the file, or the name of the variable.
    pub origin: String,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        if let Some(value) = &self.value {
            write!(f, " = {value}")?;
        }
        write!(f, " ({}): {}; {}", self.origin, self.problem, self.remedy)
    }
}

/// All faults of a configuration, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl std::error::Error for Faults {}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CONFIGURATION_ERROR: the configuration can't be used")?;
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl Fault {
    /// A file that can't be read.
    pub(super) fn of_file(path: &str, error: &ConfigError) -> Self {
        Self {
            key: path.to_owned(),
            value: None,
            origin: path.to_owned(),
            problem: error.to_string().replace('\n', " ").trim().to_owned(),
            remedy: "mend the file".to_owned(),
        }
    }

    /// Values that can't stand together.
    pub(super) fn of_all(error: &ConfigError) -> Self {
        Self {
            key: "all".to_owned(),
            value: None,
            origin: "all layers".to_owned(),
            problem: error.to_string(),
            remedy: "change one of the values it names".to_owned(),
        }
    }
}

/// A value that can't be used at all, or a key that does not exist.
pub(super) fn of_value(layers: &Layers, leaf: &Leaf, error: &ConfigError) -> Fault {
    let told = error.to_string();
    let unknown = told.contains("unknown field");
    let meant = if unknown { meant(leaf, &told) } else { None };
    let (problem, remedy) = if unknown {
        let remedy = instead_of(layers, leaf, meant.as_deref());
        ("is no setting".to_owned(), remedy)
    } else if layers.hides(&leaf.key) {
        let problem = "has another type than is needed".to_owned();
        (problem, remedy(layers, &leaf.key, Some(&leaf.origin)))
    } else {
        let problem = told.split(" for key `").next().unwrap_or(&told).to_owned();
        (problem, remedy(layers, &leaf.key, Some(&leaf.origin)))
    };
    Fault {
        key: leaf.key.clone(),
        value: Some(shown(layers, leaf, unknown, meant.as_deref())),
        origin: leaf.origin.clone(),
        problem,
        remedy,
    }
}

/// A setting that breaks a rule, as a sentence that begins with its key.
pub(super) fn of_sentence(
    layers: &Layers,
    leaves: &Leaves,
    effective: &BTreeMap<String, Json>,
    sentence: &str,
) -> Fault {
    let (key, problem) = sentence.split_once(' ').unwrap_or((sentence, "is wrong"));
    let leaf = leaves.get(key);
    let value = if layers.hides(key) {
        Some(HIDDEN.to_owned())
    } else {
        let given = leaf.map(|leaf| values::json(&leaf.value));
        given
            .or_else(|| effective.get(key).cloned())
            .map(|value| value.to_string())
    };
    let origin = leaf.map(|leaf| leaf.origin.as_str());
    Fault {
        key: key.to_owned(),
        value,
        origin: origin.unwrap_or("default").to_owned(),
        problem: problem.to_owned(),
        remedy: remedy(layers, key, origin),
    }
}

/// What was given for a key. A key that does not exist may be a secret's with a typing mistake in it.
fn shown(layers: &Layers, leaf: &Leaf, unknown: bool, meant: Option<&str>) -> String {
    let odd = unknown && looks_secret(&leaf.key);
    if odd || layers.hides(&leaf.key) || meant.is_some_and(|key| layers.hides(key)) {
        HIDDEN.to_owned()
    } else {
        values::json(&leaf.value).to_string()
    }
}

fn looks_secret(key: &str) -> bool {
    [
        "key",
        "pass",
        "pwd",
        "secret",
        "session",
        "cookie",
        "token",
        "credential",
    ]
    .iter()
    .any(|word| key.contains(word))
}

fn remedy(layers: &Layers, key: &str, origin: Option<&str>) -> String {
    let names = layers.variables_of(key);
    match origin {
        Some(name) if layers.variables.contains_key(name) => format!("change {name}"),
        Some(file) => format!("change it in {file}, or set {}", names.join(" or ")),
        None => format!("set {}", names.join(" or ")),
    }
}

/// What may have been meant: the most alike of the keys that the error says there are.
fn meant(leaf: &Leaf, told: &str) -> Option<String> {
    let mut quoted = told.split('`').skip(1).step_by(2);
    let wrong = quoted.next().unwrap_or_default();
    let alike = quoted
        .map(|known| (strsim::jaro_winkler(wrong, known), known))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    alike.map(|(_, known)| leaf.key.replacen(wrong, known, 1))
}

fn instead_of(layers: &Layers, leaf: &Leaf, meant: Option<&str>) -> String {
    let remove = format!("remove it from {}", leaf.origin);
    let remove = if layers.variables.contains_key(&leaf.origin) {
        format!("remove {}", leaf.origin)
    } else {
        remove
    };
    match meant {
        Some(key) => format!("{remove}, or write {key} if that was meant"),
        None => format!("{remove}; `trustcard check-config` lists what there is"),
    }
}
