//! The videos of a post: which of their moments were looked at, and what the detectors say of them.

use schemas::events::result::AnalysisResult;
use serde::{Deserialize, Serialize};

use super::{
    list,
    pictures::{Finding, Verdict},
};
use crate::pages::words;

/// What a detector says of one video.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Told {
    #[serde(flatten)]
    finding: Finding,
    duration_ms: Option<u64>,
    frames: Vec<Frame>,
}

/// A frame that was looked at.
#[derive(Debug, Clone, Deserialize)]
struct Frame {
    at_ms: u64,
    ai_generated: Option<f64>,
    face_manipulation: Option<f64>,
}

/// A video with what was found in it.
#[derive(Debug, Serialize)]
pub struct Video {
    name: String,
    /// Its length, such as `1:05`.
    length: Option<String>,
    generated: Verdict,
    manipulated: Verdict,
    moments: Vec<Moment>,
}

/// A moment of a video that was looked at.
#[derive(Debug, Serialize)]
struct Moment {
    /// When, such as `0:02.5`.
    at: String,
    /// Where on a line of 1000 that is as long as the video.
    place: u64,
    /// How likely it is generated.
    generated: Option<String>,
    /// How likely a face in it is synthetic or manipulated.
    manipulated: Option<String>,
    /// Upper end of its mark in a drawing 40 high: the likelier one of both is, the higher.
    top: u32,
}

/// The videos of a result, in the post's order.
#[must_use]
pub fn videos(result: &AnalysisResult) -> Vec<Video> {
    let Some(found) = result.analysis_results.as_ref() else {
        return Vec::new();
    };
    let generated: Vec<Told> = list(&found.ai_detection["videos"]);
    let manipulated: Vec<Told> = list(&found.deepfake["videos"]);
    let video = |told: &Told| {
        let face = manipulated
            .iter()
            .find(|other| other.finding.media_index == told.finding.media_index);
        Video {
            name: format!("Video {}", told.finding.media_index.saturating_add(1)),
            length: told.duration_ms.map(|ms| clock(ms).0),
            generated: Verdict::generated(Some(&told.finding)),
            manipulated: Verdict::manipulated(face.map(|face| &face.finding)),
            moments: told
                .frames
                .iter()
                .map(|frame| Moment::of(frame, told.duration_ms))
                .collect(),
        }
    };
    generated.iter().map(video).collect()
}

impl Moment {
    fn of(frame: &Frame, duration_ms: Option<u64>) -> Self {
        let duration = duration_ms.unwrap_or(0).max(frame.at_ms).max(1);
        let likely = frame.ai_generated.unwrap_or(0.0);
        let likely = likely.max(frame.face_manipulation.unwrap_or(0.0));
        Self {
            at: {
                let (seconds, tenths) = clock(frame.at_ms);
                format!("{seconds}.{tenths}")
            },
            place: (u128::from(frame.at_ms) * 1000 / u128::from(duration)) as u64,
            generated: frame.ai_generated.map(words::percent),
            manipulated: frame.face_manipulation.map(words::percent),
            top: 35 - (likely.clamp(0.0, 1.0) * 34.0) as u32,
        }
    }
}

/// A time in minutes and seconds, such as `1:05`, and its tenths of a second.
fn clock(ms: u64) -> (String, u64) {
    let (minutes, seconds) = (ms / 60_000, ms / 1000 % 60);
    (format!("{minutes}:{seconds:02}"), ms / 100 % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_its_time_and_place_whatever_the_file_says() {
        let frame = |at_ms| Frame {
            at_ms,
            ai_generated: Some(0.5),
            face_manipulation: None,
        };
        let moment = Moment::of(&frame(65_250), Some(130_500));
        assert_eq!(
            (moment.at.as_str(), moment.place, moment.top),
            ("1:05.2", 500, 18)
        );
        // A frame past the end, no length at all, and the largest numbers.
        assert_eq!(Moment::of(&frame(9), Some(3)).place, 1000);
        assert_eq!(Moment::of(&frame(0), None).place, 0);
        assert_eq!(Moment::of(&frame(u64::MAX), None).place, 1000);
    }
}
