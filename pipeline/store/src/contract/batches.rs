//! Progress of a batch is counted from its rows, and every item ends.

use schemas::{AnalysisResult, Run, identity::RunCause};
use uuid::Uuid;

use super::{
    Shared, accepted, analysis_of, at, batch, claim, completed, counts, failed, finish,
    progress_of, single,
};
use crate::{Claim, NewBatch, Status};

pub(crate) async fn progress_counts_what_is_and_what_is_not_projected(store: Shared) {
    let posts: Vec<String> = (0..2_500).map(|n| format!("p{n}")).collect();
    let posts: Vec<&str> = posts.iter().map(String::as_str).collect();
    let (batch_id, items) = accepted(&store, "b", &posts, 0).await;
    assert_eq!(counts(&store, batch_id, 1).await, [2_500, 0, 0, 0, 0]);
    store.project(&items[..1_200], at(1)).await.unwrap();
    assert_eq!(counts(&store, batch_id, 2).await, [2_500, 0, 0, 0, 0]);
    for item in &items[1_000..1_003] {
        assert_eq!(claim(&store, item, 3).await, Claim::Own);
    }
    finish(&store, &completed("p1000", items[0].run, 4, 80.0), 4).await;
    finish(&store, &failed("p1001", items[0].run, 5), 5).await;
    assert_eq!(counts(&store, batch_id, 6).await, [2_497, 1, 1, 1, 0]);
    assert_eq!(progress_of(&store, batch_id, 6).await.completed_at, None);
}

pub(crate) async fn items_that_wait_are_told_when_they_claim_before_the_end(store: Shared) {
    let (one, items) = accepted(&store, "one", &["a"], 0).await;
    let (two, waiting) = accepted(&store, "two", &["a"], 1).await;
    assert_eq!(claim(&store, &items[0], 2).await, Claim::Own);
    assert_eq!(claim(&store, &waiting[0], 3).await, Claim::Other);
    assert_eq!(counts(&store, two, 4).await, [0, 1, 0, 0, 1]);
    finish(&store, &completed("a", items[0].run, 9, 80.0), 9).await;
    assert_eq!(counts(&store, one, 10).await, [0, 0, 1, 0, 0]);
    assert_eq!(counts(&store, two, 10).await, [0, 0, 1, 0, 1]);
    assert_eq!(progress_of(&store, two, 10).await.completed_at, Some(at(9)));
}

pub(crate) async fn items_that_wait_are_told_when_they_claim_after_the_end(store: Shared) {
    let (one, items) = accepted(&store, "one", &["a"], 0).await;
    assert_eq!(claim(&store, &items[0], 2).await, Claim::Own);
    finish(&store, &completed("a", items[0].run, 9, 80.0), 9).await;
    let (two, waiting) = accepted(&store, "two", &["a"], 20).await;
    assert_eq!(claim(&store, &waiting[0], 25).await, Claim::Finished);
    assert_eq!(counts(&store, one, 26).await, [0, 0, 1, 0, 0]);
    assert_eq!(counts(&store, two, 26).await, [0, 0, 1, 0, 1]);
    let progress = progress_of(&store, two, 26).await;
    assert_eq!(progress.created_at, at(20));
    assert_eq!(
        progress.completed_at,
        Some(at(20)),
        "not before it was accepted"
    );
}

pub(crate) async fn a_projection_after_the_end_is_told_and_one_before_changes_nothing(
    store: Shared,
) {
    let (one, items) = accepted(&store, "one", &["a"], 0).await;
    store.project(&items, at(1)).await.unwrap();
    claim(&store, &items[0], 2).await;
    store.project(&items, at(3)).await.unwrap();
    assert_eq!(counts(&store, one, 3).await, [0, 1, 0, 0, 0]);
    finish(&store, &completed("a", items[0].run, 9, 80.0), 9).await;
    store.project(&items, at(10)).await.unwrap();
    assert_eq!(counts(&store, one, 10).await, [0, 0, 1, 0, 0]);
    let (two, late) = accepted(&store, "two", &["a"], 20).await;
    store.project(&late, at(21)).await.unwrap();
    assert_eq!(counts(&store, two, 22).await, [0, 0, 1, 0, 1]);
    assert_eq!(claim(&store, &late[0], 23).await, Claim::Finished);
    assert_eq!(counts(&store, two, 24).await, [0, 0, 1, 0, 1]);
}

pub(crate) async fn a_failure_too_old_for_an_item_does_not_end_it(store: Shared) {
    let reusable = i64::try_from(store.policy().failed_reusable_s).unwrap();
    let first = single("a", 0, "r");
    claim(&store, &first, 1).await;
    let failure = failed("a", first.run, 5);
    finish(&store, &failure, 5).await;
    let (soon, _) = accepted(&store, "soon", &["a"], 4 + reusable).await;
    let (_, soon_items) = batch("soon", &["a"], 4 + reusable);
    let (later, later_items) = accepted(&store, "later", &["a"], 5 + reusable).await;
    store.project(&soon_items, at(6 + reusable)).await.unwrap();
    store.project(&later_items, at(6 + reusable)).await.unwrap();
    // The failure again, as after a redelivery.
    finish(&store, &failure, 7 + reusable).await;
    assert_eq!(counts(&store, soon, 8 + reusable).await, [0, 0, 0, 1, 1]);
    assert_eq!(counts(&store, later, 8 + reusable).await, [1, 0, 0, 0, 0]);
    assert_eq!(
        claim(&store, &later_items[0], 9 + reusable).await,
        Claim::Own
    );
    let result = completed("a", later_items[0].run, 20 + reusable, 80.0);
    finish(&store, &result, 20 + reusable).await;
    assert_eq!(counts(&store, later, 21 + reusable).await, [0, 0, 1, 0, 0]);
    assert_eq!(counts(&store, soon, 21 + reusable).await, [0, 0, 0, 1, 1]);
}

pub(crate) async fn an_item_that_has_ended_stays_so(store: Shared) {
    let (batch_id, items) = accepted(&store, "b", &["a"], 0).await;
    claim(&store, &items[0], 1).await;
    finish(&store, &failed("a", items[0].run, 5), 5).await;
    let again = single("a", 5_000, "r");
    assert_eq!(claim(&store, &again, 5_000).await, Claim::Own);
    finish(&store, &completed("a", again.run, 5_005, 80.0), 5_005).await;
    assert_eq!(claim(&store, &items[0], 5_006).await, Claim::Finished);
    store.project(&items, at(5_007)).await.unwrap();
    assert_eq!(counts(&store, batch_id, 5_008).await, [0, 0, 0, 1, 0]);
    assert_eq!(
        progress_of(&store, batch_id, 5_008).await.completed_at,
        Some(at(5))
    );
}

pub(crate) async fn an_item_that_failed_follows_the_run_that_takes_the_place_of_the_failed_one(
    store: Shared,
) {
    let (batch_id, items) = accepted(&store, "b", &["a"], 0).await;
    claim(&store, &items[0], 1).await;
    let failure = failed("a", items[0].run, 5);
    finish(&store, &failure, 5).await;
    // Found ended when it was claimed.
    let (found, late) = accepted(&store, "found", &["a"], 6).await;
    assert_eq!(claim(&store, &late[0], 7).await, Claim::Finished);
    assert_eq!(counts(&store, found, 7).await, [0, 0, 0, 1, 1]);
    let replay = |seconds| Run {
        started_ms: at(seconds).as_millisecond(),
        cause: RunCause::DeadLetterReplay,
    };
    let again = AnalysisResult {
        supersedes: Some(items[0].run),
        ..failed("a", replay(8), 8)
    };
    finish(&store, &again, 8).await;
    assert_eq!(counts(&store, batch_id, 8).await, [0, 0, 0, 1, 0]);
    let mended = AnalysisResult {
        supersedes: Some(again.run),
        ..completed("a", replay(9), 9, 80.0)
    };
    finish(&store, &mended, 9).await;
    for (batch_id, reused) in [(batch_id, 0), (found, 1)] {
        assert_eq!(counts(&store, batch_id, 9).await, [0, 0, 1, 0, reused]);
        let ended = progress_of(&store, batch_id, 9).await.completed_at;
        assert_eq!(ended, Some(at(9)));
    }
    // The failure once more, as after a redelivery, changes nothing.
    finish(&store, &failure, 10).await;
    finish(&store, &again, 10).await;
    assert_eq!(counts(&store, batch_id, 10).await, [0, 0, 1, 0, 0]);
}

pub(crate) async fn an_item_that_a_deletion_ended_follows_nothing(store: Shared) {
    let (batch_id, items) = accepted(&store, "b", &["a"], 0).await;
    claim(&store, &items[0], 1).await;
    finish(&store, &failed("a", items[0].run, 5), 5).await;
    store.delete(analysis_of("a"), at(6)).await.unwrap();
    let later = single("a", 7, "r");
    claim(&store, &later, 7).await;
    let rescored = AnalysisResult {
        supersedes: Some(later.run),
        ..completed("a", later.run, 8, 80.0)
    };
    finish(&store, &rescored, 8).await;
    assert_eq!(counts(&store, batch_id, 9).await, [0, 0, 0, 1, 0]);
}

pub(crate) async fn one_batch_may_hold_two_items_of_one_analysis(store: Shared) {
    let (batch_id, items) = accepted(&store, "b", &["a", "a"], 0).await;
    assert_eq!(claim(&store, &items[0], 1).await, Claim::Own);
    assert_eq!(claim(&store, &items[1], 1).await, Claim::Other);
    finish(&store, &completed("a", items[0].run, 5, 80.0), 5).await;
    assert_eq!(counts(&store, batch_id, 6).await, [0, 0, 2, 0, 1]);
}

pub(crate) async fn a_batch_keeps_its_owner_and_an_empty_one_is_complete(store: Shared) {
    let (mut batch, _) = batch("b", &[], 0);
    batch.owner = None;
    store.accept(&[], Some(&batch), at(3)).await.unwrap();
    let progress = progress_of(&store, batch.batch_id, 4).await;
    let NewBatch {
        owner,
        duplicates,
        rejected,
        ..
    } = &progress.batch;
    assert_eq!((owner, *duplicates, *rejected), (&None, 1, 2));
    assert_eq!(progress.counts.sum(), 0);
    assert_eq!(
        (progress.created_at, progress.completed_at),
        (at(3), Some(at(3)))
    );
    let (owned, _) = accepted(&store, "owned", &["a"], 0).await;
    let progress = progress_of(&store, owned, 1).await;
    assert_eq!(progress.batch.owner.as_deref(), Some("partner"));
    assert_eq!(store.batch(Uuid::nil(), at(1)).await.unwrap(), None);
}

pub(crate) async fn items_come_in_order_with_their_names_and_how_they_stand(store: Shared) {
    let posts: Vec<String> = (0..2_500).map(|n| format!("p{n}")).collect();
    let posts: Vec<&str> = posts.iter().map(String::as_str).collect();
    let (mut batch, mut items) = batch("b", &posts, 0);
    batch.client_refs = [(0, "first".to_owned()), (2_499, "last".to_owned())].into();
    // A whole chunk that was refused.
    items.drain(1_000..2_000);
    store.accept(&items, Some(&batch), at(0)).await.unwrap();
    claim(&store, &items[1], 1).await;
    finish(&store, &failed("p1", items[1].run, 2), 2).await;
    store.retract(&items[2..3]).await.unwrap();
    let (mut all, mut from) = (Vec::new(), 0);
    loop {
        let page = store.items(batch.batch_id, from).await.unwrap();
        let Some(last) = page.last() else { break };
        from = last.index + 1;
        all.extend(page);
    }
    let places: Vec<u32> = all.iter().map(|item| item.index).collect();
    let expected: Vec<u32> = (0..1_000).filter(|n| *n != 2).chain(2_000..2_500).collect();
    assert_eq!(places, expected);
    assert_eq!(all[0].client_ref.as_deref(), Some("first"));
    assert_eq!(all[0].analysis_id, analysis_of("p0"));
    assert_eq!((all[0].status, all[0].ended_at), (Status::Pending, None));
    assert_eq!(
        (all[1].status, all[1].ended_at),
        (Status::Failed, Some(at(2)))
    );
    assert_eq!(all[1].client_ref, None);
    let last = store.items(batch.batch_id, 2_499).await.unwrap();
    assert_eq!(last.len(), 1);
    assert_eq!(last[0].client_ref.as_deref(), Some("last"));
    assert_eq!(store.items(Uuid::nil(), 0).await.unwrap(), []);
}
