//! The contract of the store port: what every adapter must do, one async function a rule. An adapter runs all of them by
//! name with `contract_tests!`, each on a store of its own with the default policy.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use schemas::{
    AnalysisResult, Event, PostRef, Reason, Run, Submission,
    events::{
        result::{Failure, Outcome},
        submission::Origin,
    },
    identity,
};
use uuid::Uuid;

use crate::{AnalysisRow, BatchProgress, Claim, Finished, NewBatch, Status, Store};

pub(crate) mod batches;
pub(crate) mod claims;
pub(crate) mod deletion;
pub(crate) mod expiry;
pub(crate) mod feedback;
pub(crate) mod idempotency;
pub(crate) mod intake;
pub(crate) mod keys;
pub(crate) mod listing;
pub(crate) mod operations;
pub(crate) mod order;
pub(crate) mod quotas;
pub(crate) mod reuse;
pub(crate) mod webhooks;

/// Runs every rule on the store that `$open` gives, a pair of `Arc<dyn Store>` and whatever must outlive it.
macro_rules! contract_tests {
    ($open:expr) => {
        $crate::contract::contract_tests! { @each $open;
            order::a_late_pending_never_beats_completed,
            order::the_pending_of_a_racing_submission_does_not_hide_the_result,
            order::writing_a_result_again_changes_nothing,
            order::a_later_run_replaces_the_result_and_an_older_one_does_not,
            order::work_on_a_later_run_shows_until_its_result,
            order::progress_never_goes_back,
            order::a_failure_that_is_no_longer_reusable_gives_way_to_a_later_submission,
            order::creation_is_the_earliest_submission,
            order::only_the_newest_run_start_of_a_post_is_latest,
            order::any_order_of_arrival_ends_in_the_same_row,
            deletion::a_deleted_analysis_is_gone_and_late_writes_stay_void,
            deletion::a_submission_after_the_deletion_begins_anew,
            deletion::a_deletion_ends_the_batch_items_that_wait,
            deletion::a_deletion_may_come_before_the_first_write,
            claims::the_first_claim_is_own_and_stays_own_on_redelivery,
            claims::another_submission_waits_while_the_claim_lives,
            claims::an_expired_claim_passes_to_the_next,
            claims::a_result_that_holds_ends_every_later_claim,
            claims::a_failure_is_reused_for_a_time_and_then_done_again,
            claims::a_dead_letter_that_is_sent_back_begins_a_run_although_the_failure_is_recent,
            claims::a_claim_of_a_deleted_run_is_refused,
            claims::a_pending_row_is_no_claim,
            claims::of_many_claims_at_once_one_is_own,
            batches::progress_counts_what_is_and_what_is_not_projected,
            batches::items_that_wait_are_told_when_they_claim_before_the_end,
            batches::items_that_wait_are_told_when_they_claim_after_the_end,
            batches::a_projection_after_the_end_is_told_and_one_before_changes_nothing,
            batches::a_failure_too_old_for_an_item_does_not_end_it,
            batches::an_item_that_has_ended_stays_so,
            batches::an_item_that_failed_follows_the_run_that_takes_the_place_of_the_failed_one,
            batches::an_item_that_a_deletion_ended_follows_nothing,
            batches::one_batch_may_hold_two_items_of_one_analysis,
            batches::a_batch_keeps_its_owner_and_an_empty_one_is_complete,
            batches::items_come_in_order_with_their_names_and_how_they_stand,
            idempotency::a_request_is_answered_once_and_then_told_again,
            idempotency::of_many_requests_at_once_one_has_the_key,
            idempotency::a_key_that_was_given_up_begins_anew,
            idempotency::a_request_that_was_cut_off_goes_on_as_it_was,
            idempotency::a_key_is_its_callers_alone_and_only_for_a_time,
            quotas::what_was_set_last_stands,
            quotas::of_many_leases_of_one_number_one_is_added,
            webhooks::a_webhook_is_kept_as_it_was_made_until_it_is_dropped,
            webhooks::attempts_come_newest_first_and_only_for_a_time,
            webhooks::whoever_claims_is_an_owner_before_the_result,
            webhooks::a_batch_of_a_holder_is_open_until_it_is_closed,
            intake::a_single_submission_is_pending_at_once,
            intake::a_batch_item_has_no_row_before_it_is_projected,
            intake::a_retracted_single_was_never_there,
            intake::retracting_does_not_hurt_what_others_submitted,
            intake::a_retracted_submission_gives_its_claim_back,
            intake::retracted_items_leave_their_batch,
            intake::accepting_again_changes_nothing,
            listing::pages_hold_everything_once_newest_first,
            listing::a_status_filter_agrees_with_the_rows,
            listing::totals_count_each_status,
            listing::an_owner_sees_what_was_submitted_with_its_keys_by_the_newest_submission,
            listing::what_was_deleted_is_its_owners_only_after_another_submission,
            expiry::analyses_and_batches_expire_and_a_replay_begins_anew,
            reuse::a_post_is_reused_within_its_window,
            reuse::an_earlier_scrape_never_replaces_a_later_one,
            reuse::a_forgotten_post_is_not_reused_and_one_scraped_later_is,
            reuse::all_posts_are_forgotten_at_once,
            reuse::a_finding_belongs_to_bytes_and_detector_and_expires,
            reuse::pictures_that_look_alike_are_found_by_any_band_for_a_time,
            feedback::a_voter_has_one_vote_and_a_second_changes_nothing,
            feedback::of_many_votes_of_one_voter_at_once_one_is_taken,
            feedback::the_newest_comments_come_first_and_votes_without_one_count,
            feedback::votes_go_with_their_analysis,
            keys::keys_come_back_by_age_each_with_its_rights,
            keys::a_revoked_key_stays_revoked,
            operations::a_role_that_falls_silent_is_forgotten,
            operations::dead_letters_come_back_byte_for_byte_newest_first,
            operations::a_stage_stands_still_until_it_is_released,
            operations::a_store_that_is_open_answers,
        }
    };
    (@each $open:expr; $($module:ident::$rule:ident),+ $(,)?) => {
        $(
            #[tokio::test]
            async fn $rule() {
                let (store, _kept) = $open;
                $crate::contract::$module::$rule(store).await;
            }
        )+
    };
}
pub(crate) use contract_tests;

/// What a rule gets.
pub(crate) type Shared = Arc<dyn Store>;

/// A moment, `seconds` after the tests' epoch.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_760_000_000 + seconds).unwrap()
}

pub(crate) fn post(id: &str) -> PostRef {
    PostRef {
        post_id: id.to_owned(),
        url: format!("https://www.instagram.com/p/{id}/"),
    }
}

/// The one analysis of a post in these tests.
pub(crate) fn analysis_of(post_id: &str) -> Uuid {
    identity::derive(&["test", post_id])
}

/// A submission of its own, at `seconds`.
pub(crate) fn single(post_id: &str, seconds: i64, request: &str) -> Submission {
    Submission {
        analysis_id: analysis_of(post_id),
        run: Run::submitted(at(seconds)),
        supersedes: None,
        post: post(post_id),
        force: false,
        origin: Origin::Single {
            request_id: request.to_owned(),
        },
        owner: None,
    }
}

/// A batch of these posts at `seconds`, in their order.
pub(crate) fn batch(name: &str, posts: &[&str], seconds: i64) -> (NewBatch, Vec<Submission>) {
    let batch_id = identity::derive(&["batch", name]);
    let items = (0_u32..)
        .zip(posts)
        .map(|(index, id)| Submission {
            origin: Origin::Batch { batch_id, index },
            ..single(id, seconds, "")
        })
        .collect();
    let batch = NewBatch {
        batch_id,
        owner: Some("partner".to_owned()),
        duplicates: 1,
        rejected: 2,
        client_refs: BTreeMap::new(),
    };
    (batch, items)
}

/// Accepts a batch and gives its items.
pub(crate) async fn accepted(
    store: &Shared,
    name: &str,
    posts: &[&str],
    seconds: i64,
) -> (Uuid, Vec<Submission>) {
    let (batch, items) = batch(name, posts, seconds);
    store
        .accept(&items, Some(&batch), at(seconds))
        .await
        .unwrap();
    (batch.batch_id, items)
}

pub(crate) fn completed(post_id: &str, run: Run, seconds: i64, score: f64) -> AnalysisResult {
    AnalysisResult {
        status: Outcome::Completed,
        error: None,
        trust_score: Some(score),
        grade: Some("B".to_owned()),
        ..failed(post_id, run, seconds)
    }
}

pub(crate) fn failed(post_id: &str, run: Run, seconds: i64) -> AnalysisResult {
    let error = Failure {
        code: Reason::StoreUnavailable,
        message: "The post could not be read.".to_owned(),
        stage: "scrape".to_owned(),
    };
    AnalysisResult::failed(
        analysis_of(post_id),
        run,
        None,
        post(post_id),
        error,
        at(seconds),
    )
}

pub(crate) async fn claim(store: &Shared, submission: &Submission, seconds: i64) -> Claim {
    let event_id = submission.id().to_string();
    store
        .claim(submission, &event_id, at(seconds))
        .await
        .unwrap()
}

pub(crate) async fn finish(store: &Shared, result: &AnalysisResult, seconds: i64) -> Finished {
    store.finish(result, at(seconds)).await.unwrap()
}

pub(crate) async fn row(store: &Shared, post_id: &str, seconds: i64) -> Option<AnalysisRow> {
    store
        .analysis(analysis_of(post_id), at(seconds))
        .await
        .unwrap()
}

/// Status and percent, as a caller sees them.
pub(crate) async fn state(store: &Shared, post_id: &str, seconds: i64) -> Option<(Status, u8)> {
    let state = row(store, post_id, seconds).await?.state(store.policy());
    Some((state.status, state.percent))
}

pub(crate) async fn progress_of(store: &Shared, batch_id: Uuid, seconds: i64) -> BatchProgress {
    store.batch(batch_id, at(seconds)).await.unwrap().unwrap()
}

/// Pending, processing, completed, failed, and how many of them were reused.
pub(crate) async fn counts(store: &Shared, batch_id: Uuid, seconds: i64) -> [u64; 5] {
    let progress = progress_of(store, batch_id, seconds).await;
    let counts = progress.counts;
    [
        counts.pending,
        counts.processing,
        counts.completed,
        counts.failed,
        progress.reused,
    ]
}
