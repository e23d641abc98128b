use serde_json::Value;
use trustcard_sample_site::{Expect, Route, posts};

use crate::client::{Client, OVERSIZE, SLOW, picture, start};

/// Every media address in an item.
fn addresses(item: &Value) -> Vec<String> {
    match item {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, value)| match value.as_str() {
                Some(url) if key == "url" || key == "profile_pic_url" => vec![url.to_owned()],
                _ => addresses(value),
            })
            .collect(),
        Value::Array(values) => values.iter().flat_map(addresses).collect(),
        _ => Vec::new(),
    }
}

#[tokio::test(start_paused = true)]
async fn all_media_of_the_listed_posts_are_what_their_name_says() {
    let client = start().await;
    let mut seen = std::collections::HashSet::new();
    for post in posts().iter().filter(|p| p.expect == Expect::Completed) {
        for _ in 0..2 {
            client.query(&post.shortcode).await; // past the faults and expired addresses of the first requests
        }
        for url in addresses(&client.item(&post.shortcode).await) {
            let name = url
                .split('?')
                .next()
                .unwrap()
                .rsplit('/')
                .next()
                .unwrap()
                .to_owned();
            if !seen.insert(name.clone()) || name == "moved.jpg" {
                continue;
            }
            let response = client.fetch(&url).await;
            assert_eq!(response.status(), 200, "{name}");
            let stated = response.headers()["content-type"]
                .to_str()
                .unwrap()
                .to_owned();
            let bytes = response.bytes().await.unwrap();
            let actual = match &bytes[..12] {
                [0xFF, 0xD8, 0xFF, ..] => "image/jpeg",
                [0x89, b'P', b'N', b'G', ..] => "image/png",
                [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P'] => "image/webp",
                [0, 0, 0, _, b'f', b't', b'y', b'p', ..] => "video/mp4",
                other => panic!("{name}: {other:?}"),
            };
            assert_eq!(stated, actual, "{name}");
        }
    }
    assert!(
        [
            "coast.jpg",
            "stripes.png",
            "halftone.webp",
            "reel.mp4",
            "avatar.jpg"
        ]
        .iter()
        .all(|n| seen.contains(*n))
    );
}

async fn only_picture(client: &Client, code: &str) -> reqwest::Response {
    let item = client.item(code).await;
    client.fetch(&picture(&item)).await
}

#[tokio::test]
async fn an_address_needs_its_signature() {
    let client = start().await;
    let url = picture(&client.item("DTCtideline").await);
    assert_eq!(client.fetch(&url).await.status(), 200);
    for bad in [
        url.split('?').next().unwrap().to_owned(),
        url.replace("oh=00_", "oh=00_0"),
        url.replace("coast", "hills"),
    ] {
        assert_eq!(client.fetch(&bad).await.status(), 403, "{bad}");
    }
    assert_eq!(client.site.requests(Route::Media, "coast.jpg"), 3);
}

#[tokio::test]
async fn an_expired_address_stays_expired_and_the_next_scrape_has_a_fresh_one() {
    let client = start().await;
    let first = client.item("DTCexpired1").await["carousel_media"][0].clone();
    for _ in 0..2 {
        let response = client.fetch(&picture(&first)).await;
        assert_eq!(response.status(), 403);
        assert_eq!(response.text().await.unwrap(), "URL signature expired");
    }
    let second = client.item("DTCexpired1").await["carousel_media"][0].clone();
    assert_eq!(client.fetch(&picture(&second)).await.status(), 200);
    for _ in 0..3 {
        assert_eq!(only_picture(&client, "DTPstale001").await.status(), 403);
    }
}

#[tokio::test]
async fn broken_pictures_are_broken_in_their_own_way() {
    let client = start().await;
    let cut = only_picture(&client, "DTCbroken01")
        .await
        .bytes()
        .await
        .unwrap();
    assert!(cut.starts_with(&[0xFF, 0xD8]) && !cut.ends_with(&[0xFF, 0xD9]));
    let dimensions = image::ImageReader::new(std::io::Cursor::new(&cut))
        .with_guessed_format()
        .unwrap();
    assert_eq!(
        dimensions.into_dimensions().unwrap(),
        (1080, 1080),
        "the header is whole"
    );
    assert!(
        image::ImageReader::with_format(std::io::Cursor::new(&cut), image::ImageFormat::Jpeg)
            .into_dimensions()
            .is_ok()
    );

    let huge = only_picture(&client, "DTChugehead")
        .await
        .bytes()
        .await
        .unwrap();
    let reader =
        image::ImageReader::with_format(std::io::Cursor::new(&huge), image::ImageFormat::Jpeg);
    assert_eq!(reader.into_dimensions().unwrap(), (60_000, 60_000));

    let page = only_picture(&client, "DTPnotapic1").await;
    assert_eq!(page.status(), 200);
    assert!(page.text().await.unwrap().starts_with("<!DOCTYPE html>"));
    assert_eq!(only_picture(&client, "DTPmissing1").await.status(), 404);
    assert_eq!(
        picture(&client.item("DTPforeign1").await),
        "http://169.254.169.254/latest/meta-data/"
    );
    assert_eq!(
        client.item("DTPnomedia1").await["carousel_media"],
        serde_json::json!([])
    );
}

#[tokio::test]
async fn lengths_are_true_absent_or_false() {
    let client = start().await;
    let item = client.item("DTCoversize").await;
    let sized = client.fetch(&picture(&item["carousel_media"][0])).await;
    assert_eq!(sized.content_length(), Some(OVERSIZE));
    assert_eq!(sized.bytes().await.unwrap().len() as u64, OVERSIZE);

    let unsized_ = only_picture(&client, "DTPunsized1").await;
    assert_eq!(unsized_.content_length(), None);
    assert_eq!(unsized_.bytes().await.unwrap().len() as u64, OVERSIZE);

    let short = only_picture(&client, "DTPshortbod").await;
    assert!(short.content_length().unwrap() > 10_000);
    assert!(
        short.bytes().await.is_err(),
        "the body ends before its stated length"
    );
}

#[tokio::test]
async fn a_moved_picture_is_one_redirect_away() {
    let client = start().await;
    let response = only_picture(&client, "DTCredirect").await;
    assert_eq!(response.status(), 302);
    let target = response.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!(
        client.fetch(&target).await.headers()["content-type"],
        "image/jpeg"
    );
}

#[tokio::test(start_paused = true)]
async fn a_slow_picture_takes_its_time_and_is_whole() {
    let client = start().await;
    let begun = tokio::time::Instant::now();
    let bytes = only_picture(&client, "DTCslowpics")
        .await
        .bytes()
        .await
        .unwrap();
    assert!(begun.elapsed() >= SLOW);
    assert!(image::load_from_memory(&bytes).is_ok());
}
