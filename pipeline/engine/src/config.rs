//! Configuration in layers, later ones win: defaults, a file, `TRUSTCARD__SECTION__KEY`, then plain names that operators know
//! (`API_PORT`, `LOG_LEVEL`, ...). It is checked as a whole: every fault of every layer is told at once, and where each value
//! comes from is kept.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
};

use config::Value;
use serde::{Serialize, de::DeserializeOwned};

mod fault;
mod layers;
mod values;

pub use fault::{Fault, Faults};

use layers::Leaves;

/// Prefix of the variables that set keys.
const PREFIX: &str = "trustcard__";
/// Shown instead of a secret.
pub const HIDDEN: &str = "(hidden)";

/// Where settings come from.
#[derive(Debug, Clone)]
pub struct Layers {
    /// The file layer, TOML.
    pub file: Option<PathBuf>,
    /// Whether a file that is not there is a fault.
    pub file_required: bool,
    /// The process' environment.
    pub variables: HashMap<String, String>,
    /// Plain names and the keys they set.
    pub plain_names: &'static [(&'static str, &'static str)],
    /// Keys whose environment values are lists: comma-separated, or JSON.
    pub lists: &'static [&'static str],
    /// Keys of maps whose own keys hold dots: `TRUSTCARD__KAFKA__CLIENT__SECURITY_PROTOCOL` sets `security.protocol` of
    /// `kafka.client`.
    pub dotted: &'static [&'static str],
    /// Keys whose values are never shown, whether they may be set or not.
    pub secrets: &'static [&'static str],
    /// Whether the value of a key of a map in `dotted` may never be shown.
    pub is_secret: fn(&str) -> bool,
}

impl Layers {
    /// Whether the value of a key may never be shown.
    fn hides(&self, key: &str) -> bool {
        self.secrets.contains(&key) || (self.dotted_parts(key).is_some() && (self.is_secret)(key))
    }

    /// The map in `dotted` that a key belongs to, and the rest of the key.
    fn dotted_parts<'a>(&self, key: &'a str) -> Option<(&'static str, &'a str)> {
        self.dotted
            .iter()
            .find_map(|map| Some((*map, key.strip_prefix(*map)?.strip_prefix('.')?)))
    }

    /// The variables that set a key, plain names first.
    #[must_use]
    pub fn variables_of(&self, key: &str) -> Vec<String> {
        let plain = self.plain_names.iter().filter(|(_, named)| *named == key);
        let path = match self.dotted_parts(key) {
            Some((map, child)) => {
                format!("{}__{}", map.replace('.', "__"), child.replace('.', "_"))
            }
            None => key.replace('.', "__"),
        };
        plain
            .map(|(name, _)| (*name).to_owned())
            .chain([format!("{PREFIX}{path}").to_uppercase()])
            .collect()
    }
}

/// Settings, and where each came from.
#[derive(Debug, Clone)]
pub struct Loaded<T> {
    /// The settings.
    pub settings: T,
    /// What the layers set.
    origins: BTreeMap<String, String>,
    /// Values of keys that `settings` does not serialise, hidden where they are secret.
    beside: BTreeMap<String, serde_json::Value>,
}

/// A key in effect.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Effective {
    /// The key, dotted.
    pub key: String,
    /// Its value; secrets are hidden.
    pub value: serde_json::Value,
    /// `default`, the path of the file, or the name of the variable.
    pub origin: String,
    /// The variables that set it.
    pub variables: Vec<String>,
}

impl<T: Serialize> Loaded<T> {
    /// Every key with its value and origin, in alphabetical order.
    #[must_use]
    pub fn effective(&self, layers: &Layers) -> Vec<Effective> {
        let mut values = values::flatten(&self.settings);
        for key in layers.secrets {
            values.remove(*key);
            values.insert((*key).to_owned(), serde_json::Value::Null);
        }
        values.extend(self.beside.clone());
        let shown = values.into_iter().map(|(key, value)| Effective {
            origin: self.origin(&key).to_owned(),
            variables: layers.variables_of(&key),
            key,
            value,
        });
        shown.collect()
    }

    /// Where the value of a key comes from.
    #[must_use]
    pub fn origin(&self, key: &str) -> &str {
        self.origins.get(key).map_or("default", String::as_str)
    }
}

/// Reads all layers into one value; a key that no layer sets has the default of its type. `problems` checks what types alone
/// can't: a sentence for each setting at fault, which begins with the key.
///
/// # Errors
/// All faults at once: files that can't be parsed, keys that don't exist, values of the wrong type, and those of `problems`.
pub fn load<T: DeserializeOwned + Serialize>(
    layers: &Layers,
    problems: impl FnOnce(&T) -> Vec<String>,
) -> Result<Loaded<T>, Faults> {
    let (mut leaves, mut faults) = layers::read(layers);
    let settings = match build::<T>(layers, leaves.values()) {
        Ok(settings) => settings,
        Err(error) => {
            // Each value beside nothing but defaults: whatever fails so is at fault itself.
            let alone = leaves.values().filter_map(|leaf| {
                Some(fault::of_value(
                    layers,
                    leaf,
                    &build::<T>(layers, [leaf]).err()?,
                ))
            });
            let found: Vec<Fault> = alone.collect();
            if found.is_empty() {
                faults.push(Fault::of_all(&error));
            }
            leaves.retain(|key, _| !found.iter().any(|fault| fault.key == *key));
            faults.extend(found);
            match build::<T>(layers, leaves.values()) {
                Ok(settings) => settings,
                Err(_) => return Err(Faults(faults)),
            }
        }
    };
    let values = values::flatten(&settings);
    let found = problems(&settings);
    faults.extend(
        found
            .iter()
            .map(|sentence| fault::of_sentence(layers, &leaves, &values, sentence)),
    );
    if !faults.is_empty() {
        return Err(Faults(faults));
    }
    let kept = |key: &str| layers.hides(key) || layers.dotted_parts(key).is_some();
    let beside = leaves.values().filter(|leaf| kept(&leaf.key));
    let beside = beside.map(|leaf| {
        let value = if layers.hides(&leaf.key) {
            HIDDEN.into()
        } else {
            values::json(&leaf.value)
        };
        (leaf.key.clone(), value)
    });
    let beside = beside.collect();
    let origins = leaves.into_iter().map(|(key, leaf)| (key, leaf.origin));
    Ok(Loaded {
        settings,
        origins: origins.collect(),
        beside,
    })
}

/// One value of one layer.
#[derive(Debug, Clone)]
struct Leaf {
    key: String,
    value: Value,
    /// The path of the file, or the name of the variable.
    origin: String,
}

/// Settings of these values and the defaults.
fn build<'a, T: DeserializeOwned>(
    layers: &Layers,
    leaves: impl IntoIterator<Item = &'a Leaf>,
) -> Result<T, config::ConfigError> {
    let path = |leaf: &'a Leaf| {
        let (sections, name) = match layers.dotted_parts(&leaf.key) {
            Some((map, child)) => (map, Some(child)),
            None => (leaf.key.as_str(), None),
        };
        let names: Vec<&'a str> = sections.split('.').chain(name).collect();
        (names, &leaf.value)
    };
    let root = values::tree(leaves.into_iter().map(path).collect());
    T::deserialize(Value::from(root))
}

impl Effective {
    /// The value, for people.
    #[must_use]
    pub fn text(&self) -> String {
        values::text(&self.value)
    }
}

#[cfg(test)]
mod tests;
