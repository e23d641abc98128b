//! What holders of keys may submit, and what was leased of it.
//!
//! The leases of a holder's day are a list that only grows: each entry has the sums with it, and is written only where there is
//! none of its number. So whoever adds one has seen all before it, and no sum is ever passed, however many replicas lease at once.

use async_trait::async_trait;
use uuid::Uuid;

use super::Result;

/// Asked by the API and by operators.
#[async_trait]
pub trait Quotas: Send + Sync {
    /// Sets what a holder may submit.
    async fn set_quota(&self, holder: &str, quota: &Quota) -> Result<()>;

    /// What holders may submit where it was set, by their names.
    async fn quotas(&self) -> Result<Vec<(String, Quota)>>;

    /// The newest lease of a holder's day (days since the Unix epoch).
    async fn newest_lease(&self, holder: &str, day: i64) -> Result<Option<Lease>>;

    /// Adds a lease; `false` when there is another of its number.
    async fn add_lease(&self, holder: &str, day: i64, lease: &Lease) -> Result<bool>;
}

/// What a holder may submit, in URLs; `None` is what the configuration says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quota {
    /// In a minute.
    pub per_minute: Option<u32>,
    /// In an hour.
    pub per_hour: Option<u32>,
    /// In a day.
    pub per_day: Option<u32>,
}

/// An entry of the list, with the sums of its minute, its hour and its day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Its place in the list, from 1.
    pub number: i64,
    /// Drawn anew for each.
    pub lease_id: Uuid,
    /// Minutes since the Unix epoch.
    pub minute: i64,
    /// URLs leased in that minute.
    pub minute_used: u64,
    /// Hours since the Unix epoch.
    pub hour: i64,
    /// URLs leased in that hour.
    pub hour_used: u64,
    /// URLs leased in the day.
    pub day_used: u64,
}
