//! The calculation: start at 100, add every adjustment in the order of the table below, clamp, round, grade. Pure: the same
//! input and configuration give the same score.

use std::collections::BTreeMap;

use schemas::events::result::{Adjustment, Breakdown};

use crate::config::{FactCheckWeights, ScoringConfig};
use crate::grades::grade_of;
use crate::pictures::{AiEvidence, FaceEvidence};
use crate::round2;
use crate::sources::SourceEvidence;
use crate::text::{Flag, FlagKind};

mod rows;

use rows::Findings;

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

/// Scores a post.
#[must_use]
pub fn score(input: &ScoreInput, config: &ScoringConfig) -> Scored {
    let components = [
        (
            Component::AiDetection,
            input.ai.as_ref().map(|e| rows::ai(e, config)),
        ),
        (
            Component::DeepfakeDetection,
            input.faces.as_ref().map(|e| rows::deepfake(e, config)),
        ),
        (
            Component::FactChecking,
            input
                .text
                .as_ref()
                .map(|e| rows::fact_check(e, &config.fact_check)),
        ),
        (
            Component::SourceCredibility,
            input
                .sources
                .as_ref()
                .map(|e| rows::sources(e, &config.sources)),
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
            let mut metadata = row.metadata;
            if let Some(metadata) = metadata.as_object_mut() {
                metadata.insert("working".to_owned(), row.working.into());
            }
            adjustments.push(Adjustment {
                component: component.name().to_owned(),
                category: row.category.to_owned(),
                impact: round2(row.impact),
                reason: row.reason,
                metadata,
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
