//! Order of arrival never matters.

use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use schemas::{AnalysisResult, Run, Submission, identity::RunCause};

use super::{Shared, analysis_of, at, claim, completed, failed, finish, post, row, single, state};
use crate::{Claim, Finished, ProgressStep, Status};

pub(crate) async fn a_late_pending_never_beats_completed(store: Shared) {
    let submission = single("a", 0, "r");
    claim(&store, &submission, 1).await;
    finish(&store, &completed("a", submission.run, 5, 80.0), 5).await;
    store
        .accept(std::slice::from_ref(&submission), None, at(6))
        .await
        .unwrap();
    store.project(&[submission], at(6)).await.unwrap();
    assert_eq!(state(&store, "a", 7).await, Some((Status::Completed, 100)));
}

pub(crate) async fn the_pending_of_a_racing_submission_does_not_hide_the_result(store: Shared) {
    let (first, second) = (single("a", 0, "1"), single("a", 1, "2"));
    store
        .accept(std::slice::from_ref(&first), None, at(0))
        .await
        .unwrap();
    store
        .accept(std::slice::from_ref(&second), None, at(1))
        .await
        .unwrap();
    claim(&store, &first, 1).await;
    assert_eq!(claim(&store, &second, 1).await, Claim::Other);
    finish(&store, &completed("a", first.run, 5, 80.0), 5).await;
    store.project(&[second], at(6)).await.unwrap();
    assert_eq!(state(&store, "a", 7).await, Some((Status::Completed, 100)));
    let row = row(&store, "a", 7).await.unwrap();
    assert_eq!(row.current_result(store.policy()).unwrap().run, first.run);
}

pub(crate) async fn writing_a_result_again_changes_nothing(store: Shared) {
    let submission = single("a", 0, "r");
    store
        .accept(std::slice::from_ref(&submission), None, at(0))
        .await
        .unwrap();
    claim(&store, &submission, 1).await;
    let result = completed("a", submission.run, 5, 80.0);
    let first = finish(&store, &result, 5).await;
    let before = row(&store, "a", 6).await;
    assert_eq!(finish(&store, &result, 500).await, first);
    assert_eq!(row(&store, "a", 6).await, before);
    assert_eq!(before.unwrap().result, Some(result));
}

pub(crate) async fn a_later_run_replaces_the_result_and_an_older_one_does_not(store: Shared) {
    let submission = single("a", 0, "r");
    claim(&store, &submission, 1).await;
    let old = completed("a", submission.run, 5, 80.0);
    finish(&store, &old, 5).await;
    let rescore = Run {
        started_ms: at(100).as_millisecond(),
        cause: RunCause::Rescore,
    };
    let new = completed("a", rescore, 101, 30.0);
    assert_eq!(
        finish(&store, &new, 101).await,
        Finished::Written { latest: true }
    );
    assert_eq!(
        finish(&store, &old, 102).await,
        Finished::Written { latest: false }
    );
    let row = row(&store, "a", 103).await.unwrap();
    assert_eq!(row.current_result(store.policy()), Some(&new));
}

pub(crate) async fn work_on_a_later_run_shows_until_its_result(store: Shared) {
    let first = single("a", 0, "1");
    claim(&store, &first, 0).await;
    finish(&store, &failed("a", first.run, 5), 5).await;
    let again = single("a", 5000, "2");
    assert_eq!(claim(&store, &again, 5001).await, Claim::Own);
    assert_eq!(
        state(&store, "a", 5002).await,
        Some((Status::Processing, 10))
    );
    let kept = row(&store, "a", 5002).await.unwrap();
    assert_eq!(kept.current_result(store.policy()), None);
    finish(&store, &completed("a", again.run, 5005, 70.0), 5005).await;
    assert_eq!(
        state(&store, "a", 5006).await,
        Some((Status::Completed, 100))
    );
}

pub(crate) async fn progress_never_goes_back(store: Shared) {
    let submission = single("a", 0, "r");
    claim(&store, &submission, 1).await;
    let step = |percent| ProgressStep {
        analysis_id: analysis_of("a"),
        run: submission.run,
        percent,
    };
    store.progress(&[step(60), step(20)]).await.unwrap();
    assert_eq!(state(&store, "a", 2).await, Some((Status::Processing, 60)));
    assert_eq!(
        claim(&store, &submission, 3).await,
        Claim::Own,
        "redelivery"
    );
    assert_eq!(state(&store, "a", 3).await, Some((Status::Processing, 60)));
    finish(&store, &completed("a", submission.run, 4, 80.0), 4).await;
    store.progress(&[step(80)]).await.unwrap();
    assert_eq!(state(&store, "a", 5).await, Some((Status::Completed, 100)));
}

pub(crate) async fn a_failure_that_is_no_longer_reusable_gives_way_to_a_later_submission(
    store: Shared,
) {
    let first = single("a", 0, "1");
    claim(&store, &first, 0).await;
    finish(&store, &failed("a", first.run, 5), 5).await;
    let reusable = i64::try_from(store.policy().failed_reusable_s).unwrap();
    let soon = single("a", 4 + reusable, "2");
    store.accept(&[soon], None, at(4 + reusable)).await.unwrap();
    assert_eq!(state(&store, "a", 5000).await, Some((Status::Failed, 100)));
    let later = single("a", 5 + reusable, "3");
    store
        .accept(&[later], None, at(5 + reusable))
        .await
        .unwrap();
    assert_eq!(state(&store, "a", 5000).await, Some((Status::Pending, 0)));
}

pub(crate) async fn creation_is_the_earliest_submission(store: Shared) {
    let (late, early) = (single("a", 20, "1"), single("a", 10, "2"));
    store.accept(&[late], None, at(20)).await.unwrap();
    store.project(&[early], at(21)).await.unwrap();
    let row = row(&store, "a", 22).await.unwrap();
    assert_eq!(row.created_at, at(10));
    assert_eq!(row.pending_run_ms, at(20).as_millisecond());
    assert_eq!(row.post, post("a"));
}

pub(crate) async fn only_the_newest_run_start_of_a_post_is_latest(store: Shared) {
    // Two analyses of one post, as `force` makes them.
    let of = |seconds: i64, salt: &str| AnalysisResult {
        analysis_id: analysis_of(salt),
        ..completed("a", Run::submitted(at(seconds)), seconds + 5, 50.0)
    };
    let (older, newer) = (of(0, "older"), of(10, "newer"));
    assert_eq!(store.latest("a", at(19)).await.unwrap(), None);
    assert_eq!(
        finish(&store, &newer, 20).await,
        Finished::Written { latest: true }
    );
    assert_eq!(
        finish(&store, &older, 21).await,
        Finished::Written { latest: false }
    );
    assert_eq!(
        finish(&store, &newer, 22).await,
        Finished::Written { latest: true }
    );
    let latest = store.latest("a", at(23)).await.unwrap();
    assert_eq!(latest, Some(analysis_of("newer")));
    assert_eq!(store.latest("b", at(23)).await.unwrap(), None);
    // Of two runs that started at once one wins, and the same one in any order.
    let (left, right) = (of(30, "left"), of(30, "right"));
    let mut latest = Vec::new();
    for result in [&left, &right, &left, &right] {
        latest.push(finish(&store, result, 40).await == Finished::Written { latest: true });
    }
    assert_ne!(latest[2], latest[3], "{latest:?}");
}

/// A write on the analysis of post `a`.
#[derive(Debug, Clone)]
enum Write {
    Accept(Submission),
    Project(Submission),
    Progress(ProgressStep),
    Finish(Box<AnalysisResult>),
    Delete(i64),
}

async fn apply(store: &Shared, post_id: &str, write: &Write) {
    let now = at(10_000);
    let moved = |submission: &Submission| Submission {
        analysis_id: analysis_of(post_id),
        ..submission.clone()
    };
    match write {
        Write::Accept(submission) => store.accept(&[moved(submission)], None, now).await.unwrap(),
        Write::Project(submission) => store.project(&[moved(submission)], now).await.unwrap(),
        Write::Progress(step) => {
            let step = ProgressStep {
                analysis_id: analysis_of(post_id),
                ..*step
            };
            store.progress(&[step]).await.unwrap();
        }
        Write::Finish(result) => {
            let result = AnalysisResult {
                analysis_id: analysis_of(post_id),
                ..(**result).clone()
            };
            store.finish(&result, now).await.unwrap();
        }
        Write::Delete(seconds) => {
            store
                .delete(analysis_of(post_id), at(*seconds))
                .await
                .unwrap();
        }
    }
}

fn writes() -> impl Strategy<Value = Vec<Write>> {
    let submission = (0_i64..8, any::<bool>()).prop_map(|(hours, reel)| {
        let mut submission = single("a", hours * 3600, "r");
        if reel {
            submission.post.url = "https://www.instagram.com/reel/a/".to_owned();
        }
        submission
    });
    let run = (0_i64..8).prop_map(|hours| Run::submitted(at(hours * 3600)));
    let step = (run.clone(), 1_u8..100).prop_map(|(run, percent)| ProgressStep {
        analysis_id: analysis_of("a"),
        run,
        percent,
    });
    // One terminal result exists per run, so what it says is derived from the run.
    let result = run.prop_map(|run| {
        let hours = run.started_ms / 3_600_000 % 8;
        let seconds = run.started_ms / 1000 - at(0).as_second() + 60;
        Box::new(if hours % 2 == 0 {
            completed("a", run, seconds, hours as f64)
        } else {
            failed("a", run, seconds)
        })
    });
    let write = prop_oneof![
        3 => submission.clone().prop_map(Write::Accept),
        3 => submission.prop_map(Write::Project),
        3 => step.prop_map(Write::Progress),
        3 => result.prop_map(Write::Finish),
        1 => (0_i64..8).prop_map(|hours| Write::Delete(hours * 3600)),
    ];
    proptest::collection::vec(write, 1..10)
}

pub(crate) async fn any_order_of_arrival_ends_in_the_same_row(store: Shared) {
    let mut runner = TestRunner::deterministic();
    let orders =
        writes().prop_flat_map(|writes| (Just(writes.clone()), Just(writes).prop_shuffle()));
    for case in 0..200 {
        let (one, other) = orders.new_tree(&mut runner).unwrap().current();
        let mut rows = Vec::new();
        for (name, writes) in [("one", &one), ("other", &other)] {
            let post_id = format!("{name}-{case}");
            for write in writes {
                apply(&store, &post_id, write).await;
            }
            // Whatever came twice changes nothing.
            for write in writes {
                apply(&store, &post_id, write).await;
            }
            let row = row(&store, &post_id, 10_001).await;
            rows.push(row.map(|mut row| {
                row.analysis_id = analysis_of("a");
                if let Some(result) = &mut row.result {
                    result.analysis_id = analysis_of("a");
                }
                // An adapter keeps only the earliest start; where that one was deleted, the next it knows takes its place.
                if one.iter().any(|write| matches!(write, Write::Delete(_))) {
                    assert!(row.created_at.as_millisecond() <= row.pending_run_ms);
                    row.created_at = at(0);
                }
                row
            }));
        }
        assert_eq!(rows[0], rows[1], "{one:#?}\n{other:#?}");
    }
}
