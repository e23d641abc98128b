use std::sync::Arc;

use schemas::{
    AnalysisResult, PostRef, Reason, decode,
    events::{
        result::Failure,
        scraped::{Post, PostKind},
    },
    identity, topics,
};
use store::{Analyses, ProgressStep, SqliteStore, StorePolicy};

use super::*;

const AGAIN: i64 = 100;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_760_000_000 + seconds).unwrap()
}

fn rescore(seconds: i64) -> Run {
    Run {
        started_ms: at(seconds).as_millisecond(),
        cause: RunCause::Rescore,
    }
}

fn detections(analysis: &str, run: Run) -> Detections {
    Detections {
        analysis_id: identity::derive(&[analysis]),
        run,
        supersedes: None,
        post: PostRef {
            post_id: "abc".to_owned(),
            url: "https://www.instagram.com/p/abc/".to_owned(),
        },
        scraped_at: at(1),
        reused: false,
        detected_at: at(2),
        content: Post::bare(PostKind::Photo, "web"),
        pictures: Vec::new(),
        runtime: None,
        videos: Vec::new(),
    }
}

fn submitted(event: &Detections) -> schemas::Submission {
    schemas::Submission {
        analysis_id: event.analysis_id,
        run: event.run,
        supersedes: None,
        post: event.post.clone(),
        force: false,
        origin: schemas::events::submission::Origin::Single {
            request_id: "r".to_owned(),
        },
        owner: None,
    }
}

struct Bench {
    store: Arc<SqliteStore>,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.db");
        Self {
            store: Arc::new(SqliteStore::open(&path, StorePolicy::default()).unwrap()),
            _folder: folder,
        }
    }

    /// The run of these detections has a result.
    async fn ended(&self, event: &Detections) {
        let failure = Failure {
            code: Reason::NothingCompleted,
            message: String::new(),
            stage: "score".to_owned(),
        };
        let result = AnalysisResult::failed(
            event.analysis_id,
            event.run,
            event.supersedes,
            event.post.clone(),
            failure,
            at(6),
        );
        self.store.finish(&result, at(6)).await.unwrap();
    }

    async fn choose(&self, event: &Detections, seconds: i64) -> Choice {
        let record = schemas::encode(topics::DETECTIONS, event).unwrap();
        choose(&record, rescore(seconds), &*self.store, at(seconds))
            .await
            .unwrap()
    }
}

fn read(choice: Choice) -> Detections {
    match choice {
        Choice::Again(record, _) => decode(&record.headers, record.value.as_deref()).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn detections_are_scored_again_as_often_as_one_likes_each_time_from_the_original() {
    let bench = Bench::new();
    let first = detections("a", Run::submitted(at(0)));
    let begun = ProgressStep {
        analysis_id: first.analysis_id,
        run: first.run,
        percent: 60,
    };
    bench
        .store
        .project(&[submitted(&first)], at(3))
        .await
        .unwrap();
    bench.store.progress(&[begun]).await.unwrap();
    assert_eq!(bench.choose(&first, AGAIN).await, Choice::Unfinished);
    bench.ended(&first).await;
    let again = read(bench.choose(&first, AGAIN).await);
    assert_eq!(again.run, rescore(AGAIN));
    assert_eq!(again.supersedes, Some(first.run));
    bench.ended(&again).await;

    assert_eq!(
        bench.choose(&first, AGAIN).await,
        Choice::Superseded,
        "done"
    );
    assert_eq!(bench.choose(&again, AGAIN + 1).await, Choice::Replay);
    let third = read(bench.choose(&first, AGAIN + 1).await);
    assert_eq!(third.supersedes, Some(again.run));
    let without = |event: &Detections| Detections {
        run: first.run,
        supersedes: None,
        ..event.clone()
    };
    assert_eq!(without(&third), first);
}

#[tokio::test]
async fn what_was_deleted_or_begun_again_is_left_alone() {
    let bench = Bench::new();
    let first = detections("a", Run::submitted(at(0)));
    assert_eq!(bench.choose(&first, AGAIN).await, Choice::Gone, "unknown");
    bench.ended(&first).await;
    let later = ProgressStep {
        analysis_id: first.analysis_id,
        run: Run::submitted(at(50)),
        percent: 10,
    };
    bench.store.progress(&[later]).await.unwrap();
    assert_eq!(bench.choose(&first, AGAIN).await, Choice::Superseded);
    bench.store.delete(first.analysis_id, at(60)).await.unwrap();
    assert_eq!(bench.choose(&first, AGAIN).await, Choice::Gone);
}

#[tokio::test]
async fn only_the_newest_analysis_of_a_post_is_scored_again() {
    let bench = Bench::new();
    let (older, newer) = (
        detections("older", Run::submitted(at(0))),
        detections("newer", Run::submitted(at(10))),
    );
    bench.ended(&newer).await;
    bench.ended(&older).await;
    assert_eq!(bench.choose(&older, AGAIN).await, Choice::Superseded);
    assert_eq!(read(bench.choose(&newer, AGAIN).await).run, rescore(AGAIN));
}

#[tokio::test]
async fn a_run_that_is_only_known_by_its_result_supersedes_too() {
    let bench = Bench::new();
    let first = detections("a", Run::submitted(at(0)));
    let sent_back = Run {
        started_ms: at(30).as_millisecond(),
        cause: RunCause::DeadLetterReplay,
    };
    let second = Detections {
        supersedes: Some(first.run),
        ..detections("a", sent_back)
    };
    bench.ended(&first).await;
    bench.ended(&second).await;
    assert_eq!(bench.choose(&first, AGAIN).await, Choice::Superseded);
    let again = read(bench.choose(&second, AGAIN).await);
    assert_eq!(again.supersedes, Some(sent_back));
}

#[tokio::test]
async fn what_is_no_detections_is_passed_over() {
    let bench = Bench::new();
    let nothing = Record {
        topic: topics::DETECTIONS.into(),
        key: None,
        value: None,
        headers: Vec::new(),
    };
    let choice = choose(&nothing, rescore(1), &*bench.store, at(1)).await;
    assert_eq!(choice.unwrap(), Choice::Unreadable);
}
