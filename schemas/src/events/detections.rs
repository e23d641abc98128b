//! `trustcard.detections`: what the models saw in the pictures of a post. It carries the post too, so that a score can be
//! computed again from this topic alone.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::scraped::{MediaKind, Post};
use crate::{Event, PostRef, Reason, Run};

/// Everything the score stage needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Detections {
    /// The analysis.
    pub analysis_id: Uuid,
    /// Its run.
    pub run: Run,
    /// The run whose end this run replaces; absent where a submission began the run.
    pub supersedes: Option<Run>,
    /// The post.
    pub post: PostRef,
    /// When the post was read from the upstream.
    pub scraped_at: Timestamp,
    /// Whether an earlier scrape was reused.
    pub reused: bool,
    /// When the models were done: the timestamp of the record they worked on.
    pub detected_at: Timestamp,
    /// What the post holds.
    pub content: Post,
    /// One entry per picture, in the order of `content.media`; videos are not among them.
    pub pictures: Vec<PictureDetections>,
    /// The inference runtime, such as `onnxruntime 1.32.0`; absent with models off.
    pub runtime: Option<String>,
    /// One entry per video, in the order of `content.media`; its thumbnail is among the pictures.
    #[serde(default)]
    pub videos: Vec<VideoDetections>,
}

/// What was seen in one picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PictureDetections {
    /// Place among the post's media, from 0.
    pub media_index: u32,
    /// A picture or a video's thumbnail.
    pub kind: MediaKind,
    /// SHA-256 of its bytes; absent when it could not be fetched.
    pub sha256: Option<String>,
    /// Is it generated?
    pub ai_generated: PictureFinding,
    /// Is a face in it synthesised or manipulated?
    pub face_manipulation: PictureFinding,
    /// The text in it.
    pub text: TextFinding,
    /// Width in pixels as it is shown, turned as its EXIF data says: what boxes are told in. Absent when it was not decoded.
    #[serde(default)]
    pub width: Option<u32>,
    /// Height in pixels as it is shown.
    #[serde(default)]
    pub height: Option<u32>,
    /// Perceptual hash, 64 bits as 16 hex digits: pictures that look alike differ in few bits.
    #[serde(default)]
    pub perceptual_hash: Option<String>,
    /// The picture seen before whose answers were taken, when this one is a near-identical copy of it.
    #[serde(default)]
    pub copy_of: Option<CopyOf>,
    /// Faces found in it, the surest first.
    #[serde(default)]
    pub faces: Vec<FaceBox>,
    /// What the file itself says of where it comes from; absent when nobody looked.
    #[serde(default)]
    pub provenance: Option<ProvenanceFinding>,
}

/// A picture seen before of which another is a near-identical copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CopyOf {
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// Bits, of 64, in which the perceptual hashes differ.
    pub distance: u32,
}

/// A face in a picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FaceBox {
    /// Left edge in pixels.
    pub x: u32,
    /// Upper edge in pixels.
    pub y: u32,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// How sure the finder is that it is a face, 0 to 1.
    pub score: f64,
    /// Calibrated probability, 0 to 1, that it was synthesised or manipulated; absent when it was not judged.
    pub probability: Option<f64>,
}

/// What a file says of its own origin. Saying nothing means nothing: most sites strip it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProvenanceFinding {
    /// Whether the file could be read for it.
    pub status: Status,
    /// Why it was skipped or failed.
    pub reason: Option<Reason>,
    /// Content credentials (C2PA).
    pub c2pa: Credentials,
    /// Who issued the credentials, as they say themselves.
    pub issuer: Option<String>,
    /// Whether the file says that it was made by a generator.
    pub declared_ai: bool,
    /// IPTC digital source type, the last part of its URI, such as `trainedAlgorithmicMedia`.
    pub digital_source_type: Option<String>,
    /// The generator named, such as `Midjourney`.
    pub generator: Option<String>,
    /// The marks themselves.
    pub marks: Vec<OriginMark>,
    /// All that in one sentence for people; absent when the file says nothing.
    pub statement: Option<String>,
}

impl ProvenanceFinding {
    /// A file that says nothing of its origin.
    #[must_use]
    pub const fn silent() -> Self {
        Self {
            status: Status::Completed,
            reason: None,
            c2pa: Credentials::Absent,
            issuer: None,
            declared_ai: false,
            digital_source_type: None,
            generator: None,
            marks: Vec::new(),
            statement: None,
        }
    }
}

/// What became of a file's content credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Credentials {
    /// There are none.
    Absent,
    /// They are there and were read, and neither their signature nor whether they fit the file was checked; in older events alone.
    Unverified,
    /// They are whole and signed, by an issuer that is not on the list of trusted ones.
    Valid,
    /// The same, and the issuer is trusted.
    Trusted,
    /// They are broken or belong to another file.
    Invalid,
}

/// A trace that a program left in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OriginMark {
    /// Where it is: `c2pa`, `iptc`, `xmp`, `exif` or `png_text`.
    pub place: String,
    /// What it says, cut to a length.
    pub text: String,
}

/// What was seen in one video.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VideoDetections {
    /// Place among the post's media, from 0.
    pub media_index: u32,
    /// SHA-256 of its bytes; absent when it could not be fetched.
    pub sha256: Option<String>,
    /// Whether frames could be decoded.
    pub status: Status,
    /// Why not.
    pub reason: Option<Reason>,
    /// Codec of its picture, such as `h264`; absent when the file could not be read.
    pub codec: Option<String>,
    /// Width in pixels.
    pub width: Option<u32>,
    /// Height in pixels.
    pub height: Option<u32>,
    /// Length in milliseconds.
    pub duration_ms: Option<u64>,
    /// Is it generated? Over the frames looked at.
    pub ai_generated: PictureFinding,
    /// Is a face in it synthesised or manipulated? Over the frames looked at.
    pub face_manipulation: PictureFinding,
    /// The frames looked at, in order.
    pub frames: Vec<FrameDetections>,
    /// Time for all of it, in milliseconds; of the first run when the answer was reused.
    pub millis: Option<u64>,
}

/// What was seen in one frame of a video.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FrameDetections {
    /// When it is shown, in milliseconds from the start.
    pub at_ms: u64,
    /// Is it generated?
    pub ai_generated: PictureFinding,
    /// Is a face in it synthesised or manipulated?
    pub face_manipulation: PictureFinding,
    /// Faces found in it, the surest first.
    pub faces: Vec<FaceBox>,
}

/// What became of one component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(rename_all = "snake_case")]
// Beside the status of an analysis, this one needs a name of its own.
#[schema(as = ComponentStatus)]
pub enum Status {
    /// It ran and decided.
    Completed,
    /// It ran and could not decide.
    Inconclusive,
    /// It was not run; the reason says why.
    Skipped,
    /// It could not be run on this input; the reason says why.
    Failed,
}

/// What a detector decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Above the upper threshold: generated, synthesised or manipulated.
    Positive,
    /// Below the lower threshold.
    Negative,
}

/// A detector's answer on one picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PictureFinding {
    /// What became of it.
    pub status: Status,
    /// Present when completed.
    pub verdict: Option<Verdict>,
    /// Calibrated probability, 0 to 1, of a positive; present when completed or inconclusive.
    pub probability: Option<f64>,
    /// The model, `name@version`.
    pub model: Option<String>,
    /// Time it took, in milliseconds; of the first run when the answer was reused.
    pub millis: Option<u64>,
    /// Why it was skipped or failed.
    pub reason: Option<Reason>,
    /// Whether an answer on the same bytes was reused.
    #[serde(default)]
    pub reused: bool,
}

impl PictureFinding {
    /// A finding of a component that did not run.
    #[must_use]
    pub const fn skipped(reason: Reason) -> Self {
        Self::without_answer(Status::Skipped, reason)
    }

    /// A finding of a component that broke on this picture.
    #[must_use]
    pub const fn failed(reason: Reason) -> Self {
        Self::without_answer(Status::Failed, reason)
    }

    const fn without_answer(status: Status, reason: Reason) -> Self {
        Self {
            status,
            verdict: None,
            probability: None,
            model: None,
            millis: None,
            reason: Some(reason),
            reused: false,
        }
    }
}

/// The text read in one picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TextFinding {
    /// What became of it.
    pub status: Status,
    /// The text, lines in reading order; present when completed, empty when there is none.
    pub text: Option<String>,
    /// Mean confidence over the lines, 0 to 1.
    pub confidence: Option<f64>,
    /// The model, `name@version`.
    pub model: Option<String>,
    /// Why it was skipped or failed.
    pub reason: Option<Reason>,
    /// The lines of the text, in reading order.
    #[serde(default)]
    pub lines: Vec<TextLine>,
    /// Time it took, in milliseconds; of the first run when the answer was reused.
    #[serde(default)]
    pub millis: Option<u64>,
    /// Whether an answer on the same bytes was reused.
    #[serde(default)]
    pub reused: bool,
}

/// One line of text in a picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TextLine {
    /// What it says.
    pub text: String,
    /// Mean confidence over its characters, 0 to 1.
    pub confidence: f64,
    /// Its corners in the picture, `[x, y]` in pixels: upper left of the text as it is read, then clockwise.
    pub corners: [[i32; 2]; 4],
}

impl TextFinding {
    /// A finding of a reader that did not run.
    #[must_use]
    pub const fn skipped(reason: Reason) -> Self {
        Self::without_answer(Status::Skipped, reason)
    }

    /// A finding of a reader that broke on this picture.
    #[must_use]
    pub const fn failed(reason: Reason) -> Self {
        Self::without_answer(Status::Failed, reason)
    }

    const fn without_answer(status: Status, reason: Reason) -> Self {
        Self {
            status,
            text: None,
            confidence: None,
            model: None,
            reason: Some(reason),
            lines: Vec::new(),
            millis: None,
            reused: false,
        }
    }
}

impl Event for Detections {
    const TYPE: &'static str = "trustcard.post.detected.v1";
    const SOURCE: &'static str = "/trustcard/detect";
    const SCHEMA: &'static str = "post-detected";

    fn id(&self) -> Uuid {
        self.run.event_id(Self::TYPE, self.analysis_id)
    }

    fn key(&self) -> String {
        self.post.post_id.clone()
    }

    fn time(&self) -> Timestamp {
        self.detected_at
    }
}
