//! Pages for people.

use schemas::{AnalysisResult, Reason, events::result::Failure};

use crate::support::{Answer, Api, post, url};

const NASTY: &str = r#"<script>alert(1)</script>"><img src=x onerror=alert(2)>{{ 7 * 7 }}"#;

fn page(answer: &Answer) -> String {
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let text = answer.text();
    let lower = text.to_lowercase();
    for forbidden in ["<script", "<style", " style=", "<img", "javascript:"] {
        assert!(!lower.contains(forbidden), "{forbidden} in {text}");
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_escapes_everything_that_came_from_outside() {
    let api = Api::start().await;
    let id = api.analyze(&url("NASTY")).await.id();
    api.finish(id, &post("NASTY"), |result| {
        let info = result.post_info.as_mut().unwrap();
        info.caption = Some(NASTY.to_owned());
        info.username = Some(NASTY.to_owned());
        info.full_name = Some(NASTY.to_owned());
        info.location = Some(NASTY.to_owned());
        info.url = NASTY.to_owned();
        let breakdown = result.trust_score_breakdown.as_mut().unwrap();
        breakdown.flags = vec![NASTY.to_owned()];
        breakdown.adjustments[0].reason = NASTY.to_owned();
        result.grade_info.as_mut().unwrap().color = "red\" onload=\"x".to_owned();
    })
    .await;
    let text = page(&api.get(&format!("/api/reports/{id}")).await);
    assert!(text.contains("&lt;script&gt;alert(1)"), "{text}");
    assert!(
        text.contains("{{ 7 * 7 }}") && !text.contains("onload="),
        "{text}"
    );
    assert_eq!(text.matches("href=").count(), 2, "the style and the post");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_shows_every_state() {
    let api = Api::start().await;
    let id = api.analyze(&url("STATES")).await.id();
    let address = format!("/api/reports/{id}");
    let pending = page(&api.get(&address).await);
    assert!(pending.contains("In progress") && pending.contains("http-equiv=\"refresh\""));

    api.finish(id, &post("STATES"), |_| {}).await;
    let done = page(&api.get(&address).await);
    for part in [
        "51.36",
        "D+",
        "Poor - Low credibility",
        "-25.64",
        "#f97316",
        "Mind this",
        "@spoon.kitchen",
    ] {
        assert!(done.contains(part), "{part} missing in {done}");
    }
    assert!(!done.contains("http-equiv"), "nothing more to wait for");

    let gone = api.analyze(&url("GONE")).await.id();
    api.finish(gone, &post("GONE"), |result| {
        let error = Failure {
            code: Reason::PostUnavailable,
            message: "The post is deleted <or> private.".to_owned(),
            stage: "scrape".to_owned(),
        };
        let (id, run, post) = (result.analysis_id, result.run, result.post.clone());
        *result = AnalysisResult::failed(id, run, None, post, error, result.completed_at);
    })
    .await;
    let failed = page(&api.get(&format!("/api/reports/{gone}")).await);
    assert!(failed.contains("No score"));
    assert!(
        failed.contains("The post is deleted &lt;or&gt; private."),
        "{failed}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_home_page_speaks_to_people_and_to_programs() {
    let api = Api::start().await;
    let home = page(&api.get("/").await);
    assert!(home.contains("Submit many posts"), "{home}");
    let accept = [("accept", "application/json")];
    let answer = api.send("GET", "/", &accept, b"").await;
    let told = answer.json();
    let keys: Vec<&String> = told.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "message",
            "status",
            "version",
            "environment",
            "documentation",
            "endpoints"
        ]
    );
    assert_eq!(told["version"], "1.2.3");
    let style = api.get("/assets/trustcard.css").await;
    assert_eq!(
        (style.status, style.header("content-type")),
        (200, Some("text/css; charset=utf-8"))
    );
    for endpoint in told["endpoints"].as_array().unwrap() {
        let path = endpoint["path"].as_str().unwrap();
        let path = path
            .replace("{batch_id}", "x")
            .replace("{analysis_id}", "x");
        let method = endpoint["method"].as_str().unwrap();
        let answer = api.send(method, &path, &[], b"").await;
        assert!(![404, 405].contains(&answer.status), "{method} {path}");
    }
}
