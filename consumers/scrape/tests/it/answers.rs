//! Every row of the table of answers, over the wire: what comes of it, which ways are tried, what the metrics say.

use std::time::Duration;

use schemas::Reason;
use serde_json::json;
use wiremock::ResponseTemplate;

use crate::adapters::{
    EMBED_PATH, INFO_PATH, QUERY_PATH, World, embed_answer, info_answer, query_answer, retired,
};

struct Row {
    name: &'static str,
    answer: ResponseTemplate,
    /// What the anonymous query makes of it, with an embed page that has the post and with one that has not.
    web: Expect,
    /// What the session makes of it, with the anonymous query working.
    session: Expect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    /// Another way brings the post; without one this is the reason.
    OtherWay(Reason),
    /// No other way is tried.
    Stop(Reason),
    /// The session alone knows this answer.
    Skip,
}

fn json_answer(status: u16, body: serde_json::Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(body)
}

fn rows() -> Vec<Row> {
    use Expect::{OtherWay, Skip, Stop};
    use Reason::{
        PostUnavailable, SessionChallenge, SessionInvalid, UpstreamError, UpstreamRateLimited,
        UpstreamShapeChanged,
    };
    let row = |name, answer, web, session| Row {
        name,
        answer,
        web,
        session,
    };
    let code = |message: &str, code: u32| json!({"errors": [{"message": message, "code": code}], "data": null, "status": "ok"});
    let wait = json!({"message": "Please wait a few minutes before you try again.", "require_login": true, "status": "fail"});
    let checkpoint = |message: &str| json!({"message": message, "status": "fail"});
    let login = ResponseTemplate::new(302).append_header(
        "location",
        "https://www.instagram.com/accounts/login/?next=x",
    );
    let (limited, changed) = (UpstreamRateLimited, UpstreamShapeChanged);
    vec![
        row(
            "execution error",
            retired(),
            OtherWay(changed),
            OtherWay(changed),
        ),
        row(
            "retired shape",
            json_answer(
                200,
                json!({"data": {"xdt_shortcode_media": {"shortcode": "x"}}}),
            ),
            OtherWay(changed),
            OtherWay(changed),
        ),
        row(
            "4630001",
            json_answer(200, code("Media not found or unavailable", 4_630_001)),
            Stop(PostUnavailable),
            Skip,
        ),
        row(
            "1675004",
            json_answer(200, code("Rate limit exceeded", 1_675_004)),
            Stop(limited),
            Skip,
        ),
        row(
            "429",
            ResponseTemplate::new(429),
            Stop(limited),
            Stop(limited),
        ),
        row(
            "401 wait",
            json_answer(401, wait),
            Stop(limited),
            Stop(limited),
        ),
        row(
            "400 feedback",
            json_answer(400, checkpoint("feedback_required")),
            Stop(limited),
            Stop(limited),
        ),
        row(
            "302 login",
            login,
            OtherWay(UpstreamError),
            OtherWay(SessionInvalid),
        ),
        row(
            "403",
            ResponseTemplate::new(403),
            OtherWay(UpstreamError),
            OtherWay(SessionInvalid),
        ),
        row(
            "checkpoint",
            json_answer(400, checkpoint("checkpoint_required")),
            OtherWay(UpstreamError),
            OtherWay(SessionChallenge),
        ),
        row(
            "challenge",
            json_answer(400, checkpoint("challenge_required")),
            OtherWay(UpstreamError),
            OtherWay(SessionChallenge),
        ),
        row(
            "session 404",
            ResponseTemplate::new(404),
            OtherWay(changed),
            Stop(PostUnavailable),
        ),
        row(
            "session empty",
            json_answer(200, json!({"items": [], "status": "ok"})),
            OtherWay(changed),
            Stop(PostUnavailable),
        ),
        row(
            "502",
            ResponseTemplate::new(502),
            OtherWay(UpstreamError),
            OtherWay(UpstreamError),
        ),
        row(
            "not JSON",
            ResponseTemplate::new(200).set_body_string("<html>"),
            OtherWay(changed),
            OtherWay(changed),
        ),
    ]
}

#[tokio::test]
async fn every_row_means_what_the_table_says_on_the_anonymous_way() {
    for row in rows() {
        let name = row.name;
        let world = World::new(false).await;
        world.on(QUERY_PATH, row.answer.clone()).await;
        world.on(EMBED_PATH, embed_answer(&world.server)).await;
        let with_embed = world.fetch().await;
        let world = World::new(false).await;
        world.on(QUERY_PATH, row.answer).await;
        world
            .on(
                EMBED_PATH,
                ResponseTemplate::new(200).set_body_string("<div class=\"Embed EmbedIsBroken\">"),
            )
            .await;
        let without = world.fetch().await.unwrap_err();
        match row.web {
            Expect::OtherWay(reason) => {
                assert_eq!(with_embed.unwrap().post.adapter, "embed", "{name}");
                assert_eq!(without.reason(), reason, "{name}");
                assert!(!without.is_final(), "{name}");
            }
            Expect::Stop(reason) => {
                assert_eq!(with_embed.unwrap_err().reason(), reason, "{name}");
                assert_eq!(without.reason(), reason, "{name}");
                assert_eq!(
                    without.is_final(),
                    reason == Reason::PostUnavailable,
                    "{name}"
                );
                assert_eq!(world.requests(EMBED_PATH).await.len(), 0, "{name}");
            }
            Expect::Skip => unreachable!("{name}"),
        }
    }
}

#[tokio::test]
async fn every_row_means_what_the_table_says_for_the_session() {
    for row in rows() {
        let name = row.name;
        if row.session == Expect::Skip {
            continue;
        }
        let world = World::new(true).await;
        world.on(INFO_PATH, row.answer.clone()).await;
        world.on(QUERY_PATH, query_answer(&world.server)).await;
        let with_web = world.fetch().await;
        match row.session {
            Expect::OtherWay(_) => assert_eq!(with_web.unwrap().post.adapter, "web", "{name}"),
            Expect::Stop(reason) => {
                assert_eq!(with_web.unwrap_err().reason(), reason, "{name}");
                assert_eq!(world.requests(QUERY_PATH).await.len(), 0, "{name}");
            }
            Expect::Skip => {}
        }
        if let Expect::OtherWay(reason) = row.session {
            let world = World::new(true).await;
            world.on(INFO_PATH, row.answer).await;
            world.on(QUERY_PATH, ResponseTemplate::new(403)).await;
            world.on(EMBED_PATH, ResponseTemplate::new(403)).await;
            assert_eq!(world.fetch().await.unwrap_err().reason(), reason, "{name}");
        }
    }
}

#[tokio::test]
async fn retry_after_is_handed_on() {
    let world = World::new(false).await;
    world
        .on(
            QUERY_PATH,
            ResponseTemplate::new(429).append_header("retry-after", "37"),
        )
        .await;
    let error = world.fetch().await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(37)));
}

#[tokio::test]
async fn a_throttled_answer_halves_the_budget_of_the_way_it_came_by() {
    let world = World::new(true).await;
    world.on(INFO_PATH, ResponseTemplate::new(429)).await;
    world.fetch().await.unwrap_err();
    let text = world.metrics();
    assert!(
        text.contains("budget_per_minute{budget=\"session\"} 500000"),
        "{text}"
    );
    assert!(
        text.contains("budget_per_minute{budget=\"egress\"} 1000000"),
        "{text}"
    );
    assert!(
        text.contains("requests_total{adapter=\"session\",answer=\"throttled\"} 1"),
        "{text}"
    );
}

#[tokio::test]
async fn a_hanging_site_times_out_and_everyone_who_waits_learns_it_at_once() {
    let world = World::with_timeout(200).await;
    world.server.reset().await;
    world
        .on(
            "/",
            ResponseTemplate::new(200).set_delay(Duration::from_secs(60)),
        )
        .await;
    let all = futures::future::join_all((0..20).map(|_| world.fetch())).await;
    assert!(
        all.iter()
            .all(|result| result.as_ref().unwrap_err().reason() == Reason::UpstreamTimeout)
    );
    assert_eq!(world.requests("/").await.len(), 1);
}

#[tokio::test]
async fn good_answers_are_counted_by_way() {
    let world = World::new(true).await;
    world.on(INFO_PATH, info_answer(&world.server)).await;
    world.fetch().await.unwrap();
    let text = world.metrics();
    assert!(
        text.contains("requests_total{adapter=\"web\",answer=\"ok\"} 1"),
        "the CSRF page: {text}"
    );
    assert!(
        text.contains("requests_total{adapter=\"session\",answer=\"ok\"} 1"),
        "{text}"
    );
    assert!(
        text.contains("request_duration_seconds_count{adapter=\"session\"} 1"),
        "{text}"
    );
}
