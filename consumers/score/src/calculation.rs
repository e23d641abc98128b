//! The calculation: start at 100, add every adjustment in the order of the table below, clamp, round, grade. Pure: the same
//! input and configuration give the same score.

use std::collections::BTreeMap;

use schemas::events::result::{Adjustment, Breakdown};
use serde_json::{Value, json};

use crate::config::{FactCheckWeights, ScoringConfig, SourceWeights};
use crate::grades::grade_of;
use crate::pictures::{AiEvidence, FaceEvidence};
use crate::round2;
use crate::sources::{Reliability, SourceEvidence};
use crate::text::{Flag, FlagKind};

const PERFECT: f64 = 100.0;

/// What the calculation works on: the findings of the components that completed. A component that did not changes nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ScoreInput {
    /// AI-generated pictures.
    pub ai: Option<AiEvidence>,
    /// Synthesised or manipulated faces.
    pub faces: Option<FaceEvidence>,
    /// How the text argues.
    pub text: Option<TextEvidence>,
    /// Linked publishers, or the account.
    pub sources: Option<SourceEvidence>,
}

/// How the text argues.
#[derive(Debug, Clone, PartialEq)]
pub struct TextEvidence {
    /// 0 to 100.
    pub credibility: f64,
    /// Flags raised, each kind at most once.
    pub flags: Vec<Flag>,
}

impl TextEvidence {
    /// Whether a person should look: low credibility, medical claims, or many kinds of flags.
    #[must_use]
    pub fn requires_review(&self, weights: &FactCheckWeights) -> bool {
        self.credibility < weights.review_below
            || self.raised(FlagKind::MedicalClaims).is_some()
            || self.flags.len() as f64 >= weights.review_flags
    }

    fn raised(&self, kind: FlagKind) -> Option<&Flag> {
        self.flags.iter().find(|flag| flag.kind == kind)
    }
}

/// The components that can move the score, in the order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Component {
    /// AI-generated pictures.
    AiDetection,
    /// Synthesised or manipulated faces.
    DeepfakeDetection,
    /// How the text argues.
    FactChecking,
    /// Linked publishers.
    SourceCredibility,
}

impl Component {
    /// The name adjustments carry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AiDetection => "AI Detection",
            Self::DeepfakeDetection => "Deepfake Detection",
            Self::FactChecking => "Fact-Checking",
            Self::SourceCredibility => "Source Credibility",
        }
    }
}

/// What the calculation came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// The score and how it came about; absent when no component completed.
    pub breakdown: Option<Breakdown>,
    /// Components whose numbers were no numbers: they failed and changed nothing.
    pub failed: Vec<Component>,
}

struct Row {
    category: &'static str,
    impact: f64,
    reason: String,
    metadata: Value,
}

#[derive(Default)]
struct Findings {
    rows: Vec<Row>,
    flags: Vec<&'static str>,
    requires_review: bool,
}

/// Scores a post.
#[must_use]
pub fn score(input: &ScoreInput, config: &ScoringConfig) -> Scored {
    let components = [
        (
            Component::AiDetection,
            input.ai.as_ref().map(|e| ai(e, config)),
        ),
        (
            Component::DeepfakeDetection,
            input.faces.as_ref().map(|e| deepfake(e, config)),
        ),
        (
            Component::FactChecking,
            input
                .text
                .as_ref()
                .map(|e| fact_check(e, &config.fact_check)),
        ),
        (
            Component::SourceCredibility,
            input.sources.as_ref().map(|e| sources(e, &config.sources)),
        ),
    ];
    let mut failed = Vec::new();
    let mut completed = Vec::new();
    for (component, outcome) in components {
        match outcome {
            None => {}
            Some(Some(findings)) if findings.rows.iter().all(|row| row.impact.is_finite()) => {
                completed.push((component, findings));
            }
            Some(_) => failed.push(component),
        }
    }
    let breakdown = if completed.is_empty() {
        None
    } else {
        add_up(completed, config)
    };
    Scored { breakdown, failed }
}

fn add_up(completed: Vec<(Component, Findings)>, config: &ScoringConfig) -> Option<Breakdown> {
    let (mut sum, mut penalties, mut bonuses) = (PERFECT, 0.0, 0.0);
    let mut adjustments = Vec::new();
    let mut component_scores = BTreeMap::new();
    let mut flags = Vec::new();
    let mut requires_review = false;
    for (component, findings) in completed {
        let mut of_component = 0.0;
        for row in findings.rows.into_iter().filter(|row| row.impact != 0.0) {
            sum += row.impact;
            of_component += row.impact;
            if row.impact < 0.0 {
                penalties += row.impact;
            } else {
                bonuses += row.impact;
            }
            adjustments.push(Adjustment {
                component: component.name().to_owned(),
                category: row.category.to_owned(),
                impact: round2(row.impact),
                reason: row.reason,
                metadata: row.metadata,
            });
        }
        component_scores.insert(component.name().to_owned(), round2(of_component));
        flags.extend(findings.flags.into_iter().map(str::to_owned));
        requires_review |= findings.requires_review;
    }
    let final_score = round2(sum.clamp(0.0, PERFECT));
    // A sum of finite impacts that is itself no number has no grade, and so no score.
    let grade = grade_of(final_score, &config.grades)?.grade.clone();
    Some(Breakdown {
        final_score,
        grade,
        adjustments,
        component_scores,
        total_penalties: round2(penalties),
        total_bonuses: round2(bonuses),
        flags,
        requires_review,
    })
}

fn is_unit(number: f64) -> bool {
    (0.0..=1.0).contains(&number)
}

/// `None` here and below: the evidence is no number of its range.
fn ai(evidence: &AiEvidence, config: &ScoringConfig) -> Option<Findings> {
    let Some(confidence) = evidence.confidence else {
        return Some(Findings::default());
    };
    let row = Row {
        category: "AI-Generated Content",
        impact: -(confidence * config.ai.points * config.ai.factor),
        reason: format!(
            "{} of {} judged AI-generated, with a probability of up to {:.0} %.",
            evidence.ai_images,
            pictures(evidence.total_images),
            confidence * 100.0
        ),
        metadata: json!({
            "confidence": confidence,
            "ai_images": evidence.ai_images,
            "total_images": evidence.total_images,
        }),
    };
    is_unit(confidence).then(|| Findings::of(row))
}

fn deepfake(evidence: &FaceEvidence, config: &ScoringConfig) -> Option<Findings> {
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
            "A face in {} of {} judged synthesised or manipulated{by}, with a probability of up to {:.0} %.",
            evidence.faked_images,
            pictures(evidence.total_images),
            confidence * 100.0
        ),
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

fn fact_check(evidence: &TextEvidence, weights: &FactCheckWeights) -> Option<Findings> {
    let credibility = evidence.credibility;
    if !(0.0..=100.0).contains(&credibility) {
        return None;
    }
    let mut findings = Findings::default();
    let mut credibility_row = |category, impact, what| {
        findings.rows.push(Row {
            category,
            impact,
            reason: format!("The text's credibility is {what}: {credibility:.1} of 100."),
            metadata: json!({ "credibility": credibility }),
        });
    };
    if credibility < weights.low_below {
        credibility_row(
            "Low Credibility",
            -((weights.low_below - credibility) * weights.low_factor),
            "low",
        );
    } else if credibility < weights.questionable_below {
        let impact = -((weights.questionable_below - credibility) * weights.questionable_factor);
        credibility_row("Questionable Credibility", impact, "questionable");
    } else if credibility >= weights.high_from {
        credibility_row(
            "High Credibility",
            (credibility - weights.high_from) * weights.high_factor,
            "high",
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
fn sources(evidence: &SourceEvidence, weights: &SourceWeights) -> Option<Findings> {
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
                    metadata: json!({ "average_reliability": average, "domains": domains }),
                }],
                flags: vec![flag],
                requires_review: false,
            });
        }
    }
    let basis = if evidence.rated.is_empty() {
        "The post links to no source; its account counts".to_owned()
    } else {
        format!(
            "The average reliability of {} linked source(s) is",
            evidence.rated.len()
        )
    };
    let reason = format!("{basis} {average:.2} of 1.");
    let metadata = json!({ "average_reliability": average, "links": evidence.rated.len() });
    let (category, impact) = if average < weights.low_average_below {
        (
            "Low Source Reliability",
            -((weights.low_average_below - average) * weights.low_average_factor),
        )
    } else if average > weights.high_average_above {
        (
            "High Source Reliability",
            (average - weights.high_average_above) * weights.high_average_factor,
        )
    } else {
        return Some(Findings::default());
    };
    Some(Findings::of(Row {
        category,
        impact,
        reason,
        metadata,
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
