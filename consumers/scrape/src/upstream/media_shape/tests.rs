use serde_json::json;

use super::*;
use outbound::HostPattern;

fn post() -> PostRef {
    PostRef {
        post_id: "CHAIm2sHSQZ".into(),
        url: "https://www.instagram.com/p/CHAIm2sHSQZ/".into(),
    }
}

fn caps() -> Caps {
    Caps {
        hosts: UrlPolicy::new(vec![HostPattern::parse("*.fbcdn.net").unwrap()], false),
        max_pixels: 16_000_000,
        max_media: 20,
    }
}

fn read_item(item: &Value) -> Result<FetchedPost, UpstreamError> {
    read(Adapter::Web, item, &post(), &caps())
}

fn versions(name: &str) -> Value {
    json!([
        {"url": format!("https://a.fbcdn.net/{name}-640.jpg"), "width": 640, "height": 480},
        {"url": format!("https://a.fbcdn.net/{name}-1080.jpg"), "width": 1080, "height": 810},
        {"url": format!("https://a.fbcdn.net/{name}-150.jpg"), "width": 150, "height": 150},
    ])
}

fn photo() -> Value {
    json!({
        "pk": "2431981653214438425", "code": "CHAIm2sHSQZ", "media_type": 1, "product_type": "feed",
        "taken_at": 1_788_250_000, "caption": {"text": "High tide.\nLow tide."},
        "user": {"pk": 4_100_000_001_u64, "username": "tide.watch", "full_name": "Tide Watch", "is_verified": true},
        "like_count": 12, "comment_count": 3, "play_count": null, "location": {"name": "The pier", "lat": null},
        "image_versions2": {"candidates": versions("a")}, "video_versions": null, "carousel_media": null,
        "gen_ai_detection_method": {"detection_method": "NONE"}, "coauthor_producers": [], "is_paid_partnership": false,
        "something_new": {"deep": [1, 2, 3]},
    })
}

fn with(change: Value) -> Value {
    let mut item = photo();
    for (key, value) in change.as_object().unwrap() {
        item[key] = value.clone();
    }
    item
}

fn kinds(fetched: &FetchedPost) -> Vec<(u32, MediaKind)> {
    fetched
        .post
        .media
        .iter()
        .map(|media| (media.index, media.kind))
        .collect()
}

fn addresses(fetched: &FetchedPost) -> Vec<Option<&str>> {
    fetched
        .sources
        .iter()
        .map(|source| Some(source.as_ref()?.as_str()))
        .collect()
}

#[test]
fn a_photo_is_read_whole() {
    let fetched = read_item(&photo()).unwrap();
    assert_eq!(
        addresses(&fetched),
        [Some("https://a.fbcdn.net/a-1080.jpg")]
    );
    let expected = Post {
        kind: PostKind::Photo,
        adapter: "web".into(),
        caption: Some("High tide.\nLow tide.".into()),
        author: Some(Author {
            username: "tide.watch".into(),
            full_name: Some("Tide Watch".into()),
            is_verified: true,
        }),
        taken_at: Some("2026-09-01T08:06:40Z".parse().unwrap()),
        like_count: Some(12),
        comment_count: Some(3),
        play_count: None,
        location: Some("The pier".into()),
        coauthors: vec![],
        is_paid_partnership: false,
        gen_ai_label: None,
        media: vec![Media {
            index: 0,
            kind: MediaKind::Image,
            blob: None,
            failure: None,
            width: Some(1080),
            height: Some(810),
            duration_s: None,
        }],
    };
    assert_eq!(fetched.post, expected);
}

#[test]
fn a_carousel_keeps_its_order_and_a_video_is_followed_by_its_still() {
    let item = with(json!({"media_type": 8, "carousel_media": [
        {"media_type": 1, "image_versions2": {"candidates": versions("a")}},
        {"media_type": 2, "image_versions2": {"candidates": versions("b")}, "video_duration": 8.5,
         "video_versions": [{"url": "https://v.fbcdn.net/b.mp4", "width": 720, "height": 1280}]},
        {"media_type": 1, "image_versions2": {"candidates": versions("c")}},
    ]}));
    let fetched = read_item(&item).unwrap();
    assert_eq!(fetched.post.kind, PostKind::Carousel);
    use MediaKind::{Image, Thumbnail, Video};
    assert_eq!(
        kinds(&fetched),
        [(0, Image), (1, Video), (1, Thumbnail), (2, Image)]
    );
    assert_eq!(addresses(&fetched)[1], Some("https://v.fbcdn.net/b.mp4"));
    assert_eq!(
        addresses(&fetched)[2],
        Some("https://a.fbcdn.net/b-1080.jpg")
    );
    assert_eq!(fetched.post.media[1].duration_s, Some(8.5));
}

#[test]
fn a_reel_is_a_video_for_clips() {
    let video = json!({"media_type": 2, "play_count": 98_311, "video_versions": [{"url": "https://v.fbcdn.net/r.mp4"}]});
    assert_eq!(
        read_item(&with(video.clone())).unwrap().post.kind,
        PostKind::Video
    );
    let mut item = with(video);
    item["product_type"] = json!("clips");
    let reel = read_item(&item).unwrap();
    assert_eq!(
        (reel.post.kind, reel.post.play_count),
        (PostKind::Reel, Some(98_311))
    );
    assert_eq!(
        kinds(&reel),
        [(0, MediaKind::Video), (0, MediaKind::Thumbnail)]
    );
}

#[test]
fn hidden_null_and_absent_fields_are_absent() {
    let item = with(
        json!({"like_count": -1, "caption": null, "location": null, "comment_count": null, "taken_at": null}),
    );
    let post = read_item(&item).unwrap().post;
    assert_eq!(
        (post.like_count, post.caption, post.location),
        (None, None, None)
    );
    let bare = json!({"media_type": 1, "image_versions2": {"candidates": versions("a")}});
    let post = read_item(&bare).unwrap().post;
    assert_eq!(
        (post.author, post.taken_at, post.media.len()),
        (None, None, 1)
    );
}

#[test]
fn fields_of_another_type_cost_the_field_and_not_the_post() {
    let item = with(json!({
        "caption": "text", "user": [], "like_count": "12", "taken_at": {}, "location": 5, "coauthor_producers": {"a": 1},
        "gen_ai_detection_method": "x", "carousel_media": {"a": 1}, "product_type": 7, "taken_at": i64::MAX,
    }));
    let fetched = read_item(&item).unwrap();
    assert_eq!(
        (
            fetched.post.caption,
            fetched.post.author,
            fetched.post.taken_at
        ),
        (None, None, None)
    );
    assert_eq!(fetched.sources.len(), 1);
}

#[test]
fn labels_of_the_site_are_kept_as_evidence() {
    let item = with(json!({
        "gen_ai_detection_method": {"detection_method": "SELF_DISCLOSURE_FLOW"}, "is_paid_partnership": true,
        "coauthor_producers": [{"username": "a"}, {"username": ""}, {"pk": 1}, {"username": "b"}],
    }));
    let post = read_item(&item).unwrap().post;
    assert_eq!(post.gen_ai_label.as_deref(), Some("SELF_DISCLOSURE_FLOW"));
    assert!(post.is_paid_partnership);
    assert_eq!(post.coauthors, ["a", "b"]);
}

#[test]
fn the_largest_version_within_the_pixel_cap_is_taken() {
    let huge = json!({"url": "https://a.fbcdn.net/huge.jpg", "width": 60_000, "height": 60_000});
    let mut candidates = versions("a");
    candidates.as_array_mut().unwrap().push(huge.clone());
    let fetched = read_item(&with(
        json!({"image_versions2": {"candidates": candidates}}),
    ))
    .unwrap();
    assert_eq!(
        addresses(&fetched),
        [Some("https://a.fbcdn.net/a-1080.jpg")]
    );
    let only_huge = with(json!({"image_versions2": {"candidates": [huge]}}));
    let fetched = read_item(&only_huge).unwrap();
    assert_eq!(addresses(&fetched), [None]);
    assert_eq!(
        fetched.post.media[0].failure,
        Some(Reason::MediaTooManyPixels)
    );
    let unsized_ones =
        json!([{"url": "https://a.fbcdn.net/1.jpg"}, {"url": "https://a.fbcdn.net/2.jpg"}]);
    let fetched = read_item(&with(
        json!({"image_versions2": {"candidates": unsized_ones}}),
    ))
    .unwrap();
    assert_eq!(addresses(&fetched), [Some("https://a.fbcdn.net/1.jpg")]);
}

#[test]
fn a_picture_that_cant_be_fetched_fails_alone() {
    for (url, expected) in [
        (
            "http://169.254.169.254/latest/meta-data/",
            Reason::AddressNotAllowed,
        ),
        ("https://evil.example/x.jpg", Reason::AddressNotAllowed),
        ("file:///etc/passwd", Reason::MediaUnavailable),
        ("", Reason::MediaUnavailable),
    ] {
        let item = with(json!({"media_type": 8, "carousel_media": [
            {"media_type": 1, "image_versions2": {"candidates": [{"url": url}]}},
            {"media_type": 1, "image_versions2": {"candidates": versions("b")}},
            {"media_type": 1},
        ]}));
        let fetched = read_item(&item).unwrap();
        let failures: Vec<_> = fetched
            .post
            .media
            .iter()
            .map(|media| media.failure)
            .collect();
        assert_eq!(
            failures,
            [Some(expected), None, Some(Reason::MediaUnavailable)],
            "{url}"
        );
    }
}

#[test]
fn more_media_than_the_cap_are_left_out() {
    let part = json!({"media_type": 1, "image_versions2": {"candidates": versions("a")}});
    let item = with(json!({"media_type": 8, "carousel_media": vec![part; 50]}));
    assert_eq!(read_item(&item).unwrap().sources.len(), 20);
}

#[test]
fn text_alone_is_a_post_and_nothing_at_all_is_none() {
    let empty = json!({"media_type": 8, "carousel_media": [], "image_versions2": null});
    assert!(read_item(&with(empty.clone())).unwrap().sources.is_empty());
    let mut item = with(empty);
    for caption in [json!(null), json!({"text": " \n "})] {
        item["caption"] = caption;
        assert_eq!(read_item(&item).unwrap_err(), UpstreamError::Undecodable);
    }
}

#[test]
fn what_is_no_item_or_anothers_is_a_changed_shape() {
    for item in [
        json!({}),
        json!({"shortcode": "x", "display_url": "y"}),
        with(json!({"code": "DAzDZ1-RCTB"})),
    ] {
        let error = read_item(&item).unwrap_err();
        assert_eq!(error.reason(), Reason::UpstreamShapeChanged, "{item}");
    }
}

#[test]
fn a_private_post_may_be_named_by_its_public_part() {
    let private = PostRef {
        post_id: "CHAIm2sHSQZabcdefghijklmnopqrstuvwxyz01".into(),
        url: String::new(),
    };
    assert!(read(Adapter::Session, &photo(), &private, &caps()).is_ok());
    assert!(
        read(
            Adapter::Session,
            &with(json!({"code": "CHA"})),
            &private,
            &caps()
        )
        .is_err()
    );
}
