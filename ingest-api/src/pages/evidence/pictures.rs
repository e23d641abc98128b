//! The pictures of a post with what the detectors say of them.

use schemas::events::{detections::CopyOf, result::AnalysisResult, scraped::BlobRef};
use serde::{Deserialize, Serialize};

use super::{list, sentence};
use crate::pages::words;

/// A file of the post that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct KeptMedia {
    /// Place among the post's media.
    pub media_index: u32,
    /// `image`, `video` or `thumbnail`.
    pub kind: String,
    /// Where its bytes are; absent where it could not be fetched.
    pub blob: Option<BlobRef>,
    width: Option<u32>,
    height: Option<u32>,
}

/// The files of a result, as the scrape told.
#[must_use]
pub fn media(result: &AnalysisResult) -> Vec<KeptMedia> {
    let found = result.analysis_results.as_ref();
    found.map_or_else(Vec::new, |found| list(&found.instagram_extraction["media"]))
}

/// What a detector says of one picture or video.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Finding {
    pub(super) media_index: u32,
    kind: String,
    status: String,
    reason: Option<String>,
    verdict: Option<String>,
    probability: Option<f64>,
    width: Option<u32>,
    height: Option<u32>,
    faces: Vec<Face>,
    copy_of: Option<CopyOf>,
}

/// A face, in pixels of its picture.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Face {
    x: u32,
    y: u32,
    width: u32,
    height: u32,
    probability: Option<f64>,
}

/// A picture with what was found in it.
#[derive(Debug, Serialize)]
pub struct Picture {
    /// Where the page finds it; absent where it is not kept.
    address: Option<String>,
    name: String,
    width: Option<u32>,
    height: Option<u32>,
    generated: Verdict,
    /// Where the verdict before comes from, when it is that of another picture.
    copied: Option<String>,
    manipulated: Verdict,
    faces: Vec<FaceMark>,
}

/// A face as it is drawn.
#[derive(Debug, Serialize)]
struct FaceMark {
    x: u32,
    y: u32,
    width: u32,
    height: u32,
    label: Option<String>,
}

/// A verdict in words.
#[derive(Debug, Serialize)]
pub(super) struct Verdict {
    /// `good`, `bad` or `open`.
    tone: &'static str,
    text: String,
}

impl Verdict {
    /// Whether it was generated.
    pub(super) fn generated(finding: Option<&Finding>) -> Self {
        let (bad, good) = ("Looks AI-generated", "No sign of AI generation");
        Self::of(finding, "ai_generated", bad, good)
    }

    /// Whether a face in it was manipulated.
    pub(super) fn manipulated(finding: Option<&Finding>) -> Self {
        let bad = "A face looks synthetic or manipulated";
        Self::of(finding, "suspicious", bad, "No sign of a manipulated face")
    }

    /// `bad` and `good` say what a positive and a negative verdict mean; `positive` is the positive one's name.
    fn of(finding: Option<&Finding>, positive: &str, bad: &str, good: &str) -> Self {
        let open = |text: String| Self { tone: "open", text };
        let Some(finding) = finding else {
            return open("not checked".to_owned());
        };
        let sure = finding.probability.map(words::percent);
        let sure = sure.map_or_else(String::new, |sure| format!(", likelihood {sure}"));
        match (finding.status.as_str(), finding.verdict.as_deref()) {
            ("completed", Some(verdict)) if verdict == positive => Self {
                tone: "bad",
                text: format!("{bad}{sure}"),
            },
            ("completed", _) => Self {
                tone: "good",
                text: format!("{good}{sure}"),
            },
            ("inconclusive", _) => open(format!("can't be told{sure}")),
            _ => open(format!(
                "not checked: {}",
                sentence(finding.reason.as_deref())
            )),
        }
    }
}

/// The pictures of a result, thumbnails of videos among them, in the post's order.
#[must_use]
pub fn pictures(result: &AnalysisResult) -> Vec<Picture> {
    let Some(found) = result.analysis_results.as_ref() else {
        return Vec::new();
    };
    let generated: Vec<Finding> = list(&found.ai_detection["images"]);
    let manipulated: Vec<Finding> = list(&found.deepfake["images"]);
    let media = media(result);
    let mut places: Vec<(u32, &str)> = media
        .iter()
        .map(|file| (file.media_index, file.kind.as_str()))
        .chain(
            generated
                .iter()
                .map(|one| (one.media_index, one.kind.as_str())),
        )
        .filter(|(_, kind)| ["image", "thumbnail"].contains(kind))
        .collect();
    places.sort_unstable();
    places.dedup();
    let place = |(index, kind): (u32, &str)| {
        let at = |findings: &'_ [Finding]| {
            let mut findings = findings.iter();
            findings
                .find(|one| one.media_index == index && one.kind == kind)
                .cloned()
        };
        let file = media
            .iter()
            .find(|file| file.media_index == index && file.kind == kind);
        let (ai, face) = (at(&generated), at(&manipulated));
        picture(result, index, kind, file, ai.as_ref(), face.as_ref())
    };
    places.into_iter().map(place).collect()
}

fn picture(
    result: &AnalysisResult,
    index: u32,
    kind: &str,
    file: Option<&KeptMedia>,
    ai: Option<&Finding>,
    face: Option<&Finding>,
) -> Picture {
    // The size in the bytes is that of the boxes; the upstream's word will do where no face was looked for.
    let size = face.and_then(|face| Some((face.width?, face.height?)));
    let told = file.and_then(|file| Some((file.width?, file.height?)));
    let faces = match (face, size) {
        (Some(face), Some(_)) => face.faces.iter().map(FaceMark::of).collect(),
        _ => Vec::new(),
    };
    let number = index.saturating_add(1);
    Picture {
        address: file
            .and_then(|file| file.blob.as_ref())
            .map(|_| format!("/api/reports/{}/pictures/{index}", result.analysis_id)),
        name: if kind == "thumbnail" {
            format!("Still of video {number}")
        } else {
            format!("Picture {number}")
        },
        width: size.or(told).map(|(width, _)| width),
        height: size.or(told).map(|(_, height)| height),
        generated: Verdict::generated(ai),
        copied: ai.and_then(|ai| ai.copy_of.as_ref()).map(|original| {
            let bits = original.distance;
            format!("as a picture seen before of which it is a copy ({bits} of 64 bits differ)")
        }),
        manipulated: Verdict::manipulated(face),
        faces,
    }
}

impl FaceMark {
    fn of(face: &Face) -> Self {
        Self {
            x: face.x,
            y: face.y,
            width: face.width,
            height: face.height,
            label: face.probability.map(words::percent),
        }
    }
}
