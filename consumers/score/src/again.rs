//! A result scored again from what it says itself, by other rules: its detections may be long gone, and nothing is sent anywhere.
//! A result holds all that a score is made of, but for the threshold by which a model without one of its own would be judged.

use schemas::events::detections::{
    PictureDetections, ProvenanceFinding, Status, TextFinding, VideoDetections,
};
use schemas::events::scraped::{Author, MediaKind, Post};
use schemas::{AnalysisResult, Detections, PictureFinding, Reason, Verdict};
use serde::Deserialize;
use serde_json::Value;

use crate::Scorer;

/// One entry of `ai_detection.images` or `deepfake.images`, or of `videos` there.
#[derive(Deserialize)]
struct Judged {
    media_index: u32,
    kind: MediaKind,
    status: Status,
    reason: Option<Reason>,
    verdict: Option<String>,
    probability: Option<f64>,
    model: Option<String>,
    #[serde(default)]
    declared_ai: bool,
    declared: Option<String>,
}

/// One entry of `ocr.images`.
#[derive(Deserialize)]
struct ReadPicture {
    status: Status,
    reason: Option<Reason>,
    text: Option<String>,
    characters: Option<u64>,
    confidence: Option<f64>,
    model: Option<String>,
}

impl Scorer {
    /// Scores what `result` was made of by the rules of this scorer; `None` for one that holds no findings.
    #[must_use]
    pub fn assess_again(&self, result: &AnalysisResult) -> Option<AnalysisResult> {
        Some(self.assess(&detections_of(result)?, result.completed_at))
    }
}

fn images<T: for<'de> Deserialize<'de>>(component: &Value) -> Option<Vec<T>> {
    serde_json::from_value(component.get("images")?.clone()).ok()
}

/// The videos of both detectors; older results tell of none.
fn videos(ai: &Value, faces: &Value) -> Option<Vec<VideoDetections>> {
    let read = |component: &Value| match component.get("videos") {
        None => Some(Vec::new()),
        Some(videos) => serde_json::from_value::<Vec<Judged>>(videos.clone()).ok(),
    };
    let both = read(ai)?.into_iter().zip(read(faces)?);
    let videos = both.map(|(ai, face)| VideoDetections {
        media_index: ai.media_index,
        sha256: None,
        status: ai.status,
        reason: ai.reason,
        codec: None,
        width: None,
        height: None,
        duration_ms: None,
        ai_generated: finding(ai),
        face_manipulation: finding(face),
        frames: Vec::new(),
        millis: None,
    });
    Some(videos.collect())
}

fn finding(judged: Judged) -> PictureFinding {
    let verdict = judged.verdict.as_deref().and_then(|word| match word {
        "ai_generated" | "suspicious" => Some(Verdict::Positive),
        "human_made" | "clean" => Some(Verdict::Negative),
        _ => None,
    });
    PictureFinding {
        status: judged.status,
        verdict,
        probability: judged.probability,
        model: judged.model,
        millis: None,
        reason: judged.reason,
        reused: false,
    }
}

/// The detections that `result` was made of, as far as a score needs them.
fn detections_of(result: &AnalysisResult) -> Option<Detections> {
    let found = result.analysis_results.as_ref()?;
    let info = result.post_info.as_ref()?;
    let ai: Vec<Judged> = images(&found.ai_detection)?;
    let faces: Vec<Judged> = images(&found.deepfake)?;
    let read: Vec<ReadPicture> = images(&found.ocr)?;
    // Before 1.1.0 a result held the texts of its pictures only as one.
    let apart = read.iter().any(|picture| picture.text.is_some());
    let mut whole = found.ocr_text.clone().filter(|_| !apart);
    let pictures = ai.into_iter().zip(faces).zip(read);
    let pictures = pictures.map(|((ai, face), read)| {
        let has_text = read.characters.is_some_and(|count| count > 0);
        let text = read.text.or_else(|| whole.take_if(|_| has_text));
        PictureDetections {
            media_index: ai.media_index,
            kind: ai.kind,
            sha256: None,
            provenance: ai.declared.clone().map(|statement| ProvenanceFinding {
                declared_ai: ai.declared_ai,
                statement: Some(statement),
                ..ProvenanceFinding::silent()
            }),
            ai_generated: finding(ai),
            face_manipulation: finding(face),
            text: TextFinding {
                status: read.status,
                // A picture may have been read and hold no text.
                text: text.or_else(|| read.characters.map(|_| String::new())),
                confidence: read.confidence,
                model: read.model,
                reason: read.reason,
                lines: Vec::new(),
                millis: None,
                reused: false,
            },
            width: None,
            height: None,
            perceptual_hash: None,
            copy_of: None,
            faces: Vec::new(),
        }
    });
    Some(Detections {
        analysis_id: result.analysis_id,
        run: result.run,
        supersedes: result.supersedes,
        post: result.post.clone(),
        scraped_at: result.created_at,
        reused: false,
        detected_at: result.completed_at,
        content: Post {
            caption: info.caption.clone(),
            author: info.username.clone().map(|username| Author {
                username,
                full_name: info.full_name.clone(),
                is_verified: info.is_verified,
            }),
            taken_at: info.timestamp,
            like_count: info.like_count,
            comment_count: info.comment_count,
            location: info.location.clone(),
            ..Post::bare(info.kind, String::new())
        },
        pictures: pictures.collect(),
        runtime: None,
        videos: videos(&found.ai_detection, &found.deepfake)?,
    })
}
