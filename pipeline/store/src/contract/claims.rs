//! Work on a run is done by the submission that claimed it, and by no other.

use schemas::{Run, Submission, identity::RunCause};

use super::{Shared, analysis_of, at, claim, completed, failed, finish, row, single, state};
use crate::{Claim, Status};

pub(crate) async fn the_first_claim_is_own_and_stays_own_on_redelivery(store: Shared) {
    let submission = single("a", 0, "r");
    assert_eq!(claim(&store, &submission, 1).await, Claim::Own);
    assert_eq!(state(&store, "a", 2).await, Some((Status::Processing, 10)));
    assert_eq!(claim(&store, &submission, 3).await, Claim::Own);
    let kept = row(&store, "a", 4).await.unwrap();
    assert_eq!(kept.work.unwrap().run, submission.run);
}

pub(crate) async fn another_submission_waits_while_the_claim_lives(store: Shared) {
    let (first, second) = (single("a", 0, "1"), single("a", 0, "2"));
    assert_eq!(claim(&store, &first, 1).await, Claim::Own);
    assert_eq!(claim(&store, &second, 2).await, Claim::Other);
    assert_eq!(claim(&store, &first, 3).await, Claim::Own);
    assert_eq!(claim(&store, &second, 4).await, Claim::Other);
}

pub(crate) async fn an_expired_claim_passes_to_the_next(store: Shared) {
    let ttl = i64::try_from(store.policy().claim_ttl_s).unwrap();
    let (first, second) = (single("a", 0, "1"), single("a", ttl, "2"));
    claim(&store, &first, 1).await;
    assert_eq!(claim(&store, &second, ttl).await, Claim::Other);
    assert_eq!(claim(&store, &second, ttl + 2).await, Claim::Own);
    assert_eq!(claim(&store, &first, ttl + 3).await, Claim::Other);
    let kept = row(&store, "a", ttl + 4).await.unwrap();
    assert_eq!(kept.work.unwrap().run, second.run);
}

pub(crate) async fn a_result_that_holds_ends_every_later_claim(store: Shared) {
    let (first, second) = (single("a", 0, "1"), single("a", 100, "2"));
    claim(&store, &first, 1).await;
    finish(&store, &completed("a", first.run, 5, 80.0), 5).await;
    assert_eq!(claim(&store, &second, 101).await, Claim::Finished);
    assert_eq!(
        claim(&store, &first, 102).await,
        Claim::Finished,
        "redelivery"
    );
    assert_eq!(
        state(&store, "a", 103).await,
        Some((Status::Completed, 100))
    );
}

pub(crate) async fn a_failure_is_reused_for_a_time_and_then_done_again(store: Shared) {
    let reusable = i64::try_from(store.policy().failed_reusable_s).unwrap();
    let first = single("a", 0, "1");
    claim(&store, &first, 1).await;
    finish(&store, &failed("a", first.run, 5), 5).await;
    let soon = single("a", 4 + reusable, "2");
    assert_eq!(claim(&store, &soon, 9 + reusable).await, Claim::Finished);
    // Decided from the submission's own start, not from when it is claimed; the finished run's claim holds nobody up.
    let later = single("a", 5 + reusable, "3");
    assert_eq!(claim(&store, &later, 5 + reusable).await, Claim::Own);
    assert_eq!(claim(&store, &first, 6 + reusable).await, Claim::Finished);
    assert_eq!(claim(&store, &soon, 7 + reusable).await, Claim::Finished);
    let third = single("a", 6 + reusable, "4");
    assert_eq!(claim(&store, &third, 8 + reusable).await, Claim::Other);
}

pub(crate) async fn a_claim_of_a_deleted_run_is_refused(store: Shared) {
    let (first, second) = (single("a", 0, "1"), single("a", 5, "2"));
    claim(&store, &first, 1).await;
    store.delete(analysis_of("a"), at(10)).await.unwrap();
    assert_eq!(claim(&store, &first, 11).await, Claim::Deleted);
    assert_eq!(claim(&store, &second, 11).await, Claim::Deleted);
    assert_eq!(claim(&store, &single("a", 12, "3"), 12).await, Claim::Own);
}

pub(crate) async fn a_pending_row_is_no_claim(store: Shared) {
    let (first, second) = (single("a", 0, "1"), single("a", 1, "2"));
    store
        .accept(std::slice::from_ref(&first), None, at(0))
        .await
        .unwrap();
    store.project(&[first], at(1)).await.unwrap();
    assert_eq!(claim(&store, &second, 2).await, Claim::Own);
}

pub(crate) async fn of_many_claims_at_once_one_is_own(store: Shared) {
    let submissions: Vec<_> = (0..32).map(|n| single("a", 0, &n.to_string())).collect();
    let claims = submissions.iter().map(|submission| {
        let store = store.clone();
        async move { claim(&store, submission, 1).await }
    });
    let claims = futures::future::join_all(claims).await;
    let own: Vec<usize> = (0..32).filter(|n| claims[*n] == Claim::Own).collect();
    assert_eq!(own.len(), 1, "{claims:?}");
    let others = claims.iter().filter(|claim| **claim == Claim::Other);
    assert_eq!(others.count(), 31);
    let kept = row(&store, "a", 2).await.unwrap();
    assert_eq!(kept.work.unwrap().run, submissions[own[0]].run);
}

pub(crate) async fn a_dead_letter_that_is_sent_back_begins_a_run_although_the_failure_is_recent(
    store: Shared,
) {
    let first = single("a", 0, "1");
    claim(&store, &first, 1).await;
    finish(&store, &failed("a", first.run, 5), 5).await;
    let sent_back = |seconds: i64| Submission {
        run: Run {
            started_ms: at(seconds).as_millisecond(),
            cause: RunCause::DeadLetterReplay,
        },
        supersedes: Some(first.run),
        ..first.clone()
    };
    let again = sent_back(10);
    assert_eq!(claim(&store, &again, 11).await, Claim::Own);
    assert_eq!(state(&store, "a", 12).await, Some((Status::Processing, 10)));
    assert_eq!(claim(&store, &sent_back(12), 13).await, Claim::Other);
    finish(&store, &failed("a", again.run, 20), 20).await;
    assert_eq!(
        claim(&store, &again, 21).await,
        Claim::Finished,
        "redelivery"
    );
    let last = sent_back(30);
    assert_eq!(claim(&store, &last, 31).await, Claim::Own);
    finish(&store, &completed("a", last.run, 40, 80.0), 40).await;
    assert_eq!(claim(&store, &sent_back(50), 51).await, Claim::Finished);
}
