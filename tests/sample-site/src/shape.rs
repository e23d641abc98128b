//! A post in the upstream's JSON: the v1 media shape, and the retired GraphQL shape.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::pictures::{self, Library};
use crate::posts::{Author, Post};
use crate::shortcode;
use crate::signature::Signer;
use crate::video;

/// File name of the picture that every account shows.
pub(crate) const AVATAR: &str = "avatar.jpg";
/// File name of the still in front of a video.
pub(crate) const COVER: &str = "reel-cover.jpg";
/// Size given for files that are no ordinary picture of the library.
const USUAL_SIZE: (u32, u32) = (1080, 1080);

/// What is needed to write a post: the accounts, and where its media are.
pub(crate) struct Writer<'a> {
    pub base_url: &'a str,
    pub authors: &'a HashMap<String, Author>,
    pub library: &'a Library,
    pub signer: &'a Signer,
    /// Media addresses have expired.
    pub expired: bool,
}

impl Writer<'_> {
    /// `items[0]` of the v1 media shape.
    pub(crate) fn v1(&self, post: &Post) -> Value {
        let pk = shortcode::pk(&post.shortcode)
            .unwrap_or_default()
            .to_string();
        let author = self.authors.get(&post.author);
        let mut item = Map::from_iter([
            ("pk".to_owned(), json!(pk)),
            (
                "id".to_owned(),
                json!(format!("{pk}_{}", author.map_or(0, |a| a.pk))),
            ),
            ("code".to_owned(), json!(post.shortcode)),
            ("taken_at".to_owned(), json!(post.taken_at)),
            (
                "user".to_owned(),
                author.map_or(Value::Null, |a| self.user(a)),
            ),
            ("comment_count".to_owned(), json!(post.comments)),
            ("is_paid_partnership".to_owned(), json!(post.paid)),
            (
                "like_and_view_counts_disabled".to_owned(),
                json!(post.likes == Some(-1)),
            ),
            ("has_audio".to_owned(), Value::Null),
        ]);
        item.insert(
            "caption".into(),
            post.caption.as_ref().map_or(Value::Null, |text| {
                json!({"pk": format!("1{pk}"), "text": text, "created_at": post.taken_at, "has_translation": null})
            }),
        );
        item.insert(
            "location".into(),
            post.location.as_ref().map_or(
                Value::Null,
                |name| json!({"pk": "213385402", "name": name, "lat": null, "lng": null}),
            ),
        );
        item.insert(
            "gen_ai_detection_method".into(),
            json!({"detection_method": post.ai_label.as_deref().unwrap_or("NONE")}),
        );
        let coauthors = post
            .coauthors
            .iter()
            .filter_map(|name| self.authors.get(name));
        item.insert(
            "coauthor_producers".into(),
            coauthors.map(|a| self.user(a)).collect(),
        );
        if let Some(likes) = post.likes {
            item.insert("like_count".into(), json!(likes));
        }
        if let Some(plays) = post.plays {
            item.insert("play_count".into(), json!(plays));
        }
        self.add_media(post, &mut item);
        Value::Object(item)
    }

    fn add_media(&self, post: &Post, item: &mut Map<String, Value>) {
        if let [only] = post.media.as_slice() {
            item.extend(self.medium(only));
            item.insert(
                "product_type".into(),
                json!(if post.is_reel() { "clips" } else { "feed" }),
            );
            item.insert("carousel_media".into(), Value::Null);
            return;
        }
        item.insert("media_type".into(), json!(8));
        item.insert("product_type".into(), json!("carousel_container"));
        item.insert("carousel_media_count".into(), json!(post.media.len()));
        if let Some(first) = post.media.first() {
            item.insert("image_versions2".into(), self.candidates(still(first)));
        }
        item.insert(
            "carousel_media".into(),
            post.media
                .iter()
                .map(|name| Value::Object(self.medium(name)))
                .collect(),
        );
    }

    /// One picture or video: its type and its versions.
    fn medium(&self, name: &str) -> Map<String, Value> {
        let mut medium = Map::new();
        let is_video = name.ends_with(".mp4");
        medium.insert("media_type".into(), json!(if is_video { 2 } else { 1 }));
        medium.insert("image_versions2".into(), self.candidates(still(name)));
        medium.insert("video_versions".into(), Value::Null);
        if is_video {
            let version = json!({"type": 101, "url": self.url(name), "width": video::WIDTH, "height": video::HEIGHT});
            medium.insert("video_versions".into(), json!([version]));
            medium.insert("video_duration".into(), json!(video::SECONDS));
        }
        medium
    }

    /// The sizes a picture comes in, the largest first.
    fn candidates(&self, name: &str) -> Value {
        let size = |name: &str| self.library.size(name);
        let (width, height) = size(name).unwrap_or(USUAL_SIZE);
        let mut candidates = vec![json!({"url": self.url(name), "width": width, "height": height})];
        let preview = pictures::preview_name(name);
        if let Some((width, height)) = size(&preview) {
            candidates.push(json!({"url": self.url(&preview), "width": width, "height": height}));
        }
        json!({ "candidates": candidates })
    }

    fn user(&self, author: &Author) -> Value {
        json!({
            "pk": author.pk.to_string(), "id": author.pk.to_string(), "username": author.username,
            "full_name": author.full_name, "is_verified": author.verified, "is_private": author.private,
            "profile_pic_url": self.url(AVATAR),
        })
    }

    /// The signed address of a media file; an absolute URL stays as it is.
    pub(crate) fn url(&self, name: &str) -> String {
        if name.contains("://") {
            return name.to_owned();
        }
        format!(
            "{}/media/{name}?{}",
            self.base_url,
            self.signer.query(name, self.expired)
        )
    }

    /// The shape that was retired in June 2026, `data.xdt_shortcode_media`.
    pub(crate) fn retired(&self, post: &Post) -> Value {
        let captions: Vec<_> = post
            .caption
            .iter()
            .map(|text| json!({"node": {"text": text}}))
            .collect();
        let author = self.authors.get(&post.author);
        json!({
            "__typename": "XDTGraphImage", "shortcode": post.shortcode,
            "display_url": post.media.first().map(|name| self.url(still(name))),
            "is_video": post.is_reel(), "taken_at_timestamp": post.taken_at,
            "edge_media_to_caption": {"edges": captions},
            "edge_media_preview_like": {"count": post.likes}, "edge_media_to_parent_comment": {"count": post.comments},
            "owner": {"username": author.map(|a| &a.username), "is_verified": author.map(|a| a.verified)},
        })
    }
}

/// The picture that stands for a medium.
pub(crate) fn still(name: &str) -> &str {
    if name.ends_with(".mp4") { COVER } else { name }
}
