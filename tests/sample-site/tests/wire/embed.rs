use crate::client::start;

async fn page(client: &crate::client::Client, code: &str) -> String {
    let response = client.get(&format!("/p/{code}/embed/captioned/")).await;
    assert_eq!(response.status(), 200, "{code}");
    assert!(
        response.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
    response.text().await.unwrap()
}

#[tokio::test]
async fn the_page_shows_caption_author_and_a_picture_that_can_be_fetched() {
    let client = start().await;
    let html = page(&client, "DTCtideline").await;
    assert!(html.contains("<span class=\"UsernameText\">tidewatch.daily</span>"));
    assert!(html.contains("are free to read.<br />Tables: https://tidesandcurrents.noaa.gov/"));
    let image = html
        .split("<img class=\"EmbeddedMediaImage\"")
        .nth(1)
        .unwrap();
    let source = image
        .split("src=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .replace("&amp;", "&");
    let response = client.fetch(&source).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "image/jpeg");
}

#[tokio::test]
async fn the_page_escapes_what_a_caption_holds_and_says_what_the_post_is() {
    let client = start().await;
    let html = page(&client, "DTCclickbt1").await;
    assert!(html.contains("You won&#039;t believe"));
    assert!(html.contains("data-media-type=\"GraphImage\""));
    assert!(
        page(&client, "DTCreelwave")
            .await
            .contains("data-media-type=\"GraphVideo\"")
    );
    assert!(
        page(&client, "DTCfivepics")
            .await
            .contains("data-media-type=\"GraphSidecar\"")
    );
    assert!(
        !page(&client, "DTCwordless")
            .await
            .contains("class=\"Caption\"")
    );
    assert!(page(&client, "load77").await.contains("/media/load-"));
}

#[tokio::test]
async fn posts_that_are_gone_or_unreadable_have_no_picture() {
    let client = start().await;
    for code in [
        "DTCdeleted1",
        "DTCprivate1kQ0vX7Zt3mWb8_nLr2Hs5Yd-Jc9pAa",
        "NoSuchPost1",
    ] {
        let html = page(&client, code).await;
        assert!(
            html.contains("EmbedIsBroken") && !html.contains("EmbeddedMediaImage"),
            "{code}"
        );
    }
    for code in ["DTPoldshape", "DTPretired1"] {
        let html = page(&client, code).await;
        assert!(
            !html.contains("EmbedIsBroken") && !html.contains("EmbeddedMediaImage"),
            "{code}"
        );
    }
    assert_eq!(
        client.get("/p/DTPtoomany1/embed/captioned/").await.status(),
        429
    );
}
