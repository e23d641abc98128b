//! Many writes in one commit, each for itself.

use std::sync::mpsc;

use rusqlite::params;

use super::{super::SqliteStore, open_sqlite};
use crate::{
    Analyses, Batches, Intake, Operations, Reuse, StoreError,
    contract::{accepted, at, batch, counts, row, single, state},
};

/// Stops the writer until the sender is dropped or used; whatever is written meanwhile shares one commit.
async fn hold(store: &SqliteStore) -> mpsc::Sender<()> {
    let (release, held) = mpsc::channel::<()>();
    let (started, begun) = tokio::sync::oneshot::channel();
    let mut blocked = Box::pin(store.writer.run(move |_| {
        let _ = started.send(());
        let _ = held.recv();
        Ok(())
    }));
    tokio::select! {
        _ = &mut blocked => panic!("the writer is held"),
        begun = begun => begun.unwrap(),
    }
    release
}

fn note(name: &str) -> impl FnOnce(&rusqlite::Connection) -> crate::Result<()> + Send + use<> {
    let name = name.to_owned();
    move |connection| {
        connection.execute(
            "INSERT INTO settings (name, value) VALUES (?1, 1)",
            params![name],
        )?;
        Ok(())
    }
}

async fn noted(store: &SqliteStore) -> Vec<String> {
    store
        .readers
        .run(|connection| {
            let mut statement = connection
                .prepare("SELECT name FROM settings WHERE name LIKE 'job-%' ORDER BY name")?;
            let names = statement.query_map([], |row| row.get(0))?;
            Ok(names.collect::<rusqlite::Result<_>>()?)
        })
        .await
        .unwrap()
}

#[tokio::test]
async fn a_job_that_fails_fails_alone() {
    let (store, _folder) = open_sqlite();
    let release = hold(&store).await;
    let bad = store.writer.run(|connection| {
        note("job-2-undone")(connection)?;
        Err::<(), _>(StoreError::Corrupt("on purpose".to_owned()))
    });
    let broken = store
        .writer
        .run(|connection| Ok(connection.execute("INSERT INTO no_such_table VALUES (1)", [])?));
    let all = async {
        tokio::join!(
            store.writer.run(note("job-1")),
            bad,
            broken,
            store.writer.run(note("job-3")),
            async {
                assert_eq!(
                    noted(&store).await,
                    [""; 0],
                    "nothing shows before the commit"
                );
                drop(release);
            },
        )
    };
    let (first, bad, broken, last, ()) = all.await;
    first.unwrap();
    last.unwrap();
    assert!(matches!(bad, Err(StoreError::Corrupt(text)) if text == "on purpose"));
    assert!(matches!(broken, Err(StoreError::Corrupt(text)) if text.contains("no_such_table")));
    assert_eq!(noted(&store).await, ["job-1", "job-3"]);
}

#[tokio::test]
async fn a_transaction_that_is_lost_is_lost_for_all_who_shared_it() {
    let (store, _folder) = open_sqlite();
    let release = hold(&store).await;
    let (first, thief, last, ()) = tokio::join!(
        store.writer.run(note("job-1")),
        // What SQLite does by itself when the disk is full.
        store
            .writer
            .run(|connection| Ok(connection.execute_batch("ROLLBACK")?)),
        store.writer.run(note("job-3")),
        async { drop(release) },
    );
    assert!(
        matches!(first, Err(StoreError::Unavailable(_))),
        "{first:?}"
    );
    assert!(
        matches!(thief, Err(StoreError::Unavailable(_))),
        "{thief:?}"
    );
    // It began a transaction of its own.
    last.unwrap();
    assert_eq!(noted(&store).await, ["job-3"]);
}

#[tokio::test]
async fn a_full_disk_is_unavailable_and_passes() {
    let (store, _folder) = open_sqlite();
    store
        .accept(&[single("before", 0, "r")], None, at(0))
        .await
        .unwrap();
    let pages =
        |limit: i64| {
            store.writer.run(move |connection| {
                Ok(connection
                    .query_row(&format!("PRAGMA max_page_count = {limit}"), [], |_| Ok(()))?)
            })
        };
    pages(1).await.unwrap();
    let posts: Vec<String> = (0..3_000).map(|n| format!("p{n}")).collect();
    let posts: Vec<&str> = posts.iter().map(String::as_str).collect();
    let (new, items) = batch("b", &posts, 1);
    let full = store.accept(&items, Some(&new), at(1)).await;
    assert!(matches!(full, Err(StoreError::Unavailable(_))), "{full:?}");
    assert_eq!(
        store.batch(new.batch_id, at(2)).await.unwrap(),
        None,
        "not a part of it"
    );
    assert_eq!(store.unfinished(None, 10).await.unwrap().len(), 1);
    pages(1 << 30).await.unwrap();
    store.accept(&items, Some(&new), at(3)).await.unwrap();
    let kept = store.batch(new.batch_id, at(4)).await.unwrap().unwrap();
    assert_eq!(kept.counts.pending, 3_000);
}

#[tokio::test]
async fn a_writer_that_has_died_is_unavailable_while_reads_go_on() {
    let (store, _folder) = open_sqlite();
    store
        .accept(&[single("a", 0, "r")], None, at(0))
        .await
        .unwrap();
    let died = store
        .writer
        .run(|_| -> crate::Result<()> { panic!("on purpose") })
        .await;
    assert!(matches!(died, Err(StoreError::Unavailable(_))), "{died:?}");
    let later = store.accept(&[single("b", 0, "r")], None, at(0)).await;
    assert!(
        matches!(later, Err(StoreError::Unavailable(_))),
        "{later:?}"
    );
    assert!(matches!(
        store.ping().await,
        Err(StoreError::Unavailable(_))
    ));
    assert_eq!(store.totals(at(1)).await.unwrap().pending, 1);
}

#[tokio::test]
async fn reads_do_not_wait_for_a_write() {
    let (store, _folder) = open_sqlite();
    store
        .accept(&[single("a", 0, "r")], None, at(0))
        .await
        .unwrap();
    let release = hold(&store).await;
    assert_eq!(store.totals(at(1)).await.unwrap().pending, 1);
    assert_eq!(store.post("a", at(1)).await.unwrap(), None);
    drop(release);
    store.ping().await.unwrap();
}

#[tokio::test]
async fn a_call_that_is_dropped_still_takes_effect() {
    let (store, _folder) = open_sqlite();
    let release = hold(&store).await;
    let submissions = [single("a", 0, "r")];
    let mut call = store.accept(&submissions, None, at(0));
    // Polled once: the job is in the queue.
    assert!(futures::poll!(&mut call).is_pending());
    drop(call);
    drop(release);
    store.ping().await.unwrap();
    assert_eq!(store.totals(at(1)).await.unwrap().pending, 1);
}

#[tokio::test]
async fn thirty_two_racing_submissions_of_a_post_are_one_analysis() {
    let (store, _folder) = open_sqlite();
    let submissions: Vec<_> = (0..32)
        .map(|n| single("a", i64::from(n % 7), &n.to_string()))
        .collect();
    let calls = submissions
        .iter()
        .map(|submission| store.accept(std::slice::from_ref(submission), None, at(9)));
    futures::future::try_join_all(calls).await.unwrap();
    assert_eq!(store.totals(at(10)).await.unwrap().sum(), 1);
    assert_eq!(store.unfinished(None, 100).await.unwrap().len(), 32);
    let shared: crate::contract::Shared = store;
    let kept = row(&shared, "a", 10).await.unwrap();
    assert_eq!(
        (kept.created_at, kept.pending_run_ms),
        (at(0), at(6).as_millisecond())
    );
    assert_eq!(
        state(&shared, "a", 10).await,
        Some((crate::Status::Pending, 0))
    );
}

#[tokio::test]
async fn a_batch_of_ten_thousand_appears_whole() {
    let (store, _folder) = open_sqlite();
    let posts: Vec<String> = (0..10_000).map(|n| format!("p{n}")).collect();
    let posts: Vec<&str> = posts.iter().map(String::as_str).collect();
    let (new, items) = batch("b", &posts, 0);
    let accept = store.accept(&items, Some(&new), at(0));
    let watch = async {
        loop {
            if let Some(progress) = store.batch(new.batch_id, at(1)).await.unwrap() {
                return progress.counts.pending;
            }
            tokio::task::yield_now().await;
        }
    };
    let (accepted_all, seen) = tokio::join!(accept, watch);
    accepted_all.unwrap();
    assert_eq!(seen, 10_000);
    let rows = |sql: &'static str| {
        store
            .readers
            .run(move |connection| Ok(connection.query_row(sql, [], |row| row.get::<_, i64>(0))?))
    };
    assert_eq!(rows("SELECT COUNT(*) FROM chunks").await.unwrap(), 10);
    assert_eq!(rows("SELECT MAX(size) FROM chunks").await.unwrap(), 1_000);
    assert_eq!(
        rows("SELECT COUNT(*) FROM items").await.unwrap(),
        0,
        "no row per item"
    );
    assert_eq!(rows("SELECT COUNT(*) FROM analyses").await.unwrap(), 0);
}

#[tokio::test]
async fn two_handles_on_one_file_see_and_obey_each_other() {
    let (store, folder) = open_sqlite();
    let other: crate::contract::Shared = std::sync::Arc::new(super::reopen(&folder));
    let shared: crate::contract::Shared = store;
    let (batch_id, items) = accepted(&shared, "b", &["a"], 0).await;
    assert_eq!(counts(&other, batch_id, 1).await, [1, 0, 0, 0, 0]);
    let writes = (0..50).map(|n| {
        let store = if n % 2 == 0 { &shared } else { &other };
        async move {
            store
                .project(&[single(&format!("p{n}"), 0, "r")], at(2))
                .await
        }
    });
    futures::future::try_join_all(writes).await.unwrap();
    other.project(&items, at(3)).await.unwrap();
    for store in [&shared, &other] {
        assert_eq!(store.totals(at(4)).await.unwrap().pending, 51);
    }
}
