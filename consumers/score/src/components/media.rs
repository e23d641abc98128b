//! What a result says of the files of a post: where they are kept, which faces are in them, and what they say of their origin.

use schemas::events::detections::{PictureDetections, VideoDetections};
use schemas::events::scraped::{Media, MediaKind};
use serde_json::{Map, Value, json};

/// Every file, in the post's order. `blob` names it in the media store while that keeps it.
pub(super) fn kept(media: &[Media]) -> Vec<Value> {
    let kept = media.iter().map(|file| {
        json!({
            "media_index": file.index,
            "kind": file.kind,
            "blob": file.blob,
            "width": file.width,
            "height": file.height,
        })
    });
    kept.collect()
}

/// What each picture's file says of its own origin, of those that were looked at.
pub(super) fn provenance(pictures: &[PictureDetections]) -> Vec<Value> {
    let told = pictures.iter().filter_map(|picture| {
        let mut told = object(json!(picture.provenance.as_ref()?));
        told.insert("media_index".to_owned(), json!(picture.media_index));
        told.insert("kind".to_owned(), json!(picture.kind));
        Some(Value::Object(told))
    });
    told.collect()
}

/// What a detector told of a picture, and which one it is.
pub(super) fn picture(told: Value, picture: &PictureDetections) -> Value {
    let provenance = picture.provenance.as_ref();
    let mut told = object(told);
    told.extend(object(json!({
        "media_index": picture.media_index,
        "kind": picture.kind,
        "declared_ai": provenance.is_some_and(|found| found.declared_ai),
        "declared": provenance.and_then(|found| found.statement.as_deref()),
    })));
    Value::Object(told)
}

/// What a detector told of a video, which one it is, and which frames were looked at.
pub(super) fn video(told: Value, video: &VideoDetections) -> Value {
    let frames = video.frames.iter().map(|frame| {
        json!({
            "at_ms": frame.at_ms,
            "ai_generated": frame.ai_generated.probability,
            "face_manipulation": frame.face_manipulation.probability,
            "faces": frame.faces,
        })
    });
    let mut told = object(told);
    told.extend(object(json!({
        "media_index": video.media_index,
        "kind": MediaKind::Video,
        "codec": video.codec,
        "width": video.width,
        "height": video.height,
        "duration_ms": video.duration_ms,
        "frames": frames.collect::<Vec<_>>(),
    })));
    Value::Object(told)
}

/// The picture seen before whose verdict this one has, and in how many of 64 bits their hashes differ; null with a verdict of its
/// own.
pub(super) fn copied(picture: &PictureDetections) -> Map<String, Value> {
    object(json!({ "copy_of": picture.copy_of }))
}

/// The faces of a picture, and its size in the same pixels.
pub(super) fn faces(picture: &PictureDetections) -> Map<String, Value> {
    object(json!({
        "width": picture.width,
        "height": picture.height,
        "faces": picture.faces,
    }))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}
