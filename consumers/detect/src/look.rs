//! One look at one picture: decoded once, then shown to every detector of this thread.

use image::{DynamicImage, RgbImage, metadata::Orientation};
use schemas::{
    Reason,
    events::detections::{FaceBox, ProvenanceFinding},
};
use store::Appearance;
use tokio::time::Instant;

use crate::{
    ComponentError, Verdict, appearance,
    clip::{Encoder, OutputError},
    faces::{self, Finder},
    head::{Head, Thresholds},
    header::PictureLimits,
    ocr::{Reader, Reading},
    preprocess,
    provenance::{self, CredentialChecker},
    registry::ClassifierEntry,
    video::VideoLimits,
};

/// Longest side, in pixels, of the copy in which text and faces are looked for.
pub(crate) const WORKING_SIDE: u32 = 1280;
/// Shortest side of a face that is judged, in pixels of that copy.
const MIN_FACE: u32 = 48;
/// Faces of a picture that are judged, at most.
const MAX_JUDGED: usize = 4;

/// What the detectors say about one picture, each for itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// Width and height in pixels as it is shown; none when it could not be decoded, or nobody looked.
    pub size: Option<(u32, u32)>,
    /// Whether it was generated.
    pub ai_generated: Result<Judged, ComponentError>,
    /// The text in it.
    pub text: Result<TextRead, ComponentError>,
    /// Whether a face in it was synthesised or manipulated; skipped where there is no face.
    pub face_manipulation: Result<Judged, ComponentError>,
    /// The faces in it, the surest first, in pixels of the picture as it is shown.
    pub faces: Vec<FaceBox>,
    /// What the file says of its own origin; none when nobody looked.
    pub provenance: Option<ProvenanceFinding>,
    /// What it looks like; none when it is too plain to be known by it, or could not be decoded.
    pub appearance: Option<Appearance>,
}

/// A picture that was decoded and not looked at yet.
pub struct Opened {
    picture: DynamicImage,
    orientation: Orientation,
    /// What it looks like; none when it is too plain to be known by it.
    pub appearance: Option<Appearance>,
    provenance: ProvenanceFinding,
    /// Time it took, in milliseconds.
    decoding: u64,
}

/// What a detector makes of a picture: whether it was generated, or whether a face in it was synthesised or manipulated.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Calibrated probability that it was, 0 to 1; of several faces the largest.
    pub probability: f64,
    /// What that means by the thresholds of the registry.
    pub verdict: Verdict,
    /// What says so, `name@version`.
    pub model: String,
    /// Time for decoding and inference, in milliseconds, without waiting.
    pub millis: u64,
}

impl Look {
    /// The answer of detectors that did not see the picture.
    #[must_use]
    pub fn unseen(why: &ComponentError) -> Self {
        Self {
            size: None,
            ai_generated: Err(why.clone()),
            text: Err(why.clone()),
            face_manipulation: Err(why.clone()),
            faces: Vec::new(),
            provenance: None,
            appearance: None,
        }
    }

    /// The models that were run, and the time of each in milliseconds.
    pub fn runs(&self) -> impl Iterator<Item = (&str, u64)> {
        let judged = self.ai_generated.iter().chain(&self.face_manipulation);
        let text = self.text.iter();
        judged
            .map(|answer| (answer.model.as_str(), answer.millis))
            .chain(text.map(|answer| (answer.model.as_str(), answer.millis)))
    }

    /// Why components broke on this picture; those that are not in use did not.
    pub fn failures(&self) -> impl Iterator<Item = &ComponentError> {
        let errors = self.ai_generated.as_ref().err().into_iter();
        errors
            .chain(self.text.as_ref().err())
            .chain(self.face_manipulation.as_ref().err())
            .filter(|error| !error.is_skip())
    }
}

/// The text in a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct TextRead {
    /// What was read, with corners in pixels of the picture as it is shown.
    pub reading: Reading,
    /// The reader, `name@version`.
    pub model: String,
    /// Time for decoding and inference, in milliseconds, without waiting.
    pub millis: u64,
}

/// A head with what it needs to decide.
#[derive(Clone)]
pub(crate) struct Judge {
    pub(crate) head: Head,
    pub(crate) thresholds: Thresholds,
    /// `name@version`.
    pub(crate) id: String,
}

impl Judge {
    /// The probability and the verdict on these features.
    pub(crate) fn verdict(&self, features: &[f32]) -> Result<(f64, Verdict), OutputError> {
        let probability = self.head.probability(features).ok_or(OutputError::Score)?;
        Ok((probability, self.thresholds.verdict(probability)))
    }
}

/// What one thread owns. What is not installed says why.
pub(crate) struct Eyes {
    pub(crate) limits: PictureLimits,
    pub(crate) video: VideoLimits,
    pub(crate) ai: Result<(Encoder, Judge), ComponentError>,
    pub(crate) reader: Result<(Reader, String), ComponentError>,
    pub(crate) finder: Result<Finder, ComponentError>,
    pub(crate) face_judge: Result<FaceJudge, ComponentError>,
    pub(crate) credentials: CredentialChecker,
}

/// What judges a face that was cut out.
pub(crate) enum FaceJudge {
    /// A head on the features of the encoder that looks at whole pictures too.
    Head(Judge),
    /// An operator's own model.
    Own(Box<(Encoder, ClassifierEntry)>),
}

impl Eyes {
    /// Looks at a picture file.
    pub(crate) fn look(&mut self, file: &[u8]) -> Look {
        match self.open(file) {
            Ok(opened) => self.look_at(opened, false),
            Err(look) => *look,
        }
    }

    /// Decodes a picture file; one that can't be decoded is looked at already.
    pub(crate) fn open(&mut self, file: &[u8]) -> Result<Opened, Box<Look>> {
        let began = Instant::now();
        let provenance = provenance::read(file, &self.credentials);
        let opened = preprocess::open(file, &self.limits).and_then(|(picture, orientation)| {
            let appearance = appearance::of(&picture, orientation)?;
            Ok((picture, orientation, appearance))
        });
        match opened {
            Ok((picture, orientation, appearance)) => Ok(Opened {
                picture,
                orientation,
                appearance,
                provenance,
                decoding: millis(began),
            }),
            Err(error) => {
                let error = ComponentError::from(error);
                let failed = |left_out: Option<&ComponentError>| left_out.unwrap_or(&error).clone();
                Err(Box::new(Look {
                    ai_generated: Err(failed(self.ai.as_ref().err())),
                    text: Err(failed(self.reader.as_ref().err())),
                    face_manipulation: Err(failed(self.face_judge.as_ref().err())),
                    provenance: Some(provenance),
                    ..Look::unseen(&error)
                }))
            }
        }
    }

    /// Looks at a decoded picture; at one whose origin is `known`, without judging whether it was generated.
    pub(crate) fn look_at(&mut self, opened: Opened, known: bool) -> Look {
        let Opened {
            picture,
            orientation,
            appearance,
            provenance,
            decoding,
        } = opened;
        let mut ai_generated = if known {
            // The asker has its own answer.
            Err(ComponentError::Skipped(Reason::NotInstalled))
        } else {
            self.ai_generated(&picture, orientation)
        };
        if let Ok(judged) = &mut ai_generated {
            judged.millis += decoding;
        }
        let turned = matches!(
            orientation,
            Orientation::Rotate90
                | Orientation::Rotate270
                | Orientation::Rotate90FlipH
                | Orientation::Rotate270FlipH
        );
        let (mut width, mut height) = (picture.width(), picture.height());
        if turned {
            std::mem::swap(&mut width, &mut height);
        }
        let since = Instant::now();
        let copy = preprocess::working_copy(&picture, orientation, WORKING_SIDE);
        drop(picture);
        let scale = |copy: &RgbImage| f64::from(width) / f64::from(copy.width());
        let text = match (&mut self.reader, &copy) {
            (Err(why), _) => Err(why.clone()),
            (_, Err(error)) => Err(error.clone().into()),
            (Ok((reader, id)), Ok(copy)) => reader.read(copy).map(|reading| TextRead {
                reading: scaled(reading, scale(copy)),
                model: id.clone(),
                millis: decoding + millis(since),
            }),
        };
        let (faces, mut face_manipulation) = match &copy {
            Err(error) => {
                let why = self.finder.as_ref().err().cloned();
                (Vec::new(), Err(why.unwrap_or_else(|| error.clone().into())))
            }
            Ok(copy) => self.faces(copy, scale(copy)),
        };
        if let Ok(judged) = &mut face_manipulation {
            judged.millis += decoding;
        }
        Look {
            size: Some((width, height)),
            ai_generated,
            text,
            face_manipulation,
            faces,
            provenance: Some(provenance),
            appearance,
        }
    }

    /// Finds and judges the faces of a picture that was made smaller `scale` times; boxes are told in pixels of the original.
    pub(crate) fn faces(
        &mut self,
        picture: &RgbImage,
        scale: f64,
    ) -> (Vec<FaceBox>, Result<Judged, ComponentError>) {
        let since = Instant::now();
        let finder = self.finder.as_mut();
        let found = finder.map_err(|why| why.clone());
        let mut faces = match found.and_then(|finder| finder.find(picture)) {
            Err(error) => return (Vec::new(), Err(error)),
            Ok(faces) => faces,
        };
        let judged = self.judge_faces(picture, &mut faces);
        enlarge(&mut faces, scale);
        let judged = judged.map(|(probability, verdict, model)| Judged {
            probability,
            verdict,
            model,
            millis: millis(since),
        });
        (faces, judged)
    }

    /// The features of a picture file.
    pub(crate) fn features(&mut self, file: &[u8]) -> Result<Vec<f32>, ComponentError> {
        let (picture, orientation) = preprocess::open(file, &self.limits)?;
        let (encoder, _) = self.ai.as_mut().map_err(|why| why.clone())?;
        encoder.features(&picture, orientation)
    }

    /// Judges the surest faces that are large enough, and notes each one's probability.
    fn judge_faces(
        &mut self,
        picture: &RgbImage,
        faces: &mut [FaceBox],
    ) -> Result<(f64, Verdict, String), ComponentError> {
        let judge = self.face_judge.as_mut().map_err(|why| why.clone())?;
        let (thresholds, id) = match judge {
            FaceJudge::Head(judge) => (judge.thresholds, judge.id.clone()),
            FaceJudge::Own(own) => (own.1.thresholds, own.1.id()),
        };
        let mut largest: Option<f64> = None;
        let judged = faces.iter_mut().filter(|face| is_judged(face));
        for face in judged.take(MAX_JUDGED) {
            let cut = faces::cut_out(picture, face);
            let probability = match judge {
                FaceJudge::Head(judge) => {
                    let (encoder, _) = self.ai.as_mut().map_err(|why| why.clone())?;
                    let features = encoder.features(&cut, Orientation::NoTransforms)?;
                    judge.head.probability(&features)
                }
                FaceJudge::Own(own) => {
                    let (encoder, entry) = &mut **own;
                    let output = encoder.features(&cut, Orientation::NoTransforms)?;
                    entry.probability(&output)
                }
            };
            let probability = probability.ok_or(OutputError::Score)?;
            face.probability = Some(probability);
            largest = Some(largest.map_or(probability, |so_far| so_far.max(probability)));
        }
        let probability = largest.ok_or(ComponentError::Skipped(Reason::NoFaces))?;
        Ok((probability, thresholds.verdict(probability), id))
    }

    /// The features of the surest face of a picture file that is large enough, as heads for faces are trained on.
    pub(crate) fn face_features(&mut self, file: &[u8]) -> Result<Vec<f32>, ComponentError> {
        let (picture, orientation) = preprocess::open(file, &self.limits)?;
        let copy = preprocess::working_copy(&picture, orientation, WORKING_SIDE)?;
        let finder = self.finder.as_mut().map_err(|why| why.clone())?;
        let faces = finder.find(&copy)?;
        let face = faces
            .iter()
            .find(|face| is_judged(face))
            .ok_or(ComponentError::Skipped(Reason::NoFaces))?;
        let (encoder, _) = self.ai.as_mut().map_err(|why| why.clone())?;
        encoder.features(&faces::cut_out(&copy, face), Orientation::NoTransforms)
    }

    /// Whether a decoded picture was generated.
    pub(crate) fn ai_generated(
        &mut self,
        picture: &DynamicImage,
        orientation: Orientation,
    ) -> Result<Judged, ComponentError> {
        let since = Instant::now();
        let (encoder, judge) = self.ai.as_mut().map_err(|why| why.clone())?;
        let features = encoder.features(picture, orientation)?;
        let (probability, verdict) = judge.verdict(&features)?;
        Ok(Judged {
            probability,
            verdict,
            model: judge.id.clone(),
            millis: millis(since),
        })
    }
}

/// Whether a face, in pixels of the copy it was found in, is large enough.
const fn is_judged(face: &FaceBox) -> bool {
    face.width >= MIN_FACE && face.height >= MIN_FACE
}

/// Time since then, in milliseconds.
pub(crate) fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Corners in pixels of the copy, brought to those of the picture.
fn scaled(mut reading: Reading, scale: f64) -> Reading {
    for line in &mut reading.lines {
        line.corners = line
            .corners
            .map(|corner| corner.map(|value| (f64::from(value) * scale).round() as i32));
    }
    reading
}

/// Boxes in pixels of the copy, brought to those of the picture.
fn enlarge(faces: &mut [FaceBox], scale: f64) {
    for face in faces {
        for value in [&mut face.x, &mut face.y, &mut face.width, &mut face.height] {
            *value = (f64::from(*value) * scale).round() as u32;
        }
    }
}
