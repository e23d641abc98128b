//! The linear head: features in, a calibrated probability out.

use serde::Deserialize;

/// What was decided about a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Above the upper threshold: generated, synthesised or manipulated.
    Positive,
    /// Below the lower threshold.
    Negative,
    /// Between them.
    Inconclusive,
}

/// Where a head decides. The probability must be beyond a threshold, not on it.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// Below this, the picture is not of the kind the head looks for.
    pub low: f64,
    /// Above this, it is. From `low` to `high` the answer is inconclusive.
    pub high: f64,
}

impl Thresholds {
    pub(crate) fn is_valid(&self) -> bool {
        0.0 < self.low && self.low <= self.high && self.high < 1.0
    }

    /// What a probability means.
    #[must_use]
    pub fn verdict(&self, probability: f64) -> Verdict {
        if probability > self.high {
            Verdict::Positive
        } else if probability < self.low {
            Verdict::Negative
        } else {
            Verdict::Inconclusive
        }
    }
}

/// Why weights or features can't be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum HeadError {
    /// The weights are not JSON of the right shape.
    #[error("its weights can't be read: {0}")]
    Parse(String),
    /// The weights belong to another model.
    #[error("its weights were trained on {trained_on}, but the registry gives it {given}")]
    OtherModel {
        /// The model the weights name.
        trained_on: String,
        /// The model the registry names.
        given: String,
    },
    /// There are as many coefficients as the model has no features.
    #[error("it has {found} coefficients for {expected} features")]
    Length {
        /// Coefficients in the weights.
        found: usize,
        /// Features of the model.
        expected: usize,
    },
    /// Its parts are not the model's features.
    #[error("its parts {found:?} are not {expected} features together")]
    Parts {
        /// Features of each part.
        found: Vec<usize>,
        /// Features of the model.
        expected: usize,
    },
    /// A weight is NaN or infinite, or all coefficients are 0, or the calibration turns the score around.
    #[error("its weights are no working classifier")]
    Degenerate,
}

/// Logistic regression on features each part of which is scaled to length 1, calibrated after Platt (1999):
/// `P = 1 / (1 + exp(-(slope * (sum of w . x / |x| over the parts + b) + offset)))`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The model whose features it reads, `name@version`.
    model: String,
    /// How the features of each part are scaled before.
    normalisation: Normalisation,
    /// How many features each part has, in order; all of them are one part when nothing is said.
    #[serde(default)]
    parts: Vec<usize>,
    coefficients: Vec<f64>,
    intercept: f64,
    calibration: Calibration,
}

/// How features are scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Normalisation {
    /// To Euclidean length 1.
    UnitLength,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Calibration {
    slope: f64,
    offset: f64,
}

impl Head {
    /// Reads weights, for a `model` (`name@version`) of so many `features`.
    ///
    /// # Errors
    /// [`HeadError`]
    pub fn parse(json: &[u8], model: &str, features: usize) -> Result<Self, HeadError> {
        let mut head: Self =
            serde_json::from_slice(json).map_err(|error| HeadError::Parse(error.to_string()))?;
        if head.model != model {
            return Err(HeadError::OtherModel {
                trained_on: head.model,
                given: model.to_owned(),
            });
        }
        if head.coefficients.len() != features {
            return Err(HeadError::Length {
                found: head.coefficients.len(),
                expected: features,
            });
        }
        if head.parts.is_empty() {
            head.parts.push(features);
        }
        let in_parts = head
            .parts
            .iter()
            .try_fold(0usize, |sum, part| sum.checked_add(*part));
        if in_parts != Some(features) {
            return Err(HeadError::Parts {
                found: head.parts,
                expected: features,
            });
        }
        // JSON has no NaN or infinity, but 1e999 reads as infinity in some writers' hands.
        let works = head.coefficients.iter().all(|w| w.is_finite())
            && head.coefficients.iter().any(|w| *w != 0.0)
            && head.intercept.is_finite()
            && head.calibration.offset.is_finite()
            && head.calibration.slope.is_finite()
            && head.calibration.slope > 0.0;
        if works {
            Ok(head)
        } else {
            Err(HeadError::Degenerate)
        }
    }

    /// The calibrated probability, 0 to 1. `None` when the features are not as many as the coefficients or lead to no
    /// number.
    #[must_use]
    pub fn probability(&self, features: &[f32]) -> Option<f64> {
        if features.len() != self.coefficients.len() {
            return None;
        }
        let Normalisation::UnitLength = self.normalisation;
        let (mut features, mut coefficients) = (features, &self.coefficients[..]);
        let mut score = self.intercept;
        for &part in &self.parts {
            let (x, after) = features.split_at_checked(part)?;
            let (w, others) = coefficients.split_at_checked(part)?;
            let squares: f64 = x.iter().map(|&f| f64::from(f) * f64::from(f)).sum();
            let product: f64 = x.iter().zip(w).map(|(&f, w)| f64::from(f) * w).sum();
            score += product / squares.sqrt();
            (features, coefficients) = (after, others);
        }
        let logit = self.calibration.slope * score + self.calibration.offset;
        let probability = 1.0 / (1.0 + (-logit).exp());
        probability.is_finite().then_some(probability)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEIGHTS: &str = r#"{
        "model": "m@1",
        "normalisation": "unit_length",
        "coefficients": [2.0, -1.0],
        "intercept": 0.5,
        "calibration": {"slope": 2.0, "offset": -1.0}
    }"#;

    fn head() -> Head {
        Head::parse(WEIGHTS.as_bytes(), "m@1", 2).unwrap()
    }

    #[test]
    fn the_probability_is_the_formula_and_ignores_length() {
        // x / |x| = (0.6, 0.8): 1.2 - 0.8 + 0.5 = 0.9; 2 * 0.9 - 1 = 0.8.
        let expected = 1.0 / (1.0 + (-0.8f64).exp());
        for features in [[3.0, 4.0], [0.3, 0.4], [3000.0, 4000.0]] {
            let found = head().probability(&features).unwrap();
            assert!((found - expected).abs() < 1e-6, "{found}");
        }
    }

    #[test]
    fn each_part_has_its_own_length() {
        let two = WEIGHTS
            .replace("[2.0, -1.0]", "[2.0, -1.0, 5.0]")
            .replace("\"coefficients\"", "\"parts\": [2, 1], \"coefficients\"");
        let head = Head::parse(two.as_bytes(), "m@1", 3).unwrap();
        // As above, and 5 * 1: 2 * 5.9 - 1 = 10.8.
        let expected = 1.0 / (1.0 + (-10.8f64).exp());
        for third in [0.001, 7.0] {
            let found = head.probability(&[3.0, 4.0, third]).unwrap();
            assert!((found - expected).abs() < 1e-6, "{found}");
        }
        assert_eq!(head.probability(&[3.0, 4.0, 0.0]), None);
        let wrong = two.replace("[2, 1]", "[2, 2]");
        assert!(matches!(
            Head::parse(wrong.as_bytes(), "m@1", 3),
            Err(HeadError::Parts { .. })
        ));
    }

    #[test]
    fn features_that_are_no_numbers_give_no_probability() {
        for features in [
            &[f32::NAN, 1.0][..],
            &[f32::INFINITY, 1.0],
            &[1.0, f32::NEG_INFINITY],
            &[0.0, 0.0],
            &[1.0],
            &[1.0, 1.0, 1.0],
            &[],
        ] {
            assert_eq!(head().probability(features), None, "{features:?}");
        }
    }

    #[test]
    fn weights_that_do_not_fit_are_refused() {
        let parse = |json: &str, model, features| Head::parse(json.as_bytes(), model, features);
        assert!(matches!(parse("{}", "m@1", 2), Err(HeadError::Parse(_))));
        assert!(matches!(
            parse(
                &WEIGHTS.replace("\"intercept\"", "\"extra\": 1, \"intercept\""),
                "m@1",
                2
            ),
            Err(HeadError::Parse(_))
        ));
        assert!(matches!(
            parse(WEIGHTS, "m@2", 2),
            Err(HeadError::OtherModel { .. })
        ));
        assert_eq!(
            parse(WEIGHTS, "m@1", 3),
            Err(HeadError::Length {
                found: 2,
                expected: 3
            })
        );
        for degenerate in [
            WEIGHTS.replace("2.0, -1.0", "0.0, 0.0"),
            WEIGHTS.replace("\"slope\": 2.0", "\"slope\": -2.0"),
        ] {
            assert_eq!(parse(&degenerate, "m@1", 2), Err(HeadError::Degenerate));
        }
    }

    #[test]
    fn the_thresholds_themselves_are_inconclusive() {
        let thresholds = Thresholds {
            low: 0.3,
            high: 0.7,
        };
        let verdicts = [0.0, 0.29, 0.3, 0.5, 0.7, 0.71, 1.0].map(|p| thresholds.verdict(p));
        use Verdict::{Inconclusive, Negative, Positive};
        assert_eq!(
            verdicts,
            [
                Negative,
                Negative,
                Inconclusive,
                Inconclusive,
                Inconclusive,
                Positive,
                Positive
            ]
        );
    }
}
