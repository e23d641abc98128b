//! Who an instance is among those of its stage, and how they share the work.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One running copy of a process. Its name is in the transactional ids of its stages, so two that run at the same time must
/// not have the same: the older one is fenced and ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    name: String,
    named: bool,
}

impl Instance {
    /// A name nobody else has: host and a random part.
    #[must_use]
    pub fn random() -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = match host.trim() {
            "" => "host",
            host => host,
        };
        let random = Uuid::new_v4().simple().to_string();
        Self {
            name: format!("{host}-{}", random.get(..12).unwrap_or(&random)),
            named: false,
        }
    }

    /// A name of the operator's choosing that outlives restarts. It turns static membership on: a restart within the session
    /// timeout moves no partitions.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            named: true,
        }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name, when it was chosen and so is a static member's.
    pub(crate) fn static_member(&self) -> Option<&str> {
        self.named.then_some(self.name.as_str())
    }

    /// The transactional id of one of its stages.
    pub(crate) fn transactional_id(&self, stage: &str) -> String {
        format!("trustcard.{stage}.{}", self.name)
    }
}

/// How members of a group share its partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GroupConfig {
    /// The protocol between members and broker.
    pub protocol: GroupProtocol,
    /// Who gets what, with the classic protocol. All members of a group must agree.
    pub assignor: Assignor,
}

/// A protocol of consumer groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupProtocol {
    /// Members assign among themselves.
    #[default]
    Classic,
    /// The broker assigns (KIP-848, Kafka 4.0 and later); the session timeout is the broker's too.
    Consumer,
}

/// A way to share partitions among members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Assignor {
    /// Only partitions that change hands stop.
    #[default]
    CooperativeSticky,
    /// Everything stops at every change.
    Range,
}

impl Assignor {
    pub(crate) const fn strategy(self) -> &'static str {
        match self {
            Self::CooperativeSticky => "cooperative-sticky",
            Self::Range => "range",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_instances_differ_and_only_a_named_one_is_a_static_member() {
        let (one, other) = (Instance::random(), Instance::random());
        assert_ne!(one, other);
        assert_eq!(one.static_member(), None);
        let named = Instance::named("scrape-0");
        assert_eq!(named.static_member(), Some("scrape-0"));
        assert_eq!(
            named.transactional_id("scrape"),
            "trustcard.scrape.scrape-0"
        );
    }

    #[test]
    fn settings_are_written_as_kafka_writes_them() {
        let text = r#"{"protocol":"consumer","assignor":"cooperative-sticky"}"#;
        let config: GroupConfig = serde_json::from_str(text).unwrap();
        assert_eq!(config.protocol, GroupProtocol::Consumer);
        assert_eq!(serde_json::to_string(&config).unwrap(), text);
    }
}
