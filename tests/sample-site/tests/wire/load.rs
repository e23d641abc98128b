use std::collections::HashSet;

use trustcard_sample_site::Route;

use crate::client::{Client, picture, start};

#[tokio::test]
async fn any_shortcode_that_begins_with_load_is_the_same_post_on_every_site() {
    let (one, two) = (start().await, start().await);
    for code in [
        "load",
        "load1",
        "load_-Z9",
        &format!("load{}", "x".repeat(60)),
    ] {
        let item = one.item(code).await;
        assert_eq!(item["code"], *code);
        assert_eq!(item["media_type"], 1);
        assert!(item["user"]["username"].is_string());
        let port_free = |client: &Client, item: &serde_json::Value| {
            item.to_string().replace(client.site.base_url(), "")
        };
        assert_eq!(
            port_free(&one, &item),
            port_free(&two, &two.item(code).await)
        );
    }
    let too_long = format!("load{}", "x".repeat(61));
    assert_eq!(one.item(&too_long).await, serde_json::Value::Null);
}

#[tokio::test]
async fn numbers_differ_where_shortcodes_do() {
    let client = start().await;
    let mut numbers = HashSet::new();
    for n in 0..200 {
        let item = client.item(&format!("load{n}")).await;
        assert!(numbers.insert(item["pk"].as_str().unwrap().to_owned()));
        assert!(
            item["id"]
                .as_str()
                .unwrap()
                .starts_with(item["pk"].as_str().unwrap())
        );
    }
}

/// Says how fast the site is (`--nocapture`); what it asserts is that the answers are right and the pictures few and small.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_load_posts_share_few_small_pictures() {
    const CLIENTS: usize = 16;
    const EACH: usize = 250;
    let client = std::sync::Arc::new(start().await);
    let begun = tokio::time::Instant::now();
    let tasks: Vec<_> = (0..CLIENTS)
        .map(|n| {
            let client = client.clone();
            tokio::spawn(async move {
                let mut seen = HashSet::new();
                for m in 0..EACH {
                    let code = format!("load{n:03}x{m:03}");
                    let item = client.item(&code).await;
                    assert_eq!(item["code"], *code);
                    seen.insert((
                        picture(&item),
                        item["caption"]["text"].as_str().map(str::to_owned),
                    ));
                }
                seen
            })
        })
        .collect();
    let mut seen = HashSet::new();
    for task in tasks {
        seen.extend(task.await.unwrap());
    }
    let rate = (CLIENTS * EACH) as f64 / begun.elapsed().as_secs_f64();
    println!("{rate:.0} load posts a second, client included");
    assert_eq!(client.site.total(Route::Query), (CLIENTS * EACH) as u64);

    let pictures: HashSet<_> = seen.iter().map(|s| s.0.clone()).collect();
    let captions: HashSet<_> = seen.iter().map(|s| s.1.clone()).collect();
    assert_eq!((pictures.len(), captions.len()), (16, 8));
    let mut distinct = HashSet::new();
    for url in pictures {
        let bytes = client.fetch(&url).await.bytes().await.unwrap();
        assert!(bytes.len() < 20_000, "{} bytes", bytes.len());
        assert!(image::load_from_memory(&bytes).is_ok());
        assert!(distinct.insert(bytes));
    }
}
