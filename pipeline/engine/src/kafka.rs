//! How to reach a Kafka cluster, and the client settings that the guarantees of this crate rest on.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use rdkafka::ClientConfig;

use crate::{archive::Archive, embedded::Meter};

/// A Kafka cluster: where it is and how to talk to it.
#[derive(Clone)]
pub struct Kafka {
    bootstrap: String,
    settings: BTreeMap<String, String>,
    meter: Option<Meter>,
    archive: Option<Arc<dyn Archive>>,
}

impl std::fmt::Debug for Kafka {
    /// Without the values of settings, which may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kafka")
            .field("bootstrap", &self.bootstrap)
            .field("settings", &self.settings.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Kafka {
    /// A cluster. `settings` are librdkafka's client properties (security, compression, timeouts); those that delivery
    /// rests on (acknowledgements, idempotence, commits, offset reset) can't be changed by them.
    #[must_use]
    pub fn new(bootstrap: impl Into<String>, settings: BTreeMap<String, String>) -> Self {
        Self {
            bootstrap: bootstrap.into(),
            settings,
            meter: None,
            archive: None,
        }
    }

    pub(crate) fn with_meter(mut self, meter: Meter) -> Self {
        self.meter = Some(meter);
        self
    }

    /// The same cluster, whose stages keep their dead letters in `archive` too.
    #[must_use]
    pub fn with_archive(mut self, archive: Arc<dyn Archive>) -> Self {
        self.archive = Some(archive);
        self
    }

    pub(crate) const fn archive(&self) -> Option<&Arc<dyn Archive>> {
        self.archive.as_ref()
    }

    /// Addresses of the brokers, as `host:port,host:port`.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// The meter, when the broker is the embedded one.
    pub(crate) const fn meter(&self) -> Option<&Meter> {
        self.meter.as_ref()
    }

    pub(crate) fn producer(&self, client_id: &str, message_timeout: Duration) -> ClientConfig {
        let timeout = message_timeout.as_millis().to_string();
        self.client(
            &[
                ("compression.type", "lz4"),
                ("linger.ms", "5"),
                // Bounds a batch well below a topic's default limit of 1 MiB.
                ("batch.size", "524288"),
                // A single message may be larger: what a topic takes is the broker's to say.
                ("message.max.bytes", "16777216"),
            ],
            &[
                ("client.id", client_id),
                ("acks", "all"),
                ("enable.idempotence", "true"),
                // As Kafka's Java client does, so that a key meets its partition whoever writes it.
                ("partitioner", "murmur2_random"),
                ("message.timeout.ms", &timeout),
            ],
        )
    }

    pub(crate) fn consumer(&self, client_id: &str, group: &str) -> ClientConfig {
        self.client(
            &[
                ("session.timeout.ms", "10000"),
                ("heartbeat.interval.ms", "3000"),
                ("max.poll.interval.ms", "300000"),
                ("fetch.wait.max.ms", "100"),
                // Bound what the client holds beside what the runner counts.
                ("queued.min.messages", "10000"),
                ("queued.max.messages.kbytes", "8192"),
                ("statistics.interval.ms", "2000"),
            ],
            &[
                ("client.id", client_id),
                ("group.id", group),
                ("enable.auto.commit", "false"),
                ("enable.auto.offset.store", "false"),
                ("auto.offset.reset", "error"),
                ("isolation.level", "read_committed"),
                ("partition.assignment.strategy", "range"),
            ],
        )
    }

    /// Defaults, then what the operator set, then what must hold.
    fn client(&self, defaults: &[(&str, &str)], fixed: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (key, value) in defaults {
            config.set(*key, *value);
        }
        for (key, value) in &self.settings {
            config.set(key, value);
        }
        for (key, value) in fixed {
            config.set(*key, *value);
        }
        config.set("bootstrap.servers", &self.bootstrap);
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_changes_tuning_but_not_guarantees_and_secrets_stay_out_of_debug_output() {
        let settings = [
            ("linger.ms", "50"),
            ("acks", "0"),
            ("sasl.password", "hunter2"),
        ];
        let settings = settings.map(|(k, v)| (k.to_owned(), v.to_owned()));
        let kafka = Kafka::new("localhost:9092", settings.into());
        let config = kafka.producer("test", Duration::from_secs(5));
        assert_eq!(config.get("linger.ms"), Some("50"));
        assert_eq!(config.get("acks"), Some("all"));
        assert_eq!(config.get("message.timeout.ms"), Some("5000"));
        assert!(!format!("{kafka:?}").contains("hunter2"));
    }
}
