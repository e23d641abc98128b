//! How many URLs the holder of a key may submit in a minute, an hour and a day, exact over all replicas of the API.
//!
//! - [`ledger`]: the sums and what may still be leased, pure logic; [`config`]: settings; [`headers`]: what callers are told.
//!
//! **Leases.** A replica leases URLs of a holder's quota from the store, many at a time ([`QuotaConfig::leases_per_minute`]), and lets
//! them pass without asking anybody. What is leased never passes a limit, so neither does what is let through, however many replicas
//! there are. At most one lease less one URL lies unused at each replica, and while it does, another may refuse that many too soon.
//! What is left of a minute's lease goes back to its hour and day with the next lease.
//!
//! Windows are those of the clock, in UTC: a minute begins at second 0. The quota is the holder's, with whichever of its keys; the
//! admin key has none.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use store::{Lease, Store, StoreError};
use tokio::sync::Mutex as AsyncMutex;
use uuid::Uuid;

pub mod config;
pub mod headers;
pub mod ledger;

pub use config::QuotaConfig;

use ledger::{Limits, Purse, Sums, Windows};

/// How often a lease is tried while other replicas are faster.
const TRIES: u32 = 64;
/// A quota that was found used up is not asked for again for this long, in milliseconds.
const REST_MS: i64 = 1_000;

/// Lets URLs of holders pass. Clones are one and the same.
#[derive(Debug, Clone)]
pub struct Quotas(Arc<Inner>);

struct Inner {
    config: QuotaConfig,
    store: Arc<dyn Store>,
    /// One a holder; there are no more of them than keys.
    leased: Mutex<HashMap<Arc<str>, Arc<AsyncMutex<Leased>>>>,
    leases: IntCounter,
    urls: IntCounterVec,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Quotas")
    }
}

/// What this replica has leased for a holder.
#[derive(Debug, Default)]
struct Leased {
    purse: Purse,
    /// The store is not asked again before, in milliseconds since the Unix epoch.
    rests_until_ms: i64,
}

/// What a holder was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Granted {
    /// URLs that may pass.
    pub urls: usize,
    /// URLs of the holder that had passed in this minute before.
    pub before: u64,
    /// How the holder stands after it.
    pub standing: Standing,
}

/// How a holder stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// What it may submit.
    pub limits: Limits,
    /// What it has submitted in the minute, the hour and the day, as far as this replica knows.
    pub used: Sums,
    /// Seconds until each of them ends.
    pub resets_s: [u32; 3],
}

impl Standing {
    /// What is left of each.
    #[must_use]
    pub fn left(&self) -> [u64; 3] {
        let limits = self.limits.0.map(u64::from);
        std::array::from_fn(|window| limits[window].saturating_sub(self.used.0[window]))
    }

    /// Seconds until more may pass: until the longest window that is used up ends.
    #[must_use]
    pub fn retry_after_s(&self) -> u32 {
        let spent = self.left().into_iter().zip(self.resets_s);
        let spent = spent.filter(|(left, _)| *left == 0).map(|(_, reset)| reset);
        spent.max().unwrap_or(1)
    }
}

impl Quotas {
    /// Quotas of a store's holders, and their metrics: `trustcard_quota_leases_total` and `trustcard_quota_urls_total{outcome}`.
    ///
    /// # Errors
    /// When one of the metrics' names is taken.
    pub fn new(
        config: &QuotaConfig,
        store: Arc<dyn Store>,
        registry: &Registry,
    ) -> prometheus::Result<Self> {
        let leases = IntCounter::new(
            "trustcard_quota_leases_total",
            "Leases of partners' quotas taken from the store.",
        )?;
        let urls = IntCounterVec::new(
            Opts::new(
                "trustcard_quota_urls_total",
                "URLs of partners, by what their quota had to say.",
            ),
            &["outcome"],
        )?;
        registry.register(Box::new(leases.clone()))?;
        registry.register(Box::new(urls.clone()))?;
        for outcome in ["granted", "refused"] {
            urls.with_label_values(&[outcome]);
        }
        Ok(Self(Arc::new(Inner {
            config: config.clone(),
            store,
            leased: Mutex::default(),
            leases,
            urls,
        })))
    }

    /// What a holder may submit.
    #[must_use]
    pub fn limits(&self, quota: &store::Quota) -> Limits {
        self.0.config.limits(quota)
    }

    /// Their settings.
    #[must_use]
    pub fn config(&self) -> &QuotaConfig {
        &self.0.config
    }

    /// Lets as many of `wanted` URLs pass as the quota allows.
    ///
    /// # Errors
    /// When the store does not lease.
    pub async fn take(
        &self,
        holder: &Arc<str>,
        limits: Limits,
        wanted: usize,
        now: Timestamp,
    ) -> Result<Granted, StoreError> {
        let leased = self.leased(holder);
        let mut leased = leased.lock().await;
        let (wanted, now_ms) = (wanted as u64, now.as_millisecond());
        let mut windows = leased.purse.windows(now);
        if leased.purse.usable(windows) < wanted && leased.rests_until_ms <= now_ms {
            windows = self
                .lease(holder, &mut leased.purse, limits, wanted, now)
                .await?;
        }
        let before = leased.purse.used(windows).0[0];
        let urls = leased.purse.spend(windows, wanted);
        if urls < wanted {
            leased.rests_until_ms = now_ms.saturating_add(REST_MS);
        }
        let outcome = |name| self.0.urls.with_label_values(&[name]);
        outcome("granted").inc_by(urls);
        outcome("refused").inc_by(wanted - urls);
        Ok(Granted {
            urls: usize::try_from(urls).unwrap_or(usize::MAX),
            before,
            standing: standing(&leased.purse, limits, windows, now),
        })
    }

    /// Takes back what was granted and not submitted.
    pub async fn give_back(&self, holder: &Arc<str>, urls: usize) {
        if urls > 0 {
            let leased = self.leased(holder);
            leased.lock().await.purse.give_back(urls as u64);
        }
    }

    /// How a holder stands, as far as this replica knows.
    pub async fn known(&self, holder: &Arc<str>, limits: Limits, now: Timestamp) -> Standing {
        let leased = self.leased(holder);
        let leased = leased.lock().await;
        standing(&leased.purse, limits, leased.purse.windows(now), now)
    }

    /// How a holder stands, by the newest lease of all replicas.
    ///
    /// # Errors
    /// When the store does not tell.
    pub async fn standing(
        &self,
        holder: &Arc<str>,
        limits: Limits,
        now: Timestamp,
    ) -> Result<Standing, StoreError> {
        let leased = self.leased(holder);
        let mut leased = leased.lock().await;
        let windows = leased.purse.windows(now);
        let newest = self.0.store.newest_lease(holder, windows.day).await?;
        leased.purse.saw(newest.as_ref(), windows);
        Ok(standing(&leased.purse, limits, windows, now))
    }

    /// Leases what is missing of `wanted`, or what there is of it; the windows that count.
    async fn lease(
        &self,
        holder: &Arc<str>,
        purse: &mut Purse,
        limits: Limits,
        wanted: u64,
        now: Timestamp,
    ) -> Result<Windows, StoreError> {
        let mut windows = purse.windows(now);
        let part = limits.part(self.0.config.leases_per_minute);
        for _ in 0..TRIES {
            let newest = self.0.store.newest_lease(holder, windows.day).await?;
            if let Some(newest) = &newest {
                windows = windows.not_before(newest.minute);
            }
            purse.saw(newest.as_ref(), windows);
            let Some((sums, amount)) = purse.next(windows, limits, wanted, part) else {
                return Ok(windows);
            };
            let lease = Lease {
                number: newest.map_or(1, |newest| newest.number.saturating_add(1)),
                lease_id: Uuid::new_v4(),
                minute: windows.minute,
                minute_used: sums.0[0],
                hour: windows.hour,
                hour_used: sums.0[1],
                day_used: sums.0[2],
            };
            if self.0.store.add_lease(holder, windows.day, &lease).await? {
                self.0.leases.inc();
                purse.took(windows, sums, amount);
                return Ok(windows);
            }
        }
        Err(StoreError::Unavailable(format!(
            "of {TRIES} leases none was added: other replicas were faster"
        )))
    }

    fn leased(&self, holder: &Arc<str>) -> Arc<AsyncMutex<Leased>> {
        let all = self.0.leased.lock();
        let mut all = all.unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(Arc::clone(holder)).or_default())
    }
}

fn standing(purse: &Purse, limits: Limits, windows: Windows, now: Timestamp) -> Standing {
    Standing {
        limits,
        used: purse.used(windows),
        resets_s: windows.resets_s(now),
    }
}
