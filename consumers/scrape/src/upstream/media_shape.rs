//! The v1 media shape, of which we take what we use. Unknown fields are ignored and absent ones tolerated: a field that went
//! missing costs that field, not the post.

use jiff::Timestamp;
use schemas::{
    PostRef, Reason,
    events::scraped::{Author, Media, MediaKind, Post, PostKind},
};
use serde_json::Value;

use super::{Adapter, FetchedPost, UpstreamError, answers::shape_changed};
use outbound::{UrlPolicy, UrlRefused};

/// What a post may hold.
#[derive(Debug, Clone)]
pub struct Caps {
    /// Where media may come from.
    pub hosts: UrlPolicy,
    /// Most pixels of a picture.
    pub max_pixels: u64,
    /// Most media.
    pub max_media: usize,
}

/// Media of a post in the making, each with its source.
#[derive(Debug, Default)]
pub struct MediaList {
    media: Vec<Media>,
    sources: Vec<Option<url::Url>>,
}

/// One of the versions a picture or video comes in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Candidate<'a> {
    /// Its address.
    pub url: &'a str,
    /// Pixels, if given.
    pub width: Option<u32>,
    /// Pixels, if given.
    pub height: Option<u32>,
}

impl Candidate<'_> {
    fn pixels(&self) -> u64 {
        u64::from(self.width.unwrap_or(0)) * u64::from(self.height.unwrap_or(0))
    }
}

impl MediaList {
    /// Adds a picture or video, as the largest of its versions within the pixel cap.
    pub fn add(
        &mut self,
        index: u32,
        kind: MediaKind,
        candidates: &[Candidate<'_>],
        duration_s: Option<f64>,
        caps: &Caps,
    ) {
        // The first of the largest: `max_by_key` alone would take the last.
        let fitting = candidates
            .iter()
            .rev()
            .filter(|candidate| candidate.pixels() <= caps.max_pixels)
            .max_by_key(|candidate| candidate.pixels());
        let smallest = candidates.iter().min_by_key(|candidate| candidate.pixels());
        let chosen = fitting.or(smallest);
        let source = match (fitting, chosen) {
            (Some(candidate), _) => {
                caps.hosts
                    .parse(candidate.url)
                    .map_err(|refused| match refused {
                        UrlRefused::Malformed => Reason::MediaUnavailable,
                        _ => Reason::AddressNotAllowed,
                    })
            }
            (None, Some(_)) => Err(Reason::MediaTooManyPixels),
            (None, None) => Err(Reason::MediaUnavailable),
        };
        self.media.push(Media {
            index,
            kind,
            blob: None,
            failure: source.as_ref().err().copied(),
            width: chosen.and_then(|candidate| candidate.width),
            height: chosen.and_then(|candidate| candidate.height),
            duration_s,
        });
        self.sources.push(source.ok());
    }

    /// Puts the media into a post.
    ///
    /// # Errors
    /// When it has neither media nor text.
    pub fn complete(self, mut post: Post) -> Result<FetchedPost, UpstreamError> {
        let has_text = post
            .caption
            .as_ref()
            .is_some_and(|caption| !caption.trim().is_empty());
        if self.media.is_empty() && !has_text {
            return Err(UpstreamError::Undecodable);
        }
        post.media = self.media;
        Ok(FetchedPost {
            post,
            sources: self.sources,
        })
    }
}

/// Reads an item of the v1 shape.
///
/// # Errors
/// When it is no such item, is about another post, or holds nothing.
pub fn read(
    adapter: Adapter,
    item: &Value,
    post: &PostRef,
    caps: &Caps,
) -> Result<FetchedPost, UpstreamError> {
    if item["media_type"].as_u64().is_none() && !item["image_versions2"].is_object() {
        return Err(shape_changed(adapter, "item without media_type"));
    }
    if item["code"]
        .as_str()
        .is_some_and(|code| !is_code_of(post, code))
    {
        return Err(shape_changed(adapter, "item of another post"));
    }
    let kind = kind(item);
    let mut list = MediaList::default();
    match item["carousel_media"].as_array().map(Vec::as_slice) {
        Some(parts @ [_, ..]) => {
            for (index, part) in (0..).zip(parts.iter().take(caps.max_media)) {
                add_medium(&mut list, index, part, caps);
            }
        }
        _ if has_versions(item) || kind != PostKind::Carousel => {
            add_medium(&mut list, 0, item, caps);
        }
        _ => {}
    }
    list.complete(Post {
        kind,
        adapter: adapter.name().to_owned(),
        caption: item["caption"]["text"].as_str().map(str::to_owned),
        author: author(&item["user"]),
        taken_at: item["taken_at"]
            .as_i64()
            .and_then(|seconds| Timestamp::from_second(seconds).ok()),
        // -1 and absent both mean hidden.
        like_count: item["like_count"].as_u64(),
        comment_count: item["comment_count"].as_u64(),
        play_count: item["play_count"].as_u64(),
        location: text(&item["location"]["name"]),
        coauthors: elements(&item["coauthor_producers"])
            .iter()
            .filter_map(|user| text(&user["username"]))
            .collect(),
        is_paid_partnership: item["is_paid_partnership"] == true,
        gen_ai_label: text(&item["gen_ai_detection_method"]["detection_method"])
            .filter(|label| label != "NONE"),
        media: Vec::new(),
    })
}

/// Whether an item's code names this post: the same, or the public part of a private one.
fn is_code_of(post: &PostRef, code: &str) -> bool {
    code == post.post_id || code.len() >= 11 && post.post_id.starts_with(code)
}

fn kind(item: &Value) -> PostKind {
    match item["media_type"].as_u64() {
        Some(8) => PostKind::Carousel,
        Some(2) if item["product_type"] == "clips" => PostKind::Reel,
        Some(2) => PostKind::Video,
        Some(1) => PostKind::Photo,
        _ if !elements(&item["carousel_media"]).is_empty() => PostKind::Carousel,
        _ if !elements(&item["video_versions"]).is_empty() => PostKind::Video,
        _ => PostKind::Photo,
    }
}

fn has_versions(item: &Value) -> bool {
    item["image_versions2"].is_object() || !elements(&item["video_versions"]).is_empty()
}

/// A picture, or a video followed by its still.
fn add_medium(list: &mut MediaList, index: u32, medium: &Value, caps: &Caps) {
    let stills = candidates(&medium["image_versions2"]["candidates"]);
    let videos = candidates(&medium["video_versions"]);
    if medium["media_type"] == 2 || !videos.is_empty() {
        let duration = medium["video_duration"]
            .as_f64()
            .filter(|seconds| *seconds >= 0.0);
        list.add(index, MediaKind::Video, &videos, duration, caps);
        list.add(index, MediaKind::Thumbnail, &stills, None, caps);
    } else {
        list.add(index, MediaKind::Image, &stills, None, caps);
    }
}

fn candidates(value: &Value) -> Vec<Candidate<'_>> {
    let pixels = |value: &Value| value.as_u64().and_then(|pixels| u32::try_from(pixels).ok());
    elements(value)
        .iter()
        .filter_map(|version| {
            Some(Candidate {
                url: version["url"].as_str()?,
                width: pixels(&version["width"]),
                height: pixels(&version["height"]),
            })
        })
        .collect()
}

fn author(user: &Value) -> Option<Author> {
    Some(Author {
        username: text(&user["username"])?,
        full_name: text(&user["full_name"]),
        is_verified: user["is_verified"] == true,
    })
}

/// A text that says something.
fn text(value: &Value) -> Option<String> {
    value
        .as_str()
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

fn elements(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests;
