//! Videos: which frames of an MP4 file are looked at, and the frames themselves.
//!
//! The container is read first ([`container`]), and what it says decides whether anything is decoded: codec, length, size. The
//! stream is decoded by OpenH264 ([`decoder`]) where a look pays: at key frames, which encoders place where scenes change and
//! which decode alone; in a video with few of them, everywhere. Of the frames seen on the way those stay that look least
//! like each other ([`choice`]), so that a picture that stands still is looked at once.

mod choice;
mod container;
mod decoder;

use image::{DynamicImage, RgbImage};
use schemas::Reason;
use serde::{Deserialize, Serialize};

use crate::{ComponentError, preprocess};

/// Frames of a video that are considered, at most; those looked at are chosen among them.
const CONSIDERED: usize = 48;

/// What a video may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct VideoLimits {
    /// Length in seconds. Longer ones are skipped; their thumbnail is still looked at.
    pub max_seconds: u64,
    /// Bytes of a file.
    pub max_bytes: u64,
    /// Pixels of a frame, width times height.
    pub max_pixels: u64,
    /// Frames that the models look at.
    pub max_frames: usize,
    /// Pixels decoded in all, so frames times their size: what a video without key frames may cost.
    pub max_decode_pixels: u64,
}

impl Default for VideoLimits {
    fn default() -> Self {
        Self {
            max_seconds: 180,
            max_bytes: 64 << 20,
            max_pixels: 2_500_000,
            max_frames: 8,
            max_decode_pixels: 500_000_000,
        }
    }
}

/// Why a video can't be judged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VideoError {
    /// The picture is in a codec other than H.264.
    #[error("the video is not H.264")]
    Codec,
    /// It is longer than allowed.
    #[error("the video takes {seconds} s, more than {max_seconds}")]
    TooLong {
        /// Its length in seconds.
        seconds: u64,
        /// The limit.
        max_seconds: u64,
    },
    /// The file is larger than allowed.
    #[error("the file has {bytes} bytes, more than {max_bytes}")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        max_bytes: u64,
    },
    /// A frame has more pixels than allowed, by the container or by the stream in it.
    #[error("a frame has {pixels} pixels, more than {max_pixels}")]
    TooManyPixels {
        /// Width times height.
        pixels: u64,
        /// The limit.
        max_pixels: u64,
    },
    /// An MP4 file in fragments, or one without a video track.
    #[error("the file is no MP4 with a video track and its tables")]
    Unsupported,
    /// The file breaks the rules of its format.
    #[error("the video can't be decoded: {0}")]
    Corrupt(String),
}

impl VideoError {
    /// The stable code of this error.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Codec => Reason::Codec,
            Self::TooLong { .. } => Reason::MediaTooLong,
            Self::TooLarge { .. } => Reason::MediaTooLarge,
            Self::TooManyPixels { .. } => Reason::MediaTooManyPixels,
            Self::Unsupported => Reason::MediaUnsupported,
            Self::Corrupt(_) => Reason::MediaUndecodable,
        }
    }
}

impl From<VideoError> for ComponentError {
    /// A video that is left out on purpose is no failure.
    fn from(error: VideoError) -> Self {
        match error {
            VideoError::Codec | VideoError::TooLong { .. } => Self::Skipped(error.reason()),
            other => Self::Video(other),
        }
    }
}

/// What a container says of its video.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts {
    /// Codec of the picture, such as `h264`; none when it is unknown.
    pub codec: Option<&'static str>,
    /// Width and height in pixels as it is shown.
    pub size: Option<(u32, u32)>,
    /// Length in milliseconds.
    pub duration_ms: Option<u64>,
}

/// A frame to look at.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// When it is shown, in milliseconds from the start.
    pub at_ms: u64,
    /// The frame, upright.
    pub picture: RgbImage,
    /// Pixels of the video for each of `picture`, which may have been made smaller.
    pub scale: f64,
}

/// Whether a file says that it is an MP4 or one of its relatives, by its first box.
#[must_use]
pub fn is_mp4(file: &[u8]) -> bool {
    file.get(4..8) == Some(b"ftyp")
}

/// What the container says, and the frames worth a look in order of time, no side of them longer than `longest` pixels.
///
/// # Errors
/// [`VideoError`], beside what is known all the same.
pub fn frames(
    file: &[u8],
    limits: &VideoLimits,
    longest: u32,
) -> (Facts, Result<Vec<Frame>, VideoError>) {
    let bytes = file.len() as u64;
    if bytes > limits.max_bytes {
        let max_bytes = limits.max_bytes;
        let error = VideoError::TooLarge { bytes, max_bytes };
        return (Facts::default(), Err(error));
    }
    match container::open(file) {
        Err(error) => (Facts::default(), Err(error)),
        Ok(track) => (track.facts, chosen(file, &track, limits, longest)),
    }
}

fn chosen(
    file: &[u8],
    track: &container::Track,
    limits: &VideoLimits,
    longest: u32,
) -> Result<Vec<Frame>, VideoError> {
    let stream = track.stream(file, limits)?;
    let mut choice = choice::Choice::of(limits.max_frames.max(1));
    decoder::watch(file, &stream, limits, CONSIDERED, |at_ms, seen| {
        choice.offer(seen.signature(), || {
            let picture = DynamicImage::from(seen.rgb());
            let copy = preprocess::working_copy(&picture, stream.turned, longest).ok()?;
            let sides = |width: u32, height: u32| f64::from(width.max(height));
            Some(Frame {
                at_ms,
                scale: sides(picture.width(), picture.height())
                    / sides(copy.width(), copy.height()),
                picture: copy,
            })
        });
    })?;
    let frames = choice.taken();
    if frames.is_empty() {
        return Err(VideoError::Corrupt("no frame of it can be decoded".into()));
    }
    Ok(frames)
}
