//! The stage on a real store: what is written, what goes on, and what a redo changes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use engine::{Clock, GateState, Message, Meta, Outcome, Stage};
use jiff::Timestamp;
use prometheus::Registry;
use schemas::dead_letter::DeadLetter;
use schemas::events::result;
use schemas::events::scraped::{Author, Post, PostKind};
use schemas::{
    AnalysisResult, Deletion, Detections, PostRef, Reason, Record, Run, ToScore, decode, identity,
    topics,
};
use store::{Analyses, EndMetrics, SqliteStore, Status, StorePolicy};
use trustcard_score::{Metrics, ScoreStage, Scorer, ScoringConfig};

const NOW_MS: i64 = 1_760_000_000_000;

struct StandingClock;

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        at(NOW_MS)
    }
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap()
}

struct Bench {
    stage: ScoreStage,
    store: Arc<SqliteStore>,
    registry: Registry,
    folder: tempfile::TempDir,
}

fn bench() -> Bench {
    bench_in(tempfile::tempdir().unwrap(), 1_000_000)
}

fn bench_in(folder: tempfile::TempDir, output_limit: usize) -> Bench {
    let store = Arc::new(
        SqliteStore::open(&folder.path().join("store.db"), StorePolicy::default()).unwrap(),
    );
    let registry = Registry::new();
    let stage = ScoreStage::new(
        Scorer::new(ScoringConfig::default()).unwrap(),
        store.clone(),
        Arc::new(StandingClock),
        Metrics::register(&registry, EndMetrics::register(&registry).unwrap()).unwrap(),
        output_limit,
    );
    Bench {
        stage,
        store,
        registry,
        folder,
    }
}

/// Detections of a run of `post_id` that began `age_ms` ago.
fn message(post_id: &str, age_ms: i64) -> Message<Detections> {
    let started = at(NOW_MS - age_ms);
    let event = Detections {
        analysis_id: identity::derive(&[post_id, &age_ms.to_string()]),
        run: Run::submitted(started),
        supersedes: None,
        post: PostRef {
            post_id: post_id.to_owned(),
            url: format!("https://www.instagram.com/p/{post_id}/"),
        },
        scraped_at: started,
        reused: false,
        detected_at: started,
        content: Post {
            author: Some(Author {
                username: "someone".to_owned(),
                full_name: None,
                is_verified: false,
            }),
            ..Post::bare(PostKind::Photo, "web")
        },
        pictures: Vec::new(),
        runtime: None,
        videos: Vec::new(),
    };
    let meta = Meta {
        topic: topics::DETECTIONS.into(),
        partition: 0,
        offset: 7,
        timestamp: at(NOW_MS - age_ms + 1_500),
        event_id: "id".into(),
        attempt: 1,
    };
    Message { event, meta }
}

/// The message as the stage reads it.
fn read_as(message: &Message<Detections>) -> Message<ToScore> {
    Message {
        event: ToScore::Detected(Box::new(message.event.clone())),
        meta: message.meta.clone(),
    }
}

async fn process(bench: &Bench, message: Message<ToScore>) -> Outcome {
    let mut outcomes = bench.stage.process(vec![message]).await.unwrap();
    assert_eq!(outcomes.len(), 1);
    outcomes.remove(0)
}

async fn run(bench: &Bench, message: &Message<Detections>) -> Outcome {
    process(bench, read_as(message)).await
}

/// Tells the stage that the analysis of `message` was deleted `age_ms` ago.
async fn delete(bench: &Bench, message: &Message<Detections>, age_ms: i64) -> Outcome {
    let deletion = Deletion {
        analysis_id: message.event.analysis_id,
        post: message.event.post.clone(),
        deleted_at: at(NOW_MS - age_ms),
    };
    let message = Message {
        event: ToScore::Deleted(deletion),
        meta: message.meta.clone(),
    };
    process(bench, message).await
}

fn letter(message: &Message<Detections>, code: Reason) -> DeadLetter {
    DeadLetter {
        topic: topics::DETECTIONS.to_owned(),
        partition: 0,
        offset: 7,
        timestamp_ms: message.meta.timestamp.as_millisecond(),
        stage: "score".to_owned(),
        code,
        attempts: 1,
        first_failure: at(NOW_MS),
        last_failure: at(NOW_MS),
    }
}

fn forwarded(outcome: Outcome) -> Vec<Record> {
    match outcome {
        Outcome::Forward(records) => records,
        other => panic!("{other:?}"),
    }
}

fn topics_of(records: &[Record]) -> Vec<&str> {
    records.iter().map(|record| &*record.topic).collect()
}

fn read(record: &Record) -> AnalysisResult {
    decode(&record.headers, record.value.as_deref()).unwrap()
}

fn counted(bench: &Bench, line: &str) -> bool {
    let text = prometheus::TextEncoder::new()
        .encode_to_string(&bench.registry.gather())
        .unwrap();
    text.lines().any(|l| l == line)
}

#[tokio::test]
async fn a_result_is_written_and_goes_to_both_topics() {
    let bench = bench();
    let message = message("abc", 10_000);
    let records = forwarded(run(&bench, &message).await);
    assert_eq!(
        topics_of(&records),
        [topics::RESULTS, topics::RESULTS_LATEST]
    );
    assert_eq!(
        records[0].key.as_deref(),
        Some(message.event.analysis_id.to_string().as_bytes())
    );
    assert_eq!(records[1].key.as_deref(), Some(b"abc".as_slice()));
    let result = read(&records[0]);
    assert_eq!(result.trust_score, Some(98.0));
    assert_eq!(
        result.completed_at, message.meta.timestamp,
        "the time of the record, not the clock's"
    );
    let row = bench
        .store
        .analysis(message.event.analysis_id, at(NOW_MS))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.result.and_then(|r| r.trust_score), Some(98.0));
    assert!(counted(
        &bench,
        "trustcard_analyses_completed_total{status=\"completed\"} 1"
    ));
}

#[tokio::test]
async fn a_redo_gives_the_same_bytes() {
    let bench = bench();
    let message = message("abc", 10_000);
    let first = forwarded(run(&bench, &message).await);
    assert_eq!(forwarded(run(&bench, &message).await), first);
}

#[tokio::test]
async fn an_older_run_of_the_post_is_not_its_newest_result() {
    let bench = bench();
    let (older, newer) = (message("abc", 20_000), message("abc", 10_000));
    assert_eq!(forwarded(run(&bench, &newer).await).len(), 2);
    assert_eq!(
        topics_of(&forwarded(run(&bench, &older).await)),
        [topics::RESULTS]
    );
}

#[tokio::test]
async fn nothing_is_said_of_a_deleted_analysis() {
    let bench = bench();
    let message = message("abc", 10_000);
    forwarded(run(&bench, &message).await);
    assert!(
        bench
            .store
            .delete(message.event.analysis_id, at(NOW_MS))
            .await
            .unwrap()
    );
    assert_eq!(run(&bench, &message).await, Outcome::Skip(Reason::Deleted));
    assert!(counted(
        &bench,
        "trustcard_analyses_completed_total{status=\"completed\"} 1"
    ));
}

/// Topic and key of records, all of them tombstones.
fn tombstones(outcome: Outcome) -> Vec<(String, String)> {
    let told = forwarded(outcome).into_iter().map(|record| {
        assert_eq!(record.value, None);
        let key = String::from_utf8(record.key.unwrap().to_vec()).unwrap();
        (record.topic.into_owned(), key)
    });
    told.collect()
}

fn told(topic: &str, key: impl ToString) -> (String, String) {
    (topic.to_owned(), key.to_string())
}

#[tokio::test]
async fn a_deletion_is_marked_and_becomes_tombstones_where_the_result_went() {
    let bench = bench();
    let message = message("abc", 10_000);
    let id = message.event.analysis_id;
    forwarded(run(&bench, &message).await);
    let expected = [
        told(topics::RESULTS, id),
        told(topics::RESULTS_LATEST, "abc"),
    ];
    assert_eq!(tombstones(delete(&bench, &message, 1_000).await), expected);
    assert_eq!(bench.store.analysis(id, at(NOW_MS)).await.unwrap(), None);
    assert_eq!(run(&bench, &message).await, Outcome::Skip(Reason::Deleted));
    let again = tombstones(delete(&bench, &message, 1_000).await);
    assert_eq!(again, expected, "a redo writes the same");
}

#[tokio::test]
async fn the_newest_result_of_a_post_outlives_the_deletion_of_an_older_analysis() {
    let bench = bench();
    let (older, newer) = (message("abc", 20_000), message("abc", 10_000));
    forwarded(run(&bench, &older).await);
    forwarded(run(&bench, &newer).await);
    let only = [told(topics::RESULTS, older.event.analysis_id)];
    assert_eq!(tombstones(delete(&bench, &older, 1_000).await), only);
}

#[tokio::test]
async fn a_deletion_told_again_leaves_the_result_of_a_later_submission_alone() {
    let bench = bench();
    let first = message("abc", 10_000);
    forwarded(run(&bench, &first).await);
    assert_eq!(tombstones(delete(&bench, &first, 5_000).await).len(), 2);
    let mut again = message("abc", 2_000);
    again.event.analysis_id = first.event.analysis_id;
    let kept = forwarded(run(&bench, &again).await);
    assert_eq!(kept.len(), 2);
    let outcome = delete(&bench, &first, 5_000).await;
    assert_eq!(outcome, Outcome::Skip(Reason::Superseded));
    let id = first.event.analysis_id;
    assert!(
        bench
            .store
            .analysis(id, at(NOW_MS))
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn a_dead_letter_ends_the_run_as_failed() {
    let bench = bench();
    let message = message("abc", 10_000);
    let letter = letter(&message, Reason::OutputTooLarge);
    let records = bench
        .stage
        .on_dead_letter(&read_as(&message), &letter)
        .await
        .unwrap();
    assert_eq!(
        topics_of(&records),
        [topics::RESULTS, topics::RESULTS_LATEST]
    );
    let failed = read(&records[0]);
    assert_eq!(failed.status, result::Outcome::Failed);
    let error = failed.error.unwrap();
    assert_eq!(
        (error.code, error.stage.as_str()),
        (Reason::OutputTooLarge, "score")
    );
    let row = bench
        .store
        .analysis(message.event.analysis_id, at(NOW_MS))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.state(bench.store.policy()).status, Status::Failed);
    assert!(counted(
        &bench,
        "trustcard_analyses_completed_total{status=\"failed\"} 1"
    ));
}

#[tokio::test]
async fn a_result_too_large_for_its_topic_is_refused_before_the_store_hears_of_it() {
    let bench = bench_in(tempfile::tempdir().unwrap(), 100);
    let message = message("abc", 10_000);
    let refused = run(&bench, &message).await;
    assert_eq!(refused, Outcome::Reject(Reason::OutputTooLarge));
    let id = message.event.analysis_id;
    let row = bench.store.analysis(id, at(NOW_MS)).await.unwrap();
    assert!(row.is_none_or(|row| row.result.is_none()));
}

/// Makes every stored outcome unreadable, past the store.
async fn tamper(bench: Bench) -> tempfile::TempDir {
    let Bench {
        folder,
        stage,
        store,
        ..
    } = bench;
    drop(stage);
    drop(store);
    let path = folder.path().join("store.db");
    let log = folder.path().join("store.db-wal");
    // The store's threads close the file once they have ended; the last one removes the log.
    let closed = async {
        while log.exists() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), closed)
        .await
        .unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let (word, mut changed) = (b"completed", 0);
    for start in 1..bytes.len() - word.len() {
        // Not where it is part of a column's name.
        if bytes[start..].starts_with(word) && bytes[start - 1] != b'_' {
            bytes[start] = b'x';
            changed += 1;
        }
    }
    assert!(changed > 0);
    std::fs::write(&path, bytes).unwrap();
    folder
}

#[tokio::test]
async fn a_row_that_cannot_be_read_fails_without_touching_the_gate_and_its_dead_letter_goes_out() {
    let intact = bench();
    let message = message("abc", 10_000);
    forwarded(run(&intact, &message).await);
    let bench = bench_in(tamper(intact).await, 1_000_000);
    let id = message.event.analysis_id;
    let read_back = bench.store.analysis(id, at(NOW_MS)).await;
    assert!(matches!(read_back, Err(store::StoreError::Corrupt(_))));

    let outcome = run(&bench, &message).await;
    assert_eq!(outcome, Outcome::retry(Reason::StoreUnavailable));
    assert_eq!(bench.stage.gate().state(), GateState::Open);
    let letter = letter(&message, Reason::StoreUnavailable);
    let records = bench
        .stage
        .on_dead_letter(&read_as(&message), &letter)
        .await
        .unwrap();
    assert_eq!(topics_of(&records), [topics::RESULTS]);
    assert_eq!(read(&records[0]).error.unwrap().code, letter.code);
}
