//! Work that was done is found again, for a time.

use schemas::events::scraped::{Author, Post, PostKind};
use serde_json::json;

use super::{Shared, at};
use crate::{Appearance, KeptAppearance, KeptPost};

fn kept(seconds: i64, caption: &str) -> KeptPost {
    KeptPost {
        scraped_at: at(seconds) + jiff::SignedDuration::from_nanos(123_456_789),
        content: Post {
            caption: Some(caption.to_owned()),
            author: Some(Author {
                username: "someone".to_owned(),
                full_name: None,
                is_verified: true,
            }),
            taken_at: Some(at(-5)),
            like_count: Some(u64::MAX),
            ..Post::bare(PostKind::Photo, "web")
        },
    }
}

pub(crate) async fn a_post_is_reused_within_its_window(store: Shared) {
    let window = i64::try_from(store.policy().post_reuse_s).unwrap();
    let post = kept(0, "Grüße 🌍\u{0} \"quoted\"");
    assert_eq!(store.post("a", at(0)).await.unwrap(), None);
    store.keep_post("a", &post).await.unwrap();
    assert_eq!(store.post("a", at(window - 1)).await.unwrap(), Some(post));
    assert_eq!(store.post("a", at(window + 1)).await.unwrap(), None);
    assert_eq!(store.post("A", at(1)).await.unwrap(), None, "case counts");
}

pub(crate) async fn an_earlier_scrape_never_replaces_a_later_one(store: Shared) {
    let (early, late) = (kept(0, "early"), kept(60, "late"));
    store.keep_post("a", &late).await.unwrap();
    store.keep_post("a", &early).await.unwrap();
    assert_eq!(store.post("a", at(61)).await.unwrap(), Some(late));
    let newest = kept(61, "newest");
    store.keep_post("a", &newest).await.unwrap();
    assert_eq!(store.post("a", at(62)).await.unwrap(), Some(newest));
}

pub(crate) async fn a_forgotten_post_is_not_reused_and_one_scraped_later_is(store: Shared) {
    for id in ["a", "b"] {
        store.keep_post(id, &kept(0, "early")).await.unwrap();
    }
    store.forget_post("a", at(10)).await.unwrap();
    assert_eq!(store.post("a", at(11)).await.unwrap(), None);
    assert!(store.post("b", at(11)).await.unwrap().is_some());
    let late = kept(12, "late");
    store.keep_post("a", &late).await.unwrap();
    store.forget_post("a", at(11)).await.unwrap();
    assert_eq!(store.post("a", at(13)).await.unwrap(), Some(late));
    store.forget_post("never", at(13)).await.unwrap();
}

pub(crate) async fn all_posts_are_forgotten_at_once(store: Shared) {
    assert_eq!(store.posts_forgotten_at().await.unwrap(), None);
    store.keep_post("a", &kept(0, "early")).await.unwrap();
    store.forget_posts(at(10)).await.unwrap();
    store.forget_posts(at(9)).await.unwrap();
    assert_eq!(store.posts_forgotten_at().await.unwrap(), Some(at(10)));
    assert_eq!(store.post("a", at(11)).await.unwrap(), None);
    let late = kept(12, "late");
    store.keep_post("a", &late).await.unwrap();
    assert_eq!(store.post("a", at(13)).await.unwrap(), Some(late));
}

pub(crate) async fn a_finding_belongs_to_bytes_and_detector_and_expires(store: Shared) {
    let window = i64::try_from(store.policy().finding_reuse_s).unwrap();
    let finding =
        json!({ "probability": 0.1 + 0.2, "model": "clip-linear@1", "text": "Ä\n\u{1F44D}" });
    let (sha, detector) = ("ab".repeat(32), "ai_generated:clip-linear@1");
    store
        .keep_finding(&sha, detector, &finding, at(0))
        .await
        .unwrap();
    let found = |sha: String, detector: &'static str, seconds| {
        let store = store.clone();
        async move { store.finding(&sha, detector, at(seconds)).await.unwrap() }
    };
    assert_eq!(
        found(sha.clone(), detector, window - 1).await,
        Some(finding.clone())
    );
    assert_eq!(found(sha.clone(), detector, window).await, None);
    assert_eq!(
        found(sha.clone(), "ai_generated:clip-linear@2", 1).await,
        None
    );
    assert_eq!(found("cd".repeat(32), detector, 1).await, None);
    let better = json!({ "probability": 0.5 });
    store
        .keep_finding(&sha, detector, &better, at(10))
        .await
        .unwrap();
    assert_eq!(found(sha, detector, window + 1).await, Some(better));
}

pub(crate) async fn pictures_that_look_alike_are_found_by_any_band_for_a_time(store: Shared) {
    let window = i64::try_from(store.policy().finding_reuse_s).unwrap();
    let picture = |name: &str, hash: u64| KeptAppearance {
        sha256: name.repeat(64),
        appearance: Appearance {
            hash,
            cells: (0..=255).collect(),
        },
    };
    let (detector, hash) = ("picture:clip-linear@1", 0x8000_1234_0000_ffff);
    let first = picture("a", hash);
    for seconds in [0, 1] {
        let kept = store.keep_appearance(detector, &first, at(seconds));
        kept.await.unwrap();
    }
    let second = picture("b", hash ^ 0x0001_0001_0001_0000);
    let kept = store.keep_appearance(detector, &second, at(5));
    kept.await.unwrap();
    let found = |detector: &'static str, hash: u64, seconds| {
        let (store, asked) = (store.clone(), picture("", hash).appearance);
        async move {
            let found = store.alike(detector, &asked, at(seconds)).await.unwrap();
            let names = found.iter().map(|one| one.sha256[..1].to_owned());
            let mut names: Vec<String> = names.collect();
            names.sort_unstable();
            (names.concat(), found)
        }
    };
    let (names, both) = found(detector, hash, 6).await;
    assert_eq!(names, "ab", "once each, though found by several bands");
    assert!(both.contains(&first) && both.contains(&second));
    // Three bits, each in another band, leave the fourth; four may leave none.
    assert_eq!(
        found(detector, hash ^ 0x0100_0100_0100_0000, 6).await.0,
        "ab"
    );
    assert_eq!(found(detector, hash ^ 0x0100_0100_0100_0100, 6).await.0, "");
    assert_eq!(found("picture:clip-linear@2", hash, 6).await.0, "");
    assert_eq!(found(detector, hash, window + 2).await.0, "b");
    assert_eq!(found(detector, hash, window + 5).await.0, "");
}
