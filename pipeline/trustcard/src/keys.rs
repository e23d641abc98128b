//! `trustcard keys`: who may send batches, and who may delete. A key is shown when it is made and never again.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Subcommand, ValueEnum};
use engine::{Clock, SystemClock};
use ingest_api::{
    keys::{MOST_KEYS, NewKey},
    quota::QuotaConfig,
};
use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use store::{KeyRole, KeyRow, Quota, Store};

use crate::{
    rows,
    settings::Settings,
    show::{say, table},
};

/// Keys of one holder that can be used at once: the old one and the new one while the holder changes over.
const MOST_LIVE: usize = 2;
/// Longest name of a holder, in characters.
const LONGEST_NAME: usize = 64;

/// Commands about keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make the first key of a new holder, and show it once
    Create {
        /// Name of the holder, 1 to 64 of A-Z a-z 0-9 . _ -; what it submits is kept under it
        #[arg(long, value_parser = holder_name)]
        holder: String,
        /// What the holder may do
        #[arg(long, value_enum, default_value_t = RoleName::Partner)]
        role: RoleName,
        /// How much it may submit.
        #[command(flatten)]
        quota: QuotaArgs,
        /// How it is shown, and where keys are.
        #[command(flatten)]
        options: KeyOptions,
    },
    /// Show every key there ever was, without its secret
    Ls {
        /// How they are shown, and where keys are.
        #[command(flatten)]
        options: KeyOptions,
    },
    /// Make a second key of a holder, and show it once; both can be used until one is revoked
    Rotate {
        /// The holder
        holder: String,
        /// How it is shown, and where keys are.
        #[command(flatten)]
        options: KeyOptions,
    },
    /// Set how many URLs a holder may submit, with whichever of its keys; what is not given is as configured
    Quota {
        /// The holder
        holder: String,
        /// How much.
        #[command(flatten)]
        quota: QuotaArgs,
        /// How it is shown, and where keys are.
        #[command(flatten)]
        options: KeyOptions,
    },
    /// Revoke a key for good
    Revoke {
        /// Its public part, as `ls` shows it
        key_id: String,
        /// How it is shown, and where keys are.
        #[command(flatten)]
        options: KeyOptions,
    },
}

/// Options of all of them.
#[derive(Debug, Args)]
pub struct KeyOptions {
    /// One JSON document
    #[arg(long)]
    json: bool,
    /// Folder of rows, where the database is the embedded one
    #[arg(long, default_value = "data")]
    data_dir: PathBuf,
}

/// URLs that a holder may submit.
#[derive(Debug, Args)]
pub struct QuotaArgs {
    /// URLs in a minute, instead of `api.quota.per_minute`
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    per_minute: Option<u32>,
    /// URLs in an hour
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    per_hour: Option<u32>,
    /// URLs in a day
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    per_day: Option<u32>,
}

impl From<QuotaArgs> for Quota {
    fn from(args: QuotaArgs) -> Self {
        Self {
            per_minute: args.per_minute,
            per_hour: args.per_hour,
            per_day: args.per_day,
        }
    }
}

/// What a holder may do, as it is typed.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum RoleName {
    /// Submit batches and see what became of them.
    Partner,
    /// See and delete everything.
    Admin,
}

impl From<RoleName> for KeyRole {
    fn from(role: RoleName) -> Self {
        match role {
            RoleName::Partner => Self::Partner,
            RoleName::Admin => Self::Admin,
        }
    }
}

/// Runs a command; `false` when it can't be done as things are.
///
/// # Errors
/// When the store can't be reached.
pub async fn run(command: KeysCommand, settings: &Settings) -> Result<bool> {
    match command {
        KeysCommand::Create {
            holder,
            role,
            quota,
            options,
        } => {
            let keys = Keys::open(&options, settings).await?;
            match keys.room_for_new(&holder).await? {
                Ok(()) => {
                    let quota = Quota::from(quota);
                    if quota != Quota::default() {
                        keys.set_quota(&holder, &quota).await?;
                    }
                    keys.make(&holder, role.into()).await
                }
                Err(refused) => keys.refuse(&refused),
            }
        }
        KeysCommand::Quota {
            holder,
            quota,
            options,
        } => {
            let keys = Keys::open(&options, settings).await?;
            keys.change_quota(&holder, &quota.into()).await
        }
        KeysCommand::Ls { options } => {
            let keys = Keys::open(&options, settings).await?;
            keys.show(&keys.all().await?)?;
            Ok(true)
        }
        KeysCommand::Rotate { holder, options } => {
            let keys = Keys::open(&options, settings).await?;
            match keys.room_for_second(&holder).await? {
                Ok(role) => keys.make(&holder, role).await,
                Err(refused) => keys.refuse(&refused),
            }
        }
        KeysCommand::Revoke { key_id, options } => {
            Keys::open(&options, settings).await?.revoke(&key_id).await
        }
    }
}

/// The keys of a store, and how they are shown.
struct Keys<'a> {
    store: std::sync::Arc<dyn Store>,
    /// How long the API believes what it has read of them, in seconds, rounded up.
    life_s: u64,
    /// What holders may submit where nothing was set.
    config: QuotaConfig,
    options: &'a KeyOptions,
}

impl<'a> Keys<'a> {
    async fn open(options: &'a KeyOptions, settings: &Settings) -> Result<Self> {
        Ok(Self {
            store: rows::open(settings, &options.data_dir).await?.store,
            life_s: settings.api.key_life_ms.div_ceil(1000),
            config: settings.api.quota.clone(),
            options,
        })
    }

    async fn all(&self) -> Result<Vec<KeyRow>> {
        Ok(self.store.keys().await.map_err(rows::failed)?)
    }

    /// A name is given once: who had it before would find what was kept under it.
    async fn room_for_new(&self, holder: &str) -> Result<Result<(), String>> {
        let keys = self.all().await?;
        if keys.iter().any(|key| key.holder == holder) {
            return Ok(Err(format!(
                "there is a holder {holder} already; `trustcard keys rotate {holder}` makes another key"
            )));
        }
        Ok(room(&keys))
    }

    async fn room_for_second(&self, holder: &str) -> Result<Result<KeyRole, String>> {
        let keys = self.all().await?;
        let own = keys.iter().filter(|key| key.holder == holder);
        let own: Vec<&KeyRow> = own.collect();
        let Some(newest) = own.last() else {
            return Ok(Err(format!(
                "there is no holder {holder}; `trustcard keys create --holder {holder}` makes the first key"
            )));
        };
        let live = own.iter().filter(|key| key.revoked_at.is_none()).count();
        if live >= MOST_LIVE {
            let oldest = own.iter().find(|key| key.revoked_at.is_none());
            let oldest = oldest.map_or("", |key| &key.key_id);
            return Ok(Err(format!(
                "{holder} has two keys; `trustcard keys revoke {oldest}` ends the older one first"
            )));
        }
        Ok(room(&keys).map(|()| newest.role))
    }

    async fn make(&self, holder: &str, role: KeyRole) -> Result<bool> {
        let key = NewKey::draw().context("the system has no random bytes")?;
        let row = key.row(holder, role, SystemClock.now());
        self.store.add_key(&row).await.map_err(rows::failed)?;
        if self.options.json {
            let mut told = shown(&row);
            told["key"] = key.text.expose_secret().into();
            say!("{told}");
            return Ok(true);
        }
        self.show(&[row])?;
        say!("The key, shown this once: send it as `Authorization: Bearer <key>`.");
        say!("{}", key.text.expose_secret());
        eprintln!("It can be used on every replica within {} s.", self.life_s);
        Ok(true)
    }

    async fn set_quota(&self, holder: &str, quota: &Quota) -> Result<()> {
        Ok(self
            .store
            .set_quota(holder, quota)
            .await
            .map_err(rows::failed)?)
    }

    async fn change_quota(&self, holder: &str, quota: &Quota) -> Result<bool> {
        if !self.all().await?.iter().any(|key| key.holder == holder) {
            return self.refuse(&format!("there is no holder {holder}"));
        }
        self.set_quota(holder, quota).await?;
        let [minute, hour, day] = self.config.limits(quota).0;
        if self.options.json {
            let told =
                json!({ "holder": holder, "per_minute": minute, "per_hour": hour, "per_day": day });
            say!("{told}");
        } else {
            say!("{holder} may submit {minute} URLs a minute, {hour} an hour and {day} a day.");
            eprintln!("Every replica goes by it within {} s.", self.life_s);
        }
        Ok(true)
    }

    async fn revoke(&self, key_id: &str) -> Result<bool> {
        let now = SystemClock.now();
        let revoked = self.store.revoke_key(key_id, now).await;
        if !revoked.map_err(rows::failed)? {
            return self.refuse(&format!("there is no key {key_id} that could be used"));
        }
        if self.options.json {
            say!("{}", json!({ "key_id": key_id, "revoked_at": now }));
        } else {
            say!(
                "{key_id} was revoked. Every replica refuses it within {} s.",
                self.life_s
            );
        }
        Ok(true)
    }

    fn show(&self, keys: &[KeyRow]) -> Result<()> {
        if self.options.json {
            let keys: Vec<Value> = keys.iter().map(shown).collect();
            say!("{}", json!({ "keys": keys }));
            return Ok(());
        }
        if keys.is_empty() {
            say!("No keys. `trustcard keys create --holder NAME` makes one.");
            return Ok(());
        }
        let mut rows = table(&["key", "holder", "role", "created", "revoked"]);
        let time =
            |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), |at| format!("{at:.0}"));
        for key in keys {
            rows.add_row([
                key.key_id.clone(),
                key.holder.clone(),
                key.role.name().to_owned(),
                time(Some(key.created_at)),
                time(key.revoked_at),
            ]);
        }
        say!("{rows}");
        Ok(())
    }

    fn refuse(&self, why: &str) -> Result<bool> {
        if self.options.json {
            say!("{}", json!({ "refused": why }));
        }
        eprintln!("trustcard: {why}");
        Ok(false)
    }
}

/// A key without its hash.
fn shown(key: &KeyRow) -> Value {
    json!({
        "key_id": key.key_id,
        "holder": key.holder,
        "role": key.role.name(),
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
    })
}

fn room(keys: &[KeyRow]) -> Result<(), String> {
    if keys.len() < MOST_KEYS {
        return Ok(());
    }
    Err(format!(
        "there are {MOST_KEYS} keys, the revoked ones included, and no more are possible"
    ))
}

fn holder_name(text: &str) -> Result<String, String> {
    let fits = (1..=LONGEST_NAME).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if fits {
        return Ok(text.to_owned());
    }
    Err(format!(
        "1 to {LONGEST_NAME} of A-Z a-z 0-9 . _ - make a name"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for good in ["acme", "Acme.co_1-x", &"a".repeat(64)] {
            assert_eq!(holder_name(good).as_deref(), Ok(good));
        }
        for odd in ["", "a b", "é", "a/b", "a\n", &"a".repeat(65)] {
            assert!(holder_name(odd).is_err(), "{odd:?}");
        }
    }
}
