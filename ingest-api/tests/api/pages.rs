//! Pages for people.

use bytes::Bytes;
use schemas::{AnalysisResult, Reason, events::result::Failure};
use serde_json::{Value, json};

use crate::support::{Answer, Api, config, post, url};

const NASTY: &str = r#"<script>alert(1)</script>"><img src=x onerror=alert(2)>{{ 7 * 7 }}"#;
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const BROWSER: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");

/// The text of a page that answers so, and holds nothing that its policy would keep from working.
fn page_of(answer: &Answer, status: u16) -> String {
    let text = answer.text();
    assert_eq!(answer.status, status, "{text}");
    assert_eq!(
        answer.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let lower = text.to_lowercase();
    for forbidden in [
        "<script>",
        " style=",
        " onclick",
        "javascript:",
        "<img src=x",
    ] {
        assert!(!lower.contains(forbidden), "{forbidden} in {text}");
    }
    assert!(text.len() < 60 * 1024, "{} bytes", text.len());
    text
}

fn page(answer: &Answer) -> String {
    page_of(answer, 200)
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
        result.models = vec![NASTY.to_owned()];
        let found = result.analysis_results.as_mut().unwrap();
        let place = json!({ "part": "caption" });
        found.fact_check = json!({ "status": "completed", "interpretation": NASTY,
            "claims": [{ "kind": NASTY, "text": NASTY, "where": place, "start": 3, "end": 30 }],
            "red_flags": [{ "family": NASTY, "text": NASTY, "where": place, "start": 0, "end": 12 }] });
        found.source_credibility = json!({ "sources": [{ "url": NASTY, "name": NASTY, "bias": NASTY, "reliability": NASTY }] });
        found.ocr_text = Some(NASTY.to_owned());
        found.instagram_extraction = json!({ "gen_ai_label": NASTY,
            "provenance": [{ "media_index": 0, "status": "completed", "c2pa": NASTY, "statement": NASTY }] });
    })
    .await;
    let path = format!("/api/reports/{id}");
    let body = json!({ "vote_type": "false", "comment": NASTY });
    assert_eq!(
        api.post(&format!("{path}/feedback"), &body).await.status,
        201
    );
    let text = page(&api.get(&path).await);
    let escaped = text.matches("alert(1)").count();
    assert!(escaped >= 15, "{escaped} in {text}");
    assert!(
        text.contains("{{ 7 * 7 }}") && !text.contains("onload="),
        "{text}"
    );
    let links = text
        .split("href=\"")
        .skip(1)
        .filter(|rest| !rest.starts_with('/') && !rest.starts_with('#'));
    assert_eq!(links.count(), 1, "the post's own address alone: {text}");
    // The text is whole, whatever was marked in it.
    let (_, rest) = text
        .split_once("<blockquote class=\"words\" dir=\"auto\">")
        .unwrap();
    let (quoted, _) = rest.split_once("</blockquote>").unwrap();
    let mut plain = String::new();
    let mut inside = false;
    let notes = quoted.split("<a class=\"note\"").enumerate();
    let without_notes = notes.map(|(i, part)| {
        if i == 0 {
            part
        } else {
            part.split_once("</a>").unwrap().1
        }
    });
    for c in without_notes.collect::<String>().chars() {
        match c {
            '<' => inside = true,
            '>' => inside = false,
            _ if !inside => plain.push(c),
            _ => {}
        }
    }
    let plain = plain
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#x2f;", "/");
    assert_eq!(plain, NASTY);
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
        "−25.64",
        "#f97316",
        "Mind this",
        "@spoon.kitchen",
        "Three spoons a day CURED",
        "MIRACLE SPOONS",
        "Nobody has voted yet",
        "clip-linear@1.0.0",
        "it replaces an earlier result",
        "can&#x27;t be told",
        "no truth engine",
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
    assert!(!failed.contains("<form"), "nothing to vote on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_shown_with_its_faces_and_nothing_else_is_served() {
    let api = Api::start().await;
    let id = api.analyze(&url("FACES")).await.id();
    let put = async |text: &'static [u8], kind: &str| {
        json!(api.blobs.put(Bytes::from_static(text), kind).await.unwrap())
    };
    let picture = put(b"\x89PNG picture", "image/png").await;
    let page_of_theirs = put(b"<script>1</script>", "text/html").await;
    let file = |index: u32, kind: &str, blob: &Value| json!({ "media_index": index, "kind": kind, "blob": blob, "width": 9, "height": 9 });
    api.finish(id, &post("FACES"), |result| {
        let found = result.analysis_results.as_mut().unwrap();
        found.instagram_extraction["media"] = json!([
            file(0, "image", &picture),
            file(1, "image", &page_of_theirs),
            file(2, "image", &Value::Null),
            file(3, "image", &json!({ "sha256": "0".repeat(64), "bytes": 5, "content_type": "image/png" })),
        ]);
        found.ai_detection["images"] = json!([{ "media_index": 0, "kind": "image", "status": "completed", "verdict": "ai_generated",
            "probability": 0.8, "reused": true, "copy_of": { "sha256": "0".repeat(64), "distance": 2 } }]);
        found.deepfake["images"] = json!([{ "media_index": 0, "kind": "image", "status": "completed", "verdict": "suspicious",
            "probability": 0.91, "width": 640, "height": 480,
            "faces": [{ "x": 10, "y": 20, "width": 30, "height": 40, "score": 0.9, "probability": 0.91 }] }]);
    })
    .await;
    let path = format!("/api/reports/{id}");
    let text = page(&api.get(&path).await);
    for part in [
        "A face looks synthetic or manipulated, likelihood 91 %",
        "as a picture seen before of which it is a copy (2 of 64 bits differ)",
        "viewBox=\"0 0 640 480\"",
        "class=\"face\" x=\"10\" y=\"20\" width=\"30\" height=\"40\"",
        "Not kept",
    ] {
        assert!(text.contains(part), "{part} missing in {text}");
    }
    let served = api.get(&format!("{path}/pictures/0")).await;
    assert_eq!(
        (served.status, served.body.as_slice()),
        (200, &b"\x89PNG picture"[..])
    );
    assert_eq!(served.header("content-type"), Some("image/png"));
    assert_eq!(served.header("x-content-type-options"), Some("nosniff"));
    assert!(
        served
            .header("content-security-policy")
            .unwrap()
            .contains("sandbox")
    );
    for other in ["1", "2", "3", "9", "-1", "x", "..%2f0"] {
        let answer = api.get(&format!("{path}/pictures/{other}")).await;
        answer.error(404, "RESOURCE_NOT_FOUND");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_preview_is_a_picture_in_every_state() {
    let api = Api::with(trustcard_ingest_api::ApiConfig {
        public_url: "https://cards.example".to_owned(),
        ..config()
    })
    .await;
    let id = api.analyze(&url("SHOWN")).await.id();
    let address = format!("/api/reports/{id}/preview.png");
    let pending = api.get(&address).await;
    api.finish(id, &post("SHOWN"), |_| {}).await;
    let done = api.get(&address).await;
    for answer in [&pending, &done] {
        assert_eq!(answer.header("content-type"), Some("image/png"));
        assert_eq!(&answer.body[..8], b"\x89PNG\r\n\x1a\n");
        // Width and height of the IHDR chunk.
        assert_eq!(answer.body[16..24], [0, 0, 4, 176, 0, 0, 2, 118]);
    }
    assert_ne!(pending.body, done.body);
    let text = page(&api.get(&format!("/api/reports/{id}")).await).replace("&#x2f;", "/");
    let whole = format!("content=\"https://cards.example/api/reports/{id}/preview.png\"");
    assert!(text.contains(&whole), "{text}");
    let unknown = format!("/api/reports/{}/preview.png", uuid::Uuid::from_u128(1));
    api.get(&unknown).await.error(404, "RESOURCE_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_by_form_is_a_vote_like_any_other() {
    let api = Api::start().await;
    let id = api.analyze(&url("VOTED")).await.id();
    api.finish(id, &post("VOTED"), |_| {}).await;
    let path = format!("/api/reports/{id}");
    let vote = async |headers: &[(&str, &str)], body: &str| {
        let headers: Vec<_> = [FORM, BROWSER].iter().chain(headers).copied().collect();
        api.send("POST", &path, &headers, body.as_bytes()).await
    };
    let foreign = vote(&[("sec-fetch-site", "cross-site")], "vote_type=false").await;
    assert!(page_of(&foreign, 403).contains("another site"));
    let nothing = vote(&[], "comment=so+long").await;
    let nothing = page_of(&nothing, 422);
    assert!(
        nothing.contains("Choose one") && nothing.contains("so long</textarea>"),
        "{nothing}"
    );
    let long = format!("vote_type=false&comment={}", "x".repeat(1001));
    assert!(page_of(&vote(&[], &long).await, 422).contains("1001 characters"));
    let same = ("sec-fetch-site", "same-origin");
    let taken = vote(&[same], "vote_type=misleading&comment=a%0D%0Ab").await;
    assert_eq!(
        (taken.status, taken.header("location")),
        (303, Some(format!("{path}?vote=counted#readers").as_str()))
    );
    let read = page(&api.get(&format!("{path}?vote=counted")).await);
    for part in ["your vote was counted", "1 vote on", "a\nb", "1 (100 %)"] {
        assert!(read.contains(part), "{part} missing in {read}");
    }
    let again = page_of(&vote(&[same], "vote_type=accurate").await, 409);
    assert!(
        again.contains("You have voted on this analysis before"),
        "{again}"
    );
    let told = api.get_json(&format!("{path}/feedback")).await;
    assert_eq!(told["summary"]["total_votes"], 1);
    assert_eq!(told["recent_comments"][0]["comment"], "a\nb");
    let json = api.post(&path, &json!({ "vote_type": "false" })).await;
    json.error(415, "UNSUPPORTED_MEDIA_TYPE");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_home_form_submits_and_tells_what_is_wrong() {
    let api = Api::start().await;
    let send = async |body: &str| {
        api.send("POST", "/", &[FORM, BROWSER], body.as_bytes())
            .await
    };
    let refused = page_of(
        &send("url=https%3A%2F%2Fexample.com%2F%22%3E%3Cb%3E").await,
        422,
    );
    assert!(
        refused.contains("This address") && refused.contains("aria-invalid"),
        "{refused}"
    );
    assert!(refused.contains("&quot;&gt;&lt;b&gt;"), "{refused}");
    let taken = send("url=+https%3A%2F%2Fwww.instagram.com%2Fp%2FFORMED%2F").await;
    assert_eq!(taken.status, 303, "{}", taken.text());
    let card = taken.header("location").unwrap().to_owned();
    assert!(page(&api.get(&card).await).contains("In progress"));
    let id = api.analyze(&url("FORMED")).await.id();
    assert_eq!(card, format!("/api/reports/{id}"), "the same analysis");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_pages_for_browsers_and_json_for_others() {
    let api = Api::start().await;
    let unknown = format!("/api/reports/{}", uuid::Uuid::from_u128(1));
    for (path, status) in [
        (unknown.as_str(), 404),
        ("/api/reports/x", 422),
        ("/nowhere", 404),
    ] {
        let answer = api.send("GET", path, &[BROWSER], b"").await;
        let text = page_of(&answer, status);
        assert!(
            text.contains(answer.header("x-request-id").unwrap()),
            "{text}"
        );
        let mut headers = answer.headers.iter();
        assert!(headers.any(|(name, value)| name == "vary" && value == "accept"));
        let program = api.get(path).await;
        assert_eq!(program.header("content-type"), Some("application/json"));
    }
    let result = format!("/api/results/{}", uuid::Uuid::from_u128(1));
    let answer = api.send("GET", &result, &[BROWSER], b"").await;
    answer.error(404, "RESOURCE_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pipeline_is_shown_to_people_and_programs() {
    let api = Api::start().await;
    let beat = store::Heartbeat {
        role: "detect".to_owned(),
        instance: "secret-host-7".to_owned(),
        version: "1".to_owned(),
        at: api.now(),
        details: json!({ "per_second": 2.5, "in_flight": 3, "dead_letters": 0 }),
    };
    store::Operations::heartbeat(&*api.store, &beat, api.now())
        .await
        .unwrap();
    api.analyze(&url("WAITS")).await.id();
    let accept = [("accept", "application/json")];
    let told = api.send("GET", "/pipeline", &accept, b"").await.json();
    assert_eq!(
        (&told["store_answers"], &told["broker_answers"]),
        (&json!(true), &json!(true))
    );
    let stage = |name: &str| {
        let stages = told["stages"].as_array().unwrap();
        stages.iter().find(|one| one["stage"] == name).unwrap()
    };
    assert_eq!(
        (&stage("detect")["members"], &stage("detect")["per_second"]),
        (&json!(1), &json!(2.5))
    );
    assert_eq!(
        (&stage("record")["lag"], &stage("record")["state"]),
        (&json!(1), &json!("dead"))
    );
    let text = page(&api.get("/pipeline").await);
    assert!(
        text.contains(">2.5</dd>") && text.contains("No member of it lives"),
        "{text}"
    );
    assert!(!text.contains("secret-host"), "instances stay inside");
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
    for script in ["/assets/home.js", "/assets/pipeline.js"] {
        let script = api.get(script).await;
        assert_eq!(
            (script.status, script.header("content-type")),
            (200, Some("text/javascript; charset=utf-8"))
        );
    }
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
