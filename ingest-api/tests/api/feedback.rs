//! What readers think of results.

use futures::future::join_all;
use schemas::{FeedbackGiven, events::feedback::Opinion, topics};
use serde_json::{Value, json};
use store::KeyRole;
use trustcard_ingest_api::ApiConfig;
use uuid::Uuid;

use crate::support::{Answer, Api, config, post, url};

/// An API behind a proxy, so that a test can be many clients, and an analysis on it.
async fn api() -> (Api, String) {
    let api = Api::with(ApiConfig {
        trusted_proxies: vec!["127.0.0.1/32".parse().unwrap()],
        ..config()
    })
    .await;
    let id = api.analyze(&url("VOTED")).await.id();
    api.finish(id, &post("VOTED"), |_| {}).await;
    (api, format!("/api/reports/{id}/feedback"))
}

async fn vote(api: &Api, path: &str, client: &str, body: &Value) -> Answer {
    let headers = [
        ("x-forwarded-for", client),
        ("content-type", "application/json"),
    ];
    api.send("POST", path, &headers, body.to_string().as_bytes())
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voter_is_counted_once_and_a_second_vote_changes_nothing() {
    let (api, path) = api().await;
    let body = json!({ "vote_type": "Accurate", "comment": "  looks right \n" });
    let answer = vote(&api, &path, "203.0.113.1", &body).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let told = answer.json();
    let summary = json!({ "total_votes": 1, "accurate": 1, "misleading": 0, "false": 0 });
    assert_eq!(told["summary"], summary);
    assert!(told["message"].is_string());
    told["feedback_id"]
        .as_str()
        .unwrap()
        .parse::<Uuid>()
        .unwrap();

    for body in [body, json!({ "vote_type": "false" })] {
        let again = vote(&api, &path, "203.0.113.1", &body).await;
        assert_eq!(again.error(409, "CONFLICT"), json!({}));
    }
    let other = json!({ "vote_type": "FALSE", "comment": "   " });
    let answer = vote(&api, &path, "203.0.113.2", &other).await;
    assert_eq!(answer.json()["summary"]["total_votes"], 2);

    let shown = api.get_json(&path).await;
    assert_eq!(
        shown["summary"],
        json!({ "total_votes": 2, "accurate": 1, "misleading": 0, "false": 1 })
    );
    let comments = shown["recent_comments"].as_array().unwrap();
    assert_eq!(comments.len(), 1, "an empty comment is none: {shown}");
    assert_eq!(comments[0]["vote_type"], "accurate");
    assert_eq!(comments[0]["comment"], "looks right");
    assert!(comments[0]["created_at"].is_string());
    assert!(path.contains(shown["analysis_id"].as_str().unwrap()));
    let keys: Vec<&String> = shown.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["analysis_id", "summary", "recent_comments"]);

    let metrics = api.get("/metrics").await.text();
    for (opinion, count) in [("accurate", 1), ("misleading", 0), ("false", 1)] {
        let line =
            format!("trustcard_feedback_submissions_total{{vote_type=\"{opinion}\"}} {count}\n");
        assert!(metrics.contains(&line), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_64_votes_of_one_voter_at_once_exactly_one_is_taken() {
    let (api, path) = api().await;
    let body = json!({ "vote_type": "misleading", "comment": "race" });
    let answers = join_all((0..64).map(|_| vote(&api, &path, "203.0.113.1", &body))).await;
    let taken = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(taken, 1);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        answer.error(409, "CONFLICT");
    }
    let shown = api.get_json(&path).await;
    assert_eq!(shown["summary"]["total_votes"], 1);
    assert_eq!(shown["recent_comments"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_is_one_voter_with_every_key_and_another_than_its_address() {
    let (api, path) = api().await;
    let [first, second] = [
        api.key("acme", KeyRole::Partner).await,
        api.key("acme", KeyRole::Partner).await,
    ];
    let body = json!({ "vote_type": "false" });
    assert_eq!(api.post_as(&first, &path, &body).await.status, 201);
    api.post_as(&second, &path, &body)
        .await
        .error(409, "CONFLICT");
    assert_eq!(api.post(&path, &body).await.status, 201);
    // A household is one voter; its neighbour is another.
    assert_eq!(
        vote(&api, &path, "2001:db8:0:1::1", &body).await.status,
        201
    );
    vote(&api, &path, "2001:db8:0:1::2", &body)
        .await
        .error(409, "CONFLICT");
    assert_eq!(
        vote(&api, &path, "2001:db8:0:2::1", &body).await.status,
        201
    );
    let database = std::fs::read(&api.database).unwrap();
    let log = std::fs::read(api.database.with_extension("db-wal")).unwrap_or_default();
    for file in [database, log] {
        let text = String::from_utf8_lossy(&file);
        assert!(!text.contains("2001:db8"), "no address is kept");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_that_was_counted_is_an_event() {
    let (api, path) = api().await;
    let body = json!({ "vote_type": "misleading", "comment": " <b>why</b> " });
    let told = vote(&api, &path, "203.0.113.1", &body).await.json();
    vote(&api, &path, "203.0.113.1", &body)
        .await
        .error(409, "CONFLICT");
    let (headers, key, value) = api.record(topics::FEEDBACK).await;
    let given: FeedbackGiven = schemas::decode(&headers, Some(&value)).unwrap();
    assert_eq!(told["feedback_id"], given.feedback_id.to_string());
    assert!(path.contains(&given.analysis_id.to_string()));
    assert_eq!(key, given.analysis_id.to_string().as_bytes());
    assert_eq!(
        (given.vote_type, given.comment.as_deref()),
        (Opinion::Misleading, Some("<b>why</b>"))
    );
    assert_eq!(given.given_at, api.now());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_vote_has_an_entry_for_each_field_at_fault() {
    let (api, path) = api().await;
    let details = |answer: Answer| answer.error(422, "INVALID_INPUT")["errors"].clone();
    let entry = |field: &str, value: Value, message: &str| json!({ "field": field, "value": value, "message": message });
    let opinions = "must be accurate, misleading or false";
    let long = "x".repeat(1001);
    let cut = format!("{}…", &long[..200]);
    let body = json!({ "vote_type": "maybe", "comment": long });
    assert_eq!(
        details(vote(&api, &path, "203.0.113.1", &body).await),
        json!([
            entry("vote_type", json!("maybe"), opinions),
            entry(
                "comment",
                json!(cut),
                "has 1001 characters, 1000 are possible"
            ),
        ])
    );
    let body = json!({ "comment": 5 });
    assert_eq!(
        details(vote(&api, &path, "203.0.113.1", &body).await),
        json!([
            entry("vote_type", Value::Null, "is required"),
            entry("comment", json!("5"), "must be a string"),
        ])
    );
    for odd in [
        r#"{"vote_type":"false","comment":"\ud800"}"#,
        r#"{"vote_type":"false","comment":"\u0000"}"#,
        r#"{"vote_type":"false","vote_type":"false"}"#,
        r#"{"vote_type":""}"#,
        "[]",
        "",
    ] {
        let answer = api.post_bytes(&path, odd.as_bytes()).await;
        answer.error(422, "INVALID_INPUT");
    }
    api.send("POST", &path, &[], b"{}")
        .await
        .error(415, "UNSUPPORTED_MEDIA_TYPE");
    assert_eq!(api.get_json(&path).await["summary"]["total_votes"], 0);

    // Characters, not bytes; white space around them does not count.
    let longest = format!("  {}  ", "\u{1f600}".repeat(1000));
    let body = json!({ "vote_type": "false", "comment": longest });
    assert_eq!(vote(&api, &path, "203.0.113.1", &body).await.status, 201);
    let kept = &api.get_json(&path).await["recent_comments"][0]["comment"];
    assert_eq!(kept, longest.trim());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_can_not_be_voted_on() {
    let (api, _) = api().await;
    let body = json!({ "vote_type": "false" });
    let unknown = format!("/api/reports/{}/feedback", Uuid::from_u128(1));
    let answer = api.post(&unknown, &body).await;
    answer.error(404, "RESOURCE_NOT_FOUND");
    assert_eq!(answer.header("retry-after"), Some("1"));
    api.get(&unknown).await.error(404, "RESOURCE_NOT_FOUND");
    for answer in [
        api.post("/api/reports/x/feedback", &body).await,
        api.get("/api/reports/x/feedback").await,
    ] {
        assert_eq!(answer.error(422, "INVALID_INPUT")["field"], "analysis_id");
    }
    let answer = api.send("DELETE", &unknown, &[], b"").await;
    answer.error(405, "METHOD_NOT_ALLOWED");
    assert_eq!(answer.header("allow"), Some("GET,HEAD,POST"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ten_newest_comments_are_shown_newest_first() {
    let (api, path) = api().await;
    for n in 0..13 {
        let body = json!({ "vote_type": "accurate", "comment": format!("comment {n}") });
        let client = format!("203.0.113.{n}");
        assert_eq!(vote(&api, &path, &client, &body).await.status, 201);
        api.clock.advance(1);
    }
    let shown = api.get_json(&path).await;
    assert_eq!(shown["summary"]["accurate"], 13);
    let comments = shown["recent_comments"].as_array().unwrap();
    let texts: Vec<&str> = comments
        .iter()
        .map(|c| c["comment"].as_str().unwrap())
        .collect();
    let expected: Vec<String> = (3..13).rev().map(|n| format!("comment {n}")).collect();
    assert_eq!(texts, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_comment_is_a_setting() {
    let api = Api::with(ApiConfig {
        max_comment_length: 3,
        ..config()
    })
    .await;
    let id = api.analyze(&url("SHORT")).await.id();
    let path = format!("/api/reports/{id}/feedback");
    let body = |comment: &str| json!({ "vote_type": "false", "comment": comment });
    api.post(&path, &body("four"))
        .await
        .error(422, "INVALID_INPUT");
    assert_eq!(api.post(&path, &body("abc")).await.status, 201);
}
