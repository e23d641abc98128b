//! `trustcard migrate`: the keyspace and its tables, by numbered files that are each applied once.

use std::{collections::BTreeMap, time::Duration};

use schemas::cql::{MIGRATIONS, Migration};
use scylla::{
    client::session::Session, errors::DbError, errors::ExecutionError, errors::RequestAttemptError,
    statement::Statement,
};
use sha2::{Digest, Sha256};
use tokio::time::sleep;

use super::{ScyllaConfig, client::connect, error::Failure};
use crate::{Result, StoreError};

/// Changing a schema takes longer than any other statement.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a change is tried that another process' change got in the way of.
const ATTEMPTS: u32 = 10;

const LEDGER: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    number int PRIMARY KEY, name text, checksum text, applied_at timestamp)";
const APPLIED: &str = "SELECT number, name, checksum FROM schema_migrations";
const NOTE: &str = "INSERT INTO schema_migrations (number, name, checksum, applied_at)
    VALUES (?, ?, ?, toTimestamp(now()))";

/// A migration that the keyspace has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Its number.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// Whether it was applied now rather than before.
    pub now: bool,
}

/// Creates the keyspace where it is missing and applies the migrations it does not have. Safe to run twice and from several
/// processes at once.
///
/// # Errors
/// [`StoreError::Unavailable`] when the servers do not answer or do not agree on the schema in time; [`StoreError::Corrupt`]
/// when they refuse a statement, or when a file that was applied has changed since.
pub async fn migrate(config: &ScyllaConfig) -> Result<Vec<Applied>> {
    migrate_with(config, MIGRATIONS).await
}

pub(super) async fn migrate_with(
    config: &ScyllaConfig,
    migrations: &[Migration],
) -> Result<Vec<Applied>> {
    let session = connect(config).await?;
    let keyspace = format!(
        "CREATE KEYSPACE IF NOT EXISTS {} WITH replication = {}",
        config.keyspace,
        config.replication()
    );
    change(&session, &keyspace).await?;
    enter(&session, config).await?;
    change(&session, LEDGER).await?;
    let had = applied(&session).await?;
    let mut done = Vec::new();
    for migration in migrations {
        let now = match had.get(&migration.number) {
            Some((name, checksum)) => {
                same(migration, name, checksum)?;
                false
            }
            None => {
                for statement in migration.statements() {
                    change(&session, &statement).await?;
                }
                agree(&session).await?;
                note(&session, migration).await?;
                true
            }
        };
        done.push(Applied {
            number: migration.number,
            name: migration.name.to_owned(),
            now,
        });
    }
    Ok(done)
}

/// What [`migrate`] would do, changing nothing: `now` marks what it would apply.
///
/// # Errors
/// As [`migrate`].
pub async fn plan(config: &ScyllaConfig) -> Result<Vec<Applied>> {
    let session = connect(config).await?;
    // A keyspace that is not there, or has no ledger, has none of them.
    let had = match enter(&session, config).await {
        Ok(()) => applied(&session).await,
        Err(error) => Err(error),
    };
    let had = match had {
        Err(StoreError::Corrupt(_)) => BTreeMap::new(),
        had => had?,
    };
    let planned = MIGRATIONS.iter().map(|migration| {
        let now = match had.get(&migration.number) {
            Some((name, checksum)) => {
                same(migration, name, checksum)?;
                false
            }
            None => true,
        };
        Ok(Applied {
            number: migration.number,
            name: migration.name.to_owned(),
            now,
        })
    });
    planned.collect()
}

/// Makes the session work in the keyspace and says whether it has all migrations.
pub(super) async fn check(session: &Session, config: &ScyllaConfig) -> Result<()> {
    let missing = |what: &str| {
        StoreError::Corrupt(format!(
            "keyspace {} {what}: run `trustcard migrate`",
            config.keyspace
        ))
    };
    match enter(session, config).await {
        Err(StoreError::Corrupt(_)) => return Err(missing("does not exist")),
        other => other?,
    }
    let had = match applied(session).await {
        Err(StoreError::Corrupt(_)) => return Err(missing("has no tables")),
        other => other?,
    };
    for migration in MIGRATIONS {
        match had.get(&migration.number) {
            Some((name, checksum)) => same(migration, name, checksum)?,
            None => return Err(missing(&format!("lacks migration {}", label(migration)))),
        }
    }
    Ok(())
}

async fn enter(session: &Session, config: &ScyllaConfig) -> Result<()> {
    session
        .use_keyspace(config.keyspace.as_str(), false)
        .await
        .map_err(|error| Failure::from(&error).into())
}

async fn applied(session: &Session) -> Result<BTreeMap<u32, (String, String)>> {
    let answer = session
        .query_unpaged(APPLIED, ())
        .await
        .map_err(|error| StoreError::from(Failure::from(&error)))?;
    let unreadable = |error: &dyn std::fmt::Display| {
        StoreError::Corrupt(format!("schema_migrations can't be read back: {error}"))
    };
    let rows = answer.into_rows_result().map_err(|e| unreadable(&e))?;
    let rows = rows
        .rows::<(i32, String, String)>()
        .map_err(|e| unreadable(&e))?;
    rows.map(|row| {
        let (number, name, checksum) = row.map_err(|e| unreadable(&e))?;
        Ok((number.unsigned_abs(), (name, checksum)))
    })
    .collect()
}

fn same(migration: &Migration, name: &str, checksum: &str) -> Result<()> {
    if name == migration.name && checksum == digest(migration) {
        return Ok(());
    }
    Err(StoreError::Corrupt(format!(
        "migration {} is not the one that was applied ({:04}_{name}): a released file must not change; start the TrustCard \
         this keyspace belongs to, or use another keyspace",
        label(migration),
        migration.number,
    )))
}

async fn note(session: &Session, migration: &Migration) -> Result<()> {
    let number = i32::try_from(migration.number).unwrap_or(i32::MAX);
    session
        .query_unpaged(NOTE, (number, migration.name, digest(migration)))
        .await
        .map_err(|error| StoreError::from(Failure::from(&error)))?;
    Ok(())
}

/// Changes the schema; the driver waits until the servers agree on it.
async fn change(session: &Session, cql: &str) -> Result<()> {
    let mut statement = Statement::new(cql);
    statement.set_is_idempotent(true);
    statement.set_request_timeout(Some(PATIENCE));
    let mut attempt = 1;
    loop {
        let Err(error) = session.query_unpaged(statement.clone(), ()).await else {
            return Ok(());
        };
        // Two processes that create one table at once may get in each other's way; the next attempt finds it there.
        let refused = matches!(
            &error,
            ExecutionError::LastAttemptError(RequestAttemptError::DbError(
                DbError::SyntaxError | DbError::Unauthorized,
                _
            ))
        );
        if refused || attempt == ATTEMPTS {
            return Err(Failure::from(&error).into());
        }
        sleep(Duration::from_millis(100) * attempt).await;
        attempt += 1;
    }
}

async fn agree(session: &Session) -> Result<()> {
    session
        .await_schema_agreement()
        .await
        .map(|_| ())
        .map_err(|error| StoreError::Unavailable(format!("the servers do not agree: {error}")))
}

fn digest(migration: &Migration) -> String {
    hex::encode(Sha256::digest(migration.text))
}

fn label(migration: &Migration) -> String {
    format!("{:04}_{}", migration.number, migration.name)
}
