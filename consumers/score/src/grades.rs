//! Grades: bands of the rounded score.

use schemas::events::result::GradeInfo;
use serde::{Deserialize, Serialize};

use crate::config::ConfigError;

/// One grade.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GradeBand {
    /// Lowest score of the grade, 0 to 100.
    pub from: f64,
    /// Such as `B+`.
    pub grade: String,
    /// In words.
    pub description: String,
    /// `#rrggbb`.
    pub color: String,
    /// One emoji.
    pub emoji: String,
}

impl GradeBand {
    /// What the grade means, as results carry it.
    #[must_use]
    pub fn info(&self) -> GradeInfo {
        GradeInfo {
            description: self.description.clone(),
            color: self.color.clone(),
            emoji: self.emoji.clone(),
        }
    }
}

const DEFAULT: [(f64, &str, &str, &str, &str); 13] = [
    (
        95.0,
        "A+",
        "Excellent - Highly trustworthy content",
        "#059669",
        "✅",
    ),
    (90.0, "A", "Excellent - Very trustworthy", "#10b981", "✅"),
    (85.0, "A-", "Very Good - Trustworthy", "#34d399", "✅"),
    (80.0, "B+", "Good - Generally trustworthy", "#22c55e", "👍"),
    (75.0, "B", "Good - Mostly reliable", "#84cc16", "👍"),
    (70.0, "B-", "Satisfactory - Some concerns", "#a3e635", "👍"),
    (65.0, "C+", "Fair - Multiple concerns", "#facc15", "⚠️"),
    (
        60.0,
        "C",
        "Fair - Questionable reliability",
        "#fbbf24",
        "⚠️",
    ),
    (55.0, "C-", "Poor - Significant concerns", "#fb923c", "⚠️"),
    (50.0, "D+", "Poor - Low credibility", "#f97316", "❌"),
    (45.0, "D", "Very Poor - Not trustworthy", "#ef4444", "❌"),
    (40.0, "D-", "Very Poor - Unreliable", "#dc2626", "❌"),
    (0.0, "F", "Failing - Highly unreliable", "#991b1b", "❌"),
];

/// The published grades.
pub(crate) fn default_bands() -> Vec<GradeBand> {
    DEFAULT
        .iter()
        .map(|&(from, grade, description, color, emoji)| GradeBand {
            from,
            grade: grade.to_owned(),
            description: description.to_owned(),
            color: color.to_owned(),
            emoji: emoji.to_owned(),
        })
        .collect()
}

/// The grade of a rounded score; `None` only for a number that belongs to no band, such as NaN.
pub(crate) fn grade_of(score: f64, bands: &[GradeBand]) -> Option<&GradeBand> {
    bands.iter().find(|band| score >= band.from)
}

pub(crate) fn validate(bands: &[GradeBand]) -> Result<(), ConfigError> {
    let problem = if bands.last().is_none_or(|last| last.from != 0.0) {
        "must end with a grade that begins at 0"
    } else if !bands.windows(2).all(|pair| pair[0].from > pair[1].from) {
        "must be in falling order, no two from the same score"
    } else if bands.iter().any(|band| band.grade.trim().is_empty()) {
        "must all have a name"
    } else if !bands.iter().all(|band| is_color(&band.color)) {
        "must have colors of the form #rrggbb"
    } else {
        return Ok(());
    };
    Err(ConfigError::new("grades", problem))
}

fn is_color(text: &str) -> bool {
    text.strip_prefix('#')
        .is_some_and(|digits| digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grade_begins_at_its_boundary_and_a_hundredth_less_is_the_next() {
        let bands = default_bands();
        for pair in DEFAULT.windows(2) {
            let (from, grade) = (pair[0].0, pair[0].1);
            assert_eq!(grade_of(from, &bands).unwrap().grade, grade);
            assert_eq!(grade_of(from - 0.01, &bands).unwrap().grade, pair[1].1);
        }
        assert_eq!(grade_of(100.0, &bands).unwrap().grade, "A+");
        assert_eq!(grade_of(39.99, &bands).unwrap().grade, "F");
        assert_eq!(grade_of(0.0, &bands).unwrap().grade, "F");
        assert!(grade_of(f64::NAN, &bands).is_none());
    }

    #[test]
    fn every_grade_has_words_a_color_and_an_emoji() {
        for band in default_bands() {
            let info = band.info();
            assert!(info.description.contains(" - "), "{info:?}");
            assert!(is_color(&info.color), "{info:?}");
            assert!(!info.emoji.is_empty());
        }
    }
}
