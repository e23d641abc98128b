//! Listings: everything once, newest first.

use std::collections::BTreeSet;

use super::{Shared, at, claim, completed, failed, finish, single};
use crate::{AnalysisRow, ListQuery, Status, Totals};

/// All pages, `limit` rows each.
async fn pages(store: &Shared, status: Option<Status>, limit: u32) -> Vec<AnalysisRow> {
    let (mut rows, mut after) = (Vec::new(), None);
    for _ in 0..100 {
        let query = ListQuery {
            status,
            limit,
            after,
        };
        let page = store.list(&query, at(20_000)).await.unwrap();
        assert!(page.rows.len() <= limit as usize);
        rows.extend(page.rows);
        after = page.next;
        if after.is_none() {
            return rows;
        }
    }
    panic!("the pages never end");
}

/// Analyses in every status; several were submitted in the same millisecond, one lies hours before the rest.
async fn fill(store: &Shared) {
    for n in 0..23 {
        let seconds = if n == 0 { 0 } else { 10_000 + n / 5 };
        let submission = single(&format!("p{n}"), seconds, "r");
        store
            .accept(std::slice::from_ref(&submission), None, at(seconds))
            .await
            .unwrap();
        let post = &submission.post.post_id;
        if n % 4 > 0 {
            claim(store, &submission, seconds).await;
        }
        match n % 4 {
            2 => {
                let result = completed(post, submission.run, seconds + 1, 50.0);
                finish(store, &result, seconds + 1).await;
            }
            3 => {
                let result = failed(post, submission.run, seconds + 1);
                finish(store, &result, seconds + 1).await;
            }
            _ => {}
        }
    }
}

pub(crate) async fn pages_hold_everything_once_newest_first(store: Shared) {
    fill(&store).await;
    for limit in [1, 4, 23, 100] {
        let rows = pages(&store, None, limit).await;
        assert!(
            rows.is_sorted_by(|a, b| a.created_at >= b.created_at),
            "limit {limit}"
        );
        let ids: BTreeSet<_> = rows.iter().map(|row| row.analysis_id).collect();
        assert_eq!((rows.len(), ids.len()), (23, 23), "limit {limit}");
    }
}

pub(crate) async fn a_status_filter_agrees_with_the_rows(store: Shared) {
    fill(&store).await;
    // A failure that was submitted again: pending, although its result is there.
    let again = single("p3", 15_000, "again");
    store.accept(&[again], None, at(15_000)).await.unwrap();
    let mut seen = 0;
    for status in [
        Status::Pending,
        Status::Processing,
        Status::Completed,
        Status::Failed,
    ] {
        let rows = pages(&store, Some(status), 3).await;
        assert!(
            rows.iter()
                .all(|row| row.state(store.policy()).status == status)
        );
        seen += rows.len();
    }
    assert_eq!(seen, 23);
    let pending = pages(&store, Some(Status::Pending), 3).await;
    assert!(pending.iter().any(|row| row.post.post_id == "p3"));
}

pub(crate) async fn totals_count_each_status(store: Shared) {
    fill(&store).await;
    let totals = store.totals(at(20_000)).await.unwrap();
    let expected = Totals {
        pending: 6,
        processing: 6,
        completed: 6,
        failed: 5,
    };
    assert_eq!(totals, expected);
    assert_eq!(totals.sum(), 23);
}
