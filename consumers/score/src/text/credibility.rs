//! Credibility of a text, 0 to 100, from what was counted in it, and how to read it.

use serde::Serialize;

use crate::config::TextWeights;
use crate::text::{Flag, FlagKind};

/// What was counted in a text.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Counts {
    pub claims: usize,
    pub unverifiable: usize,
    pub vague_sources: usize,
    pub high_risk: usize,
    pub red_flags: usize,
    /// The red flags, each by the weight of its family.
    pub red_flag_weight: f64,
    pub clickbait: bool,
    pub viral_pressure: bool,
    pub shouted_words: usize,
    pub exclamation_runs: usize,
    pub links: usize,
    /// 0 to 1.
    pub subjectivity: f64,
}

/// One step from the start to the credibility.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Step {
    pub reason: &'static str,
    /// Signed points of credibility.
    pub points: f64,
    /// How they are worked out, as one would write it.
    pub working: String,
}

impl Step {
    /// So many points for each of `count`, up to a limit.
    fn each(reason: &'static str, sign: f64, count: f64, each: f64, most: f64) -> Self {
        let all = count * each;
        let limit = if all > most {
            format!(", at most {most}")
        } else {
            String::new()
        };
        Self {
            reason,
            points: sign * all.min(most),
            working: format!("{count} x {each}{limit}"),
        }
    }

    /// So many points where something is so.
    fn once(reason: &'static str, so: bool, points: f64, working: String) -> Self {
        Self {
            reason,
            points: if so { points } else { 0.0 },
            working,
        }
    }
}

impl Counts {
    fn excessive_caps(&self, weights: &TextWeights) -> bool {
        self.shouted_words as f64 > weights.caps_allowed
    }

    /// The credibility, one decimal, and the steps that led to it; steps of 0 are left out.
    pub(crate) fn credibility(&self, w: &TextWeights) -> (f64, Vec<Step>) {
        let subjectivity = self.subjectivity;
        let more_than = |count: usize, allowed: f64| format!("{count}, more than {allowed}");
        let steps = [
            Step::each(
                "red flags",
                -1.0,
                self.red_flag_weight,
                w.red_flag,
                w.red_flag_max,
            ),
            Step::each(
                "unverifiable claims",
                -1.0,
                self.unverifiable as f64,
                w.unverifiable,
                w.unverifiable_max,
            ),
            Step::each(
                "vague sources",
                -1.0,
                self.vague_sources as f64,
                w.vague_source,
                w.vague_source_max,
            ),
            Step::each(
                "high-risk claims",
                -1.0,
                self.high_risk as f64,
                w.high_risk,
                w.high_risk_max,
            ),
            Step::once(
                "clickbait opening",
                self.clickbait,
                -w.clickbait,
                "once".to_owned(),
            ),
            Step::once(
                "excessive capitals",
                self.excessive_caps(w),
                -w.excessive_caps,
                more_than(self.shouted_words, w.caps_allowed),
            ),
            Step::once(
                "pressure to share",
                self.viral_pressure,
                -w.viral_pressure,
                "once".to_owned(),
            ),
            Step::once(
                "runs of exclamation marks",
                self.exclamation_runs as f64 > w.exclamations_allowed,
                -w.exclamations,
                more_than(self.exclamation_runs, w.exclamations_allowed),
            ),
            Step::once(
                "subjective wording",
                subjectivity > w.subjective_above,
                -w.subjective,
                format!("{subjectivity:.2}, above {}", w.subjective_above),
            ),
            Step::each("links", 1.0, self.links as f64, w.link, w.link_max),
            Step::once(
                "objective wording",
                subjectivity < w.objective_below,
                w.objective,
                format!("{subjectivity:.2}, below {}", w.objective_below),
            ),
            Step::once(
                "claims without a red flag",
                self.claims > 0 && self.red_flags == 0,
                w.clean_claims,
                "once".to_owned(),
            ),
        ];
        let steps: Vec<Step> = steps
            .into_iter()
            .filter(|step| step.points != 0.0)
            .collect();
        let sum = steps.iter().fold(w.start, |sum, step| sum + step.points);
        ((sum.clamp(0.0, 100.0) * 10.0).round() / 10.0, steps)
    }

    /// The flags beside those of the red-flag families.
    pub(crate) fn flags(&self, weights: &TextWeights) -> Vec<Flag> {
        let raised = [
            (self.clickbait, FlagKind::ClickbaitDetected, 1),
            (self.viral_pressure, FlagKind::ViralPressure, 1),
            (
                self.excessive_caps(weights),
                FlagKind::ExcessiveCaps,
                self.shouted_words,
            ),
            (
                self.unverifiable as f64 > weights.unverifiable_allowed,
                FlagKind::MultipleUnverifiable,
                self.unverifiable,
            ),
            (self.high_risk > 0, FlagKind::MedicalClaims, self.high_risk),
        ];
        raised
            .into_iter()
            .filter(|(so, _, _)| *so)
            .map(|(_, kind, count)| Flag::new(kind, count))
            .collect()
    }
}

/// The credibility in words.
pub(crate) fn interpretation(credibility: f64, weights: &TextWeights) -> &'static str {
    match credibility {
        c if c >= weights.highly_credible_from => "Highly credible - Few or no red flags",
        c if c >= weights.generally_credible_from => "Generally credible - Minor concerns",
        c if c >= weights.questionable_from => "Questionable - Multiple red flags detected",
        c if c >= weights.low_credibility_from => "Low credibility - Many warning signs",
        _ => "Very low credibility - High risk of misinformation",
    }
}

/// How much harm believing the text could do.
pub(crate) fn risk(credibility: f64, flags: &[Flag], weights: &TextWeights) -> &'static str {
    let medical = flags
        .iter()
        .any(|flag| flag.kind == FlagKind::MedicalClaims);
    match credibility {
        c if medical || c < weights.high_risk_below => "high",
        c if c < weights.medium_risk_below => "medium",
        c if c < weights.low_risk_below => "low",
        _ => "very_low",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Credibility of counts with middling subjectivity, which neither costs nor gains.
    fn credibility(change: fn(&mut Counts)) -> f64 {
        let mut counts = Counts {
            subjectivity: 0.5,
            ..Counts::default()
        };
        change(&mut counts);
        counts.red_flag_weight = counts.red_flags as f64;
        counts.credibility(&TextWeights::default()).0
    }

    #[test]
    fn every_penalty_has_its_points_and_its_most() {
        assert_eq!(credibility(|_| {}), 70.0);
        assert_eq!(credibility(|c| c.red_flags = 1), 65.0);
        assert_eq!(credibility(|c| c.red_flags = 7), 40.0);
        assert_eq!(credibility(|c| c.unverifiable = 1), 65.0);
        assert_eq!(credibility(|c| c.unverifiable = 9), 50.0);
        assert_eq!(credibility(|c| c.vague_sources = 1), 63.0);
        assert_eq!(credibility(|c| c.vague_sources = 4), 45.0);
        assert_eq!(credibility(|c| c.high_risk = 1), 55.0);
        assert_eq!(credibility(|c| c.high_risk = 3), 30.0);
        assert_eq!(credibility(|c| c.clickbait = true), 55.0);
        assert_eq!(credibility(|c| c.viral_pressure = true), 60.0);
        assert_eq!(
            (
                credibility(|c| c.shouted_words = 3),
                credibility(|c| c.shouted_words = 4)
            ),
            (70.0, 60.0)
        );
        assert_eq!(
            (
                credibility(|c| c.exclamation_runs = 2),
                credibility(|c| c.exclamation_runs = 3)
            ),
            (70.0, 62.0)
        );
        assert_eq!(
            (
                credibility(|c| c.subjectivity = 0.7),
                credibility(|c| c.subjectivity = 0.71)
            ),
            (70.0, 58.0)
        );
    }

    #[test]
    fn every_bonus_has_its_points_and_its_most() {
        assert_eq!(
            (credibility(|c| c.links = 1), credibility(|c| c.links = 4)),
            (75.0, 85.0)
        );
        assert_eq!(
            (
                credibility(|c| c.subjectivity = 0.3),
                credibility(|c| c.subjectivity = 0.29)
            ),
            (70.0, 78.0)
        );
        assert_eq!(credibility(|c| c.claims = 2), 80.0);
        assert_eq!(credibility(|c| (c.claims, c.red_flags) = (2, 1)), 65.0);
    }

    #[test]
    fn credibility_stays_within_its_bounds() {
        let worst = |c: &mut Counts| {
            (c.red_flags, c.unverifiable, c.vague_sources, c.high_risk) = (99, 99, 99, 99);
            (c.clickbait, c.viral_pressure, c.shouted_words) = (true, true, 99);
        };
        assert_eq!(credibility(worst), 0.0);
        assert_eq!(
            credibility(|c| (c.links, c.subjectivity, c.claims) = (9, 0.0, 9)),
            100.0
        );
    }

    #[test]
    fn words_and_risk_begin_where_the_table_says() {
        let weights = TextWeights::default();
        for (credibility, words, level) in [
            (80.0, "Highly", "very_low"),
            (79.9, "Generally", "very_low"),
            (70.0, "Generally", "very_low"),
            (69.9, "Generally", "low"),
            (64.9, "Questionable", "low"),
            (49.9, "Low", "medium"),
            (30.0, "Low", "medium"),
            (29.9, "Very low", "high"),
        ] {
            assert!(
                interpretation(credibility, &weights).starts_with(words),
                "{credibility}"
            );
            assert_eq!(risk(credibility, &[], &weights), level, "{credibility}");
        }
        assert_eq!(
            risk(95.0, &[Flag::new(FlagKind::MedicalClaims, 1)], &weights),
            "high"
        );
    }

    #[test]
    fn counted_flags_carry_their_count() {
        let counts = Counts {
            unverifiable: 3,
            high_risk: 2,
            shouted_words: 4,
            clickbait: true,
            viral_pressure: true,
            ..Counts::default()
        };
        let codes: Vec<_> = counts
            .flags(&TextWeights::default())
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            codes,
            [
                "CLICKBAIT_DETECTED",
                "VIRAL_PRESSURE",
                "EXCESSIVE_CAPS",
                "MULTIPLE_UNVERIFIABLE:3",
                "MEDICAL_CLAIMS:2"
            ]
        );
        assert_eq!(
            Counts {
                unverifiable: 2,
                ..Counts::default()
            }
            .flags(&TextWeights::default()),
            []
        );
    }
}
