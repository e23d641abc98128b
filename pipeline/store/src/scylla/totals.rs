//! Totals, counted from listing entries an hour at a time and never by counters, so that nothing drifts.
//!
//! Counts of an hour are kept. They are made again when they are older than a 24th of the hour's own age: the hour that goes
//! on is always counted, an hour of yesterday once in an hour, one of last month about once a day. However often totals are
//! asked for, an hour is read about 75 times in 90 days.

use schemas::Run;
use scylla::DeserializeRow;

use super::{
    ScyllaStore,
    listing::{HOUR_MS, HourRow, SHARDS},
    rows::{Work, all, ttl},
};
use crate::{
    Ended, Result, Status, Totals,
    values::{after, count, outcome_from},
};
use crate::{Work as Working, state_of};

/// Counts live for this share of the hour's age.
const AGES: i64 = 24;

#[derive(DeserializeRow)]
struct Entry {
    listed: Option<bool>,
    created_ms: i64,
    pending_ms: Option<i64>,
    work_ms: Option<i64>,
    ended_ms: Option<i64>,
    outcome: Option<String>,
    completed_ms: Option<i64>,
    kept_ms: Option<i64>,
}

impl ScyllaStore {
    pub(super) async fn count(&self, now_ms: i64) -> Result<Totals> {
        let mut totals = Totals::default();
        for row in self.hours(i64::MAX, now_ms).await? {
            let counted = match kept(&row, now_ms)? {
                Some(counted) => counted,
                None => self.count_hour(row.0, now_ms).await?,
            };
            totals.pending += counted.pending;
            totals.processing += counted.processing;
            totals.completed += counted.completed;
            totals.failed += counted.failed;
        }
        Ok(totals)
    }

    /// Counts the entries of an hour and keeps the counts.
    async fn count_hour(&self, hour: i64, now_ms: i64) -> Result<Totals> {
        let one = |shard: i32| -> Work<'_, Vec<Entry>> {
            Box::pin(async move { self.rows(&self.statements.entries, (hour, shard)).await })
        };
        let shards = i32::try_from(SHARDS).unwrap_or(1);
        let mut totals = Totals::default();
        for entry in all((0..shards).map(one).collect())
            .await?
            .into_iter()
            .flatten()
        {
            let alive = entry
                .kept_ms
                .is_some_and(|kept_ms| after(kept_ms, self.policy.analysis_ttl_s) > now_ms);
            if entry.listed == Some(true) && alive {
                *totals.of(self.status_of(&entry)?) += 1;
            }
        }
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let values = (
            ttl(self.policy.analysis_ttl_s),
            number(totals.pending),
            number(totals.processing),
            number(totals.completed),
            number(totals.failed),
            now_ms,
            super::listing::span_of(hour),
            hour,
        );
        self.write(&self.statements.put_counts, values).await?;
        Ok(totals)
    }

    fn status_of(&self, entry: &Entry) -> Result<Status> {
        let work = entry.work_ms.map(|started_ms| Working {
            run: Run {
                started_ms,
                cause: schemas::identity::RunCause::Submission,
            },
            percent: 1,
        });
        let ended = match (entry.ended_ms, &entry.outcome, entry.completed_ms) {
            (Some(run_started_ms), Some(outcome), Some(completed_ms)) => Some(Ended {
                outcome: outcome_from(outcome)?,
                run_started_ms,
                completed_ms,
            }),
            _ => None,
        };
        let pending_ms = entry.pending_ms.unwrap_or(entry.created_ms);
        Ok(state_of(pending_ms, work, ended, &self.policy).status)
    }
}

/// The counts kept of an hour, if they are fresh enough.
fn kept(row: &HourRow, now_ms: i64) -> Result<Option<Totals>> {
    let (hour, Some(pending), Some(processing), Some(completed), Some(failed), Some(counted_ms)) =
        *row
    else {
        return Ok(None);
    };
    let ended_ms = hour.saturating_add(1).saturating_mul(HOUR_MS);
    let age_ms = now_ms.saturating_sub(ended_ms).max(0);
    if now_ms.saturating_sub(counted_ms) >= age_ms / AGES {
        return Ok(None);
    }
    Ok(Some(Totals {
        pending: count(pending)?,
        processing: count(processing)?,
        completed: count(completed)?,
        failed: count(failed)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_kept_for_a_24th_of_the_age_of_their_hour() {
        let row = |counted_ms| (10, Some(1), Some(2), Some(3), Some(4), Some(counted_ms));
        let end = 11 * HOUR_MS;
        let fresh = |counted_ms, now_ms| kept(&row(counted_ms), now_ms).unwrap().is_some();
        assert!(!fresh(end - 1, end - 1), "the hour goes on");
        assert!(!fresh(end, end), "it has just ended");
        let day = end + 24 * HOUR_MS;
        assert!(fresh(day - HOUR_MS + 1, day));
        assert!(!fresh(day - HOUR_MS, day));
        let counts = kept(&row(day), day).unwrap().unwrap();
        assert_eq!((counts.pending, counts.sum()), (1, 10));
        assert_eq!(
            kept(&(10, None, None, None, None, None), day).unwrap(),
            None
        );
    }
}
