//! Sweeping, and settings that change between starts.

use schemas::Reason;
use serde_json::json;

use super::{SqliteStore, StorePolicy, file, open_sqlite};
use crate::{
    Analyses, Batches, Heartbeat, KeptDeadLetter, ListQuery, Operations, Reuse, Status,
    contract::{
        Shared, accepted, analysis_of, at, claim, completed, failed, finish, single, state,
    },
};

async fn rows(store: &SqliteStore, table: &str) -> i64 {
    let sql = format!("SELECT COUNT(*) FROM {table}");
    store
        .readers
        .run(move |connection| Ok(connection.query_row(&sql, [], |row| row.get(0))?))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_sweep_removes_what_has_expired_in_steps_and_nothing_else() {
    let (store, _folder) = open_sqlite();
    let ttl = i64::try_from(StorePolicy::default().analysis_ttl_s).unwrap();
    let shared: Shared = store.clone();
    let posts: Vec<String> = (0..25).map(|n| format!("p{n}")).collect();
    let posts: Vec<&str> = posts.iter().map(String::as_str).collect();
    let (_, items) = accepted(&shared, "old", &posts, 0).await;
    store.project(&items, at(0)).await.unwrap();
    for item in &items {
        claim(&shared, item, 1).await;
        let result = completed(&item.post.post_id, item.run, 2, 50.0);
        finish(&shared, &result, 2).await;
    }
    store.delete(analysis_of("gone"), at(2)).await.unwrap();
    let finding = json!({ "status": "failed" });
    store
        .keep_finding("sha", "d", &finding, at(0))
        .await
        .unwrap();
    let beat = Heartbeat {
        role: "score".to_owned(),
        instance: "i".to_owned(),
        version: "1".to_owned(),
        at: at(0),
        details: serde_json::Value::Null,
    };
    store.heartbeat(&beat, at(0)).await.unwrap();
    let letter = KeptDeadLetter {
        stage: "score".to_owned(),
        code: Reason::InvalidJson,
        origin: ("t".to_owned(), 0, 0),
        failed_at: at(0),
        key: None,
        value: None,
        headers: Vec::new(),
    };
    store.keep_dead_letter(&letter).await.unwrap();
    let (young, young_items) = accepted(&shared, "young", &["y"], ttl).await;
    store.project(&young_items, at(ttl)).await.unwrap();

    assert_eq!(
        store.sweep(at(1), 10).await.unwrap(),
        0,
        "nothing has expired yet"
    );
    let mut steps = 0;
    loop {
        let removed = store.sweep(at(ttl + 2), 10).await.unwrap();
        if removed == 0 {
            break;
        }
        assert!(
            removed <= 70,
            "at most 10 of each of seven kinds, not {removed}"
        );
        steps += 1;
    }
    assert!(steps >= 3, "{steps}");
    for (table, left) in [
        ("analyses", 1),
        ("results", 0),
        ("latest", 0),
        ("batches", 1),
        ("chunks", 1),
        ("items", 1),
        ("findings", 0),
        ("heartbeats", 0),
        ("dead_letters", 0),
        ("outbox", 1),
    ] {
        assert_eq!(rows(&store, table).await, left, "{table}");
    }
    assert!(store.batch(young, at(ttl + 2)).await.unwrap().is_some());
    assert_eq!(
        state(&shared, "y", ttl + 2).await,
        Some((Status::Pending, 0))
    );
}

#[tokio::test]
async fn statuses_follow_when_failures_are_reusable_for_another_time() {
    let (store, folder) = open_sqlite();
    let shared: Shared = store;
    let first = single("a", 0, "1");
    claim(&shared, &first, 1).await;
    finish(&shared, &failed("a", first.run, 5), 5).await;
    shared
        .accept(&[single("a", 100, "2")], None, at(100))
        .await
        .unwrap();
    drop(shared);
    let of = |status| ListQuery {
        status: Some(status),
        limit: 9,
        ..ListQuery::default()
    };
    for (failed_reusable_s, status) in [
        (60, Status::Pending),
        (3600, Status::Failed),
        (95, Status::Pending),
        (96, Status::Failed),
    ] {
        let policy = StorePolicy {
            failed_reusable_s,
            ..StorePolicy::default()
        };
        let store = SqliteStore::open(&file(&folder), policy).unwrap();
        let page = store.list(&of(status), at(200)).await.unwrap();
        assert_eq!(page.rows.len(), 1, "{failed_reusable_s} s");
        assert_eq!(page.rows[0].state(store.policy()).status, status);
        assert_eq!(store.totals(at(200)).await.unwrap().sum(), 1);
    }
}

#[tokio::test]
async fn a_deletion_removes_the_result_from_the_file() {
    let (store, _folder) = open_sqlite();
    let shared: Shared = store.clone();
    let submission = single("a", 0, "r");
    claim(&shared, &submission, 1).await;
    finish(&shared, &completed("a", submission.run, 5, 50.0), 5).await;
    assert_eq!(rows(&store, "results").await, 1);
    store.delete(analysis_of("a"), at(6)).await.unwrap();
    assert_eq!(rows(&store, "results").await, 0);
}

#[tokio::test]
async fn a_dead_letter_that_was_sent_back_is_forgotten_and_no_other() {
    let (store, _folder) = open_sqlite();
    let letter = |offset: i64, seconds: i64| KeptDeadLetter {
        stage: "score".to_owned(),
        code: Reason::InvalidJson,
        origin: ("t".to_owned(), 0, offset),
        failed_at: at(seconds),
        key: None,
        value: None,
        headers: Vec::new(),
    };
    let letters = [letter(1, 0), letter(2, 0), letter(1, 5)];
    for letter in &letters {
        store.keep_dead_letter(letter).await.unwrap();
    }
    assert!(store.forget_dead_letter(&letters[0]).await.unwrap());
    assert!(!store.forget_dead_letter(&letters[0]).await.unwrap());
    let [_, second, third] = letters;
    let kept = store.dead_letters("score", 10).await.unwrap();
    assert_eq!(kept, [third, second]);
}
