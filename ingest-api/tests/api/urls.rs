//! The URL rules, on the wire.

use serde_json::json;

use crate::support::Api;

#[tokio::test(flavor = "multi_thread")]
async fn what_names_a_post_is_accepted() {
    let api = Api::start().await;
    let padding = "a".repeat(2000 - "https://www.instagram.com/p/ABC/?".len());
    let longest = format!("https://www.instagram.com/p/ABC/?{padding}");
    let whole = "A".repeat(64);
    let cases = [
        ("https://www.instagram.com/p/ABC/", "ABC"),
        ("http://instagram.com/p/ABC", "ABC"),
        ("https://m.instagram.com/reel/a-_Z9/", "a-_Z9"),
        ("https://instagr.am/reels/ABC/", "ABC"),
        ("HTTPS://WWW.Instagram.COM/tv/ABC/", "ABC"),
        ("https://www.instagram.com/some.user_1/p/ABC/", "ABC"),
        (
            "https://www.instagram.com/some.user_1/reel/ABC/?x=%00#f",
            "ABC",
        ),
        ("https://www.instagram.com:443/p/ABC/", "ABC"),
        ("http://www.instagram.com:80/p/ABC/", "ABC"),
        ("  https://www.instagram.com/p/ABC/\n", "ABC"),
        (&format!("https://www.instagram.com/p/{whole}/"), &whole),
        (&longest, "ABC"),
    ];
    for (url, post_id) in cases {
        let answer = api.analyze(url).await;
        assert_eq!(answer.status, 202, "{url}: {}", answer.text());
        assert_eq!(answer.json()["post_id"], post_id, "{url}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_is_refused_and_told_why() {
    let api = Api::start().await;
    let padding = "a".repeat(2001 - "https://www.instagram.com/p/ABC/?".len());
    let too_long = format!("https://www.instagram.com/p/ABC/?{padding}");
    let long_code = format!("https://www.instagram.com/p/{}/", "A".repeat(65));
    let cases = [
        "",
        "   ",
        "ABC",
        "ftp://www.instagram.com/p/ABC/",
        "javascript:alert(1)",
        "//www.instagram.com/p/ABC/",
        "https://www.instagram.com.evil.example/p/ABC/",
        "https://evil.example/www.instagram.com/p/ABC/",
        "https://notinstagram.com/p/ABC/",
        "https://www.instagram.com./p/ABC/",
        "https://user@www.instagram.com/p/ABC/",
        "https://www.instagram.com@evil.example/p/ABC/",
        "https://www.instagram.com:8443/p/ABC/",
        "https://www.instagram.com:80/p/ABC/",
        "https://www.instagram.com\\@evil.example/p/ABC/",
        "https://www.ınstagram.com/p/ABC/",
        "https://www.instagram.com/p/AB%43/",
        "https://www.instagram.com/p/AB C/",
        "https://www.instagram.com/p/ABC\u{0}/",
        "https://www.instagram.com/p/ABÇ/",
        "https://www.instagram.com/p/",
        "https://www.instagram.com/explore/",
        "https://www.instagram.com/stories/user/1/",
        "https://www.instagram.com/p/ABC/embed/",
        "https://www.instagram.com/p/../p/ABC/",
        "https://www.instagram.com//p/ABC/",
        &long_code,
        &too_long,
    ];
    for url in cases {
        let details = api.analyze(url).await.error(422, "INVALID_INPUT");
        assert_eq!(details["field"], "url", "{url}");
        assert_eq!(details["errors"].as_array().unwrap().len(), 1, "{url}");
    }
    let batch = api
        .post("/api/analyze/batch", &json!({ "urls": cases }))
        .await;
    assert_eq!(batch.status, 202);
    assert_eq!(
        batch.json()["rejected"].as_array().unwrap().len(),
        cases.len()
    );
    assert_eq!(api.published().await, 0);
}
