//! On a real server: each test has a keyspace of its own, dropped when the test ends.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use super::super::*;
use crate::{
    Store,
    contract::{Shared, contract_tests},
};

/// A keyspace of a test; dropped with it.
struct Keyspace {
    config: ScyllaConfig,
}

impl Keyspace {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let node = std::env::var("TRUSTCARD_TEST_CQL").unwrap_or("127.0.0.1:19042".to_owned());
        Self {
            config: ScyllaConfig {
                nodes: vec![node],
                keyspace: format!("trustcard_store_{}_{number}", std::process::id()),
                replication_factor: 1,
                request_timeout_ms: 20_000,
                connect_timeout_ms: 20_000,
                ..ScyllaConfig::default()
            },
        }
    }
}

impl Drop for Keyspace {
    fn drop(&mut self) {
        let config = self.config.clone();
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let session = client::connect(&config).await.unwrap();
                let drop = format!("DROP KEYSPACE IF EXISTS {}", config.keyspace);
                session.query_unpaged(drop, ()).await.unwrap();
            });
        });
        assert!(dropped.join().is_ok() || std::thread::panicking());
    }
}

/// A store on a keyspace of its own.
async fn open_scylla() -> (Arc<ScyllaStore>, Keyspace) {
    let keyspace = Keyspace::new();
    migrate(&keyspace.config)
        .await
        .expect("a CQL server: run make servers-up");
    let store = ScyllaStore::open(&keyspace.config, StorePolicy::default())
        .await
        .unwrap();
    (Arc::new(store), keyspace)
}

async fn open() -> (Shared, Keyspace) {
    let (store, keyspace) = open_scylla().await;
    let store: Arc<dyn Store> = store;
    (store, keyspace)
}

contract_tests!(open().await);
