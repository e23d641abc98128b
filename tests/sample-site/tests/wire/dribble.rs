use std::time::Duration;

use trustcard_sample_site::Route;

use crate::client::start;

#[tokio::test(start_paused = true)]
async fn a_drip_sends_a_byte_a_second() {
    let client = start().await;
    let begun = tokio::time::Instant::now();
    let mut response = client.get("/dribble/drip/5").await;
    assert_eq!(response.content_length(), Some(5));
    let mut chunks = Vec::new();
    while let Some(chunk) = response.chunk().await.unwrap() {
        chunks.push(chunk.len());
    }
    assert_eq!(chunks, [1; 5]);
    assert!(begun.elapsed() >= Duration::from_secs(5));
}

#[tokio::test]
async fn an_endless_body_goes_on_until_the_client_has_had_enough() {
    let client = start().await;
    let mut response = client.get("/dribble/endless").await;
    assert_eq!(response.content_length(), None);
    let mut taken = 0;
    while taken < 20_000_000 {
        taken += response.chunk().await.unwrap().unwrap().len();
    }
}

#[tokio::test]
async fn a_false_length_breaks_off() {
    let client = start().await;
    let mut response = client.get("/dribble/length/1000/10").await;
    assert_eq!(response.content_length(), Some(1000));
    let mut taken = 0;
    let error = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => taken += chunk.len(),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    assert!(error.is_some());
    assert!(taken <= 10);
    assert_eq!(client.get("/dribble/length/10/10").await.status(), 400);
}

#[tokio::test]
async fn sizes_are_exact_with_and_without_a_length() {
    let client = start().await;
    for bytes in [0_u64, 1, 3, 4, 5, 65_540, 65_541, 1_000_001] {
        let sized = client.get(&format!("/dribble/exact/{bytes}")).await;
        assert_eq!(sized.content_length(), Some(bytes));
        assert_eq!(sized.bytes().await.unwrap().len() as u64, bytes);
        let chunked = client.get(&format!("/dribble/unsized/{bytes}")).await;
        assert_eq!(chunked.content_length(), None);
        assert_eq!(chunked.bytes().await.unwrap().len() as u64, bytes);
    }
    assert_eq!(client.site.requests(Route::Dribble, "exact/65541"), 1);
}

#[tokio::test]
async fn a_chain_of_redirects_ends_where_it_was_told_to() {
    let client = start().await;
    let mut url = client.url("/dribble/redirect?hops=3&to=http://10.0.0.1/a%3Fb=c%26d");
    for hop in 0..4 {
        let response = client.fetch(&url).await;
        assert_eq!(response.status(), 302, "hop {hop}");
        url = response.headers()["location"].to_str().unwrap().to_owned();
        assert_eq!(
            url.starts_with(client.site.base_url()),
            hop < 3,
            "hop {hop}: {url}"
        );
    }
    assert_eq!(url, "http://10.0.0.1/a?b=c&d");
}
