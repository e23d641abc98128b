//! Migrations are applied once, whoever asks and however often, and a store wants all of them.

use schemas::cql::{MIGRATIONS, Migration};

use super::{Keyspace, ScyllaStore, migrate};
use crate::{Operations, StoreError, StorePolicy, scylla::migrate::migrate_with};

const EXTRA: Migration = Migration {
    number: MIGRATIONS.len() as u32 + 1,
    name: "more",
    text: "-- one; more\nCREATE TABLE IF NOT EXISTS more (id int PRIMARY KEY);",
};

#[tokio::test]
async fn two_at_once_and_one_again_leave_one_schema() {
    let keyspace = Keyspace::unmade().await;
    let config = &keyspace.config;
    let refused = ScyllaStore::open(config, StorePolicy::default()).await;
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("run `trustcard migrate`"), "{error}");
    let (one, two) = tokio::join!(migrate(config), migrate(config));
    for applied in [&one, &two] {
        let numbers: Vec<u32> = applied.as_ref().unwrap().iter().map(|a| a.number).collect();
        let all: Vec<u32> = MIGRATIONS.iter().map(|one| one.number).collect();
        assert_eq!(numbers, all);
    }
    let (one, two) = (one.unwrap(), two.unwrap());
    assert!(one.iter().zip(&two).all(|(one, two)| one.now || two.now));
    let again = migrate(config).await.unwrap();
    assert!(again.iter().all(|applied| !applied.now));

    let store = ScyllaStore::open(config, StorePolicy::default())
        .await
        .unwrap();
    store.ping().await.unwrap();

    // A file that came later is applied alone.
    let with_more = [MIGRATIONS, &[EXTRA]].concat();
    let more = migrate_with(config, &with_more).await.unwrap();
    let now: Vec<u32> = more
        .iter()
        .filter(|one| one.now)
        .map(|one| one.number)
        .collect();
    assert_eq!(now, [EXTRA.number]);

    // One that was applied must not change.
    let changed = Migration {
        text: "CREATE TABLE IF NOT EXISTS more (id text PRIMARY KEY);",
        ..EXTRA
    };
    let with_changed = [MIGRATIONS, &[changed]].concat();
    let error = migrate_with(config, &with_changed).await.unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt(_)), "{error}");
    let name = format!("{:04}_more", EXTRA.number);
    assert!(error.to_string().contains(&name), "{error}");
}

#[tokio::test]
async fn a_keyspace_without_one_of_them_is_refused() {
    let keyspace = Keyspace::unmade().await;
    let config = &keyspace.config;
    migrate_with(config, &[]).await.unwrap();
    let refused = ScyllaStore::open(config, StorePolicy::default()).await;
    let error = refused.unwrap_err().to_string();
    assert!(
        error.contains("0001_tables") && error.contains("trustcard migrate"),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable_and_named() {
    let nobody = "127.0.0.1:1".to_owned();
    let config = super::ScyllaConfig {
        nodes: vec![nobody.clone()],
        ..super::ScyllaConfig::default()
    };
    let refused = ScyllaStore::open(&config, StorePolicy::default()).await;
    let error = refused.unwrap_err();
    assert!(matches!(&error, StoreError::Unavailable(_)), "{error}");
    assert!(error.to_string().contains(&nobody), "{error}");
}
