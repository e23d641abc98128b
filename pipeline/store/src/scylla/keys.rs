//! Keys of partners and admins.

use async_trait::async_trait;
use jiff::Timestamp;

use super::ScyllaStore;
use crate::{
    KeyRow, Keys, Result,
    values::{role_from, time},
};

/// A row; one that is not whole was revoked before it was written, and is none.
type Columns = (
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<i64>,
    Option<i64>,
);

#[async_trait]
impl Keys for ScyllaStore {
    async fn add_key(&self, key: &KeyRow) -> Result<()> {
        let values = (
            &key.key_id,
            &key.holder,
            key.role.name(),
            &key.hash,
            key.created_at.as_millisecond(),
        );
        self.write(&self.statements.put_key, values).await
    }

    async fn keys(&self) -> Result<Vec<KeyRow>> {
        let rows: Vec<Columns> = self.rows(&self.statements.keys, ()).await?;
        let whole = rows.into_iter().filter_map(|row| {
            let (key_id, holder, role, hash, created_ms, revoked_ms) = row;
            Some((key_id, holder?, role?, hash?, created_ms?, revoked_ms))
        });
        let keys = whole.map(|(key_id, holder, role, hash, created_ms, revoked_ms)| {
            Ok(KeyRow {
                key_id,
                holder,
                role: role_from(&role)?,
                hash,
                created_at: time(created_ms)?,
                revoked_at: revoked_ms.map(time).transpose()?,
            })
        });
        let mut keys = keys.collect::<Result<Vec<_>>>()?;
        keys.sort_by(|a, b| (a.created_at, &a.key_id).cmp(&(b.created_at, &b.key_id)));
        Ok(keys)
    }

    async fn revoke_key(&self, key_id: &str, now: Timestamp) -> Result<bool> {
        let keys = self.keys().await?;
        let usable = keys
            .iter()
            .any(|key| key.key_id == key_id && key.revoked_at.is_none());
        if usable {
            let values = (now.as_millisecond(), key_id);
            self.write(&self.statements.revoke_key, values).await?;
        }
        Ok(usable)
    }
}
