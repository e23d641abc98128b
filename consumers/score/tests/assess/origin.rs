//! What a file says of its own origin, and videos.

use schemas::events::detections::FrameDetections;
use serde_json::json;

use super::*;

#[test]
fn a_picture_that_declares_its_generator_is_generated_whatever_the_model_says() {
    let mut detections = with_picture(
        post(None, None),
        found(Verdict::Negative, 0.02),
        PictureFinding::skipped(Reason::NoFaces),
        no_text(),
    );
    detections.pictures[0].provenance = Some(ProvenanceFinding {
        declared_ai: true,
        statement: Some("Its metadata say that it was made by Midjourney.".to_owned()),
        ..ProvenanceFinding::silent()
    });
    let result = assess(&detections);
    let breakdown = result.trust_score_breakdown.unwrap();
    let row = breakdown
        .adjustments
        .iter()
        .find(|row| row.category == "AI-Generated Content")
        .unwrap();
    assert_eq!(row.impact, -30.0);
    assert_eq!(
        row.reason,
        "Declared AI-generated: 1 of 1 picture. Its metadata say that it was made by Midjourney."
    );
}

/// The same with a video whose second frame looks generated.
pub fn with_video(mut detections: Detections) -> Detections {
    let frame = |at_ms, ai_generated| FrameDetections {
        at_ms,
        ai_generated,
        face_manipulation: PictureFinding::skipped(Reason::NoFaces),
        faces: Vec::new(),
    };
    detections.videos.push(VideoDetections {
        media_index: 0,
        sha256: None,
        status: Status::Completed,
        reason: None,
        codec: Some("h264".to_owned()),
        width: Some(720),
        height: Some(1280),
        duration_ms: Some(4000),
        ai_generated: found(Verdict::Positive, 0.9),
        face_manipulation: PictureFinding::skipped(Reason::NoFaces),
        frames: vec![
            frame(0, found(Verdict::Negative, 0.2)),
            frame(1500, found(Verdict::Positive, 0.9)),
        ],
        millis: Some(300),
    });
    detections
}

#[test]
fn a_video_counts_as_one_picture_and_tells_of_its_frames() {
    let result = assess(&with_video(post(None, None)));
    let breakdown = result.trust_score_breakdown.unwrap();
    let row = &breakdown.adjustments[0];
    assert_eq!(
        (row.category.as_str(), row.impact),
        ("AI-Generated Content", -27.0)
    );
    let found = result.analysis_results.unwrap().ai_detection;
    let video = &found["videos"][0];
    assert_eq!(
        (&video["verdict"], &video["probability"], &video["codec"]),
        (&json!("ai_generated"), &json!(0.9), &json!("h264"))
    );
    assert_eq!(
        (
            &video["frames"][1]["at_ms"],
            &video["frames"][1]["ai_generated"]
        ),
        (&json!(1500), &json!(0.9))
    );
    assert_eq!(
        (&found["images"], &found["ai_images"]),
        (&json!([]), &json!(1))
    );
}
