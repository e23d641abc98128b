//! One post at a time.

use std::collections::HashSet;

use engine::Clock;
use futures::future::join_all;
use schemas::{
    Event, Reason,
    events::{result::Failure, submission::Origin},
};
use serde_json::{Value, json};

use crate::support::{Api, post, url};

const DAY_S: i64 = 24 * 3600;

#[tokio::test(flavor = "multi_thread")]
async fn a_post_is_queued_before_it_is_accepted_and_readable_at_once() {
    let api = Api::start().await;
    let headers = [
        ("content-type", "application/json"),
        ("x-request-id", "r-7"),
    ];
    let body = json!({ "url": "http://instagr.am/reel/CHAIm2sHSQZ?igsh=x#y" }).to_string();
    let answer = api
        .send("POST", "/api/analyze", &headers, body.as_bytes())
        .await;
    let id = answer.id();
    let told = answer.json();
    assert_eq!(told["post_id"], "CHAIm2sHSQZ");
    assert_eq!(told["status"], "pending");
    assert_eq!(told["estimated_time"], 30);
    assert_eq!(told["cached"], false);
    assert!(told["message"].is_string());

    let queued = api.submissions().await;
    assert_eq!(queued.len(), 1);
    let (submission, headers) = &queued[0];
    assert_eq!(submission.analysis_id, id);
    assert_eq!(
        submission.post.url,
        "https://www.instagram.com/reel/CHAIm2sHSQZ/"
    );
    assert!(!submission.force);
    assert!(
        matches!(&submission.origin, Origin::Single { request_id } if request_id.starts_with("r-7/"))
    );
    assert!(headers.iter().any(|header| header.name == "ce_id"));

    let row = api.get_json(&format!("/api/results/{id}")).await;
    assert_eq!(row["analysis_id"], id.to_string());
    assert_eq!(
        (&row["status"], &row["progress"]),
        (&json!("pending"), &json!(0))
    );
    assert_eq!(row["trust_score"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_submissions_of_a_post_are_one_analysis() {
    let api = Api::start().await;
    let kinds = ["p", "reel", "tv", "reels"];
    let posts = (0..32).map(|n| {
        let address = format!("https://instagram.com/{}/RACE_1/", kinds[n % kinds.len()]);
        let api = &api;
        async move { api.analyze(&address).await.id() }
    });
    let mut ids = join_all(posts).await;
    ids.dedup();
    assert_eq!(ids.len(), 1);
    let other_case = api.analyze(&url("race_1")).await.id();
    assert_ne!(other_case, ids[0], "shortcodes are case-sensitive");
    api.clock.advance(8 * DAY_S);
    assert_ne!(
        api.analyze(&url("RACE_1")).await.id(),
        ids[0],
        "a later window"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_share_an_id_of_their_callers_are_still_distinct_events() {
    let api = Api::start().await;
    let headers = [
        ("content-type", "application/json"),
        ("x-request-id", "same"),
    ];
    let body = json!({ "url": url("SAME"), "force": true }).to_string();
    let post = || api.send("POST", "/api/analyze", &headers, body.as_bytes());
    let (first, second) = tokio::join!(post(), post());
    assert_ne!(
        first.id(),
        second.id(),
        "each forced call is an analysis of its own"
    );
    let events: HashSet<_> = api
        .submissions()
        .await
        .into_iter()
        .map(|(submission, _)| submission.id())
        .collect();
    assert_eq!(events.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completed_analysis_answers_the_next_submission_and_nothing_is_published() {
    let api = Api::start().await;
    let id = api.analyze(&url("DONE")).await.id();
    api.finish(id, &post("DONE"), |_| {}).await;
    api.clock.advance(60);
    let again = api.analyze(&url("DONE")).await;
    assert_eq!(again.id(), id);
    let told = again.json();
    assert_eq!(told["status"], "completed");
    assert_eq!(told["estimated_time"], 0);
    assert_eq!(told["cached"], true);
    assert_eq!(api.published().await, 1, "only the first");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_analysis_answers_for_an_hour_and_then_runs_again() {
    let api = Api::start().await;
    let id = api.analyze(&url("GONE")).await.id();
    api.finish(id, &post("GONE"), |result| {
        let failed = schemas::AnalysisResult::failed(
            result.analysis_id,
            result.run,
            None,
            result.post.clone(),
            Failure {
                code: Reason::PostUnavailable,
                message: "The post is deleted or private.".to_owned(),
                stage: "scrape".to_owned(),
            },
            result.completed_at,
        );
        *result = failed;
    })
    .await;
    let shown = api.get_json(&format!("/api/results/{id}")).await;
    assert_eq!(shown["status"], "failed");
    assert_eq!(shown["error"]["code"], "post_unavailable");
    assert_eq!(shown["message"], "The post is deleted or private.");
    assert_eq!(shown["grade"], Value::Null);

    api.clock.advance(3000);
    let soon = api.analyze(&url("GONE")).await;
    assert_eq!(soon.id(), id);
    assert_eq!(soon.json()["status"], "failed");
    assert_eq!(soon.json()["estimated_time"], 0);
    assert_eq!(api.published().await, 1);

    api.clock.advance(1000);
    let later = api.analyze(&url("GONE")).await;
    assert_eq!(later.id(), id, "the same analysis, a new run");
    assert_eq!(later.json()["status"], "pending");
    assert_eq!(api.published().await, 2);
    let shown = api.get_json(&format!("/api/results/{id}")).await;
    assert_eq!(shown["status"], "pending");
    assert_eq!(shown["error"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn force_makes_a_new_analysis_each_time() {
    let api = Api::start().await;
    let usual = api.analyze(&url("FORCE")).await.id();
    api.finish(usual, &post("FORCE"), |_| {}).await;
    let forced = json!({ "url": url("FORCE"), "force": true });
    let first = api.post("/api/analyze", &forced).await;
    let second = api.post("/api/analyze", &forced).await;
    assert_eq!(first.json()["status"], "pending");
    assert!(first.id() != usual && second.id() != usual && first.id() != second.id());
    let queued = api.submissions().await;
    let flags: Vec<bool> = queued
        .iter()
        .map(|(submission, _)| submission.force)
        .collect();
    assert_eq!(flags, [false, true, true]);
    let unforced = json!({ "url": url("FORCE"), "force": false });
    assert_eq!(api.post("/api/analyze", &unforced).await.id(), usual);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_pending_never_hides_a_result() {
    use store::Analyses;
    let api = Api::start().await;
    let id = api.analyze(&url("LATE")).await.id();
    let queued = api.submissions().await;
    api.clock.advance(5);
    api.finish(id, &post("LATE"), |_| {}).await;
    let late: Vec<_> = queued
        .into_iter()
        .map(|(submission, _)| submission)
        .collect();
    api.store.project(&late, api.clock.now()).await.unwrap();
    let shown = api.get_json(&format!("/api/results/{id}")).await;
    assert_eq!(shown["status"], "completed");
    assert_eq!(shown["progress"], 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_has_every_field_of_the_contract() {
    let api = Api::start().await;
    let id = api.analyze(&url("WHOLE")).await.id();
    api.finish(id, &post("WHOLE"), |_| {}).await;
    let shown = api.get_json(&format!("/api/results/{id}")).await;
    let keys: Vec<&String> = shown.as_object().unwrap().keys().collect();
    let expected = [
        "analysis_id",
        "post_id",
        "status",
        "progress",
        "message",
        "trust_score",
        "grade",
        "grade_info",
        "trust_score_breakdown",
        "post_info",
        "analysis_results",
        "coverage",
        "processing_time",
        "cached",
        "error",
        "created_at",
        "completed_at",
    ];
    assert_eq!(keys, expected);
    assert_eq!(shown["trust_score"], 51.36);
    assert_eq!(shown["processing_time"], 2.5);
    assert_eq!(shown["cached"], false);
    let inner = |name: &str| {
        let object = shown[name].as_object().unwrap();
        object.keys().cloned().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        inner("trust_score_breakdown"),
        "final_score grade adjustments component_scores total_penalties total_bonuses flags requires_review"
    );
    assert_eq!(
        inner("post_info"),
        "post_id url type caption username full_name is_verified timestamp like_count comment_count location \
         image_count video_count"
    );
    assert_eq!(
        inner("analysis_results"),
        "instagram_extraction ai_detection ocr deepfake fact_check source_credibility ocr_text"
    );
    assert_eq!(inner("grade_info"), "description color emoji");
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_shown_while_the_stages_work() {
    use store::{Analyses, Claim, ProgressStep};
    let api = Api::start().await;
    let id = api.analyze(&url("STEPS")).await.id();
    let (submission, _) = api.submissions().await.remove(0);
    let now = api.clock.now();
    let claim = api.store.claim(&submission, "event-1", now).await.unwrap();
    assert_eq!(claim, Claim::Own);
    let mut seen = Vec::new();
    for percent in [10, 20, 60, 80] {
        let run = submission.run;
        let step = ProgressStep {
            analysis_id: id,
            run,
            percent,
        };
        api.store.progress(&[step]).await.unwrap();
        let shown = api.get_json(&format!("/api/results/{id}")).await;
        assert_eq!(shown["status"], "processing");
        seen.push(shown["progress"].as_u64().unwrap());
    }
    assert_eq!(seen, [10, 20, 60, 80]);
    let again = api.analyze(&url("STEPS")).await;
    assert_eq!(again.id(), id);
}
