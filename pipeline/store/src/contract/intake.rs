//! What is accepted is durable; what is taken back was never there.

use super::{
    Shared, accepted, analysis_of, at, batch, claim, completed, counts, finish, row, single, state,
};
use crate::{Claim, Status};

pub(crate) async fn a_single_submission_is_pending_at_once(store: Shared) {
    let submission = single("a", 0, "r");
    store.accept(&[submission], None, at(0)).await.unwrap();
    assert_eq!(state(&store, "a", 0).await, Some((Status::Pending, 0)));
    assert_eq!(row(&store, "other", 0).await, None);
}

pub(crate) async fn a_batch_item_has_no_row_before_it_is_projected(store: Shared) {
    let (_, items) = accepted(&store, "b", &["a"], 0).await;
    assert_eq!(row(&store, "a", 1).await, None);
    store.project(&items, at(1)).await.unwrap();
    assert_eq!(state(&store, "a", 2).await, Some((Status::Pending, 0)));
}

pub(crate) async fn a_retracted_single_was_never_there(store: Shared) {
    let submission = single("a", 0, "r");
    store
        .accept(std::slice::from_ref(&submission), None, at(0))
        .await
        .unwrap();
    store.retract(&[submission]).await.unwrap();
    assert_eq!(row(&store, "a", 1).await, None);
    assert_eq!(store.totals(at(1)).await.unwrap().sum(), 0);
    store.retract(&[single("unknown", 0, "r")]).await.unwrap();
}

pub(crate) async fn retracting_does_not_hurt_what_others_submitted(store: Shared) {
    let (first, second) = (single("a", 0, "1"), single("a", 1, "2"));
    let newest = single("a", 2, "3");
    for submission in [&first, &newest, &second] {
        store
            .accept(std::slice::from_ref(submission), None, at(1))
            .await
            .unwrap();
    }
    store.retract(std::slice::from_ref(&first)).await.unwrap();
    let kept = row(&store, "a", 2).await.unwrap();
    assert_eq!(
        (kept.created_at, kept.pending_run_ms),
        (at(1), at(2).as_millisecond())
    );
    store.retract(&[newest]).await.unwrap();
    let kept = row(&store, "a", 2).await.unwrap();
    assert_eq!(
        (kept.created_at, kept.pending_run_ms),
        (at(1), at(1).as_millisecond())
    );
    // Nor a result.
    claim(&store, &second, 2).await;
    let result = completed("a", second.run, 3, 80.0);
    finish(&store, &result, 3).await;
    let third = single("a", 4, "3");
    store
        .accept(std::slice::from_ref(&third), None, at(4))
        .await
        .unwrap();
    store.retract(&[third]).await.unwrap();
    let kept = row(&store, "a", 5).await.unwrap();
    assert_eq!(kept.current_result(store.policy()), Some(&result));
    assert_eq!(
        (kept.created_at, kept.analysis_id),
        (at(1), analysis_of("a"))
    );
}

pub(crate) async fn a_retracted_submission_gives_its_claim_back(store: Shared) {
    let (held, other, next) = (
        single("a", 0, "1"),
        single("a", 1, "2"),
        single("a", 2, "3"),
    );
    let (_, items) = accepted(&store, "b", &["b"], 0).await;
    store
        .accept(std::slice::from_ref(&held), None, at(0))
        .await
        .unwrap();
    // The broker had the records after all.
    assert_eq!(claim(&store, &held, 1).await, Claim::Own);
    assert_eq!(claim(&store, &items[0], 1).await, Claim::Own);
    store.retract(&[other]).await.unwrap();
    assert_eq!(
        claim(&store, &next, 2).await,
        Claim::Other,
        "the claim of another submission stands"
    );
    store.retract(&[held]).await.unwrap();
    assert_eq!(claim(&store, &next, 3).await, Claim::Own);
    store.retract(&items).await.unwrap();
    assert_eq!(claim(&store, &single("b", 2, "1"), 3).await, Claim::Own);
}

pub(crate) async fn retracted_items_leave_their_batch(store: Shared) {
    let posts: Vec<String> = (0..1_500).map(|n| format!("p{n}")).collect();
    let posts: Vec<&str> = posts.iter().map(String::as_str).collect();
    let (batch_id, items) = accepted(&store, "b", &posts, 0).await;
    store.retract(&items[10..1_490]).await.unwrap();
    assert_eq!(counts(&store, batch_id, 1).await, [20, 0, 0, 0, 0]);
    // The broker had one of them after all: its work is done, the batch does not count it.
    store.project(&items[10..11], at(2)).await.unwrap();
    assert_eq!(claim(&store, &items[10], 2).await, Claim::Own);
    finish(&store, &completed("p10", items[10].run, 3, 80.0), 3).await;
    assert_eq!(counts(&store, batch_id, 4).await, [20, 0, 0, 0, 0]);
    store.retract(&items).await.unwrap();
    assert_eq!(store.batch(batch_id, at(5)).await.unwrap(), None);
}

pub(crate) async fn accepting_again_changes_nothing(store: Shared) {
    let (new, items) = batch("b", &["a", "b"], 0);
    let submission = single("c", 0, "r");
    for _ in 0..2 {
        store.accept(&items, Some(&new), at(0)).await.unwrap();
        store
            .accept(std::slice::from_ref(&submission), None, at(0))
            .await
            .unwrap();
    }
    assert_eq!(counts(&store, new.batch_id, 1).await, [2, 0, 0, 0, 0]);
    assert_eq!(store.totals(at(1)).await.unwrap().pending, 1);
}
