//! The broker of the roles that run alone.

use std::collections::BTreeMap;

use engine::{GroupConfig, Instance, Kafka};
use serde::{Deserialize, Serialize};

/// Longest name of an instance. Kafka takes 249 characters of a transactional id, whose first part is the stage's.
const LONGEST_NAME: usize = 200;

/// How to reach it, and who asks.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaConfig {
    /// Addresses, `host:port,host:port`.
    pub bootstrap: String,
    /// Name of this instance, the same after a restart: turns static membership on. No two that run at once may share one.
    /// Not set, it is the host and a random part.
    pub instance: Option<String>,
    /// How the instances of a stage share its partitions.
    pub group: GroupConfig,
    /// librdkafka's client properties, dots written as they are; never printed, they may hold secrets.
    #[serde(skip_serializing)]
    pub client: BTreeMap<String, String>,
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self {
            bootstrap: "127.0.0.1:9092".to_owned(),
            instance: None,
            group: GroupConfig::default(),
            client: BTreeMap::new(),
        }
    }
}

impl std::fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaConfig")
            .field("bootstrap", &self.bootstrap)
            .field("instance", &self.instance)
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}

impl KafkaConfig {
    /// The cluster, met as this instance.
    #[must_use]
    pub fn cluster(&self) -> Kafka {
        let named = self.instance.as_deref().map(Instance::named);
        Kafka::new(&self.bootstrap, self.client.clone())
            .with_instance(named.unwrap_or_else(Instance::random))
            .with_group(self.group)
    }

    /// Everything that is wrong with it, each a sentence that begins with its key.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let named = |name: &str| {
            let good = |char: char| char.is_ascii_alphanumeric() || "._-".contains(char);
            (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(good)
        };
        let nowhere = self.bootstrap.trim().is_empty();
        let nowhere = nowhere.then(|| "bootstrap must name at least one host:port".to_owned());
        let odd = self.instance.as_deref().is_some_and(|name| !named(name));
        let odd = odd.then(|| {
            format!("instance must be 1 to {LONGEST_NAME} letters, digits, dots, underscores and hyphens")
        });
        nowhere.into_iter().chain(odd).collect()
    }
}

/// Whether the value of a client property may never be shown. Rather too many than too few: names of files are no loss.
#[must_use]
pub fn is_secret(property: &str) -> bool {
    [
        "password",
        "secret",
        "key",
        "pem",
        "token",
        "oauthbearer",
        "certificate",
    ]
    .iter()
    .any(|word| property.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_and_without_one_no_two_are_alike() {
        let mut config = KafkaConfig::default();
        let random = || config.cluster().instance().name().to_owned();
        assert_ne!(random(), random());
        config.instance = Some("scrape-0".to_owned());
        assert_eq!(config.cluster().instance().name(), "scrape-0");
        assert!(config.problems().is_empty());
    }

    #[test]
    fn names_that_kafka_would_refuse_are_named_here() {
        for name in ["", "a b", "ä", &"x".repeat(201)] {
            let config = KafkaConfig {
                instance: Some(name.to_owned()),
                ..KafkaConfig::default()
            };
            assert!(config.problems()[0].starts_with("instance "), "{name}");
        }
        let config = KafkaConfig {
            bootstrap: String::new(),
            ..KafkaConfig::default()
        };
        assert!(config.problems()[0].starts_with("bootstrap "));
    }
}
