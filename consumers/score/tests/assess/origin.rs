//! What a file says of its own origin, and videos.

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

#[test]
fn a_video_counts_as_one_picture() {
    let mut detections = post(None, None);
    let verdict = found(Verdict::Positive, 0.9);
    detections.videos.push(VideoDetections {
        media_index: 0,
        sha256: None,
        status: Status::Completed,
        reason: None,
        codec: Some("h264".to_owned()),
        width: None,
        height: None,
        duration_ms: None,
        ai_generated: verdict,
        face_manipulation: PictureFinding::skipped(Reason::NoFaces),
        frames: Vec::new(),
        millis: None,
    });
    let breakdown = assess(&detections).trust_score_breakdown.unwrap();
    let row = &breakdown.adjustments[0];
    assert_eq!(
        (row.category.as_str(), row.impact),
        ("AI-Generated Content", -27.0)
    );
}
