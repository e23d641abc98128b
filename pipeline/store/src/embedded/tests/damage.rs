//! Files that can't be used, and rows that can't be read.

use std::sync::Arc;

use rusqlite::Connection;

use super::{SqliteStore, StorePolicy, file, open_sqlite};
use crate::{
    Analyses, Batches, Intake, ListQuery, Reuse, StoreError,
    contract::{Shared, accepted, analysis_of, at, claim, completed, finish, row, single},
};

/// Runs SQL on the file, past the store.
fn tamper(folder: &tempfile::TempDir, sql: &str) {
    let connection = Connection::open(file(folder)).unwrap();
    connection.execute_batch(sql).unwrap();
}

fn is_corrupt<T: std::fmt::Debug>(answer: crate::Result<T>) {
    assert!(matches!(answer, Err(StoreError::Corrupt(_))), "{answer:?}");
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_an_error_and_harms_no_other() {
    let (store, folder) = open_sqlite();
    let shared: Shared = store.clone();
    for post in ["a", "b"] {
        let submission = single(post, 0, "r");
        claim(&shared, &submission, 1).await;
        finish(&shared, &completed(post, submission.run, 5, 80.0), 5).await;
    }
    let id = analysis_of("a");
    let only_a = format!("WHERE analysis_id = x'{}'", id.simple());
    tamper(
        &folder,
        &format!("UPDATE results SET result = '{{' {only_a}"),
    );
    is_corrupt(store.analysis(id, at(6)).await);
    is_corrupt(
        store
            .list(
                &ListQuery {
                    limit: 9,
                    ..ListQuery::default()
                },
                at(6),
            )
            .await,
    );
    assert!(row(&shared, "b", 6).await.is_some());
    tamper(&folder, &format!("DELETE FROM results {only_a}"));
    is_corrupt(store.analysis(id, at(6)).await);
    for column in ["work_cause", "result_outcome"] {
        let keep = format!("CREATE TABLE kept AS SELECT * FROM analyses {only_a}");
        tamper(&folder, &keep);
        tamper(
            &folder,
            &format!("UPDATE analyses SET {column} = 'other' {only_a}"),
        );
        is_corrupt(store.analysis(id, at(6)).await);
        is_corrupt(store.project(&[single("a", 7, "r")], at(7)).await);
        tamper(
            &folder,
            "REPLACE INTO analyses SELECT * FROM kept; DROP TABLE kept",
        );
    }
    tamper(
        &folder,
        &format!("UPDATE analyses SET created_ms = {} {only_a}", i64::MAX),
    );
    is_corrupt(store.analysis(id, at(6)).await);
    // A later run mends it.
    shared.delete(id, at(8)).await.unwrap();
    claim(&shared, &single("a", 9, "r"), 9).await;
    assert!(row(&shared, "a", 10).await.is_some());
}

#[tokio::test]
async fn other_values_that_cannot_be_read_are_errors_too() {
    let (store, folder) = open_sqlite();
    let shared: Shared = store.clone();
    let (batch_id, items) = accepted(&shared, "b", &["a"], 0).await;
    tamper(
        &folder,
        "UPDATE outbox SET submission = '[]'; UPDATE chunks SET items = 'x';
         INSERT INTO posts VALUES ('p', 0, 'null', 9e15); INSERT INTO findings VALUES ('s', 'd', 'x', 9e15)",
    );
    is_corrupt(store.unfinished(None, 10).await);
    is_corrupt(store.retract(&items).await);
    is_corrupt(store.post("p", at(1)).await);
    is_corrupt(store.finding("s", "d", at(1)).await);
    assert!(store.batch(batch_id, at(1)).await.unwrap().is_some());
    tamper(&folder, "UPDATE chunks SET size = -1");
    is_corrupt(store.batch(batch_id, at(1)).await);
}

#[test]
fn a_file_of_a_newer_version_is_refused_untouched() {
    let (store, folder) = open_sqlite();
    drop(store);
    tamper(&folder, "PRAGMA user_version = 99");
    let refused = SqliteStore::open(&file(&folder), StorePolicy::default());
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("newer TrustCard"), "{text}");
    let connection = Connection::open(file(&folder)).unwrap();
    let version: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap();
    assert_eq!(version, 99);
}

#[test]
fn what_is_no_database_is_corrupt_and_what_cannot_be_opened_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text");
    std::fs::write(
        &text,
        "no database, but long enough to be taken for a header ".repeat(40),
    )
    .unwrap();
    is_corrupt(SqliteStore::open(&text, StorePolicy::default()));
    for path in [folder.path().to_owned(), text.join("below-a-file")] {
        let refused = SqliteStore::open(&path, StorePolicy::default());
        assert!(
            matches!(refused, Err(StoreError::Unavailable(_))),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn times_beyond_the_calendar_are_errors_not_panics() {
    let (store, _folder) = open_sqlite();
    let store: Arc<SqliteStore> = store;
    for started_ms in [i64::MAX, i64::MIN] {
        let mut submission = single("a", 0, &started_ms.to_string());
        submission.analysis_id = schemas::identity::derive(&[&started_ms.to_string()]);
        submission.run.started_ms = started_ms;
        store
            .accept(std::slice::from_ref(&submission), None, at(0))
            .await
            .unwrap();
        store.claim(&submission, "e", at(1)).await.unwrap();
        store.delete(submission.analysis_id, at(2)).await.unwrap();
        store
            .retract(std::slice::from_ref(&submission))
            .await
            .unwrap();
        if started_ms == i64::MAX {
            is_corrupt(store.analysis(submission.analysis_id, at(3)).await);
        }
    }
}
