//! Keys of partners and admins.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::params;

use super::SqliteStore;
use crate::{
    KeyRow, Keys, Result,
    values::{role_from, time},
};

#[async_trait]
impl Keys for SqliteStore {
    async fn add_key(&self, key: &KeyRow) -> Result<()> {
        let key = key.clone();
        self.writer
            .run(move |connection| {
                connection
                    .prepare_cached(
                        "INSERT INTO api_keys (key_id, holder, role, hash, created_ms) VALUES (?1, ?2, ?3, ?4, ?5)
                         ON CONFLICT (key_id) DO NOTHING",
                    )?
                    .execute(params![
                        key.key_id,
                        key.holder,
                        key.role.name(),
                        key.hash,
                        key.created_at.as_millisecond()
                    ])?;
                Ok(())
            })
            .await
    }

    async fn keys(&self) -> Result<Vec<KeyRow>> {
        self.readers
            .run(|connection| {
                let mut statement = connection.prepare_cached(
                    "SELECT key_id, holder, role, hash, created_ms, revoked_ms FROM api_keys ORDER BY created_ms, key_id",
                )?;
                let mut rows = statement.query([])?;
                let mut keys = Vec::new();
                while let Some(row) = rows.next()? {
                    let revoked_ms: Option<i64> = row.get(5)?;
                    keys.push(KeyRow {
                        key_id: row.get(0)?,
                        holder: row.get(1)?,
                        role: role_from(&row.get::<_, String>(2)?)?,
                        hash: row.get(3)?,
                        created_at: time(row.get(4)?)?,
                        revoked_at: revoked_ms.map(time).transpose()?,
                    });
                }
                Ok(keys)
            })
            .await
    }

    async fn revoke_key(&self, key_id: &str, now: Timestamp) -> Result<bool> {
        let key_id = key_id.to_owned();
        self.writer
            .run(move |connection| {
                let revoked = connection
                    .prepare_cached(
                        "UPDATE api_keys SET revoked_ms = ?2 WHERE key_id = ?1 AND revoked_ms IS NULL",
                    )?
                    .execute(params![key_id, now.as_millisecond()])?;
                Ok(revoked > 0)
            })
            .await
    }
}
