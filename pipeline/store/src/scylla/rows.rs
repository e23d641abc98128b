//! Running statements and reading their rows.

use std::{future::Future, pin::Pin};

use futures::{StreamExt, TryStreamExt, stream};
use scylla::{
    deserialize::row::DeserializeRow, serialize::row::SerializeRow,
    statement::prepared::PreparedStatement,
};

use super::ScyllaStore;
use crate::{Result, StoreError};

/// Statements of one call that are on their way at once.
const FAN: usize = 64;
/// The longest TTL that CQL takes: 20 years, in seconds.
const LONGEST_TTL_S: u64 = 20 * 365 * 24 * 3600;

/// Work that `all` runs.
pub(super) type Work<'a, T = ()> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// Runs all of it, a bounded number at once, and gives the values in any order; the first error ends it.
pub(super) async fn all<T: Send>(work: Vec<Work<'_, T>>) -> Result<Vec<T>> {
    stream::iter(work).buffer_unordered(FAN).try_collect().await
}

/// Seconds as a TTL; at least one, because 0 means for ever.
pub(super) fn ttl(seconds: u64) -> i32 {
    i32::try_from(seconds.clamp(1, LONGEST_TTL_S)).unwrap_or(i32::MAX)
}

impl ScyllaStore {
    /// Runs a statement that gives no rows.
    pub(super) async fn write(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<()> {
        self.client.run(statement, values).await.map(|_| ())
    }

    /// Runs a statement and gives its rows.
    pub(super) async fn rows<R>(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<Vec<R>>
    where
        R: for<'frame, 'metadata> DeserializeRow<'frame, 'metadata>,
    {
        let unreadable = |error: &dyn std::fmt::Display| {
            StoreError::Corrupt(format!(
                "an answer to `{}` can't be read: {error}",
                statement.get_statement()
            ))
        };
        let answer = self.client.run(statement, values).await?;
        let answer = answer.into_rows_result().map_err(|e| unreadable(&e))?;
        let rows = answer.rows::<R>().map_err(|e| unreadable(&e))?;
        rows.map(|row| row.map_err(|e| unreadable(&e))).collect()
    }

    /// The first row, if there is one.
    pub(super) async fn row<R>(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<Option<R>>
    where
        R: for<'frame, 'metadata> DeserializeRow<'frame, 'metadata>,
    {
        Ok(self.rows(statement, values).await?.into_iter().next())
    }
}
