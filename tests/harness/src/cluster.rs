//! All of TrustCard on real servers: a Kafka broker of one's own, a keyspace of one's own, the sample site, and roles as processes.

use std::{
    collections::BTreeMap,
    path::Path,
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use sample_site::{SampleSite, SiteConfig};
use serde_json::Value;
use store::{ScyllaConfig, ScyllaStore, Store, StorePolicy};
use tempfile::TempDir;

use crate::{
    cql_proxy::CqlProxy,
    kafka_proxy::KafkaProxy,
    process::command,
    role::RoleProcess,
    servers::{KafkaServer, cql},
};

/// Keyspaces made by this process.
static KEYSPACES: AtomicU32 = AtomicU32::new(0);

/// Servers, topics, tables and settings; roles are started one by one.
pub struct Cluster {
    /// The broker.
    pub kafka: KafkaServer,
    /// What plays the upstream.
    pub site: SampleSite,
    /// The keyspace of this cluster's rows.
    pub keyspace: String,
    /// Settings of every role, by the names of their variables.
    pub settings: BTreeMap<String, String>,
    folder: TempDir,
}

impl Cluster {
    /// Starts the servers, creates topics with `partitions` each and the tables.
    ///
    /// # Panics
    /// When a part does not come up.
    pub async fn start(partitions: u32) -> Self {
        Self::on(KafkaServer::start().await, BTreeMap::new(), partitions).await
    }

    /// The same on a broker that runs; `extra` settings win.
    ///
    /// # Panics
    /// When a part does not come up.
    pub async fn on(kafka: KafkaServer, extra: BTreeMap<String, String>, partitions: u32) -> Self {
        let site = SampleSite::start(SiteConfig::default()).await;
        let site = site.expect("the sample site");
        let number = KEYSPACES.fetch_add(1, Ordering::Relaxed);
        // Named as those of the store's tests are, which drop what processes that are gone have left.
        let keyspace = format!("trustcard_test_{}_{number}", std::process::id());
        let folder = tempfile::tempdir().expect("a folder");
        let settings = [
            ("KAFKA__BOOTSTRAP", kafka.bootstrap()),
            ("DATABASE__BACKEND", "scylla".to_owned()),
            ("DATABASE__NODES", cql()),
            ("DATABASE__KEYSPACE", keyspace.clone()),
            ("DATABASE__REPLICATION_FACTOR", "1".to_owned()),
            // A loaded machine is no fault, and the default is for one that does nothing else.
            ("DATABASE__REQUEST_TIMEOUT_MS", "20000".to_owned()),
            ("DATABASE__CONNECT_TIMEOUT_MS", "20000".to_owned()),
            ("TOPICS__PARTITIONS", partitions.to_string()),
            ("TOPICS__REPLICATION", "1".to_owned()),
            ("DETECT__MODELS_ENABLED", "false".to_owned()),
            ("SCRAPE__UPSTREAM__BASE_URL", site.base_url().to_owned()),
            ("SCRAPE__NETWORK__ALLOW_LOOPBACK", "true".to_owned()),
            ("SCRAPE__NETWORK__MEDIA_HOSTS", "127.0.0.1".to_owned()),
            ("SCRAPE__BUDGET__EGRESS_PER_MINUTE", "1000000000".to_owned()),
        ];
        let settings = settings.map(|(name, value)| (format!("TRUSTCARD__{name}"), value));
        let mut settings = BTreeMap::from(settings);
        settings.extend(extra);
        let cluster = Self {
            settings,
            kafka,
            site,
            keyspace,
            folder,
        };
        cluster.must(&["topics", "create"]).await;
        cluster.must(&["migrate"]).await;
        cluster
    }

    /// Puts a proxy before the broker: roles and commands that start from now on go through it.
    pub fn behind_proxy(&mut self) -> KafkaProxy {
        let proxy = KafkaProxy::before(&self.kafka);
        let name = "TRUSTCARD__KAFKA__BOOTSTRAP".to_owned();
        self.settings.insert(name, proxy.address().to_owned());
        proxy
    }

    /// Puts a proxy before the store, and the timeouts that TrustCard has by itself: roles and commands that start from now on go
    /// through it.
    pub async fn behind_cql_proxy(&mut self) -> CqlProxy {
        let proxy = CqlProxy::start(cql()).await;
        let nodes = "TRUSTCARD__DATABASE__NODES".to_owned();
        self.settings.insert(nodes, proxy.address().to_owned());
        for setting in ["REQUEST_TIMEOUT_MS", "CONNECT_TIMEOUT_MS"] {
            self.settings
                .remove(&format!("TRUSTCARD__DATABASE__{setting}"));
        }
        proxy
    }

    /// Starts a role; `extra` settings win.
    #[must_use]
    pub fn role(&self, role: &str, extra: &[(&str, &str)]) -> RoleProcess {
        let mut settings = self.settings.clone();
        settings.extend(
            extra
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let data = self.folder().join("data");
        let data = data.to_str().expect("a UTF-8 path");
        let log = self.folder().join(format!("{role}.log"));
        let arguments: &[&str] = if role == "monitor" {
            &[]
        } else {
            &["--data-dir", data]
        };
        RoleProcess::start(role, arguments, &settings, log)
    }

    /// Starts roles and waits until each is ready, in order.
    ///
    /// # Panics
    /// When one does not become ready.
    pub async fn roles<const N: usize>(&self, names: [&str; N]) -> [RoleProcess; N] {
        let mut roles = names.map(|name| self.role(name, &[]));
        for role in &mut roles {
            role.ready().await;
        }
        roles
    }

    /// Runs a command to its end.
    ///
    /// # Panics
    /// When it can't be started.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = command(arguments);
        command.envs(&self.settings);
        command.output().await.expect("trustcard starts")
    }

    /// Runs a command that must succeed; what it prints.
    ///
    /// # Panics
    /// When it fails.
    pub async fn must(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "trustcard {}: {error}",
            arguments.join(" ")
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Makes the key of a partner.
    ///
    /// # Panics
    /// When it can't be made.
    pub async fn key(&self, holder: &str) -> String {
        let create = ["keys", "create", "--holder", holder, "--json"];
        let made: Value = serde_json::from_str(&self.must(&create).await).expect("JSON");
        made["key"].as_str().expect("a key").to_owned()
    }

    /// The rows, read past every role.
    ///
    /// # Panics
    /// When the server can't be reached.
    pub async fn store(&self) -> Arc<dyn Store> {
        let config = ScyllaConfig {
            nodes: vec![cql()],
            keyspace: self.keyspace.clone(),
            ..ScyllaConfig::default()
        };
        let store = ScyllaStore::open(&config, StorePolicy::default()).await;
        Arc::new(store.expect("the rows"))
    }

    /// Where logs and media are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
