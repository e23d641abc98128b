//! Where rows are: `database.backend`, and beside it the settings of the store on CQL.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeSeed, IntoDeserializer, MapAccess, Visitor, value::MapAccessDeserializer},
};
use store::ScyllaConfig;

const BACKEND: &str = "backend";

/// The store of the roles that run alone; `up` and `demo` bring their own.
#[derive(Debug, Clone, Default, Serialize)]
pub struct DatabaseConfig {
    /// Which one it is.
    pub backend: Backend,
    /// How to reach it, when it is on CQL.
    #[serde(flatten)]
    pub scylla: ScyllaConfig,
}

/// A kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    /// SQLite in the data folder, for roles on one machine.
    #[default]
    Embedded,
    /// ScyllaDB or Apache Cassandra.
    Scylla,
}

impl DatabaseConfig {
    /// Everything that is wrong with it, each a sentence that begins with its key.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        match self.backend {
            Backend::Embedded => Vec::new(),
            Backend::Scylla => self.scylla.problems(),
        }
    }
}

/// By hand: a derived `flatten` would take any key, and would lose the types by which text of a variable becomes a number.
impl<'de> Deserialize<'de> for DatabaseConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;

        impl<'de> Visitor<'de> for Keys {
            type Value = DatabaseConfig;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the settings of the database")
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Self::Value, M::Error> {
                let mut backend = Backend::default();
                let rest = WithoutBackend {
                    map,
                    backend: &mut backend,
                };
                let scylla = ScyllaConfig::deserialize(MapAccessDeserializer::new(rest))?;
                Ok(DatabaseConfig { backend, scylla })
            }
        }

        deserializer.deserialize_map(Keys)
    }
}

struct WithoutBackend<'a, M> {
    map: M,
    backend: &'a mut Backend,
}

impl<'de, M: MapAccess<'de>> MapAccess<'de> for WithoutBackend<'_, M> {
    type Error = M::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, M::Error> {
        while let Some(key) = self.map.next_key::<String>()? {
            if key != BACKEND {
                return seed.deserialize(key.into_deserializer()).map(Some);
            }
            *self.backend = self.map.next_value()?;
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, M::Error> {
        self.map.next_value_seed(seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<DatabaseConfig, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn the_backend_stands_beside_the_settings_of_cql_and_unknown_keys_are_named() {
        let config = read("nodes = [\"db:9042\"]\nbackend = \"scylla\"\nkeyspace = \"k\"").unwrap();
        assert_eq!(config.backend, Backend::Scylla);
        assert_eq!(
            (config.scylla.nodes, config.scylla.keyspace),
            (vec!["db:9042".to_owned()], "k".to_owned())
        );
        assert_eq!(read("").unwrap().backend, Backend::Embedded);
        assert!(
            read("nodess = []")
                .unwrap_err()
                .to_string()
                .contains("nodess")
        );
        assert!(
            read("backend = \"oracle\"")
                .unwrap_err()
                .to_string()
                .contains("oracle")
        );
    }

    #[test]
    fn what_is_wrong_on_cql_matters_only_where_rows_are_there() {
        let mut config = DatabaseConfig::default();
        config.scylla.nodes.clear();
        config.scylla.max_in_flight = 0;
        assert!(config.problems().is_empty());
        config.backend = Backend::Scylla;
        let problems = config.problems();
        assert!(problems[0].starts_with("nodes ") && problems[1].starts_with("max_in_flight "));
    }

    #[test]
    fn what_is_written_can_be_read_and_holds_no_password() {
        let mut config = DatabaseConfig::default();
        config.scylla.password = Some("hunter2".to_owned().into());
        let text = toml::to_string(&config).unwrap();
        assert!(!text.contains("hunter2"), "{text}");
        assert_eq!(read(&text).unwrap().scylla.nodes, config.scylla.nodes);
    }
}
