use serde_json::{Value, json};

use crate::client::{AGENT, APP_ID, DOC_ID, start};

#[tokio::test]
async fn pages_set_a_new_csrf_cookie_each() {
    let client = start().await;
    let mut tokens = std::collections::HashSet::new();
    for path in [
        "/",
        "/p/DTCtideline/",
        "/reel/DTCreelwave/",
        "/tv/anything/",
    ] {
        let response = client.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        let cookie = response.headers()["set-cookie"]
            .to_str()
            .unwrap()
            .to_owned();
        let token = cookie
            .strip_prefix("csrftoken=")
            .unwrap()
            .split(';')
            .next()
            .unwrap()
            .to_owned();
        assert_eq!(token.len(), 32);
        assert!(tokens.insert(token), "{path}");
    }
}

#[tokio::test]
async fn a_query_needs_the_token_twice_the_app_id_and_a_browser() {
    let client = start().await;
    let variants = [
        (Some("csrftoken=abc"), Some("abc"), Some(APP_ID), AGENT, 200),
        (Some("csrftoken=abc"), None, Some(APP_ID), AGENT, 403),
        (None, Some("abc"), Some(APP_ID), AGENT, 403),
        (Some("csrftoken=abc"), Some("xyz"), Some(APP_ID), AGENT, 403),
        (Some("csrftoken="), Some(""), Some(APP_ID), AGENT, 403),
        (Some("csrftoken=abc"), Some("abc"), None, AGENT, 403),
        (Some("csrftoken=abc"), Some("abc"), Some("1"), AGENT, 403),
        (
            Some("csrftoken=abc"),
            Some("abc"),
            Some(APP_ID),
            "curl/8",
            403,
        ),
    ];
    for (n, (cookie, token, app, agent, status)) in variants.into_iter().enumerate() {
        let mut request = client
            .http
            .post(client.url("/graphql/query"))
            .form(&[
                ("doc_id", DOC_ID),
                ("variables", r#"{"shortcode":"DTCtideline"}"#),
            ])
            .header("User-Agent", agent);
        for (name, value) in [
            ("Cookie", cookie),
            ("X-CSRFToken", token),
            ("X-IG-App-ID", app),
        ] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        assert_eq!(
            request.send().await.unwrap().status(),
            status,
            "variant {n}"
        );
    }
}

#[tokio::test]
async fn a_photo_has_the_v1_shape() {
    let client = start().await;
    let item = client.item("DTCtideline").await;
    assert_eq!(item["code"], "DTCtideline");
    assert_eq!(item["media_type"], 1);
    assert_eq!(item["product_type"], "feed");
    assert_eq!(item["taken_at"], 1_788_250_000);
    assert!(
        item["caption"]["text"]
            .as_str()
            .unwrap()
            .ends_with("https://science.nasa.gov/moon/tides/")
    );
    assert_eq!(item["user"]["username"], "tidewatch.daily");
    assert_eq!(item["user"]["is_verified"], true);
    assert_eq!(item["user"]["is_private"], false);
    assert_eq!(
        (&item["like_count"], &item["comment_count"]),
        (&json!(1204), &json!(31))
    );
    assert_eq!(item["location"]["name"], "Half Moon Bay");
    assert_eq!(item["gen_ai_detection_method"]["detection_method"], "NONE");
    assert_eq!(item["is_paid_partnership"], false);
    let candidates = item["image_versions2"]["candidates"].as_array().unwrap();
    let widths: Vec<_> = candidates
        .iter()
        .map(|c| c["width"].as_u64().unwrap())
        .collect();
    assert_eq!(widths, [1080, 480]);
    assert!(candidates.iter().all(|c| {
        c["url"]
            .as_str()
            .unwrap()
            .starts_with(client.site.base_url())
    }));
}

#[tokio::test]
async fn carousels_and_reels_have_theirs() {
    let client = start().await;
    let five = client.item("DTCfivepics").await;
    assert_eq!(
        (&five["media_type"], &five["carousel_media_count"]),
        (&json!(8), &json!(5))
    );
    assert!(
        five["carousel_media"]
            .as_array()
            .unwrap()
            .iter()
            .all(|m| m["media_type"] == 1)
    );

    let reel = client.item("DTCreelwave").await;
    assert_eq!(
        (&reel["media_type"], &reel["product_type"]),
        (&json!(2), &json!("clips"))
    );
    assert_eq!(
        (&reel["play_count"], &reel["video_duration"]),
        (&json!(98311), &json!(2.0))
    );
    assert!(
        reel["video_versions"][0]["url"]
            .as_str()
            .unwrap()
            .contains("/media/reel.mp4?")
    );
    assert!(
        reel["image_versions2"]["candidates"][0]["url"]
            .as_str()
            .unwrap()
            .contains("/media/reel-cover.jpg?")
    );

    let mixed = client.item("DTCmixedset").await;
    let types: Vec<_> = mixed["carousel_media"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["media_type"].clone())
        .collect();
    assert_eq!(types, [1, 2]);
}

#[tokio::test]
async fn fields_are_null_absent_or_special_where_the_post_says_so() {
    let client = start().await;
    let wordless = client.item("DTCwordless").await;
    assert_eq!(wordless["caption"], Value::Null);
    assert_eq!(wordless["location"], Value::Null);
    assert_eq!(client.item("DTCemptytxt").await["caption"]["text"], "");
    assert_eq!(client.item("DTChidelike").await["like_count"], -1);
    let coauthored = client.item("DTCcoauthor").await;
    assert!(!coauthored.as_object().unwrap().contains_key("like_count"));
    assert_eq!(
        coauthored["coauthor_producers"][1]["username"],
        "ridge_and_river"
    );
    assert_eq!(
        client.item("DTCpaidpart").await["is_paid_partnership"],
        true
    );
    let label = &client.item("DTCailabel1").await["gen_ai_detection_method"]["detection_method"];
    assert_eq!(label, "SELF_DISCLOSURE_FLOW");
}

#[tokio::test]
async fn a_query_without_a_shortcode_is_a_bad_request() {
    let client = start().await;
    for variables in ["", "no json", "{}", r#"{"shortcode": 7}"#] {
        let request = client
            .query_request("x", DOC_ID)
            .form(&[("doc_id", DOC_ID), ("variables", variables)]);
        assert_eq!(request.send().await.unwrap().status(), 400, "{variables}");
    }
    let request = client.query_request("x", DOC_ID).body("no=form");
    assert_eq!(request.send().await.unwrap().status(), 400);
}
