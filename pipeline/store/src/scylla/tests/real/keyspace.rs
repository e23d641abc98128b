//! Keyspaces of tests. Making one takes seconds, so a test that ends leaves its keyspace to the next one, which empties it;
//! those of processes that are gone are dropped by the first test of a later one.

use std::{
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use schemas::cql::MIGRATIONS;
use scylla::client::session::Session;
use tokio::sync::OnceCell;

use crate::scylla::{ScyllaConfig, client::connect, migrate};

const PREFIX: &str = "trustcard_test_";

static FREE: Mutex<Vec<String>> = Mutex::new(Vec::new());
static NUMBER: AtomicU32 = AtomicU32::new(0);
static SWEPT: OnceCell<()> = OnceCell::const_new();

/// A keyspace that one test has for itself.
pub(super) struct Keyspace {
    pub(super) config: ScyllaConfig,
    shared: bool,
}

/// Settings for a keyspace of that name on the tests' server.
fn config(keyspace: String) -> ScyllaConfig {
    let node = std::env::var("TRUSTCARD_TEST_CQL").unwrap_or("127.0.0.1:19042".to_owned());
    ScyllaConfig {
        nodes: vec![node],
        keyspace,
        replication_factor: 1,
        request_timeout_ms: 20_000,
        connect_timeout_ms: 20_000,
        ..ScyllaConfig::default()
    }
}

fn unused_name() -> String {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("{PREFIX}{}_{number}", std::process::id())
}

async fn run(session: &Session, cql: &str) {
    session.query_unpaged(cql, ()).await.unwrap();
}

impl Keyspace {
    /// One with all tables, empty.
    pub(super) async fn take() -> Self {
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let (keyspace, used) = match free {
            Some(name) => (name, true),
            None => (unused_name(), false),
        };
        let config = config(keyspace);
        if used {
            empty(&config).await;
        } else {
            SWEPT.get_or_init(|| sweep(&config)).await;
            migrate(&config).await.unwrap();
            // What need not outlive the server is emptied without a flush.
            let session = connect(&config).await.unwrap();
            let faster = format!(
                "ALTER KEYSPACE {} WITH durable_writes = false",
                config.keyspace
            );
            run(&session, &faster).await;
        }
        Self {
            config,
            shared: true,
        }
    }

    /// A name that nothing is made of yet.
    pub(super) async fn unmade() -> Self {
        let config = config(unused_name());
        SWEPT.get_or_init(|| sweep(&config)).await;
        Self {
            config,
            shared: false,
        }
    }
}

impl Drop for Keyspace {
    fn drop(&mut self) {
        if self.shared && !std::thread::panicking() {
            let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
            free.push(self.config.keyspace.clone());
        }
    }
}

async fn empty(config: &ScyllaConfig) {
    let session = connect(config).await.unwrap();
    let statements = MIGRATIONS
        .iter()
        .flat_map(|migration| migration.statements());
    let tables = statements.filter_map(|statement| {
        let rest = statement.strip_prefix("CREATE TABLE IF NOT EXISTS ")?;
        rest.split_whitespace().next().map(str::to_owned)
    });
    for table in tables {
        run(&session, &format!("TRUNCATE {}.{table}", config.keyspace)).await;
    }
}

/// Drops keyspaces of test processes that have ended.
async fn sweep(config: &ScyllaConfig) {
    let session = connect(config)
        .await
        .expect("no CQL server answers: run make servers-up");
    let names = session
        .query_unpaged("SELECT keyspace_name FROM system_schema.keyspaces", ())
        .await
        .unwrap()
        .into_rows_result()
        .unwrap();
    for name in names.rows::<(String,)>().unwrap() {
        let (name,) = name.unwrap();
        let process = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('_').next());
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            run(&session, &format!("DROP KEYSPACE IF EXISTS {name}")).await;
        }
    }
}
