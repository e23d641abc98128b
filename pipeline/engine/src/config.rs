//! Configuration in layers, later ones win: defaults, `config/{environment}.toml`, `TRUSTCARD__SECTION__KEY`, then plain
//! names that operators know (`API_PORT`, `LOG_LEVEL`, ...).

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
};

use config::{Config, File, FileFormat, Map, Value};
use serde::de::DeserializeOwned;

/// Where settings come from.
#[derive(Debug, Clone)]
pub struct Layers {
    /// Name of the file layer: `{directory}/{environment}.toml`; a file that is not there is no error.
    pub environment: String,
    /// Directory of the file layer.
    pub directory: PathBuf,
    /// The process' environment.
    pub variables: HashMap<String, String>,
    /// Plain names and the keys they set.
    pub plain_names: &'static [(&'static str, &'static str)],
    /// Keys whose environment values are lists: comma-separated, or JSON.
    pub lists: &'static [&'static str],
    /// Keys of maps whose own keys hold dots: `TRUSTCARD__KAFKA__CLIENT__SECURITY_PROTOCOL` sets `security.protocol` of
    /// `kafka.client`.
    pub dotted: &'static [&'static str],
}

/// Why the configuration can't be used. The text names the key and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("configuration: {0}")]
pub struct ConfigError(#[from] config::ConfigError);

/// Reads all layers into one value; a key that no layer sets has the default of its type.
///
/// # Errors
/// A file that can't be parsed, a value of the wrong type, a key that does not exist.
pub fn load<T: DeserializeOwned>(layers: &Layers) -> Result<T, ConfigError> {
    let file = layers
        .directory
        .join(format!("{}.toml", layers.environment));
    let mut builder =
        Config::builder().add_source(File::from(file).format(FileFormat::Toml).required(false));
    let mut values = prefixed(layers);
    for (name, key) in layers.plain_names {
        if let Some(value) = layers
            .variables
            .get(*name)
            .filter(|value| !value.is_empty())
        {
            values.insert((*key).to_owned(), parse(layers, key, value));
        }
    }
    for (key, value) in values {
        builder = builder.set_override(key, value)?;
    }
    Ok(builder.build()?.try_deserialize()?)
}

/// What variables with our prefix set, by key.
fn prefixed(layers: &Layers) -> BTreeMap<String, Value> {
    let mut values = BTreeMap::new();
    let mut maps: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for (name, text) in &layers.variables {
        let name = name.to_lowercase();
        let Some(key) = name.strip_prefix("trustcard__") else {
            continue;
        };
        let key = key.replace("__", ".");
        let child = layers.dotted.iter().find_map(|map| {
            let child = key.strip_prefix(*map)?.strip_prefix('.')?;
            Some((*map, child.replace('_', ".")))
        });
        match child {
            Some((map, child)) => {
                let children = maps.entry(map).or_default();
                children.insert(child, Value::from(text.as_str()));
            }
            None => {
                let value = parse(layers, &key, text);
                values.insert(key, value);
            }
        }
    }
    let maps = maps.into_iter();
    values.extend(maps.map(|(key, children)| (key.to_owned(), Value::from(children))));
    values
}

/// A list, or the text as it stands: `config` makes a number or a boolean of it where the key has that type, and a password
/// keeps its leading zero.
fn parse(layers: &Layers, key: &str, text: &str) -> Value {
    if !layers.lists.contains(&key) {
        return Value::from(text);
    }
    let items: Vec<String> = match serde_json::from_str::<Vec<serde_json::Value>>(text) {
        Ok(items) => items.into_iter().map(plain).collect(),
        Err(_) => text.split(',').map(str::to_owned).collect(),
    };
    Value::from(items)
}

/// An item of a JSON list as it would stand between commas.
fn plain(item: serde_json::Value) -> String {
    match item {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Settings {
        api: Api,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Api {
        port: u16,
        debug: bool,
        name: String,
        origins: Vec<String>,
        password: Option<String>,
        ratio: f64,
        client: BTreeMap<String, String>,
    }

    impl Default for Api {
        fn default() -> Self {
            Self {
                port: 8000,
                debug: true,
                name: "TrustCard".to_owned(),
                origins: vec!["*".to_owned()],
                password: None,
                ratio: 0.0,
                client: BTreeMap::new(),
            }
        }
    }

    fn layers(directory: &std::path::Path, variables: &[(&str, &str)]) -> Layers {
        Layers {
            environment: "staging".to_owned(),
            directory: directory.to_owned(),
            variables: variables
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            plain_names: &[
                ("API_PORT", "api.port"),
                ("DEBUG", "api.debug"),
                ("CORS_ORIGINS", "api.origins"),
            ],
            lists: &["api.origins"],
            dotted: &["api.client"],
        }
    }

    #[test]
    fn later_layers_win() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(
            directory.path().join("staging.toml"),
            "[api]\nport = 1\nname = \"file\"\n",
        )
        .unwrap();
        let file: Settings = load(&layers(directory.path(), &[])).unwrap();
        assert_eq!(
            (file.api.port, file.api.name.as_str(), file.api.debug),
            (1, "file", true)
        );
        let ours: Settings =
            load(&layers(directory.path(), &[("TRUSTCARD__API__PORT", "2")])).unwrap();
        assert_eq!(ours.api.port, 2);
        let plain: Settings = load(&layers(
            directory.path(),
            &[
                ("TRUSTCARD__API__PORT", "2"),
                ("API_PORT", "3"),
                ("DEBUG", "False"),
            ],
        ))
        .unwrap();
        assert_eq!((plain.api.port, plain.api.debug), (3, false));
    }

    #[test]
    fn lists_are_separated_by_commas_or_json() {
        let directory = tempfile::tempdir().unwrap();
        let json = r#"["https://a.example", "https://b.example"]"#;
        for variable in [
            (
                "TRUSTCARD__API__ORIGINS",
                "https://a.example,https://b.example",
            ),
            ("CORS_ORIGINS", "https://a.example,https://b.example"),
            ("CORS_ORIGINS", json),
        ] {
            let settings: Settings = load(&layers(directory.path(), &[variable])).unwrap();
            assert_eq!(
                settings.api.origins,
                ["https://a.example", "https://b.example"],
                "{variable:?}"
            );
        }
        let none: Settings = load(&layers(directory.path(), &[("CORS_ORIGINS", "[]")])).unwrap();
        assert!(none.api.origins.is_empty());
    }

    #[test]
    fn a_wrong_type_and_an_unknown_key_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let wrong = load::<Settings>(&layers(directory.path(), &[("API_PORT", "many")]))
            .unwrap_err()
            .to_string();
        assert!(wrong.contains("api.port"), "{wrong}");
        let unknown = load::<Settings>(&layers(directory.path(), &[("TRUSTCARD__API__PROT", "1")]))
            .unwrap_err()
            .to_string();
        assert!(unknown.contains("prot"), "{unknown}");
    }

    #[test]
    fn text_stays_as_it_is_and_numbers_and_booleans_are_what_their_keys_say() {
        let directory = tempfile::tempdir().unwrap();
        let variables = [
            ("TRUSTCARD__API__NAME", "True"),
            ("TRUSTCARD__API__PASSWORD", "0123"),
            ("TRUSTCARD__API__CLIENT__SASL_PASSWORD", "1e3"),
            ("TRUSTCARD__API__PORT", "2"),
            ("TRUSTCARD__API__DEBUG", "FALSE"),
            ("TRUSTCARD__API__RATIO", "0.5"),
        ];
        let api = load::<Settings>(&layers(directory.path(), &variables))
            .unwrap()
            .api;
        assert_eq!(api.name, "True");
        assert_eq!(api.password.as_deref(), Some("0123"));
        assert_eq!(api.client["sasl.password"], "1e3");
        assert_eq!((api.port, api.debug, api.ratio), (2, false, 0.5));
    }

    #[test]
    fn keys_with_dots_are_written_with_underscores_and_join_those_of_the_file() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(
            directory.path().join("staging.toml"),
            "[api.client]\n\"linger.ms\" = \"5\"\n\"security.protocol\" = \"plaintext\"\n",
        )
        .unwrap();
        let variables = [
            ("TRUSTCARD__API__CLIENT__SECURITY_PROTOCOL", "ssl"),
            ("TRUSTCARD__API__CLIENT__SSL_CA_LOCATION", "/ca.pem"),
        ];
        let api = load::<Settings>(&layers(directory.path(), &variables))
            .unwrap()
            .api;
        let pairs: Vec<_> = api
            .client
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(
            pairs,
            [
                ("linger.ms", "5"),
                ("security.protocol", "ssl"),
                ("ssl.ca.location", "/ca.pem"),
            ]
        );
    }
}
