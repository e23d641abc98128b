//! Keys of partners and admins.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;

use super::Result;

/// Asked by the API and by operators.
#[async_trait]
pub trait Keys: Send + Sync {
    /// Keeps a new key. Kept again, it is as it was made; that never brings a revoked one back.
    async fn add_key(&self, key: &KeyRow) -> Result<()>;

    /// Every key there ever was, the revoked ones too, by age.
    async fn keys(&self) -> Result<Vec<KeyRow>>;

    /// Revokes a key for good; `false` when there is none of that id, or it was revoked before.
    async fn revoke_key(&self, key_id: &str, now: Timestamp) -> Result<bool>;
}

/// A key as kept: nobody can use it who reads this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// The public part of the key.
    pub key_id: String,
    /// Whose key it is: who has several, has the same rights and data with each.
    pub holder: String,
    /// What the holder may do.
    pub role: KeyRole,
    /// Hash of the whole key, in hex.
    pub hash: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked; `None` while it can be used.
    pub revoked_at: Option<Timestamp>,
}

/// What the holder of a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyRole {
    /// Submit batches and see what became of them.
    Partner,
    /// See and delete everything.
    Admin,
}

impl KeyRole {
    /// Every role.
    pub const ALL: [Self; 2] = [Self::Partner, Self::Admin];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Partner => "partner",
            Self::Admin => "admin",
        }
    }

    /// The role of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}
