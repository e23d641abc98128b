//! Listings: everything once, newest first.

use std::collections::BTreeSet;

use schemas::Submission;

use super::{Shared, analysis_of, at, claim, completed, failed, finish, single};
use crate::{AnalysisRow, ListQuery, Status, Totals};

/// All pages, `limit` rows each.
async fn pages_of(
    store: &Shared,
    owner: Option<&str>,
    status: Option<Status>,
    limit: u32,
) -> Vec<AnalysisRow> {
    let (mut rows, mut after) = (Vec::new(), None);
    for _ in 0..100 {
        let query = ListQuery {
            owner: owner.map(str::to_owned),
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

async fn pages(store: &Shared, status: Option<Status>, limit: u32) -> Vec<AnalysisRow> {
    pages_of(store, None, status, limit).await
}

/// Posts of an owner's pages, in their order.
async fn owned(store: &Shared, owner: &str, status: Option<Status>, limit: u32) -> Vec<String> {
    let rows = pages_of(store, Some(owner), status, limit).await;
    rows.into_iter().map(|row| row.post.post_id).collect()
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

/// A submission of `post_id` with a key of `owner`, projected.
async fn submit(store: &Shared, owner: &str, post_id: &str, seconds: i64) -> Submission {
    let submission = Submission {
        owner: Some(owner.to_owned()),
        ..single(post_id, seconds, owner)
    };
    let one = std::slice::from_ref(&submission);
    store.accept(one, None, at(seconds)).await.unwrap();
    store.project(one, at(seconds)).await.unwrap();
    submission
}

pub(crate) async fn an_owner_sees_what_was_submitted_with_its_keys_by_the_newest_submission(
    store: Shared,
) {
    store
        .project(&[single("nobodys", 1, "r")], at(1))
        .await
        .unwrap();
    for n in 0..7 {
        // Hours apart, and two in one millisecond.
        submit(&store, "acme", &format!("p{n}"), 2_000 * (n / 2)).await;
    }
    let shared = submit(&store, "other", "p1", 7_000).await;
    assert_eq!(owned(&store, "nobody", None, 3).await, [""; 0]);
    assert_eq!(owned(&store, "other", None, 3).await, ["p1"]);
    for limit in [1, 2, 7, 100] {
        let mut posts = owned(&store, "acme", None, limit).await;
        assert_eq!(posts[0], "p6", "limit {limit}");
        posts.sort();
        let expected: Vec<String> = (0..7).map(|n| format!("p{n}")).collect();
        assert_eq!(posts, expected, "limit {limit}");
    }
    // Submitted again it comes first, and once; told again in another order nothing changes.
    submit(&store, "acme", "p0", 8_000).await;
    submit(&store, "acme", "p0", 0).await;
    for limit in [1, 3, 100] {
        let posts = owned(&store, "acme", None, limit).await;
        assert_eq!((posts.len(), posts[0].as_str()), (7, "p0"));
    }
    claim(&store, &shared, 9_000).await;
    finish(&store, &completed("p1", shared.run, 9_001, 50.0), 9_001).await;
    let done = Some(Status::Completed);
    assert_eq!(owned(&store, "acme", done, 2).await, ["p1"]);
    assert_eq!(
        owned(&store, "other", Some(Status::Pending), 2).await,
        [""; 0]
    );
    // One that a result answers is not projected.
    let answered = Submission {
        owner: Some("third".to_owned()),
        ..single("p1", 9_500, "again")
    };
    store.own(&answered, at(9_500)).await.unwrap();
    store
        .own(&single("p1", 9_500, "r"), at(9_500))
        .await
        .unwrap();
    assert_eq!(owned(&store, "third", None, 2).await, ["p1"]);
}

pub(crate) async fn what_was_deleted_is_its_owners_only_after_another_submission(store: Shared) {
    submit(&store, "acme", "a", 0).await;
    store.delete(analysis_of("a"), at(10)).await.unwrap();
    assert_eq!(owned(&store, "acme", None, 5).await, [""; 0]);
    submit(&store, "other", "a", 20).await;
    assert_eq!(owned(&store, "acme", None, 5).await, [""; 0]);
    assert_eq!(owned(&store, "other", None, 5).await, ["a"]);
    submit(&store, "acme", "a", 30).await;
    assert_eq!(owned(&store, "acme", None, 5).await, ["a"]);
}
