use std::sync::Arc;

use schemas::{
    AnalysisResult, Event, Header, PostRef, Reason,
    dead_letter::DeadLetter,
    events::{result::Failure, submission::Origin},
    identity,
};
use store::{Analyses, Claim, SqliteStore, StorePolicy};

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_760_000_000 + seconds).unwrap()
}

struct Bench {
    store: Arc<SqliteStore>,
    _folder: tempfile::TempDir,
}

fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.db");
    Bench {
        store: Arc::new(SqliteStore::open(&path, StorePolicy::default()).unwrap()),
        _folder: folder,
    }
}

fn submission(seconds: i64) -> Submission {
    Submission {
        analysis_id: identity::derive(&["fate"]),
        run: Run::submitted(at(seconds)),
        supersedes: None,
        post: PostRef {
            post_id: "abc".to_owned(),
            url: "https://www.instagram.com/p/abc/".to_owned(),
        },
        force: false,
        origin: Origin::Single {
            request_id: "r".to_owned(),
        },
        owner: None,
    }
}

fn letter_of(stage: &str, topic: &str, record: Record) -> Letter {
    let told = DeadLetter {
        topic: topic.to_owned(),
        partition: 2,
        offset: 9,
        timestamp_ms: 1,
        stage: stage.to_owned(),
        code: Reason::UpstreamTimeout,
        attempts: 4,
        first_failure: at(5),
        last_failure: at(6),
    };
    Letter::new(0, 7, told.record(record), true)
}

fn letter(stage: &str, submission: &Submission) -> Letter {
    let record = schemas::encode(topics::SUBMISSIONS, submission).unwrap();
    letter_of(stage, topics::SUBMISSIONS, record)
}

impl Bench {
    async fn fate(&self, stage: &str, letter: &Letter) -> Fate {
        let judge = Judge {
            stage,
            store: &*self.store,
            run: run_at(at(100)),
            cap: 3,
            now: at(100),
        };
        judge.fate(letter).await.unwrap()
    }

    async fn failed(&self, submission: &Submission) {
        let failure = Failure {
            code: Reason::UpstreamTimeout,
            message: String::new(),
            stage: "scrape".to_owned(),
        };
        let result = AnalysisResult::failed(
            submission.analysis_id,
            submission.run,
            None,
            submission.post.clone(),
            failure,
            at(6),
        );
        self.store.finish(&result, at(6)).await.unwrap();
    }

    async fn claim(&self, submission: &Submission) -> Claim {
        let id = submission.id().to_string();
        self.store.claim(submission, &id, at(50)).await.unwrap()
    }
}

#[tokio::test]
async fn a_run_that_ended_by_its_letter_begins_anew() {
    let (bench, first) = (bench(), submission(0));
    bench.claim(&first).await;
    bench.failed(&first).await;
    let Fate::NewRun(record, None) = bench.fate("scrape", &letter("scrape", &first)).await else {
        panic!("no new run");
    };
    assert_eq!(record.topic, topics::SUBMISSIONS);
    let again: Submission = decode(&record.headers, record.value.as_deref()).unwrap();
    assert_eq!(again.run, run_at(at(100)));
    assert_eq!(again.supersedes, Some(first.run));
    assert_eq!(replays(&record.headers), 1);
    assert!(!record.headers.iter().any(|h| h.name == "dl-stage"));
    assert_eq!(
        bench.claim(&again).await,
        Claim::Own,
        "the scraper takes it"
    );
    // Once it is under way the letter has nothing more to say.
    let fate = bench.fate("scrape", &letter("scrape", &first)).await;
    assert_eq!(fate, Fate::Superseded);
}

#[tokio::test]
async fn a_result_that_nobody_was_told_of_goes_to_the_stage_alone() {
    let bench = bench();
    let first = submission(0);
    let failure = Failure {
        code: Reason::PostUnavailable,
        message: String::new(),
        stage: "scrape".to_owned(),
    };
    let (id, run, post) = (first.analysis_id, first.run, first.post.clone());
    let result = AnalysisResult::failed(id, run, None, post, failure, at(6));
    let record = schemas::encode(topics::RESULTS, &result).unwrap();
    let letter = letter_of("webhook", topics::RESULTS, record.clone());
    let Fate::AsItWas(again) = bench.fate("webhook", &letter).await else {
        panic!("it is not sent");
    };
    assert_eq!(again.topic, topics::retry("webhook", 1));
    assert_eq!((&again.key, &again.value), (&record.key, &record.value));
    let (retry, original) = Retry::read(&again.headers).unwrap();
    assert_eq!(retry.due_ms, at(100).as_millisecond());
    assert_eq!((retry.topic.as_str(), retry.offset), (topics::RESULTS, 9));
    assert_eq!(replays(original), 1);
    decode::<AnalysisResult>(original, again.value.as_deref()).unwrap();
}

#[tokio::test]
async fn what_nobody_can_read_goes_back_byte_for_byte() {
    let bench = bench();
    let original = Record {
        topic: topics::SUBMISSIONS.into(),
        key: Some("abc".into()),
        value: Some(bytes::Bytes::from_static(b"\xff{ no json")),
        headers: vec![Header::new("ce_id", "1"), Header::new("x", vec![0xff])],
    };
    let letter = letter_of("scrape", topics::SUBMISSIONS, original.clone());
    let Fate::AsItWas(back) = bench.fate("scrape", &letter).await else {
        panic!("not sent as it was");
    };
    let mut headers = original.headers.clone();
    headers.push(Header::new("dl-replays", "1"));
    assert_eq!(
        back,
        Record {
            headers,
            ..original
        }
    );
}

#[tokio::test]
async fn a_run_without_an_end_goes_on_as_the_same_run() {
    let (bench, first) = (bench(), submission(0));
    let unknown = bench.fate("scrape", &letter("scrape", &first)).await;
    assert!(matches!(unknown, Fate::AsItWas(_)), "{unknown:?}");
    bench.claim(&first).await;
    let begun = bench.fate("scrape", &letter("scrape", &first)).await;
    assert!(matches!(begun, Fate::AsItWas(_)), "{begun:?}");
    // Only as another run's is it kept from being scraped beside the one that is under way.
    let projected = bench.fate("record", &letter("record", &first)).await;
    let Fate::NewRun(record, None) = projected else {
        panic!("{projected:?}");
    };
    let again: Submission = decode(&record.headers, record.value.as_deref()).unwrap();
    assert_eq!(bench.claim(&again).await, Claim::Other);
}

#[tokio::test]
async fn a_deleted_analysis_stays_deleted() {
    let (bench, first) = (bench(), submission(0));
    bench.claim(&first).await;
    bench.failed(&first).await;
    bench.store.delete(first.analysis_id, at(60)).await.unwrap();
    let fate = bench.fate("scrape", &letter("scrape", &first)).await;
    let Fate::AsItWas(record) = fate else {
        panic!("{fate:?}");
    };
    let back: Submission = decode(&record.headers, record.value.as_deref()).unwrap();
    assert_eq!(bench.claim(&back).await, Claim::Deleted);
}

#[tokio::test]
async fn letters_that_must_not_go_are_refused_with_the_reason() {
    let (bench, first) = (bench(), submission(0));
    let refused = async |letter: &Letter| match bench.fate("scrape", letter).await {
        Fate::Refused(why) => why,
        other => panic!("{other:?}"),
    };
    let mut record = schemas::encode(topics::SUBMISSIONS, &first).unwrap();
    record.headers.push(Header::new("dl-replays", "3"));
    let often = letter_of("scrape", topics::SUBMISSIONS, record.clone());
    assert!(refused(&often).await.contains("--cap"));
    record.headers.pop();
    record.headers.push(Header::new("dl-replays", "2"));
    let once_more = letter_of("scrape", topics::SUBMISSIONS, record.clone());
    let fate = bench.fate("scrape", &once_more).await;
    assert_eq!(replays(&fate.record().unwrap().headers), 3);

    let elsewhere = letter_of("scrape", topics::RESULTS, record.clone());
    assert!(refused(&elsewhere).await.contains("input"));
    let stray = Letter::new(0, 0, record.clone(), true);
    assert!(refused(&stray).await.contains("origin"));
    let mut inexact = letter("scrape", &first);
    inexact.exact = false;
    assert!(refused(&inexact).await.contains("exactly"));

    let future = submission(200);
    bench.claim(&future).await;
    bench.failed(&future).await;
    assert!(refused(&letter("scrape", &future)).await.contains("future"));
}
