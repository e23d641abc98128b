//! The rows of the table, component by component. Every function answers `None` when its evidence is no number of its range.

use serde_json::{Value, json};

use super::TextEvidence;
use crate::config::{FactCheckWeights, ScoringConfig, SourceWeights};
use crate::pictures::{AiEvidence, FaceEvidence};
use crate::sources::{Reliability, SourceEvidence};
use crate::text::FlagKind;

/// One adjustment, unrounded.
pub(super) struct Row {
    pub category: &'static str,
    pub impact: f64,
    pub reason: String,
    /// How the impact is worked out, as one would write it.
    pub working: String,
    pub metadata: Value,
}

/// What one component has to say.
#[derive(Default)]
pub(super) struct Findings {
    pub rows: Vec<Row>,
    pub flags: Vec<&'static str>,
    pub requires_review: bool,
}

fn is_unit(number: f64) -> bool {
    (0.0..=1.0).contains(&number)
}

pub(super) fn ai(evidence: &AiEvidence, config: &ScoringConfig) -> Option<Findings> {
    let Some(confidence) = evidence.confidence else {
        return Some(Findings::default());
    };
    let row = Row {
        category: "AI-Generated Content",
        impact: -(confidence * config.ai.points * config.ai.factor),
        reason: match &evidence.declared {
            Some(statement) => format!(
                "Declared AI-generated: {} of {}. {statement}",
                evidence.ai_images,
                pictures(evidence.total_images),
            ),
            None => format!(
                "Judged AI-generated: {} of {}, with a probability of up to {:.0} %.",
                evidence.ai_images,
                pictures(evidence.total_images),
                confidence * 100.0
            ),
        },
        working: format!(
            "-({confidence} x {} x {})",
            config.ai.points, config.ai.factor
        ),
        metadata: json!({
            "confidence": confidence,
            "ai_images": evidence.ai_images,
            "total_images": evidence.total_images,
        }),
    };
    is_unit(confidence).then(|| Findings::of(row))
}

pub(super) fn deepfake(evidence: &FaceEvidence, config: &ScoringConfig) -> Option<Findings> {
    let Some(confidence) = evidence.confidence else {
        return Some(Findings::default());
    };
    let by = if evidence.models.is_empty() {
        String::new()
    } else {
        format!(" by {}", evidence.models.join(", "))
    };
    let row = Row {
        category: "Deepfake/Manipulation",
        impact: -config.deepfake.points,
        reason: format!(
            "Judged synthesised or manipulated{by}: a face in {} of {}, with a probability of up to {:.0} %.",
            evidence.faked_images,
            pictures(evidence.total_images),
            confidence * 100.0
        ),
        working: format!("-{}, once a post", config.deepfake.points),
        metadata: json!({
            "confidence": confidence,
            "suspicious_images": evidence.faked_images,
            "total_images": evidence.total_images,
            "models": evidence.models,
        }),
    };
    is_unit(confidence).then(|| Findings::of(row))
}

fn pictures(total: u32) -> String {
    if total == 1 {
        "1 picture".to_owned()
    } else {
        format!("{total} pictures")
    }
}

pub(super) fn fact_check(evidence: &TextEvidence, weights: &FactCheckWeights) -> Option<Findings> {
    let credibility = evidence.credibility;
    if !(0.0..=100.0).contains(&credibility) {
        return None;
    }
    let mut findings = Findings::default();
    let mut credibility_row = |category, what, distance: f64, factor: f64, bound: f64| {
        let (sign, from, to) = if distance < 0.0 {
            ("-", bound, credibility)
        } else {
            ("", credibility, bound)
        };
        findings.rows.push(Row {
            category,
            impact: distance * factor,
            reason: format!("The text's credibility is {what}: {credibility:.1} of 100."),
            working: format!("{sign}({from} - {to}) x {factor}"),
            metadata: json!({ "credibility": credibility }),
        });
    };
    let w = weights;
    if credibility < w.low_below {
        let distance = credibility - w.low_below;
        credibility_row(
            "Low Credibility",
            "low",
            distance,
            w.low_factor,
            w.low_below,
        );
    } else if credibility < w.questionable_below {
        let (distance, factor) = (credibility - w.questionable_below, w.questionable_factor);
        credibility_row(
            "Questionable Credibility",
            "questionable",
            distance,
            factor,
            w.questionable_below,
        );
    } else if credibility >= w.high_from {
        let distance = credibility - w.high_from;
        credibility_row(
            "High Credibility",
            "high",
            distance,
            w.high_factor,
            w.high_from,
        );
    }
    let flag_rows: [(FlagKind, &str, f64, &str); 7] = [
        (
            FlagKind::MedicalClaims,
            "Medical Claims",
            weights.medical_claims,
            "The text makes medical claims.",
        ),
        (
            FlagKind::ConspiracyLanguage,
            "Conspiracy Language",
            weights.conspiracy_language,
            "The text uses the language of conspiracy theories.",
        ),
        (
            FlagKind::UnverifiedSources,
            "Unverified Sources",
            weights.unverified_sources,
            "The text rests on sources it does not name.",
        ),
        (
            FlagKind::UrgentLanguage,
            "Urgent Language",
            weights.urgent_language,
            "The text urges its reader to hurry.",
        ),
        (
            FlagKind::EmotionalManipulation,
            "Emotional Manipulation",
            weights.emotional_manipulation,
            "The text works on its reader's feelings.",
        ),
        (
            FlagKind::AbsolutistClaims,
            "Absolutist Claims",
            weights.absolutist_claims,
            "The text makes claims without exception.",
        ),
        (
            FlagKind::Sensationalism,
            "Sensationalism",
            weights.sensationalism,
            "The text shouts.",
        ),
    ];
    for (kind, category, points, reason) in flag_rows {
        if let Some(flag) = evidence.raised(kind) {
            findings.rows.push(Row {
                category,
                impact: -points,
                reason: reason.to_owned(),
                working: format!("-{points}, once a post"),
                metadata: json!({ "flag": flag.to_string() }),
            });
        }
    }
    for (kind, sentence) in [
        (
            FlagKind::MedicalClaims,
            "Medical claims require verification",
        ),
        (
            FlagKind::ConspiracyLanguage,
            "Conspiracy theory language detected",
        ),
    ] {
        if evidence.raised(kind).is_some() {
            findings.flags.push(sentence);
        }
    }
    findings.requires_review = evidence.requires_review(weights);
    if findings.requires_review {
        findings.flags.push("Flagged for manual review");
    }
    Some(findings)
}

/// Exactly one row: the first that matches.
pub(super) fn sources(evidence: &SourceEvidence, weights: &SourceWeights) -> Option<Findings> {
    let average = evidence.average;
    if !is_unit(average) {
        return None;
    }
    let linked = [
        (
            Reliability::VeryLow,
            "Conspiracy Sources",
            weights.very_low,
            "Conspiracy theory sources detected",
        ),
        (
            Reliability::Low,
            "Unreliable Sources",
            weights.low,
            "Unreliable sources detected",
        ),
        (
            Reliability::Satire,
            "Satire Content",
            weights.satire,
            "Satire content detected",
        ),
    ];
    for (reliability, category, points, flag) in linked {
        let domains: Vec<&str> = evidence
            .rated
            .iter()
            .filter(|link| link.reliability == reliability)
            .filter_map(|link| link.domain.as_deref())
            .collect();
        if let Some(domain) = domains.first() {
            let what = match reliability {
                Reliability::VeryLow => "a source of very low reliability",
                Reliability::Low => "a source of low reliability",
                _ => "a satire site",
            };
            return Some(Findings {
                rows: vec![Row {
                    category,
                    impact: -points,
                    reason: format!("The post links to {what}: {domain}."),
                    working: format!("-{points}, once a post"),
                    metadata: json!({ "average_reliability": average, "domains": domains }),
                }],
                flags: vec![flag],
                requires_review: false,
            });
        }
    }
    let reason = match (&evidence.account, evidence.rated.is_empty()) {
        (Some(publisher), _) => format!(
            "The post links to no source; its account is that of {publisher}, of reliability {average:.2} of 1."
        ),
        (None, true) => format!(
            "The post links to no source; its account counts as a source of reliability {average:.2} of 1."
        ),
        (None, false) => {
            format!("The linked sources have an average reliability of {average:.2} of 1.")
        }
    };
    let (category, impact, working) = if average < weights.low_average_below {
        let (bound, factor) = (weights.low_average_below, weights.low_average_factor);
        (
            "Low Source Reliability",
            -((bound - average) * factor),
            format!("-({bound} - {average}) x {factor}"),
        )
    } else if average > weights.high_average_above {
        let (bound, factor) = (weights.high_average_above, weights.high_average_factor);
        (
            "High Source Reliability",
            (average - bound) * factor,
            format!("({average} - {bound}) x {factor}"),
        )
    } else {
        return Some(Findings::default());
    };
    Some(Findings::of(Row {
        category,
        impact,
        reason,
        working,
        metadata: json!({ "average_reliability": average, "links": evidence.rated.len() }),
    }))
}

impl Findings {
    fn of(row: Row) -> Self {
        Self {
            rows: vec![row],
            ..Self::default()
        }
    }
}
