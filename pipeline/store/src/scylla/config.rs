//! Settings of the store on CQL.

use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::TlsConfig;

/// Where the servers are and how to treat them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScyllaConfig {
    /// Servers to ask first, `host:port`; the others are learned from them.
    pub nodes: Vec<String>,
    /// The keyspace: letters, digits and underscores, at most 48.
    pub keyspace: String,
    /// The data centre whose nodes are asked; any, where it is not set. Consistency is LOCAL_QUORUM.
    pub datacenter: Option<String>,
    /// User to log in as; none, where it is not set.
    pub username: Option<String>,
    /// The user's password. Never printed.
    #[serde(skip_serializing)]
    pub password: Option<SecretString>,
    /// TLS to every server; off, where no authority is named.
    pub tls: TlsConfig,
    /// Class of the keyspace's replication, when `trustcard migrate` creates it: `NetworkTopologyStrategy`, or
    /// `SimpleStrategy` on one data centre.
    pub replication_class: String,
    /// Copies of each row, when `trustcard migrate` creates the keyspace; in each data centre, or in `datacenter` alone
    /// where that is set.
    pub replication_factor: u32,
    /// Longest wait for the answer to one statement, in milliseconds.
    pub request_timeout_ms: u64,
    /// Longest wait for a connection, in milliseconds.
    pub connect_timeout_ms: u64,
    /// Statements on their way at once.
    pub max_in_flight: usize,
    /// Statements that may wait for their turn; more are refused at once.
    pub max_waiting: usize,
    /// Statements that may be sent a second time, as a share of those sent the first time, 0 to 1.
    pub retry_share: f64,
}

impl Default for ScyllaConfig {
    fn default() -> Self {
        Self {
            nodes: vec!["127.0.0.1:9042".to_owned()],
            keyspace: "trustcard".to_owned(),
            datacenter: None,
            username: None,
            password: None,
            tls: TlsConfig::default(),
            replication_class: "NetworkTopologyStrategy".to_owned(),
            replication_factor: 3,
            request_timeout_ms: 2_000,
            connect_timeout_ms: 5_000,
            max_in_flight: 256,
            max_waiting: 4_096,
            retry_share: 0.2,
        }
    }
}

impl ScyllaConfig {
    /// Everything that is wrong with it, each a sentence that begins with the setting.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let word = |text: &str, most: usize| {
            !text.is_empty()
                && text.len() <= most
                && text
                    .chars()
                    .all(|char| char.is_ascii_alphanumeric() || char == '_')
        };
        let sound = |name: &str| {
            !name.is_empty() && !name.contains('\'') && !name.chars().any(char::is_control)
        };
        let classes = ["NetworkTopologyStrategy", "SimpleStrategy"];
        let checks = [
            (
                !self.nodes.is_empty() && self.nodes.iter().all(|node| !node.is_empty()),
                "nodes must name at least one host:port",
            ),
            (
                word(&self.keyspace, 48),
                "keyspace must be 1 to 48 letters, digits and underscores",
            ),
            (
                self.datacenter.as_deref().is_none_or(sound),
                "datacenter must be a name without quotes",
            ),
            (
                self.username.is_some() == self.password.is_some(),
                "username and password belong together",
            ),
            (
                classes.contains(&self.replication_class.as_str()),
                "replication_class must be NetworkTopologyStrategy or SimpleStrategy",
            ),
            (
                (1..=100).contains(&self.replication_factor),
                "replication_factor must be 1 to 100",
            ),
            (
                (10..=600_000).contains(&self.request_timeout_ms),
                "request_timeout_ms must be 10 to 600000",
            ),
            (
                (10..=600_000).contains(&self.connect_timeout_ms),
                "connect_timeout_ms must be 10 to 600000",
            ),
            (
                (1..=100_000).contains(&self.max_in_flight),
                "max_in_flight must be 1 to 100000",
            ),
            (
                self.max_waiting <= 1_000_000,
                "max_waiting must be at most 1000000",
            ),
            (
                (0.0..=1.0).contains(&self.retry_share),
                "retry_share must be 0 to 1",
            ),
        ];
        let broken = checks.into_iter().filter(|(holds, _)| !holds);
        let broken = broken.map(|(_, problem)| problem.to_owned());
        broken.chain(self.tls.problem()).collect()
    }

    pub(super) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    pub(super) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    /// Options of `CREATE KEYSPACE`.
    pub(super) fn replication(&self) -> String {
        let factor = self.replication_factor;
        let per = match (&self.datacenter, self.replication_class.as_str()) {
            (Some(datacenter), "NetworkTopologyStrategy") => datacenter,
            _ => "replication_factor",
        };
        format!(
            "{{'class': '{}', '{per}': {factor}}}",
            self.replication_class
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_sound_and_each_mistake_is_named() {
        assert!(ScyllaConfig::default().problems().is_empty());
        let broken = |change: fn(&mut ScyllaConfig)| {
            let mut config = ScyllaConfig::default();
            change(&mut config);
            config.problems().remove(0)
        };
        assert!(broken(|config| config.nodes.clear()).contains("nodes"));
        assert!(broken(|config| config.keyspace = "a b".to_owned()).contains("keyspace"));
        assert!(broken(|config| config.keyspace = "a".repeat(49)).contains("keyspace"));
        assert!(broken(|config| config.datacenter = Some("a'".to_owned())).contains("datacenter"));
        assert!(broken(|config| config.username = Some("a".to_owned())).contains("password"));
        assert!(broken(|config| config.tls.cert = Some("c.pem".into())).contains("tls.cert"));
        assert!(broken(|config| config.replication_class.clear()).contains("replication_class"));
        assert!(broken(|config| config.replication_factor = 0).contains("replication_factor"));
        assert!(broken(|config| config.request_timeout_ms = 0).contains("request_timeout_ms"));
        assert!(broken(|config| config.connect_timeout_ms = 0).contains("connect_timeout_ms"));
        assert!(broken(|config| config.max_in_flight = 0).contains("max_in_flight"));
        assert!(broken(|config| config.max_waiting = usize::MAX).contains("max_waiting"));
        assert!(broken(|config| config.retry_share = f64::NAN).contains("retry_share"));
    }

    #[test]
    fn a_password_is_neither_printed_nor_written() {
        let config = ScyllaConfig {
            password: Some("hunter2".to_owned().into()),
            ..ScyllaConfig::default()
        };
        assert!(!format!("{config:?}").contains("hunter2"));
        assert!(!serde_json::to_string(&config).unwrap().contains("hunter2"));
    }

    #[test]
    fn replication_counts_in_the_data_centre_that_is_named() {
        let mut config = ScyllaConfig::default();
        assert_eq!(
            config.replication(),
            "{'class': 'NetworkTopologyStrategy', 'replication_factor': 3}"
        );
        config.datacenter = Some("dc1".to_owned());
        assert_eq!(
            config.replication(),
            "{'class': 'NetworkTopologyStrategy', 'dc1': 3}"
        );
    }
}
