//! The stage on a real store and a real folder of blobs, against a server in the upstream's wire shapes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use engine::{Clock, Message, Meta, Outcome, Stage};
use jiff::Timestamp;
use schemas::{
    AnalysisResult, PostRef, PostScraped, Reason, Record, Run, Submission,
    dead_letter::DeadLetter,
    events::submission::Origin,
    identity::{self, FRESHNESS_WINDOW_MS},
    topics,
};
use serde_json::{Value, json};
use store::{BlobStore, EndMetrics, SqliteStore, Store, StorePolicy};
use trustcard_scrape::{ScrapeConfig, ScrapeStage};
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{method, path},
};

use crate::{adapters::QUERY_PATH, origins::jpeg};

mod gate;

/// A clock that stands still until it is moved.
struct TestClock(AtomicI64);

impl TestClock {
    fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

struct Bench {
    stage: ScrapeStage,
    clock: Arc<TestClock>,
    store: Arc<dyn Store>,
    blobs: BlobStore,
    server: MockServer,
    folder: tempfile::TempDir,
}

impl Bench {
    /// A stage whose upstream answers `answer(shortcode)`, and serves `/a.jpg`.
    async fn new(answer: impl Fn(&str, &str) -> ResponseTemplate + Send + Sync + 'static) -> Self {
        let server = MockServer::start().await;
        let page = ResponseTemplate::new(200).append_header("set-cookie", "csrftoken=t");
        Mock::given(method("GET"))
            .and(path("/"))
            .respond_with(page)
            .mount(&server)
            .await;
        let file = ResponseTemplate::new(200).set_body_bytes(jpeg());
        Mock::given(path("/a.jpg"))
            .respond_with(file)
            .mount(&server)
            .await;
        let base = server.uri();
        Mock::given(path(QUERY_PATH))
            .respond_with(move |request: &Request| {
                let form = url::form_urlencoded::parse(&request.body);
                let variables = form
                    .into_owned()
                    .find(|(name, _)| name == "variables")
                    .unwrap()
                    .1;
                let variables: Value = serde_json::from_str(&variables).unwrap();
                answer(variables["shortcode"].as_str().unwrap(), &base)
            })
            .mount(&server)
            .await;
        let config: ScrapeConfig = serde_json::from_value(json!({
            "upstream": {"base_url": server.uri()}, "network": {"allow_loopback": true},
            "budget": {"egress_per_minute": 1_000_000},
        }))
        .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let database =
            SqliteStore::open(&folder.path().join("db"), StorePolicy::default()).unwrap();
        let store: Arc<dyn Store> = Arc::new(database);
        let blobs = BlobStore::local(&folder.path().join("media")).unwrap();
        let registry = prometheus::Registry::new();
        let clock = Arc::new(TestClock(AtomicI64::new(1_788_250_000_000)));
        let shared = Arc::clone(&store);
        let ends = EndMetrics::register(&registry).unwrap();
        let stage = ScrapeStage::new(
            &config,
            shared,
            blobs.clone(),
            clock.clone(),
            &registry,
            ends,
        )
        .unwrap();
        Self {
            stage,
            clock,
            store,
            blobs,
            server,
            folder,
        }
    }

    async fn process(&self, message: &Message<Submission>) -> Outcome {
        let mut outcomes = self.stage.process(vec![message.clone()]).await.unwrap();
        assert_eq!(outcomes.len(), 1);
        outcomes.remove(0)
    }

    async fn requests(&self, to: &str) -> usize {
        let all = self.server.received_requests().await.unwrap();
        all.iter()
            .filter(|request| request.url.path() == to)
            .count()
    }
}

fn item(code: &str, base: &str, files: &[&str]) -> ResponseTemplate {
    let part = |file: &&str| json!({"media_type": 1, "image_versions2": {"candidates": [{"url": format!("{base}/{file}"), "width": 64, "height": 48}]}});
    let item = json!({
        "code": code, "media_type": 8, "caption": {"text": "High tide."}, "user": {"username": "tide.watch"},
        "carousel_media": files.iter().map(part).collect::<Vec<_>>(),
    });
    let body = json!({"data": {"xdt_api__v1__media__shortcode__web_info": {"items": [item]}}});
    ResponseTemplate::new(200).set_body_json(body)
}

fn photo(code: &str, base: &str) -> ResponseTemplate {
    item(code, base, &["a.jpg"])
}

impl Bench {
    /// A submission of a post now, the `n`-th of its kind.
    fn message(&self, code: &str, n: u32) -> Message<Submission> {
        let now = self.clock.now();
        let event = Submission {
            analysis_id: identity::analysis_id(code, now, FRESHNESS_WINDOW_MS),
            run: Run::submitted(now),
            supersedes: None,
            post: PostRef {
                post_id: code.into(),
                url: format!("https://www.instagram.com/p/{code}/"),
            },
            force: false,
            origin: Origin::Single {
                request_id: n.to_string(),
            },
            owner: None,
        };
        let event_id = schemas::Event::id(&event).to_string();
        Message {
            event,
            meta: Meta {
                topic: topics::SUBMISSIONS.into(),
                partition: 0,
                offset: n.into(),
                timestamp: now,
                event_id: event_id.into(),
                attempt: 1,
            },
        }
    }

    /// A submission that asks for an analysis of its own.
    fn forced(&self, code: &str, n: u32) -> Message<Submission> {
        let mut message = self.message(code, n);
        message.event.force = true;
        message.event.analysis_id = identity::forced_analysis_id(code, &n.to_string());
        message
    }
}

fn scraped(outcome: &Outcome) -> PostScraped {
    let Outcome::Forward(records) = outcome else {
        panic!("{outcome:?}")
    };
    let [record] = &records[..] else {
        panic!("{records:?}")
    };
    assert_eq!(record.topic, topics::POSTS);
    schemas::decode(&record.headers, record.value.as_deref()).unwrap()
}

fn failed(records: &[Record]) -> AnalysisResult {
    let topics: Vec<&str> = records.iter().map(|record| &*record.topic).collect();
    assert_eq!(topics, [topics::RESULTS, topics::RESULTS_LATEST]);
    schemas::decode(&records[0].headers, records[0].value.as_deref()).unwrap()
}

async fn percent(bench: &Bench, message: &Message<Submission>) -> u8 {
    let row = bench
        .store
        .analysis(message.event.analysis_id, bench.clock.now())
        .await
        .unwrap();
    row.unwrap().state(&StorePolicy::default()).percent
}

#[tokio::test]
async fn a_post_is_read_its_picture_stored_and_its_progress_told() {
    let bench = Bench::new(photo).await;
    let message = bench.message("CHAIm2sHSQZ", 1);
    let event = scraped(&bench.process(&message).await);
    assert_eq!(
        (event.analysis_id, event.run),
        (message.event.analysis_id, message.event.run)
    );
    assert!(!event.reused);
    assert_eq!(event.content.caption.as_deref(), Some("High tide."));
    let blob = event.content.media[0].blob.as_ref().unwrap();
    assert_eq!(bench.blobs.get(blob).await.unwrap(), jpeg());
    assert_eq!(blob.content_type, "image/jpeg");
    assert_eq!(percent(&bench, &message).await, 20);
}

#[tokio::test]
async fn a_redelivered_submission_gives_the_same_event_without_another_request() {
    let bench = Bench::new(photo).await;
    for (earlier, message) in [
        bench.message("CHAIm2sHSQZ", 1),
        bench.forced("DAzDZ1-RCTB", 1),
    ]
    .iter()
    .enumerate()
    {
        let first = bench.process(message).await;
        bench.clock.advance(3600);
        assert_eq!(bench.process(message).await, first);
        assert!(!scraped(&first).reused);
        assert_eq!(bench.requests(QUERY_PATH).await, earlier + 1);
    }
}

#[tokio::test]
async fn a_second_submission_of_a_claimed_run_is_skipped() {
    let bench = Bench::new(photo).await;
    scraped(&bench.process(&bench.message("CHAIm2sHSQZ", 1)).await);
    let second = bench.process(&bench.message("CHAIm2sHSQZ", 2)).await;
    assert_eq!(second, Outcome::Skip(Reason::DuplicateSubmission));
    assert_eq!(bench.requests(QUERY_PATH).await, 1);
}

#[tokio::test]
async fn racing_submissions_are_read_once() {
    let bench = Bench::new(photo).await;
    let messages: Vec<_> = (0..16).map(|n| bench.message("CHAIm2sHSQZ", n)).collect();
    let outcomes = bench.stage.process(messages.clone()).await.unwrap();
    let forwarded = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Outcome::Forward(_)));
    assert_eq!(forwarded.count(), 1);
    assert_eq!(bench.requests(QUERY_PATH).await, 1);
}

#[tokio::test]
async fn a_post_read_today_is_reused_unless_force_says_otherwise() {
    let bench = Bench::new(photo).await;
    let first = scraped(&bench.process(&bench.message("CHAIm2sHSQZ", 1)).await);
    bench.clock.advance(24 * 3600 - 1);
    let mut other = bench.message("CHAIm2sHSQZ", 2);
    other.event.analysis_id = identity::derive(&["another analysis"]);
    let again = scraped(&bench.process(&other).await);
    assert!(again.reused);
    assert_eq!(
        (again.scraped_at, &again.content),
        (first.scraped_at, &first.content)
    );
    assert_eq!(bench.requests(QUERY_PATH).await, 1);
    let anew = scraped(&bench.process(&bench.forced("CHAIm2sHSQZ", 3)).await);
    assert!(!anew.reused);
    assert_eq!(anew.scraped_at, bench.clock.now());
    assert_eq!(bench.requests(QUERY_PATH).await, 2);
    bench.clock.advance(24 * 3600 + 1);
    let mut late = bench.message("CHAIm2sHSQZ", 4);
    late.event.analysis_id = identity::derive(&["a later analysis"]);
    assert!(!scraped(&bench.process(&late).await).reused);
    assert_eq!(bench.requests(QUERY_PATH).await, 3);
}

#[tokio::test]
async fn an_unavailable_post_ends_with_a_failed_result_and_is_not_asked_for_again() {
    let bench = Bench::new(|_, _| {
        ResponseTemplate::new(200)
            .set_body_json(json!({"errors": [{"code": 4_630_001}], "data": null}))
    })
    .await;
    let first = bench.message("CHAIm2sHSQZ", 1);
    let Outcome::Forward(records) = bench.process(&first).await else {
        panic!()
    };
    let result = failed(&records);
    let error = result.error.unwrap();
    assert_eq!(
        (error.code, error.stage.as_str()),
        (Reason::PostUnavailable, "scrape")
    );
    assert_eq!(
        result.completed_at.as_millisecond(),
        first.meta.timestamp.as_millisecond()
    );
    assert_eq!(percent(&bench, &first).await, 100);
    let second = bench.process(&bench.message("CHAIm2sHSQZ", 2)).await;
    assert_eq!(second, Outcome::Skip(Reason::AlreadyFinished));
    assert_eq!(bench.requests(QUERY_PATH).await, 1);
}

#[tokio::test]
async fn a_deleted_analysis_is_skipped() {
    let bench = Bench::new(photo).await;
    let message = bench.message("CHAIm2sHSQZ", 1);
    let submission = std::slice::from_ref(&message.event);
    bench
        .store
        .project(submission, bench.clock.now())
        .await
        .unwrap();
    let later = bench.clock.now() + Duration::from_secs(1);
    assert!(
        bench
            .store
            .delete(message.event.analysis_id, later)
            .await
            .unwrap()
    );
    assert_eq!(
        bench.process(&message).await,
        Outcome::Skip(Reason::Deleted)
    );
    assert_eq!(bench.requests(QUERY_PATH).await, 0);
}

#[tokio::test]
async fn a_throttled_post_is_tried_again_after_the_time_that_was_asked_for() {
    let bench =
        Bench::new(|_, _| ResponseTemplate::new(429).append_header("retry-after", "7")).await;
    let outcome = bench.process(&bench.message("CHAIm2sHSQZ", 1)).await;
    let after = Some(Duration::from_secs(7));
    assert_eq!(
        outcome,
        Outcome::Retry {
            reason: Reason::UpstreamRateLimited,
            after
        }
    );
}

#[tokio::test]
async fn a_picture_that_cant_be_fetched_fails_alone_and_the_post_goes_on() {
    let bench = Bench::new(|code, base| item(code, base, &["a.jpg", "missing.jpg"])).await;
    let first = scraped(&bench.process(&bench.message("CHAIm2sHSQZ", 1)).await);
    let [fine, missing] = &first.content.media[..] else {
        panic!("{first:?}")
    };
    assert!(fine.blob.is_some() && fine.failure.is_none());
    assert_eq!(
        (&missing.blob, missing.failure),
        (&None, Some(Reason::MediaUnavailable))
    );
    // It may be there the next time, so the post is not kept for reuse.
    assert!(
        bench
            .store
            .post("CHAIm2sHSQZ", bench.clock.now())
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn an_expired_picture_makes_the_post_be_read_again_once() {
    let asked = AtomicUsize::new(0);
    let bench = Bench::new(move |code, base| {
        let first = asked.fetch_add(1, Ordering::SeqCst) == 0;
        item(
            code,
            base,
            &[if first { "expired.jpg" } else { "a.jpg" }, "a.jpg"],
        )
    })
    .await;
    Mock::given(path("/expired.jpg"))
        .respond_with(ResponseTemplate::new(403))
        .mount(&bench.server)
        .await;
    let event = scraped(&bench.process(&bench.message("CHAIm2sHSQZ", 1)).await);
    assert!(event.content.media.iter().all(|media| media.blob.is_some()));
    assert_eq!(bench.requests(QUERY_PATH).await, 2);

    let bench = Bench::new(|code, base| item(code, base, &["expired.jpg"])).await;
    Mock::given(path("/expired.jpg"))
        .respond_with(ResponseTemplate::new(403))
        .mount(&bench.server)
        .await;
    let event = scraped(&bench.process(&bench.message("CHAIm2sHSQZ", 1)).await);
    assert_eq!(event.content.media[0].failure, Some(Reason::MediaExpired));
    assert_eq!(bench.requests(QUERY_PATH).await, 2);
}

#[tokio::test]
async fn a_dead_letter_writes_the_failed_row_and_gives_its_records() {
    let bench = Bench::new(|_, _| ResponseTemplate::new(502)).await;
    let message = bench.message("CHAIm2sHSQZ", 1);
    let outcome = bench.process(&message).await;
    assert_eq!(outcome, Outcome::retry(Reason::UpstreamError));
    let letter = DeadLetter {
        topic: topics::SUBMISSIONS.into(),
        partition: 0,
        offset: 1,
        timestamp_ms: message.meta.timestamp.as_millisecond(),
        stage: "scrape".into(),
        code: Reason::UpstreamError,
        attempts: 5,
        first_failure: message.meta.timestamp,
        last_failure: message.meta.timestamp,
    };
    let records = bench.stage.on_dead_letter(&message, &letter).await.unwrap();
    let result = failed(&records);
    assert_eq!(result.error.unwrap().code, Reason::UpstreamError);
    assert_eq!(percent(&bench, &message).await, 100);
    assert_eq!(
        bench.stage.on_dead_letter(&message, &letter).await.unwrap(),
        records
    );
}

#[tokio::test]
async fn a_shortcode_that_is_none_is_rejected_before_anything_is_asked() {
    let bench = Bench::new(photo).await;
    for code in ["", "../../etc", "a b", "a/b", "%2e%2e", &"a".repeat(65)] {
        let outcome = bench.process(&bench.message(code, 1)).await;
        assert_eq!(outcome, Outcome::Reject(Reason::SchemaMismatch), "{code}");
    }
    assert!(bench.server.received_requests().await.unwrap().is_empty());
}
