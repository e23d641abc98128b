//! A deletion voids every run that had begun, whenever its writes arrive.

use super::{
    Shared, accepted, analysis_of, at, claim, completed, counts, finish, progress_of, row, single,
    state,
};
use crate::{Claim, Finished, ListQuery, ProgressStep, Status};

pub(crate) async fn a_deleted_analysis_is_gone_and_late_writes_stay_void(store: Shared) {
    let submission = single("a", 0, "r");
    store
        .accept(std::slice::from_ref(&submission), None, at(0))
        .await
        .unwrap();
    claim(&store, &submission, 1).await;
    assert!(store.delete(analysis_of("a"), at(10)).await.unwrap());
    assert_eq!(row(&store, "a", 11).await, None);
    let late = completed("a", submission.run, 12, 80.0);
    assert_eq!(finish(&store, &late, 12).await, Finished::Deleted);
    store
        .project(std::slice::from_ref(&submission), at(13))
        .await
        .unwrap();
    let step = ProgressStep {
        analysis_id: analysis_of("a"),
        run: submission.run,
        percent: 60,
    };
    store.progress(&[step]).await.unwrap();
    assert_eq!(row(&store, "a", 14).await, None);
    let everything = ListQuery {
        limit: 10,
        ..ListQuery::default()
    };
    assert_eq!(store.list(&everything, at(14)).await.unwrap().rows, []);
    assert_eq!(store.totals(at(14)).await.unwrap().sum(), 0);
    assert!(!store.delete(analysis_of("a"), at(15)).await.unwrap());
}

pub(crate) async fn a_submission_after_the_deletion_begins_anew(store: Shared) {
    let first = single("a", 0, "1");
    claim(&store, &first, 1).await;
    finish(&store, &completed("a", first.run, 5, 80.0), 5).await;
    store.delete(analysis_of("a"), at(10)).await.unwrap();
    let again = single("a", 11, "2");
    store
        .accept(std::slice::from_ref(&again), None, at(11))
        .await
        .unwrap();
    assert_eq!(state(&store, "a", 12).await, Some((Status::Pending, 0)));
    assert_eq!(row(&store, "a", 12).await.unwrap().created_at, at(11));
    assert_eq!(claim(&store, &again, 12).await, Claim::Own);
    let result = completed("a", again.run, 13, 60.0);
    assert_eq!(
        finish(&store, &result, 13).await,
        Finished::Written { latest: true }
    );
    assert_eq!(row(&store, "a", 14).await.unwrap().result, Some(result));
}

pub(crate) async fn a_deletion_ends_the_batch_items_that_wait(store: Shared) {
    let (batch_id, items) = accepted(&store, "b", &["a", "b", "c", "a"], 0).await;
    claim(&store, &items[0], 1).await;
    claim(&store, &items[1], 1).await;
    finish(&store, &completed("b", items[1].run, 2, 80.0), 2).await;
    store.delete(analysis_of("a"), at(10)).await.unwrap();
    // Told here or when it is claimed: an adapter may not know of an item that was never projected.
    assert_eq!(claim(&store, &items[3], 11).await, Claim::Deleted);
    assert_eq!(counts(&store, batch_id, 12).await, [1, 0, 1, 2, 0]);
    store.delete(analysis_of("b"), at(13)).await.unwrap();
    assert_eq!(
        counts(&store, batch_id, 14).await,
        [1, 0, 1, 2, 0],
        "an item that has ended stays so"
    );
    claim(&store, &items[2], 15).await;
    finish(&store, &completed("c", items[2].run, 20, 80.0), 20).await;
    assert_eq!(
        progress_of(&store, batch_id, 21).await.completed_at,
        Some(at(20))
    );
}

pub(crate) async fn a_deletion_may_come_before_the_first_write(store: Shared) {
    assert!(!store.delete(analysis_of("a"), at(10)).await.unwrap());
    let (before, after) = (single("a", 9, "1"), single("a", 11, "2"));
    store.project(&[before], at(12)).await.unwrap();
    assert_eq!(row(&store, "a", 13).await, None);
    store.project(&[after], at(14)).await.unwrap();
    assert_eq!(state(&store, "a", 15).await, Some((Status::Pending, 0)));
}
