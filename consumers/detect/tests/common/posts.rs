//! A stage with a given detector, and posts for it.

#![allow(dead_code)] // Each test binary uses its part.

use std::{path::Path, sync::Arc};

use engine::{Message, Meta, Outcome, SystemClock};
use jiff::Timestamp;
use schemas::{
    Detections, PictureDetections, PostRef, PostScraped, Run,
    events::scraped::{BlobRef, Media, MediaKind, Post, PostKind},
    identity, topics,
};
use store::{BlobStore, EndMetrics, SqliteStore, StorePolicy};
use trustcard_detect::{Detector, metrics::DetectMetrics, stage::DetectStage};

/// A stage on a store and media files in `folder`, and these files.
pub fn stage(folder: &Path, detector: Arc<Detector>) -> (DetectStage, BlobStore) {
    let store = SqliteStore::open(&folder.join("store.db"), StorePolicy::default()).unwrap();
    let blobs = BlobStore::local(&folder.join("media")).unwrap();
    let registry = prometheus::Registry::new();
    let ends = EndMetrics::register(&registry).unwrap();
    let metrics = DetectMetrics::register(&registry, ends).unwrap();
    let clock = Arc::new(SystemClock);
    let stage = DetectStage::new(Arc::new(store), blobs.clone(), detector, clock, metrics);
    (stage, blobs)
}

/// A post of these pictures, scraped now.
pub fn post(post_id: &str, pictures: &[BlobRef]) -> Message<PostScraped> {
    post_of(post_id, MediaKind::Image, pictures)
}

/// A post of these files, all of one kind.
pub fn post_of(post_id: &str, kind: MediaKind, files: &[BlobRef]) -> Message<PostScraped> {
    let now = engine::Clock::now(&SystemClock);
    let now = Timestamp::from_millisecond(now.as_millisecond()).unwrap();
    let media = files.iter().zip(0..).map(|(blob, index)| Media {
        index,
        kind,
        blob: Some(blob.clone()),
        failure: None,
        width: None,
        height: None,
        duration_s: None,
    });
    let event = PostScraped {
        analysis_id: identity::derive(&[post_id]),
        run: Run::submitted(now),
        supersedes: None,
        post: PostRef {
            post_id: post_id.to_owned(),
            url: format!("https://www.instagram.com/p/{post_id}/"),
        },
        scraped_at: now,
        reused: false,
        content: Post {
            media: media.collect(),
            ..Post::bare(PostKind::Carousel, "web")
        },
    };
    let meta = Meta {
        topic: topics::POSTS.into(),
        partition: 0,
        offset: 0,
        timestamp: now,
        event_id: "id".into(),
        attempt: 1,
    };
    Message { event, meta }
}

/// What was seen in a post's pictures.
pub fn seen(outcome: &Outcome) -> Vec<PictureDetections> {
    detections(outcome).pictures
}

/// What was seen in a post.
pub fn detections(outcome: &Outcome) -> Detections {
    let Outcome::Forward(records) = outcome else {
        panic!("{outcome:?}")
    };
    schemas::decode(&records[0].headers, records[0].value.as_deref()).unwrap()
}
