//! Quotas of holders of keys. A lease is a lightweight transaction; whether it was added is told by a read that sees all of them,
//! whether or not the answer to the write arrived.

use async_trait::async_trait;
use uuid::Uuid;

use super::{ScyllaStore, rows::ttl};
use crate::{
    Lease, Quota, Quotas, Result,
    values::{LEASE_TTL_S, count},
};

#[async_trait]
impl Quotas for ScyllaStore {
    async fn set_quota(&self, holder: &str, quota: &Quota) -> Result<()> {
        let values = (
            holder,
            quota.per_minute.map(i64::from),
            quota.per_hour.map(i64::from),
            quota.per_day.map(i64::from),
        );
        self.write(&self.statements.put_quota, values).await
    }

    async fn quotas(&self) -> Result<Vec<(String, Quota)>> {
        let rows: Vec<(String, Option<i64>, Option<i64>, Option<i64>)> =
            self.rows(&self.statements.quotas, ()).await?;
        let limit = |value: Option<i64>| value.and_then(|value| u32::try_from(value).ok());
        let quotas = rows.into_iter().map(|(holder, minute, hour, day)| {
            let quota = Quota {
                per_minute: limit(minute),
                per_hour: limit(hour),
                per_day: limit(day),
            };
            (holder, quota)
        });
        Ok(quotas.collect())
    }

    async fn newest_lease(&self, holder: &str, day: i64) -> Result<Option<Lease>> {
        let row: Option<(i64, Uuid, i64, i64, i64, i64, i64)> =
            self.row(&self.statements.lease, (holder, day)).await?;
        row.map(
            |(number, lease_id, minute, minute_used, hour, hour_used, day_used)| {
                Ok(Lease {
                    number,
                    lease_id,
                    minute,
                    minute_used: count(minute_used)?,
                    hour,
                    hour_used: count(hour_used)?,
                    day_used: count(day_used)?,
                })
            },
        )
        .transpose()
    }

    async fn add_lease(&self, holder: &str, day: i64, lease: &Lease) -> Result<bool> {
        let sum = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let values = (
            holder,
            day,
            lease.number,
            lease.lease_id,
            lease.minute,
            sum(lease.minute_used),
            lease.hour,
            sum(lease.hour_used),
            sum(lease.day_used),
            ttl(LEASE_TTL_S),
        );
        let written = self.write(&self.statements.put_lease, values).await;
        let key = (holder, day, lease.number);
        let stands: Option<(Uuid,)> = self.row(&self.statements.lease_id, key).await?;
        match (stands, written) {
            (Some((lease_id,)), _) => Ok(lease_id == lease.lease_id),
            (None, Err(error)) => Err(error),
            (None, Ok(())) => Ok(false),
        }
    }
}
