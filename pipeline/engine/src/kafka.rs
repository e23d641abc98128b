//! How to reach a Kafka cluster, and the client settings that the guarantees of this crate rest on.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use rdkafka::ClientConfig;

use crate::{
    archive::Archive,
    client_metrics::{ClientMetrics, ClientWatch},
    embedded::Meter,
    halt::HaltStore,
    membership::{GroupConfig, GroupProtocol, Instance},
};

/// How long a transactional client waits before it sends a request again by itself, milliseconds.
pub(crate) const RETRY_BACKOFF_MS: u64 = 1_000;

/// A Kafka cluster: where it is and how to talk to it.
#[derive(Clone)]
pub struct Kafka {
    bootstrap: String,
    settings: BTreeMap<String, String>,
    meter: Option<Meter>,
    archive: Option<Arc<dyn Archive>>,
    instance: Instance,
    group: GroupConfig,
    halts: Option<Arc<dyn HaltStore>>,
    clients: Option<ClientMetrics>,
}

impl std::fmt::Debug for Kafka {
    /// Without the values of settings, which may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kafka")
            .field("bootstrap", &self.bootstrap)
            .field("instance", &self.instance.name())
            .field("settings", &self.settings.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Kafka {
    /// A cluster, and this process as an instance with a random name. `settings` are librdkafka's client properties (security, compression, timeouts); those that delivery
    /// rests on (acknowledgements, idempotence, commits, offset reset) can't be changed by them.
    #[must_use]
    pub fn new(bootstrap: impl Into<String>, settings: BTreeMap<String, String>) -> Self {
        Self {
            bootstrap: bootstrap.into(),
            settings,
            meter: None,
            archive: None,
            instance: Instance::random(),
            group: GroupConfig::default(),
            halts: None,
            clients: None,
        }
    }

    /// The same cluster, met under another name.
    #[must_use]
    pub fn with_instance(mut self, instance: Instance) -> Self {
        self.instance = instance;
        self
    }

    /// The same cluster, whose groups share their partitions in another way.
    #[must_use]
    pub fn with_group(mut self, group: GroupConfig) -> Self {
        self.group = group;
        self
    }

    /// Who this process is.
    #[must_use]
    pub const fn instance(&self) -> &Instance {
        &self.instance
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

    /// The same cluster, whose stages remember in `halts` that they stopped themselves. Without it they forget at a restart.
    #[must_use]
    pub fn with_halts(mut self, halts: Arc<dyn HaltStore>) -> Self {
        self.halts = Some(halts);
        self
    }

    /// The same cluster, whose clients show their statistics in `metrics`.
    #[must_use]
    pub fn with_client_metrics(mut self, metrics: &ClientMetrics) -> Self {
        self.clients = Some(metrics.clone());
        self
    }

    /// What shows the statistics of a client that is about to be made.
    pub(crate) fn client_watch(&self) -> ClientWatch {
        ClientWatch::new(self.clients.as_ref())
    }

    pub(crate) const fn halts(&self) -> Option<&Arc<dyn HaltStore>> {
        self.halts.as_ref()
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
                ("statistics.interval.ms", "5000"),
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

    /// A producer of transactions. Within `timeout` of a transaction's first record it must be over, or the broker aborts it
    /// and fences the producer; what a crash left open blocks readers for that long.
    pub(crate) fn transactional(
        &self,
        id: &str,
        client_id: &str,
        timeout: Duration,
    ) -> ClientConfig {
        let mut config = self.producer(client_id, timeout);
        config.set("transactional.id", id);
        config.set("transaction.timeout.ms", timeout.as_millis().to_string());
        let backoff = RETRY_BACKOFF_MS.to_string();
        config.set("retry.backoff.ms", &backoff);
        config.set("retry.backoff.max.ms", &backoff);
        // Follows the former where it is not set, and a new leader must be found quickly.
        config.set("topic.metadata.refresh.fast.interval.ms", "100");
        // Success is what the commit says; a report for each record costs more than sending it.
        config.set("delivery.report.only.error", "true");
        config
    }

    /// A client that reads and commits, and is no member of the group.
    pub(crate) fn consumer(&self, client_id: &str, group: &str) -> ClientConfig {
        self.client(
            &[
                ("max.poll.interval.ms", "300000"),
                ("fetch.wait.max.ms", "100"),
                // Bound what the client holds beside what the runner counts.
                ("queued.min.messages", "1000"),
                ("queued.max.messages.kbytes", "1024"),
                // An answer of the broker stays in memory as a whole while any record of it is queued.
                ("fetch.message.max.bytes", "262144"),
                // A full queue is looked at again so soon; the default of a second leaves it empty for most of that.
                ("fetch.queue.backoff.ms", "5"),
                ("statistics.interval.ms", "2000"),
            ],
            &[
                ("client.id", client_id),
                ("group.id", group),
                ("enable.auto.commit", "false"),
                ("enable.auto.offset.store", "false"),
                ("auto.offset.reset", "error"),
                ("isolation.level", "read_committed"),
            ],
        )
    }

    /// A member of a group.
    pub(crate) fn member(&self, client_id: &str, group: &str) -> ClientConfig {
        let mut config = self.consumer(client_id, group);
        // Made by the broker, and refused by the client, under the newer protocol.
        let classic = [
            ("session.timeout.ms", "10000"),
            ("heartbeat.interval.ms", "3000"),
        ];
        match self.group.protocol {
            GroupProtocol::Classic => {
                for (key, value) in classic {
                    if config.get(key).is_none() {
                        config.set(key, value);
                    }
                }
                let strategy = self.group.assignor.strategy();
                config.set("partition.assignment.strategy", strategy);
                config.set("group.protocol", "classic");
            }
            GroupProtocol::Consumer => {
                for (key, _) in classic {
                    config.remove(key);
                }
                config.remove("partition.assignment.strategy");
                config.set("group.protocol", "consumer");
            }
        }
        if let Some(name) = self.instance.static_member() {
            config.set("group.instance.id", name);
        }
        config
    }

    /// A client that looks at topics and changes them.
    pub(crate) fn admin(&self, client_id: &str) -> ClientConfig {
        self.client(&[], &[("client.id", client_id)])
    }

    /// A client that looks at offsets and at single records. It joins no group and commits nothing; `group` is whose commits it
    /// sees, `isolation` is `read_committed` or `read_uncommitted`.
    pub(crate) fn observer(&self, client_id: &str, group: &str, isolation: &str) -> ClientConfig {
        self.client(
            &[
                ("reconnect.backoff.max.ms", "2000"),
                ("log.connection.close", "false"),
            ],
            &[
                ("client.id", client_id),
                ("group.id", group),
                ("group.protocol", "classic"),
                ("enable.auto.commit", "false"),
                ("enable.auto.offset.store", "false"),
                ("auto.offset.reset", "error"),
                ("isolation.level", isolation),
                ("enable.partition.eof", "true"),
                ("statistics.interval.ms", "0"),
                // One record is wanted, so little is asked for and nothing ahead; a broker gives one batch at least.
                ("fetch.message.max.bytes", "32768"),
                ("fetch.max.bytes", "8388608"),
                ("queued.min.messages", "1"),
                ("fetch.wait.max.ms", "10"),
                ("fetch.queue.backoff.ms", "1"),
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
        let config = kafka.transactional("id", "test", Duration::from_secs(7));
        assert_eq!(config.get("acks"), Some("all"));
        assert_eq!(config.get("transaction.timeout.ms"), Some("7000"));
        assert_eq!(config.get("message.timeout.ms"), Some("7000"));
    }

    #[test]
    fn members_follow_their_protocol_and_only_a_named_instance_is_static() {
        let kafka = Kafka::new("localhost:9092", BTreeMap::new());
        let config = kafka.member("test", "group");
        let strategy = |config: &ClientConfig| {
            config
                .get("partition.assignment.strategy")
                .map(str::to_owned)
        };
        assert_eq!(strategy(&config).as_deref(), Some("cooperative-sticky"));
        assert_eq!(config.get("session.timeout.ms"), Some("10000"));
        assert_eq!(config.get("group.instance.id"), None);

        let slow = [("session.timeout.ms".to_owned(), "45000".to_owned())];
        let kafka = Kafka::new("localhost:9092", slow.into()).with_instance(Instance::named("a"));
        let config = kafka.member("test", "group");
        assert_eq!(config.get("session.timeout.ms"), Some("45000"));
        assert_eq!(config.get("group.instance.id"), Some("a"));
        assert_eq!(
            kafka.consumer("test", "group").get("group.instance.id"),
            None
        );

        let config = kafka
            .with_group(GroupConfig {
                protocol: GroupProtocol::Consumer,
                ..GroupConfig::default()
            })
            .member("test", "group");
        assert_eq!(config.get("group.protocol"), Some("consumer"));
        assert_eq!(config.get("session.timeout.ms"), None);
        assert_eq!(strategy(&config), None);
    }
}
