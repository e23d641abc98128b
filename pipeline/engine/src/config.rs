//! Configuration in layers, later ones win: defaults, `config/{environment}.toml`, `TRUSTCARD__SECTION__KEY`, then plain
//! names that operators know (`API_PORT`, `LOG_LEVEL`, ...).

use std::{collections::HashMap, path::PathBuf};

use config::{Config, Environment, File, FileFormat, Value};
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
    /// Keys whose environment values are comma-separated lists.
    pub lists: &'static [&'static str],
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
    let mut builder = Config::builder()
        .add_source(File::from(file).format(FileFormat::Toml).required(false))
        .add_source(environment(layers));
    for (name, key) in layers.plain_names {
        if let Some(value) = layers
            .variables
            .get(*name)
            .filter(|value| !value.is_empty())
        {
            builder = builder.set_override(key, parse(value, layers.lists.contains(key)))?;
        }
    }
    Ok(builder.build()?.try_deserialize()?)
}

fn environment(layers: &Layers) -> Environment {
    let mut source = Environment::with_prefix("TRUSTCARD")
        .prefix_separator("__")
        .separator("__")
        .try_parsing(true)
        .list_separator(",")
        .source(Some(layers.variables.clone()));
    for key in layers.lists {
        source = source.with_list_parse_key(key);
    }
    source
}

/// Plain names hold JSON lists (`["*"]`) as the old application read them; everything else is text that `config` converts.
fn parse(value: &str, list: bool) -> Value {
    if list && let Ok(items) = serde_json::from_str::<Vec<String>>(value) {
        return Value::from(items);
    }
    Value::from(value.to_owned())
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
    }

    impl Default for Api {
        fn default() -> Self {
            Self {
                port: 8000,
                debug: true,
                name: "TrustCard".to_owned(),
                origins: vec!["*".to_owned()],
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
    fn lists_are_commas_under_our_prefix_and_json_under_plain_names() {
        let directory = tempfile::tempdir().unwrap();
        for variable in [
            (
                "TRUSTCARD__API__ORIGINS",
                "https://a.example,https://b.example",
            ),
            (
                "CORS_ORIGINS",
                r#"["https://a.example","https://b.example"]"#,
            ),
        ] {
            let settings: Settings = load(&layers(directory.path(), &[variable])).unwrap();
            assert_eq!(
                settings.api.origins,
                ["https://a.example", "https://b.example"],
                "{variable:?}"
            );
        }
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
}
