//! What listings and totals of CQL do beyond the contract.

use super::open;
use crate::{
    ListQuery, Status,
    contract::{analysis_of, at, claim, completed, finish, single},
};

#[tokio::test]
async fn an_analysis_is_listed_once_however_its_creation_moves() {
    let (store, _keyspace) = open().await;
    // Each submission is earlier than the last and in another hour, so that every step moves the entry.
    let hours = [30, 20, 10, 0].map(|hours| single("a", hours * 3600, &hours.to_string()));
    // Far enough apart that the counts of every hour are made again.
    for (step, submission) in (0..).zip(&hours) {
        let now = at((40 + 4 * step) * 3600);
        store
            .project(std::slice::from_ref(submission), now)
            .await
            .unwrap();
        let totals = store.totals(now).await.unwrap();
        assert_eq!((totals.pending, totals.sum()), (1, 1));
    }
    claim(&store, &hours[1], 40 * 3600).await;
    finish(
        &store,
        &completed("a", hours[1].run, 40 * 3600, 80.0),
        40 * 3600,
    )
    .await;
    let query = ListQuery {
        limit: 10,
        ..ListQuery::default()
    };
    let page = store.list(&query, at(41 * 3600)).await.unwrap();
    assert_eq!(page.rows.len(), 1);
    assert_eq!(page.rows[0].created_at, at(0));
    assert_eq!(page.next, None);
    let totals = store.totals(at(60 * 3600)).await.unwrap();
    assert_eq!((totals.completed, totals.sum()), (1, 1));
}

#[tokio::test]
async fn a_deletion_of_the_first_submission_moves_the_entry_to_the_next() {
    let (store, _keyspace) = open().await;
    for seconds in [0, 20_000] {
        let submission = single("a", seconds, &seconds.to_string());
        store.project(&[submission], at(20_000)).await.unwrap();
    }
    assert!(store.delete(analysis_of("a"), at(10_000)).await.unwrap());
    let query = ListQuery {
        limit: 10,
        status: Some(Status::Pending),
        ..ListQuery::default()
    };
    let page = store.list(&query, at(20_001)).await.unwrap();
    let created: Vec<_> = page.rows.iter().map(|row| row.created_at).collect();
    assert_eq!(created, [at(20_000)]);
    assert_eq!(store.totals(at(20_001)).await.unwrap().sum(), 1);
}

#[tokio::test]
async fn a_filter_that_little_passes_gives_short_pages_that_go_on() {
    let (store, _keyspace) = open().await;
    let submissions: Vec<_> = (0..1_500)
        .map(|n| single(&format!("p{n}"), n / 10, "r"))
        .collect();
    store.project(&submissions, at(200)).await.unwrap();
    // The oldest of all is the only one that passes.
    claim(&store, &submissions[0], 201).await;
    let (mut after, mut found, mut pages) = (None, Vec::new(), 0);
    loop {
        let query = ListQuery {
            status: Some(Status::Processing),
            limit: 5,
            after,
            ..ListQuery::default()
        };
        let page = store.list(&query, at(300)).await.unwrap();
        found.extend(page.rows);
        pages += 1;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].post.post_id, "p0");
    assert_eq!(pages, 2, "each looks at 1,000 entries");
}
