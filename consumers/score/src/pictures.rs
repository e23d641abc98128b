//! What the detectors said about the pictures of a post, checked and counted. A detector's number that is no probability makes
//! its finding a failed one here, before anything is added up.

use schemas::events::detections::{
    PictureDetections, ProvenanceFinding, Status, TextFinding, VideoDetections,
};
use schemas::{PictureFinding, Reason, Verdict};

use crate::config::AiWeights;

/// What one component came to on one input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Answer {
    /// Generated, synthesised or manipulated; the probability, 0 to 1, that it is.
    Positive(f64),
    /// None of these; the probability, 0 to 1, that it is after all.
    Negative(f64),
    /// Between the model's two thresholds.
    Inconclusive,
    /// Not run.
    Skipped(Reason),
    /// Could not be run, or answered nonsense.
    Failed(Reason),
}

impl Answer {
    /// Checks a finding. `threshold` decides where the model gave a probability but no verdict; without one such a finding is
    /// a failed one.
    pub(crate) fn of(finding: &PictureFinding, threshold: Option<f64>) -> Self {
        let probability = finding.probability.filter(|p| (0.0..=1.0).contains(p));
        match (finding.status, probability) {
            (Status::Skipped, _) => Self::Skipped(finding.reason.unwrap_or(Reason::NotInstalled)),
            (Status::Failed, _) => Self::Failed(finding.reason.unwrap_or(Reason::InferenceFailed)),
            (_, None) => Self::Failed(Reason::ModelOutputInvalid),
            (Status::Inconclusive, Some(_)) => Self::Inconclusive,
            (Status::Completed, Some(p)) => match (finding.verdict, threshold) {
                (Some(Verdict::Positive), _) => Self::Positive(p),
                (Some(Verdict::Negative), _) => Self::Negative(p),
                (None, Some(threshold)) if p > threshold => Self::Positive(p),
                (None, Some(_)) => Self::Negative(p),
                (None, None) => Self::Failed(Reason::ModelOutputInvalid),
            },
        }
    }
}

/// What became of one component over all its inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub status: Status,
    pub reason: Option<Reason>,
    pub analysed: u32,
    pub failed: u32,
}

impl Tally {
    /// A component is completed if it decided on at least one input; failures are counted beside that. `nothing` is the reason
    /// when there was no input at all.
    pub(crate) fn of(answers: impl IntoIterator<Item = Answer>, nothing: Reason) -> Self {
        let (mut decided, mut undecided, mut failed) = (0, 0, 0);
        let (mut failure, mut skip) = (None, None);
        for answer in answers {
            match answer {
                Answer::Positive(_) | Answer::Negative(_) => decided += 1,
                Answer::Inconclusive => undecided += 1,
                Answer::Skipped(reason) => {
                    skip.get_or_insert(reason);
                }
                Answer::Failed(reason) => {
                    failed += 1;
                    failure.get_or_insert(reason);
                }
            }
        }
        let (status, reason) = if decided > 0 {
            (Status::Completed, None)
        } else if undecided > 0 {
            (Status::Inconclusive, None)
        } else if failed > 0 {
            (Status::Failed, failure)
        } else {
            (Status::Skipped, Some(skip.unwrap_or(nothing)))
        };
        Self {
            status,
            reason,
            analysed: decided + undecided,
            failed,
        }
    }

    pub(crate) const fn completed(analysed: u32) -> Self {
        Self {
            status: Status::Completed,
            reason: None,
            analysed,
            failed: 0,
        }
    }

    pub(crate) const fn skipped(reason: Reason) -> Self {
        Self {
            status: Status::Skipped,
            reason: Some(reason),
            analysed: 0,
            failed: 0,
        }
    }

    /// The same component after its numbers turned out to be no numbers.
    pub(crate) const fn broken(self) -> Self {
        Self {
            status: Status::Failed,
            reason: Some(Reason::ModelOutputInvalid),
            analysed: 0,
            failed: self.failed + self.analysed,
        }
    }
}

/// Pictures judged AI-generated.
#[derive(Debug, Clone, PartialEq)]
pub struct AiEvidence {
    /// Largest probability, 0 to 1, of the pictures judged generated that carry no finding of a face; none if there is none.
    pub confidence: Option<f64>,
    /// Number of such pictures.
    pub ai_images: u32,
    /// Pictures of the post, thumbnails and videos among them.
    pub total_images: u32,
    /// What the file of one of them says itself, if one declares that it was generated.
    pub declared: Option<String>,
}

/// Pictures with a face judged synthesised or manipulated.
#[derive(Debug, Clone, PartialEq)]
pub struct FaceEvidence {
    /// Largest probability, 0 to 1, of a positive; none if there is none.
    pub confidence: Option<f64>,
    /// Number of positives.
    pub faked_images: u32,
    /// Pictures of the post, thumbnails among them.
    pub total_images: u32,
    /// Models that judged so, `name@version`: what a model was made to find says what its finding means.
    pub models: Vec<String>,
}

/// The detectors' part of an analysis.
#[derive(Debug)]
pub(crate) struct PictureSummary {
    pub ai_tally: Tally,
    pub ai: AiEvidence,
    pub ai_answers: Vec<Answer>,
    pub face_tally: Tally,
    pub faces: FaceEvidence,
    pub face_answers: Vec<Answer>,
    pub text_tally: Tally,
}

impl PictureSummary {
    /// The answers are those of the pictures, then those of the videos.
    pub(crate) fn of(
        pictures: &[PictureDetections],
        videos: &[VideoDetections],
        weights: &AiWeights,
    ) -> Self {
        let of_videos = |finding: fn(&VideoDetections) -> &PictureFinding, threshold| {
            videos
                .iter()
                .map(move |video| Answer::of(finding(video), threshold))
        };
        let ai_answers: Vec<_> = pictures
            .iter()
            .map(|p| ai_answer(p, weights))
            .chain(of_videos(|v| &v.ai_generated, Some(weights.threshold)))
            .collect();
        let face_answers: Vec<_> = pictures
            .iter()
            .map(|p| Answer::of(&p.face_manipulation, None))
            .chain(of_videos(|v| &v.face_manipulation, None))
            .collect();
        let face_models = pictures
            .iter()
            .map(|p| &p.face_manipulation.model)
            .chain(videos.iter().map(|v| &v.face_manipulation.model));
        let total_images = u32::try_from(ai_answers.len()).unwrap_or(u32::MAX);
        let mut ai = AiEvidence {
            confidence: None,
            ai_images: 0,
            total_images,
            declared: pictures
                .iter()
                .find_map(|picture| declared(picture)?.statement.clone()),
        };
        let mut faces = FaceEvidence {
            confidence: None,
            faked_images: 0,
            total_images,
            models: Vec::new(),
        };
        for ((model, ai_answer), face_answer) in face_models.zip(&ai_answers).zip(&face_answers) {
            // One picture, one penalty: a faked face outweighs what else is wrong with its picture.
            match (face_answer, ai_answer) {
                (Answer::Positive(p), _) => {
                    faces.faked_images += 1;
                    faces.confidence = Some(larger(faces.confidence, *p));
                    faces.models.extend(model.clone());
                }
                (_, Answer::Positive(p)) => {
                    ai.ai_images += 1;
                    ai.confidence = Some(larger(ai.confidence, *p));
                }
                _ => {}
            }
        }
        faces.models.sort();
        faces.models.dedup();
        Self {
            ai_tally: Tally::of(ai_answers.iter().copied(), Reason::NoImages),
            ai,
            ai_answers,
            face_tally: Tally::of(face_answers.iter().copied(), Reason::NoImages),
            faces,
            face_answers,
            text_tally: Tally::of(
                pictures.iter().map(|p| text_answer(&p.text)),
                Reason::NoImages,
            ),
        }
    }
}

/// What a file says of itself outweighs what a model makes of its pixels.
fn ai_answer(picture: &PictureDetections, weights: &AiWeights) -> Answer {
    if declared(picture).is_some() {
        Answer::Positive(1.0)
    } else {
        Answer::of(&picture.ai_generated, Some(weights.threshold))
    }
}

fn declared(picture: &PictureDetections) -> Option<&ProvenanceFinding> {
    picture
        .provenance
        .as_ref()
        .filter(|found| found.declared_ai)
}

fn larger(so_far: Option<f64>, p: f64) -> f64 {
    so_far.map_or(p, |q| q.max(p))
}

/// Text reading has no verdict; read text, even none at all, counts as an answer.
fn text_answer(finding: &TextFinding) -> Answer {
    match finding.status {
        Status::Completed if finding.text.is_some() => Answer::Negative(0.0),
        Status::Completed => Answer::Failed(Reason::ModelOutputInvalid),
        Status::Inconclusive => Answer::Inconclusive,
        Status::Skipped => Answer::Skipped(finding.reason.unwrap_or(Reason::NotInstalled)),
        Status::Failed => Answer::Failed(finding.reason.unwrap_or(Reason::InferenceFailed)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(
        status: Status,
        verdict: Option<Verdict>,
        probability: Option<f64>,
    ) -> PictureFinding {
        PictureFinding {
            status,
            verdict,
            probability,
            model: Some("m@1".to_owned()),
            millis: None,
            reason: None,
            reused: false,
        }
    }

    #[test]
    fn what_is_no_probability_is_a_failed_finding() {
        let invalid = Answer::Failed(Reason::ModelOutputInvalid);
        for p in [
            None,
            Some(f64::NAN),
            Some(f64::INFINITY),
            Some(-0.01),
            Some(1.01),
        ] {
            let of = |status| Answer::of(&finding(status, Some(Verdict::Positive), p), Some(0.5));
            assert_eq!(of(Status::Completed), invalid, "{p:?}");
            assert_eq!(of(Status::Inconclusive), invalid, "{p:?}");
        }
    }

    #[test]
    fn without_a_verdict_the_threshold_decides_and_is_exclusive() {
        let of = |p, threshold| Answer::of(&finding(Status::Completed, None, Some(p)), threshold);
        assert_eq!(of(0.5, Some(0.5)), Answer::Negative(0.5));
        assert_eq!(of(0.51, Some(0.5)), Answer::Positive(0.51));
        assert_eq!(of(0.99, None), Answer::Failed(Reason::ModelOutputInvalid));
        let calibrated = finding(Status::Completed, Some(Verdict::Positive), Some(0.3));
        assert_eq!(Answer::of(&calibrated, Some(0.5)), Answer::Positive(0.3));
    }

    #[test]
    fn a_component_is_completed_by_one_input_and_counts_failures() {
        let failed = Answer::Failed(Reason::MediaUndecodable);
        let skipped = Answer::Skipped(Reason::ModelsOff);
        let tally = |answers: &[Answer]| Tally::of(answers.iter().copied(), Reason::NoImages);
        assert_eq!(
            tally(&[failed, Answer::Negative(0.1), Answer::Inconclusive, skipped]),
            Tally {
                status: Status::Completed,
                reason: None,
                analysed: 2,
                failed: 1
            }
        );
        assert_eq!(
            tally(&[Answer::Inconclusive, failed]).status,
            Status::Inconclusive
        );
        assert_eq!(
            tally(&[skipped, failed]),
            Tally {
                status: Status::Failed,
                reason: Some(Reason::MediaUndecodable),
                analysed: 0,
                failed: 1
            }
        );
        assert_eq!(tally(&[skipped]), Tally::skipped(Reason::ModelsOff));
        assert_eq!(tally(&[]), Tally::skipped(Reason::NoImages));
    }
}
