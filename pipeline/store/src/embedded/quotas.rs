//! Quotas of holders of keys.

use async_trait::async_trait;
use rusqlite::{OptionalExtension, params};

use super::SqliteStore;
use crate::{
    Lease, Quota, Quotas, Result,
    values::{DAY_MS, LEASE_TTL_S, after, count},
};

#[async_trait]
impl Quotas for SqliteStore {
    async fn set_quota(&self, holder: &str, quota: &Quota) -> Result<()> {
        let (holder, quota) = (holder.to_owned(), *quota);
        self.writer
            .run(move |connection| {
                connection
                    .prepare_cached(
                        "INSERT OR REPLACE INTO quotas (holder, per_minute, per_hour, per_day) VALUES (?1, ?2, ?3, ?4)",
                    )?
                    .execute(params![holder, quota.per_minute, quota.per_hour, quota.per_day])?;
                Ok(())
            })
            .await
    }

    async fn quotas(&self) -> Result<Vec<(String, Quota)>> {
        self.readers
            .run(|connection| {
                let mut statement = connection
                    .prepare_cached("SELECT holder, per_minute, per_hour, per_day FROM quotas")?;
                let rows = statement.query_map([], |row| {
                    let quota = Quota {
                        per_minute: row.get(1)?,
                        per_hour: row.get(2)?,
                        per_day: row.get(3)?,
                    };
                    Ok((row.get(0)?, quota))
                })?;
                Ok(rows.collect::<rusqlite::Result<_>>()?)
            })
            .await
    }

    async fn newest_lease(&self, holder: &str, day: i64) -> Result<Option<Lease>> {
        let holder = holder.to_owned();
        self.readers
            .run(move |connection| {
                let row = connection
                    .prepare_cached(
                        "SELECT number, lease_id, minute, minute_used, hour, hour_used, day_used FROM quota_leases
                         WHERE holder = ?1 AND day = ?2",
                    )?
                    .query_row(params![holder, day], |row| {
                        let sums: [i64; 3] = [row.get(3)?, row.get(5)?, row.get(6)?];
                        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(4)?, sums))
                    })
                    .optional()?;
                row.map(|(number, lease_id, minute, hour, sums)| {
                    Ok(Lease {
                        number,
                        lease_id,
                        minute,
                        minute_used: count(sums[0])?,
                        hour,
                        hour_used: count(sums[1])?,
                        day_used: count(sums[2])?,
                    })
                })
                .transpose()
            })
            .await
    }

    async fn add_lease(&self, holder: &str, day: i64, lease: &Lease) -> Result<bool> {
        let (holder, lease) = (holder.to_owned(), lease.clone());
        let sum = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.writer
            .run(move |connection| {
                let written = connection
                    .prepare_cached(
                        "INSERT INTO quota_leases
                             (holder, day, number, lease_id, minute, minute_used, hour, hour_used, day_used, expires_ms)
                         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10
                         WHERE ?3 = 1 OR EXISTS (SELECT 1 FROM quota_leases WHERE holder = ?1 AND day = ?2)
                         ON CONFLICT (holder, day) DO UPDATE SET
                             number = excluded.number, lease_id = excluded.lease_id, minute = excluded.minute,
                             minute_used = excluded.minute_used, hour = excluded.hour, hour_used = excluded.hour_used,
                             day_used = excluded.day_used
                         WHERE quota_leases.number = excluded.number - 1",
                    )?
                    .execute(params![
                        holder,
                        day,
                        lease.number,
                        lease.lease_id,
                        lease.minute,
                        sum(lease.minute_used),
                        lease.hour,
                        sum(lease.hour_used),
                        sum(lease.day_used),
                        after(day.saturating_mul(DAY_MS), LEASE_TTL_S)
                    ])?;
                Ok(written > 0)
            })
            .await
    }
}
