//! One look at one video: some of its frames, each shown to the detectors of pictures. Text is read in its thumbnail alone.

use image::{DynamicImage, metadata::Orientation};
use schemas::events::detections::FaceBox;
use tokio::time::Instant;

use crate::{
    ComponentError, Judged,
    look::{Eyes, WORKING_SIDE, millis},
    video::{self, Facts, Frame},
};

/// What the detectors say about one video.
#[derive(Debug, Clone, PartialEq)]
pub struct Footage {
    /// What its container says.
    pub facts: Facts,
    /// The frames looked at, in order of time, at least one; or why there are none.
    pub shots: Result<Vec<Shot>, ComponentError>,
    /// Time for all of it, in milliseconds, without waiting.
    pub millis: u64,
}

/// What the detectors say about one frame, each for itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Shot {
    /// When it is shown, in milliseconds from the start.
    pub at_ms: u64,
    /// Whether it was generated.
    pub ai_generated: Result<Judged, ComponentError>,
    /// Whether a face in it was synthesised or manipulated; skipped where there is no face.
    pub face_manipulation: Result<Judged, ComponentError>,
    /// The faces in it, the surest first, in pixels of the video.
    pub faces: Vec<FaceBox>,
}

impl Footage {
    /// The answer of detectors that did not see the video.
    #[must_use]
    pub fn unseen(why: ComponentError) -> Self {
        Self {
            facts: Facts::default(),
            shots: Err(why),
            millis: 0,
        }
    }

    /// The models that were run, and the time of each run in milliseconds.
    pub fn runs(&self) -> impl Iterator<Item = (&str, u64)> {
        self.shots.iter().flatten().flat_map(|shot| {
            let answers = shot.ai_generated.iter().chain(&shot.face_manipulation);
            answers.map(|answer| (answer.model.as_str(), answer.millis))
        })
    }

    /// Why the video, or detectors on its frames, broke; what is not in use did not.
    pub fn failures(&self) -> impl Iterator<Item = &ComponentError> {
        let in_shots = self.shots.iter().flatten().flat_map(|shot| {
            let errors = shot.ai_generated.as_ref().err().into_iter();
            errors.chain(shot.face_manipulation.as_ref().err())
        });
        let errors = self.shots.as_ref().err().into_iter().chain(in_shots);
        errors.filter(|error| !error.is_skip())
    }
}

impl Eyes {
    /// Looks at a video file.
    pub(crate) fn watch(&mut self, file: &[u8]) -> Footage {
        if let (Err(why), Err(_)) = (&self.ai, &self.finder) {
            return Footage::unseen(why.clone());
        }
        let began = Instant::now();
        let (facts, frames) = video::frames(file, &self.video, WORKING_SIDE);
        let shots = frames
            .map(|frames| frames.into_iter().map(|frame| self.shot(frame)).collect())
            .map_err(ComponentError::from);
        Footage {
            facts,
            shots,
            millis: millis(began),
        }
    }

    fn shot(&mut self, frame: Frame) -> Shot {
        let (faces, face_manipulation) = self.faces(&frame.picture, frame.scale);
        let picture = DynamicImage::from(frame.picture);
        Shot {
            at_ms: frame.at_ms,
            ai_generated: self.ai_generated(&picture, Orientation::NoTransforms),
            face_manipulation,
            faces,
        }
    }
}
