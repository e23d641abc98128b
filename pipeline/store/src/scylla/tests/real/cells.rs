//! What stands in the tables: timestamps, TTLs, and what a deletion leaves.

use super::{Keyspace, client::connect, open};
use crate::{
    contract::{analysis_of, at, claim, completed, failed, finish, single},
    rank,
};

/// Rows of one table that has cells with a timestamp.
async fn cells(keyspace: &Keyspace, cql: &str) -> Vec<(Option<i64>, Option<i32>)> {
    let session = connect(&keyspace.config).await.unwrap();
    let cql = cql.replace("FROM ", &format!("FROM {}.", keyspace.config.keyspace));
    let rows = session.query_unpaged(cql, ()).await.unwrap();
    let rows = rows.into_rows_result().unwrap();
    rows.rows().unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn facts_carry_the_timestamp_of_their_run_and_the_configured_ttl() {
    let (store, keyspace) = open().await;
    let submission = single("a", 0, "r");
    store
        .project(std::slice::from_ref(&submission), at(0))
        .await
        .unwrap();
    claim(&store, &submission, 1).await;
    finish(&store, &completed("a", submission.run, 5, 80.0), 5).await;
    let run_ms = submission.run.started_ms;
    let ttl = i32::try_from(store.policy().analysis_ttl_s).unwrap();
    for (column, table, lowest, highest) in [
        ("pending_ms", "analyses", rank::PENDING, 20),
        ("percent", "analyses", 110, 110),
        ("result", "analyses", rank::TERMINAL, rank::TERMINAL),
        ("outcome", "listing", rank::TERMINAL, rank::TERMINAL),
    ] {
        let cql = format!("SELECT WRITETIME({column}), TTL({column}) FROM {table}");
        let found = cells(&keyspace, &cql).await;
        assert_eq!(found.len(), 1, "{column}: {found:?}");
        let (Some(timestamp), Some(left)) = found[0] else {
            panic!("{column}: {found:?}");
        };
        let rank = timestamp - run_ms * 1000;
        assert!((lowest..=highest).contains(&rank), "{column}: rank {rank}");
        assert!((ttl - 600..=ttl).contains(&left), "{column}: {left} s");
    }
}

#[tokio::test]
async fn a_deletion_leaves_its_mark_and_nothing_of_the_analysis() {
    let (store, keyspace) = open().await;
    let submission = single("a", 0, "r");
    store
        .accept(std::slice::from_ref(&submission), None, at(0))
        .await
        .unwrap();
    claim(&store, &submission, 1).await;
    finish(&store, &failed("a", submission.run, 5), 5).await;
    store.delete(analysis_of("a"), at(10)).await.unwrap();
    // Late writes are void in the table already, not only when it is read.
    store
        .project(std::slice::from_ref(&submission), at(11))
        .await
        .unwrap();
    finish(&store, &failed("a", submission.run, 5), 12).await;
    let left = cells(
        &keyspace,
        "SELECT WRITETIME(deleted_ms), TTL(deleted_ms) FROM analyses",
    )
    .await;
    let mark = at(10).as_millisecond() * 1000 + rank::DELETE;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].0, Some(mark));
    for column in ["url", "post_id", "result", "outcome", "name", "percent"] {
        let cql = format!("SELECT WRITETIME({column}), TTL({column}) FROM analyses");
        let left = cells(&keyspace, &cql).await;
        assert!(
            left.iter().all(|cell| cell.0.is_none()),
            "{column}: {left:?}"
        );
    }
    let listed = cells(
        &keyspace,
        "SELECT WRITETIME(listed), TTL(listed) FROM listing",
    )
    .await;
    assert_eq!(listed, []);
}
