//! `[scoring]`: every weight, threshold and grade of the calculation. The defaults are the published rules; whoever changes one
//! gets another `scoring_version`, so that two results with the same version were made by the same rules.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::grades::{self, GradeBand};

mod change;
mod weights;

pub use change::ChangeError;
pub use weights::{
    AiWeights, DeepfakeWeights, FactCheckWeights, ReliabilityNumbers, SourceWeights, TextWeights,
};

/// The configuration of the score stage. Points are points of the score (0 to 100) unless said otherwise; penalties are written
/// as positive numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScoringConfig {
    /// AI-generated pictures.
    pub ai: AiWeights,
    /// Synthesised or manipulated faces.
    pub deepfake: DeepfakeWeights,
    /// What the credibility of the text does to the score.
    pub fact_check: FactCheckWeights,
    /// Linked publishers.
    pub sources: SourceWeights,
    /// How the credibility of the text comes about.
    pub text: TextWeights,
    /// Grades, best first; the last begins at 0.
    pub grades: Vec<GradeBand>,
    /// Folder of pattern files that replace the built-in ones of the same name, or add languages: `en.toml` and so on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patterns: Option<PathBuf>,
}

impl Default for ScoringConfig {
    fn default() -> Self {
        Self {
            ai: AiWeights::default(),
            deepfake: DeepfakeWeights::default(),
            fact_check: FactCheckWeights::default(),
            sources: SourceWeights::default(),
            text: TextWeights::default(),
            grades: grades::default_bands(),
            patterns: None,
        }
    }
}

/// What is wrong with `[scoring]`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("scoring.{key} {problem}")]
pub struct ConfigError {
    /// The key, dotted, below `scoring`.
    pub key: String,
    /// What to change.
    pub problem: &'static str,
}

impl ConfigError {
    pub(crate) fn new(key: impl Into<String>, problem: &'static str) -> Self {
        Self {
            key: key.into(),
            problem,
        }
    }
}

impl ScoringConfig {
    /// Checks what types alone can't hold.
    ///
    /// # Errors
    /// The first key that breaks a rule.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.problems().into_iter().next().map_or(Ok(()), Err)
    }

    /// Every key that breaks a rule.
    #[must_use]
    pub fn problems(&self) -> Vec<ConfigError> {
        let mut problems = Vec::new();
        check_numbers("", &self.to_value(), &mut problems);
        // What is no number was found above.
        let mut below = |key: &str, low: f64, high: f64| {
            if low > high {
                let problem = "must not be below the threshold before it";
                problems.push(ConfigError::new(key, problem));
            }
        };
        let (check, sources, text) = (&self.fact_check, &self.sources, &self.text);
        below(
            "fact_check.questionable_below",
            check.low_below,
            check.questionable_below,
        );
        below(
            "fact_check.high_from",
            check.questionable_below,
            check.high_from,
        );
        below(
            "sources.high_average_above",
            sources.low_average_below,
            sources.high_average_above,
        );
        below(
            "text.subjective_above",
            text.objective_below,
            text.subjective_above,
        );
        below(
            "text.questionable_from",
            text.low_credibility_from,
            text.questionable_from,
        );
        below(
            "text.generally_credible_from",
            text.questionable_from,
            text.generally_credible_from,
        );
        below(
            "text.highly_credible_from",
            text.generally_credible_from,
            text.highly_credible_from,
        );
        below(
            "text.medium_risk_below",
            text.high_risk_below,
            text.medium_risk_below,
        );
        below(
            "text.low_risk_below",
            text.medium_risk_below,
            text.low_risk_below,
        );
        let mut unit = |key: &str, value: f64| {
            if value > 1.0 {
                problems.push(ConfigError::new(key, "must be between 0 and 1"));
            }
        };
        unit("ai.threshold", self.ai.threshold);
        unit("sources.verified_account", sources.verified_account);
        unit("sources.unverified_account", sources.unverified_account);
        let numbers = serde_json::to_value(&sources.reliability).unwrap_or_default();
        for (name, number) in numbers.as_object().into_iter().flatten() {
            unit(
                &format!("sources.reliability.{name}"),
                number.as_f64().unwrap_or(f64::NAN),
            );
        }
        problems.extend(grades::validate(&self.grades).err());
        problems
    }

    /// The configuration as JSON: equal for equal rules, so it identifies them.
    pub(crate) fn to_value(&self) -> Value {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        // Names of files change nothing; what the files hold does, and is identified with the lists and patterns read from them.
        if let Some(fields) = value.as_object_mut() {
            fields.remove("patterns");
        }
        if let Some(sources) = value.get_mut("sources").and_then(Value::as_object_mut) {
            sources.remove("file");
        }
        value
    }
}

/// Every number must be finite (JSON writes the others as null), not negative, and of a size a score can use.
fn check_numbers(key: &str, value: &Value, problems: &mut Vec<ConfigError>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let key = if key.is_empty() {
                    name.clone()
                } else {
                    format!("{key}.{name}")
                };
                check_numbers(&key, field, problems);
            }
        }
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                check_numbers(&format!("{key}[{i}]"), item, problems);
            }
        }
        Value::Null => problems.push(ConfigError::new(key, "must be a finite number")),
        Value::Number(number) => {
            let sized = number.as_f64().is_some_and(|n| (0.0..=1000.0).contains(&n));
            if !sized {
                problems.push(ConfigError::new(key, "must be between 0 and 1000"));
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_an_empty_table_is_the_defaults() {
        ScoringConfig::default().validate().unwrap();
        assert_eq!(
            toml::from_str::<ScoringConfig>("").unwrap(),
            ScoringConfig::default()
        );
        let one: ScoringConfig = toml::from_str("[ai]\npoints = 10.0").unwrap();
        assert_eq!((one.ai.points, one.ai.threshold), (10.0, 0.5));
    }

    #[test]
    fn unknown_keys_are_refused() {
        for text in [
            "speed = 1",
            "[ai]\npoint = 1.0",
            "[sources.reliability]\nbest = 1.0",
            "[text]\nlinks = 1.0",
        ] {
            let error = toml::from_str::<ScoringConfig>(text)
                .unwrap_err()
                .to_string();
            assert!(error.contains("unknown field"), "{error}");
        }
    }

    #[test]
    fn numbers_that_make_no_sense_are_refused_by_key() {
        let refused = |change: fn(&mut ScoringConfig)| {
            let mut config = ScoringConfig::default();
            change(&mut config);
            config.validate().unwrap_err().key
        };
        assert_eq!(refused(|c| c.ai.points = f64::NAN), "ai.points");
        assert_eq!(
            refused(|c| c.deepfake.points = f64::INFINITY),
            "deepfake.points"
        );
        assert_eq!(
            refused(|c| c.fact_check.medical_claims = -1.0),
            "fact_check.medical_claims"
        );
        assert_eq!(refused(|c| c.ai.threshold = 1.5), "ai.threshold");
        assert_eq!(
            refused(|c| c.fact_check.questionable_below = 40.0),
            "fact_check.questionable_below"
        );
        assert_eq!(
            refused(|c| c.sources.reliability.high = 80.0),
            "sources.reliability.high"
        );
        assert_eq!(refused(|c| c.grades[0].from = f64::NAN), "grades[0].from");
        assert_eq!(refused(|c| c.grades.swap(0, 1)), "grades");
        assert_eq!(
            refused(|c| c.grades[3].color = "green".to_owned()),
            "grades"
        );
        assert_eq!(refused(|c| c.grades.clear()), "grades");
    }
}
