//! What the detectors say, in the words of the event.

use schemas::{
    PictureDetections, PictureFinding,
    events::{
        detections::{Status, TextFinding},
        scraped::{Media, MediaKind},
    },
};

use crate::{AiVerdict, ComponentError, FaceVerdict, Look, TextRead, Verdict};

/// What was seen in a picture that stands alone: the first of its post, with no bytes named.
#[must_use]
pub fn of(look: Look) -> PictureDetections {
    let (width, height) = look.size.unzip();
    PictureDetections {
        media_index: 0,
        kind: MediaKind::Image,
        sha256: None,
        ai_generated: ai_generated(look.ai_generated),
        face_manipulation: faces(look.face_manipulation),
        text: text(look.text),
        width,
        height,
        perceptual_hash: None,
        copy_of: None,
        faces: look.faces,
        provenance: look.provenance,
    }
}

/// A picture that nobody looked at.
pub(crate) fn unseen(finding: PictureFinding, text: TextFinding) -> PictureDetections {
    PictureDetections {
        media_index: 0,
        kind: MediaKind::Image,
        sha256: None,
        face_manipulation: finding.clone(),
        ai_generated: finding,
        text,
        width: None,
        height: None,
        perceptual_hash: None,
        copy_of: None,
        faces: Vec::new(),
        provenance: None,
    }
}

/// The same as the entry of `media`.
pub(crate) fn placed(mut picture: PictureDetections, media: &Media) -> PictureDetections {
    picture.media_index = media.index;
    picture.kind = media.kind;
    picture.sha256 = media.blob.as_ref().map(|blob| blob.sha256.clone());
    picture
}

/// An answer kept earlier; none when it is not of this version's shape, and the picture is looked at again.
pub(crate) fn read_back(kept: serde_json::Value) -> Option<PictureDetections> {
    serde_json::from_value(kept).ok()
}

/// An answer kept earlier, on the same bytes.
pub(crate) fn reused(mut kept: PictureDetections) -> PictureDetections {
    for finding in [&mut kept.ai_generated, &mut kept.face_manipulation] {
        finding.reused = finding.status != Status::Skipped;
    }
    kept.text.reused = kept.text.status != Status::Skipped;
    kept
}

fn ai_generated(answer: Result<AiVerdict, ComponentError>) -> PictureFinding {
    match answer {
        Ok(answer) => judged(
            answer.probability,
            answer.verdict,
            answer.model,
            answer.millis,
        ),
        Err(error) => without_answer(&error),
    }
}

fn faces(answer: Result<FaceVerdict, ComponentError>) -> PictureFinding {
    match answer {
        Ok(answer) => judged(
            answer.probability,
            answer.verdict,
            answer.model,
            answer.millis,
        ),
        Err(error) => without_answer(&error),
    }
}

fn judged(probability: f64, verdict: Verdict, model: String, millis: u64) -> PictureFinding {
    let (status, verdict) = match verdict {
        Verdict::Positive => (Status::Completed, Some(schemas::Verdict::Positive)),
        Verdict::Negative => (Status::Completed, Some(schemas::Verdict::Negative)),
        Verdict::Inconclusive => (Status::Inconclusive, None),
    };
    PictureFinding {
        status,
        verdict,
        probability: Some(probability),
        model: Some(model),
        millis: Some(millis),
        reason: None,
        reused: false,
    }
}

fn without_answer(error: &ComponentError) -> PictureFinding {
    if error.is_skip() {
        PictureFinding::skipped(error.reason())
    } else {
        PictureFinding::failed(error.reason())
    }
}

fn text(answer: Result<TextRead, ComponentError>) -> TextFinding {
    match answer {
        Ok(read) => TextFinding {
            status: Status::Completed,
            text: Some(read.reading.text),
            confidence: read.reading.confidence,
            model: Some(read.model),
            reason: None,
            lines: read.reading.lines,
            millis: Some(read.millis),
            reused: false,
        },
        Err(error) if error.is_skip() => TextFinding::skipped(error.reason()),
        Err(error) => TextFinding::failed(error.reason()),
    }
}
