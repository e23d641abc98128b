//! Keys of partners and admins: what they look like, how they are kept, and who holds one.
//!
//! A key is `tck_{key_id}_{secret}`: a public part by which its row is found, and 32 random bytes in hex. The row has the SHA-256 of
//! the whole key. A slow hash is for passwords, which can be guessed; nobody guesses 256 random bits, however fast the hash is, and
//! a request should not cost a tenth of a second for it.
//!
//! **A key costs no question to the store.** The keys that can be used, and what their holders may submit, are read together and believed for `api.key_life_ms` (5 s): so long a
//! new key may be refused and a revoked one accepted. However many unknown keys are tried, the store is asked once in that time. It
//! takes about 200 bytes a key, and there are at most [`MOST_KEYS`].

use std::{collections::HashMap, sync::Arc, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use store::{KeyRole, KeyRow, Quota, Store, StoreError};
use subtle::ConstantTimeEq;

/// Most keys that there may ever be, the revoked ones included.
pub const MOST_KEYS: usize = 10_000;

const PREFIX: &str = "tck_";
/// Length of the public part, in characters.
const ID: usize = 16;
/// Length of a whole key, in characters.
const LENGTH: usize = PREFIX.len() + ID + 1 + 64;

/// A new key. Its text is shown once and kept nowhere.
#[derive(Debug)]
pub struct NewKey {
    /// The public part.
    pub key_id: String,
    /// The whole key.
    pub text: SecretString,
    /// What is kept of it: see [`hash`].
    pub hash: String,
}

impl NewKey {
    /// Draws one.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub fn draw() -> Result<Self, getrandom::Error> {
        let (mut id, mut secret) = ([0; ID / 2], [0; 32]);
        getrandom::fill(&mut id)?;
        getrandom::fill(&mut secret)?;
        let key_id = hex::encode(id);
        let text = format!("{PREFIX}{key_id}_{}", hex::encode(secret));
        Ok(Self {
            hash: hash(&text),
            key_id,
            text: text.into(),
        })
    }

    /// Its row.
    #[must_use]
    pub fn row(&self, holder: &str, role: KeyRole, now: jiff::Timestamp) -> KeyRow {
        KeyRow {
            key_id: self.key_id.clone(),
            holder: holder.to_owned(),
            role,
            hash: self.hash.clone(),
            created_at: now,
            revoked_at: None,
        }
    }
}

/// SHA-256 of a whole key, in hex.
#[must_use]
pub fn hash(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// Who holds a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The name under which batches and analyses are kept.
    pub name: Arc<str>,
    /// What the holder may do.
    pub role: KeyRole,
    /// What it may submit where that was set.
    pub quota: Quota,
}

/// The keys that can be used. Clones are one and the same.
#[derive(Clone)]
pub struct Keys {
    store: Arc<dyn Store>,
    read: moka::future::Cache<(), Arc<Table>>,
}

/// Hash and holder by the public part.
type Table = HashMap<String, (String, Holder)>;

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

impl Keys {
    /// Those of `store`, believed for `life`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, life: Duration) -> Self {
        let read = moka::future::Cache::builder().max_capacity(1);
        Self {
            store,
            read: read.time_to_live(life).build(),
        }
    }

    /// Who holds this key; `None` when nobody does any more, or ever did.
    ///
    /// # Errors
    /// When the store does not tell. Nobody is let in then, not even whose key was good a moment ago.
    pub async fn holder(&self, key: &SecretString) -> Result<Option<Holder>, Arc<StoreError>> {
        let text = key.expose_secret();
        let Some(key_id) = key_id(text) else {
            return Ok(None);
        };
        let keys = self.read.try_get_with((), self.load()).await?;
        let Some((kept, holder)) = keys.get(key_id) else {
            return Ok(None);
        };
        let same: bool = hash(text).as_bytes().ct_eq(kept.as_bytes()).into();
        Ok(same.then(|| holder.clone()))
    }

    async fn load(&self) -> Result<Arc<Table>, StoreError> {
        let (keys, quotas) = tokio::try_join!(self.store.keys(), self.store.quotas())?;
        let quotas: HashMap<String, Quota> = quotas.into_iter().collect();
        let usable = keys.into_iter().filter(|key| key.revoked_at.is_none());
        let table = usable.map(|key| {
            let holder = Holder {
                quota: quotas.get(&key.holder).copied().unwrap_or_default(),
                name: key.holder.into(),
                role: key.role,
            };
            (key.key_id, (key.hash, holder))
        });
        Ok(Arc::new(table.collect()))
    }
}

/// The public part of a key, if it looks like one.
fn key_id(text: &str) -> Option<&str> {
    let rest = text.strip_prefix(PREFIX).filter(|_| text.len() == LENGTH)?;
    let (key_id, secret) = rest.split_at_checked(ID)?;
    secret.starts_with('_').then_some(key_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_random_and_leads_to_its_row() {
        let (one, other) = (NewKey::draw().unwrap(), NewKey::draw().unwrap());
        let text = one.text.expose_secret();
        assert_eq!(key_id(text), Some(one.key_id.as_str()));
        assert_eq!(one.hash, hash(text));
        assert_ne!(one.key_id, other.key_id);
        assert_ne!(text, other.text.expose_secret());
        let secret = text.rsplit('_').next().unwrap();
        assert!(!one.hash.contains(secret) && !format!("{one:?}").contains(secret));
    }

    #[test]
    fn what_does_not_look_like_a_key_is_none() {
        let key = NewKey::draw().unwrap();
        let text = key.text.expose_secret();
        for odd in [
            "",
            "tck_",
            &text[1..],
            &text[..text.len() - 1],
            &format!("{text}0"),
            &text.replace('_', "-"),
            &format!("tck_{}", "é".repeat(LENGTH / 2 - 2)),
        ] {
            assert_eq!(key_id(odd), None, "{odd}");
        }
    }
}
