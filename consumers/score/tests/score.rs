//! The calculation against its worked cases, its table row by row, and properties that hold for every input.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;
use schemas::events::result::Breakdown;
use trustcard_score::ScoringConfig;
use trustcard_score::calculation::{Component, ScoreInput, TextEvidence, score};
use trustcard_score::pictures::{AiEvidence, FaceEvidence};
use trustcard_score::sources::{RatedLink, Reliability, SourceEvidence};
use trustcard_score::text::{Flag, FlagKind};

fn text(credibility: f64, flags: &[FlagKind]) -> Option<TextEvidence> {
    let flags = flags.iter().map(|&kind| Flag::new(kind, 1)).collect();
    Some(TextEvidence { credibility, flags })
}

fn average(average: f64) -> Option<SourceEvidence> {
    Some(SourceEvidence {
        average,
        rated: Vec::new(),
        account: None,
    })
}

fn linked(average: f64, reliabilities: &[Reliability]) -> Option<SourceEvidence> {
    let rated = reliabilities
        .iter()
        .enumerate()
        .map(|(i, &reliability)| RatedLink {
            url: format!("https://site{i}.example/"),
            domain: Some(format!("site{i}.example")),
            name: None,
            bias: None,
            reliability,
            shortened: false,
        })
        .collect();
    Some(SourceEvidence {
        average,
        rated,
        account: None,
    })
}

fn ai(confidence: Option<f64>) -> Option<AiEvidence> {
    let ai_images = u32::from(confidence.is_some());
    Some(AiEvidence {
        confidence,
        ai_images,
        total_images: 2,
        declared: None,
    })
}

fn faces(confidence: Option<f64>) -> Option<FaceEvidence> {
    Some(FaceEvidence {
        confidence,
        faked_images: u32::from(confidence.is_some()),
        total_images: 2,
        models: vec!["faces@1".to_owned()],
    })
}

fn run(input: &ScoreInput) -> Breakdown {
    score(input, &ScoringConfig::default())
        .breakdown
        .expect("a score")
}

fn impacts(breakdown: &Breakdown) -> Vec<(&str, f64)> {
    breakdown
        .adjustments
        .iter()
        .map(|a| (a.category.as_str(), a.impact))
        .collect()
}

#[test]
fn worked_case_high_credibility_and_good_sources() {
    let found = run(&ScoreInput {
        text: text(85.0, &[]),
        sources: average(0.8),
        ..Default::default()
    });
    assert_eq!(
        impacts(&found),
        [("High Credibility", 1.0), ("High Source Reliability", 1.0)]
    );
    assert_eq!((found.final_score, found.grade.as_str()), (100.0, "A+"));
    assert_eq!((found.total_penalties, found.total_bonuses), (0.0, 2.0));
}

#[test]
fn worked_case_ai_picture() {
    let found = run(&ScoreInput {
        ai: ai(Some(0.85)),
        text: text(70.0, &[]),
        sources: average(0.5),
        ..Default::default()
    });
    assert_eq!(impacts(&found), [("AI-Generated Content", -25.5)]);
    assert_eq!((found.final_score, found.grade.as_str()), (74.5, "B-"));
    let metadata = &found.adjustments[0].metadata;
    assert_eq!(metadata["confidence"], 0.85);
    assert_eq!(
        (
            metadata["ai_images"].as_u64(),
            metadata["total_images"].as_u64()
        ),
        (Some(1), Some(2))
    );
}

#[test]
fn worked_case_conspiracy() {
    let flags = [
        FlagKind::ConspiracyLanguage,
        FlagKind::MedicalClaims,
        FlagKind::UnverifiedSources,
    ];
    let found = run(&ScoreInput {
        text: text(35.0, &flags),
        sources: linked(0.1, &[Reliability::VeryLow]),
        ..Default::default()
    });
    assert_eq!(
        impacts(&found),
        [
            ("Low Credibility", -12.0),
            ("Medical Claims", -15.0),
            ("Conspiracy Language", -12.0),
            ("Unverified Sources", -10.0),
            ("Conspiracy Sources", -25.0),
        ]
    );
    assert_eq!((found.final_score, found.grade.as_str()), (26.0, "F"));
    assert_eq!(
        found.flags,
        [
            "Medical claims require verification",
            "Conspiracy theory language detected",
            "Flagged for manual review",
            "Conspiracy theory sources detected",
        ]
    );
    assert!(found.requires_review);
    assert_eq!(found.component_scores["Fact-Checking"], -49.0);
    assert_eq!(found.component_scores["Source Credibility"], -25.0);
    assert_eq!(found.total_penalties, -74.0);
}

#[test]
fn worked_case_deepfake() {
    let found = run(&ScoreInput {
        faces: faces(Some(0.9)),
        text: text(60.0, &[]),
        sources: average(0.5),
        ..Default::default()
    });
    assert_eq!(
        impacts(&found),
        [
            ("Deepfake/Manipulation", -40.0),
            ("Questionable Credibility", -5.0)
        ]
    );
    assert_eq!((found.final_score, found.grade.as_str()), (55.0, "C-"));
    assert!(found.adjustments[0].reason.contains("by faces@1"));
}

#[test]
fn worked_case_unverified_account() {
    let found = run(&ScoreInput {
        text: text(70.0, &[]),
        sources: average(0.4),
        ..Default::default()
    });
    assert_eq!(impacts(&found), [("Low Source Reliability", -2.0)]);
    assert_eq!((found.final_score, found.grade.as_str()), (98.0, "A+"));
}

#[test]
fn credibility_rows_begin_and_end_where_the_table_says() {
    let rows = |credibility| {
        let found = run(&ScoreInput {
            text: text(credibility, &[]),
            ..Default::default()
        });
        impacts(&found)
            .iter()
            .map(|(category, impact)| ((*category).to_owned(), *impact))
            .collect::<Vec<_>>()
    };
    assert_eq!(rows(0.0), [("Low Credibility".to_owned(), -40.0)]);
    assert_eq!(rows(49.9), [("Low Credibility".to_owned(), -0.08)]);
    assert_eq!(rows(50.0), [("Questionable Credibility".to_owned(), -10.0)]);
    assert_eq!(rows(69.9), [("Questionable Credibility".to_owned(), -0.05)]);
    assert_eq!(rows(70.0), []);
    assert_eq!(rows(79.9), []);
    assert_eq!(rows(80.0), [], "an impact of exactly 0 is not listed");
    assert_eq!(rows(100.0), [("High Credibility".to_owned(), 4.0)]);
}

#[test]
fn every_flag_row_has_its_points_once_and_the_others_have_none() {
    let all = [
        (FlagKind::MedicalClaims, "Medical Claims", -15.0),
        (FlagKind::ConspiracyLanguage, "Conspiracy Language", -12.0),
        (FlagKind::UnverifiedSources, "Unverified Sources", -10.0),
        (FlagKind::UrgentLanguage, "Urgent Language", -8.0),
        (
            FlagKind::EmotionalManipulation,
            "Emotional Manipulation",
            -7.0,
        ),
        (FlagKind::AbsolutistClaims, "Absolutist Claims", -6.0),
        (FlagKind::Sensationalism, "Sensationalism", -5.0),
    ];
    for (kind, category, impact) in all {
        let found = run(&ScoreInput {
            text: text(75.0, &[kind]),
            ..Default::default()
        });
        assert_eq!(impacts(&found), [(category, impact)]);
    }
    let silent = [
        FlagKind::ClickbaitDetected,
        FlagKind::ViralPressure,
        FlagKind::ExcessiveCaps,
        FlagKind::MultipleUnverifiable,
    ];
    let found = run(&ScoreInput {
        text: text(75.0, &silent),
        ..Default::default()
    });
    assert_eq!(impacts(&found), []);
    assert!(found.requires_review, "four distinct flags");
    assert_eq!(found.flags, ["Flagged for manual review"]);
}

#[test]
fn review_is_for_low_credibility_medical_claims_or_three_flags() {
    let review = |credibility, flags: &[FlagKind]| {
        run(&ScoreInput {
            text: text(credibility, flags),
            ..Default::default()
        })
        .requires_review
    };
    assert!(review(39.9, &[]) && !review(40.0, &[]));
    assert!(review(90.0, &[FlagKind::MedicalClaims]));
    let three = [
        FlagKind::UrgentLanguage,
        FlagKind::Sensationalism,
        FlagKind::ViralPressure,
    ];
    assert!(review(90.0, &three) && !review(90.0, &three[..2]));
}

#[test]
fn the_first_source_row_that_matches_is_the_only_one() {
    use Reliability::{High, Low, Satire, Unknown, VeryHigh, VeryLow};
    let rows = |average, links: &[Reliability]| {
        let found = run(&ScoreInput {
            sources: linked(average, links),
            ..Default::default()
        });
        (
            impacts(&found)
                .iter()
                .map(|(c, i)| ((*c).to_owned(), *i))
                .collect::<Vec<_>>(),
            found.flags,
        )
    };
    let one = |category: &str, impact: f64| vec![(category.to_owned(), impact)];
    assert_eq!(
        rows(0.13, &[Satire, Low, VeryLow]).0,
        one("Conspiracy Sources", -25.0)
    );
    let (low, flags) = rows(0.15, &[Satire, Low]);
    assert_eq!(
        (low, flags),
        (
            one("Unreliable Sources", -20.0),
            vec!["Unreliable sources detected".to_owned()]
        )
    );
    let (satire, flags) = rows(0.9, &[Satire, VeryHigh]);
    assert_eq!(
        (satire, flags),
        (
            one("Satire Content", -15.0),
            vec!["Satire content detected".to_owned()]
        )
    );
    assert_eq!(
        rows(0.49, &[Unknown]).0,
        one("Low Source Reliability", -0.2)
    );
    assert_eq!(rows(0.5, &[Unknown]).0, []);
    assert_eq!(rows(0.7, &[High]).0, [], "exclusive");
    assert_eq!(
        rows(1.0, &[VeryHigh]).0,
        one("High Source Reliability", 3.0)
    );
}

#[test]
fn nothing_completed_is_no_score() {
    let scored = score(&ScoreInput::default(), &ScoringConfig::default());
    assert_eq!((scored.breakdown, scored.failed), (None, vec![]));
}

#[test]
fn a_number_that_is_none_fails_its_component_and_leaves_the_others() {
    for nonsense in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.5, 1e300] {
        let input = ScoreInput {
            ai: ai(Some(nonsense)),
            faces: faces(Some(nonsense)),
            text: text(nonsense, &[FlagKind::MedicalClaims]),
            sources: average(nonsense),
        };
        let scored = score(&input, &ScoringConfig::default());
        assert_eq!(scored.breakdown, None, "{nonsense}");
        assert_eq!(scored.failed.len(), 4);
        let scored = score(
            &ScoreInput {
                sources: average(0.4),
                ..input
            },
            &ScoringConfig::default(),
        );
        assert_eq!(scored.breakdown.unwrap().final_score, 98.0);
        assert_eq!(
            scored.failed,
            [
                Component::AiDetection,
                Component::DeepfakeDetection,
                Component::FactChecking
            ]
        );
    }
}

fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![8 => 0.0..=1.0, 1 => proptest::num::f64::ANY]
}

fn any_flags() -> impl Strategy<Value = Vec<FlagKind>> {
    proptest::sample::subsequence(FlagKind::ALL.to_vec(), 0..=FlagKind::ALL.len())
}

fn any_links() -> impl Strategy<Value = Vec<Reliability>> {
    use Reliability::{High, Low, Mixed, Satire, Unknown, VeryHigh, VeryLow};
    proptest::collection::vec(
        proptest::sample::select(vec![High, Low, Mixed, Satire, Unknown, VeryHigh, VeryLow]),
        0..6,
    )
}

prop_compose! {
    fn any_input()(
        p in proptest::option::of(proptest::option::of(any_number())),
        face in proptest::option::of(proptest::option::of(any_number())),
        credibility in proptest::option::of(prop_oneof![8 => 0.0..=100.0, 1 => proptest::num::f64::ANY]),
        flags in any_flags(),
        links in any_links(),
        average in proptest::option::of(any_number()),
    ) -> ScoreInput {
        ScoreInput {
            ai: p.and_then(ai),
            faces: face.and_then(faces),
            text: credibility.and_then(|c| text(c, &flags)),
            sources: average.and_then(|a| linked(a, &links)),
        }
    }
}

fn final_score(input: &ScoreInput, config: &ScoringConfig) -> Option<f64> {
    score(input, config).breakdown.map(|b| b.final_score)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_score_is_bounded_has_two_decimals_and_a_grade(input in any_input()) {
        let scored = score(&input, &ScoringConfig::default());
        if let Some(found) = &scored.breakdown {
            prop_assert!((0.0..=100.0).contains(&found.final_score));
            prop_assert!(((found.final_score * 100.0).round() / 100.0 - found.final_score).abs() < 1e-12);
            prop_assert!(!found.grade.is_empty());
            prop_assert!(found.total_penalties <= 0.0 && found.total_bonuses >= 0.0);
            for adjustment in &found.adjustments {
                prop_assert!(adjustment.impact.is_finite());
                prop_assert!(!adjustment.reason.contains("NaN") && !adjustment.reason.contains("inf"));
            }
        }
    }

    #[test]
    fn the_same_input_gives_the_same_bytes(input in any_input()) {
        let bytes = || serde_json::to_vec(&score(&input, &ScoringConfig::default()).breakdown).unwrap();
        prop_assert_eq!(bytes(), bytes());
    }

    #[test]
    fn totals_are_the_sums_before_the_clamp(input in any_input()) {
        if let Some(found) = score(&input, &ScoringConfig::default()).breakdown {
            let sum = |negative: bool| -> f64 {
                found.adjustments.iter().map(|a| a.impact).filter(|i| (*i < 0.0) == negative).sum()
            };
            // Each listed impact is rounded on its own, so the sums may differ by half a hundredth for each.
            let slack = 0.005 * found.adjustments.len() as f64 + 0.0051;
            prop_assert!((sum(true) - found.total_penalties).abs() <= slack);
            prop_assert!((sum(false) - found.total_bonuses).abs() <= slack);
            let unclamped = 100.0 + found.total_penalties + found.total_bonuses;
            prop_assert!((unclamped.clamp(0.0, 100.0) - found.final_score).abs() <= 0.0151);
        }
    }

    #[test]
    fn more_of_what_is_bad_never_raises_the_score(
        p in 0.0_f64..=1.0, more in 0.0_f64..=1.0, flags in any_flags(), extra in proptest::sample::select(FlagKind::ALL.to_vec()),
        credibility in 0.0_f64..=100.0, average_low in 0.0_f64..=1.0, average_more in 0.0_f64..=1.0,
    ) {
        let config = ScoringConfig::default();
        let base = ScoreInput { ai: ai(Some(p.min(more))), text: text(credibility, &flags), sources: average(0.5), ..Default::default() };
        let before = final_score(&base, &config).unwrap();
        let likelier = ScoreInput { ai: ai(Some(p.max(more))), ..base.clone() };
        prop_assert!(final_score(&likelier, &config).unwrap() <= before);
        let faked = ScoreInput { faces: faces(Some(p)), ..base.clone() };
        prop_assert!(final_score(&faked, &config).unwrap() <= before);
        let mut flagged = flags.clone();
        if !flagged.contains(&extra) { flagged.push(extra); }
        let flagged = ScoreInput { text: text(credibility, &flagged), ..base.clone() };
        prop_assert!(final_score(&flagged, &config).unwrap() <= before);
        let better = ScoreInput { sources: average(average_low.max(average_more)), ..base.clone() };
        let worse = ScoreInput { sources: average(average_low.min(average_more)), ..base };
        prop_assert!(final_score(&worse, &config).unwrap() <= final_score(&better, &config).unwrap());
    }

    #[test]
    fn a_heavier_penalty_never_raises_the_score(input in any_input(), which in 0usize..14, more in 0.0_f64..50.0) {
        let light = ScoringConfig::default();
        let mut heavy = light.clone();
        let (check, sources) = (&mut heavy.fact_check, &mut heavy.sources);
        *[
            &mut heavy.ai.points, &mut heavy.deepfake.points, &mut check.low_factor, &mut check.questionable_factor,
            &mut check.medical_claims, &mut check.conspiracy_language, &mut check.unverified_sources, &mut check.urgent_language,
            &mut check.emotional_manipulation, &mut check.absolutist_claims, &mut check.sensationalism,
            &mut sources.very_low, &mut sources.low, &mut sources.satire,
        ][which] += more;
        if let Some(before) = final_score(&input, &light) {
            prop_assert!(final_score(&input, &heavy).unwrap() <= before);
        }
    }
}
