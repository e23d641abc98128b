//! What a result says of the files of a post: where they are kept, which faces are in them, and what they say of their origin.

use schemas::events::detections::PictureDetections;
use schemas::events::scraped::Media;
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
