//! The stage on a real store and real files, without models; what the models say is tested where they are.

use std::sync::Arc;

use bytes::Bytes;
use engine::{GateState, Message, Meta, Outcome, Stage, SystemClock};
use jiff::Timestamp;
use prometheus::Registry;
use schemas::{
    AnalysisResult, Detections, PostRef, PostScraped, Reason, Run,
    dead_letter::DeadLetter,
    decode,
    events::{
        detections::Status,
        result,
        scraped::{Media, MediaKind, Post, PostKind},
    },
    identity, topics,
};
use store::{Analyses, BlobStore, EndMetrics, SqliteStore, StorePolicy};
use trustcard_detect::{DetectConfig, Detector, metrics::DetectMetrics, stage::DetectStage};

const RUN_MS: i64 = 1_790_000_000_000;

struct Bench {
    stage: DetectStage,
    store: Arc<SqliteStore>,
    blobs: BlobStore,
    folder: tempfile::TempDir,
}

fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(
        SqliteStore::open(&folder.path().join("store.db"), StorePolicy::default()).unwrap(),
    );
    let blobs = BlobStore::local(&folder.path().join("media")).unwrap();
    let off = DetectConfig {
        models_enabled: false,
        ..DetectConfig::default()
    };
    let registry = Registry::new();
    let stage = DetectStage::new(
        store.clone(),
        blobs.clone(),
        Arc::new(Detector::start(&off).unwrap()),
        Arc::new(SystemClock),
        DetectMetrics::register(&registry, EndMetrics::register(&registry).unwrap()).unwrap(),
    );
    Bench {
        stage,
        store,
        blobs,
        folder,
    }
}

fn media(index: u32, kind: MediaKind) -> Media {
    Media {
        index,
        kind,
        blob: None,
        failure: Some(Reason::MediaTimeout),
        width: None,
        height: None,
        duration_s: None,
    }
}

fn message(media: Vec<Media>) -> Message<PostScraped> {
    let started = Timestamp::from_millisecond(RUN_MS).unwrap();
    let event = PostScraped {
        analysis_id: identity::derive(&["detect-stage"]),
        run: Run::submitted(started),
        supersedes: None,
        post: PostRef {
            post_id: "abc".to_owned(),
            url: "https://www.instagram.com/p/abc/".to_owned(),
        },
        scraped_at: started,
        reused: false,
        content: Post {
            media,
            ..Post::bare(PostKind::Carousel, "web")
        },
    };
    let meta = Meta {
        topic: topics::POSTS.into(),
        partition: 0,
        offset: 7,
        timestamp: Timestamp::from_millisecond(RUN_MS + 1234).unwrap(),
        event_id: "id".into(),
        attempt: 1,
    };
    Message { event, meta }
}

#[tokio::test]
async fn with_models_off_every_picture_and_video_says_so_and_videos_are_no_pictures() {
    let bench = bench();
    let file = Bytes::from_static(include_bytes!("../fixtures/baseline.jpg"));
    let stored = Media {
        blob: Some(bench.blobs.put(file, "image/jpeg").await.unwrap()),
        failure: None,
        ..media(0, MediaKind::Image)
    };
    let message = message(vec![
        stored,
        media(1, MediaKind::Video),
        media(1, MediaKind::Thumbnail),
    ]);
    let outcomes = bench.stage.process(vec![message.clone()]).await.unwrap();

    let [Outcome::Forward(records)] = outcomes.as_slice() else {
        panic!("{outcomes:?}")
    };
    let detections: Detections = decode(&records[0].headers, records[0].value.as_deref()).unwrap();
    assert_eq!(records[0].topic, topics::DETECTIONS);
    assert_eq!(
        detections.detected_at, message.meta.timestamp,
        "derived from the record, so that a redo is the same"
    );
    assert_eq!(
        (detections.content, detections.runtime),
        (message.event.content.clone(), None)
    );
    let kinds: Vec<MediaKind> = detections
        .pictures
        .iter()
        .map(|picture| picture.kind)
        .collect();
    assert_eq!(kinds, [MediaKind::Image, MediaKind::Thumbnail]);
    for picture in &detections.pictures {
        let finding = &picture.ai_generated;
        assert_eq!(
            (finding.status, finding.reason),
            (Status::Skipped, Some(Reason::ModelsOff))
        );
        assert_eq!(picture.text.reason, Some(Reason::ModelsOff));
    }
    assert!(detections.pictures[0].sha256.is_some() && detections.pictures[1].sha256.is_none());
    let [video] = &detections.videos[..] else {
        panic!("{:?}", detections.videos)
    };
    assert_eq!(
        (video.media_index, video.status, video.reason),
        (1, Status::Skipped, Some(Reason::ModelsOff))
    );
}

#[tokio::test]
async fn a_dead_letter_ends_the_run_as_failed_in_the_store_and_on_both_topics() {
    let bench = bench();
    let message = message(Vec::new());
    let now = message.meta.timestamp;
    let letter = DeadLetter {
        topic: topics::POSTS.to_owned(),
        partition: 0,
        offset: 7,
        timestamp_ms: RUN_MS,
        stage: "detect".to_owned(),
        code: Reason::BlobUnavailable,
        attempts: 5,
        first_failure: now,
        last_failure: now,
    };
    let records = bench.stage.on_dead_letter(&message, &letter).await.unwrap();
    let topics: Vec<&str> = records.iter().map(|record| &*record.topic).collect();
    assert_eq!(topics, [topics::RESULTS, topics::RESULTS_LATEST]);
    let result: AnalysisResult = decode(&records[0].headers, records[0].value.as_deref()).unwrap();
    assert_eq!(
        (result.status, result.completed_at),
        (result::Outcome::Failed, now)
    );
    assert_eq!(
        result
            .error
            .as_ref()
            .map(|error| (error.code, error.stage.as_str())),
        Some((Reason::BlobUnavailable, "detect"))
    );

    let row = bench
        .store
        .analysis(message.event.analysis_id, now)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.result, Some(result));
    assert_eq!(
        bench.stage.on_dead_letter(&message, &letter).await.unwrap(),
        records,
        "a redo says the same"
    );
}

#[tokio::test]
async fn while_the_store_is_away_one_post_at_a_time_tries_the_way() {
    let bench = bench();
    let batch = [message(Vec::new())];
    // Another process keeps the database to itself, for longer than the store waits for it.
    let other = rusqlite::Connection::open(bench.folder.path().join("store.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = bench.stage.process(batch.to_vec()).await.unwrap_err();
    assert_eq!(error.reason, Reason::StoreUnavailable);
    assert_eq!(bench.stage.gate().state(), GateState::Probe);
    other.execute_batch("ROLLBACK").unwrap();
    bench.stage.process(batch.to_vec()).await.unwrap();
    assert_eq!(bench.stage.gate().state(), GateState::Open);
}

#[tokio::test]
async fn a_store_that_is_broken_is_not_away() {
    let bench = bench();
    let other = rusqlite::Connection::open(bench.folder.path().join("store.db")).unwrap();
    other
        .execute_batch("DROP VIEW analysis_rows; DROP TABLE analyses")
        .unwrap();
    let error = bench.stage.process(vec![message(Vec::new())]).await;
    assert_eq!(error.unwrap_err().reason, Reason::StoreUnavailable);
    assert_eq!(bench.stage.gate().state(), GateState::Open);
}
