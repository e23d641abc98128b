//! The score stage: from what the models saw and how the text argues to one trust score, with every reason for it.
//!
//! [`Scorer`] is pure once built: no clock, no I/O. The calculation itself is [`calculation::score`].
#![warn(missing_docs)]

mod again;
pub mod assess;
pub mod calculation;
mod components;
pub mod config;
pub mod grades;
mod links;
pub mod metrics;
pub mod pictures;
pub mod sources;
mod stage;
pub mod text;

pub use assess::{SCORING_VERSION, Scorer, SetupError};
pub use config::ScoringConfig;
pub use metrics::Metrics;
pub use stage::ScoreStage;

/// Rounds half away from zero to two decimals; never gives -0.
pub(crate) fn round2(number: f64) -> f64 {
    (number * 100.0).round() / 100.0 + 0.0
}

#[cfg(test)]
mod tests {
    use super::round2;

    #[test]
    fn rounding_is_half_away_from_zero_and_gives_no_negative_zero() {
        assert_eq!((round2(0.125), round2(-0.125)), (0.13, -0.13));
        assert_eq!((round2(0.124), round2(-25.5)), (0.12, -25.5));
        assert!(round2(-0.001).is_sign_positive());
        assert!(round2(f64::NAN).is_nan());
    }
}
