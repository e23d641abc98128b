//! What the detectors say, in the words of the event.

use schemas::{
    PictureDetections, PictureFinding,
    events::{
        detections::{FrameDetections, Status, TextFinding, VideoDetections},
        scraped::{Media, MediaKind},
    },
};
use serde::de::DeserializeOwned;

use crate::{ComponentError, Footage, Judged, Look, Shot, TextRead, Verdict, appearance};

/// What was seen in a picture that stands alone: the first of its post, with no bytes named.
#[must_use]
pub fn of(look: Look) -> PictureDetections {
    let (width, height) = look.size.unzip();
    PictureDetections {
        media_index: 0,
        kind: MediaKind::Image,
        sha256: None,
        ai_generated: judged(look.ai_generated),
        face_manipulation: judged(look.face_manipulation),
        text: text(look.text),
        width,
        height,
        perceptual_hash: look.appearance.as_ref().map(appearance::hex),
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

/// An answer kept earlier; none when it is not of this version's shape, and the file is looked at again.
pub(crate) fn read_back<T: DeserializeOwned>(kept: serde_json::Value) -> Option<T> {
    serde_json::from_value(kept).ok()
}

/// An answer kept earlier, on the same bytes.
pub(crate) fn reused(mut kept: PictureDetections) -> PictureDetections {
    mark_reused([&mut kept.ai_generated, &mut kept.face_manipulation]);
    kept.text.reused = kept.text.status != Status::Skipped;
    kept
}

/// The verdict on a picture of which another is a near-identical copy, for that one; none where there was no verdict.
pub(crate) fn for_copy(original: PictureDetections) -> Option<PictureFinding> {
    let verdict = original.ai_generated;
    matches!(verdict.status, Status::Completed | Status::Inconclusive).then_some(PictureFinding {
        reused: true,
        ..verdict
    })
}

/// The same for a video.
pub(crate) fn video_reused(mut kept: VideoDetections) -> VideoDetections {
    mark_reused([&mut kept.ai_generated, &mut kept.face_manipulation]);
    kept
}

fn mark_reused(findings: [&mut PictureFinding; 2]) {
    for finding in findings {
        finding.reused = finding.status != Status::Skipped;
    }
}

/// What was seen in a video that stands alone, with no bytes named.
#[must_use]
pub fn of_video(footage: Footage) -> VideoDetections {
    let (width, height) = footage.facts.size.unzip();
    let seen = match footage.shots {
        Err(error) => no_video(without_answer(&error)),
        Ok(shots) => {
            let frames: Vec<FrameDetections> = shots.into_iter().map(frame).collect();
            let ai_generated = over_frames(&frames, |frame| &frame.ai_generated);
            VideoDetections {
                status: Status::Completed,
                reason: None,
                face_manipulation: over_frames(&frames, |frame| &frame.face_manipulation),
                frames,
                ..no_video(ai_generated)
            }
        }
    };
    VideoDetections {
        codec: footage.facts.codec.map(str::to_owned),
        width,
        height,
        duration_ms: footage.facts.duration_ms,
        millis: Some(footage.millis),
        ..seen
    }
}

/// A video that nobody looked at.
pub(crate) fn no_video(finding: PictureFinding) -> VideoDetections {
    VideoDetections {
        media_index: 0,
        sha256: None,
        status: finding.status,
        reason: finding.reason,
        codec: None,
        width: None,
        height: None,
        duration_ms: None,
        face_manipulation: finding.clone(),
        ai_generated: finding,
        frames: Vec::new(),
        millis: None,
    }
}

fn frame(shot: Shot) -> FrameDetections {
    FrameDetections {
        at_ms: shot.at_ms,
        ai_generated: judged(shot.ai_generated),
        face_manipulation: judged(shot.face_manipulation),
        faces: shot.faces,
    }
}

/// One answer for a video: that of the frame with the largest probability, as for the pictures of a post, and the time of all.
/// Where no frame has an answer it is that of the first that failed, else of the first.
fn over_frames(
    frames: &[FrameDetections],
    finding: impl Fn(&FrameDetections) -> &PictureFinding,
) -> PictureFinding {
    let findings = || frames.iter().map(&finding);
    let surest = findings()
        .filter(|finding| finding.probability.is_some())
        .max_by(|a, b| {
            let probability = |finding: &PictureFinding| finding.probability.unwrap_or(0.0);
            probability(a).total_cmp(&probability(b))
        });
    let failed = || findings().find(|finding| finding.status == Status::Failed);
    let skipped = PictureFinding::skipped(schemas::Reason::NotInstalled);
    let answer = surest.or_else(failed).or_else(|| findings().next());
    PictureFinding {
        millis: findings()
            .filter_map(|finding| finding.millis)
            .reduce(|a, b| a + b),
        ..answer.cloned().unwrap_or(skipped)
    }
}

fn judged(answer: Result<Judged, ComponentError>) -> PictureFinding {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return without_answer(&error),
    };
    let (status, verdict) = match answer.verdict {
        Verdict::Positive => (Status::Completed, Some(schemas::Verdict::Positive)),
        Verdict::Negative => (Status::Completed, Some(schemas::Verdict::Negative)),
        Verdict::Inconclusive => (Status::Inconclusive, None),
    };
    PictureFinding {
        status,
        verdict,
        probability: Some(answer.probability),
        model: Some(answer.model),
        millis: Some(answer.millis),
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
