//! Results scored again, and how every adjustment is worked out.

use super::*;

/// Caption, verdicts and picture texts of some kinds.
fn of_many_kinds() -> Vec<Detections> {
    let undecided = PictureFinding {
        status: Status::Inconclusive,
        verdict: None,
        ..found(Verdict::Positive, 0.5)
    };
    let broken = PictureFinding::failed(Reason::MediaUndecodable);
    let caption = "Studies show garlic cures cancer! https://infowars.com/garlic https://bbc.com SHARE THIS NOW";
    vec![
        post(Some(caption), Some(false)),
        post(None, None),
        with_picture(
            post(None, Some(true)),
            found(Verdict::Positive, 0.9),
            found(Verdict::Negative, 0.1),
            read("Act now!!!"),
        ),
        with_picture(
            with_picture(
                post(Some("A quiet walk"), Some(true)),
                undecided,
                broken,
                read(""),
            ),
            found(Verdict::Positive, 0.7),
            found(Verdict::Positive, 0.8),
            no_text(),
        ),
        origin::with_video(with_picture(
            post(None, None),
            found(Verdict::Negative, 0.1),
            off(),
            read(""),
        )),
    ]
}

#[test]
fn a_result_scored_again_by_the_same_rules_is_the_same() {
    for detections in of_many_kinds() {
        let first = assess(&detections);
        let again = SCORER.assess_again(&first).unwrap();
        assert_eq!(again.trust_score_breakdown, first.trust_score_breakdown);
        assert_eq!(
            (again.trust_score, again.status),
            (first.trust_score, first.status)
        );
        let (a, b) = (
            again.analysis_results.unwrap(),
            first.analysis_results.unwrap(),
        );
        assert_eq!(
            (a.fact_check, a.source_credibility, a.ocr_text),
            (b.fact_check, b.source_credibility, b.ocr_text)
        );
    }
}

#[test]
fn a_result_scored_again_by_other_weights_has_their_points_and_version() {
    let detections = &of_many_kinds()[2];
    let mut config = ScoringConfig::default();
    config.ai.points = 10.0;
    let first = assess(detections);
    let scorer = Scorer::new(config).unwrap();
    let again = scorer.assess_again(&first).unwrap();
    assert_eq!(
        again.trust_score_breakdown,
        scorer.assess(detections, at(0)).trust_score_breakdown
    );
    assert_ne!(again.trust_score, first.trust_score);
    assert_ne!(again.scoring_version, first.scoring_version);
    let mut failed = first;
    failed.analysis_results = None;
    assert!(scorer.assess_again(&failed).is_none());
}

#[test]
fn the_flags_without_a_row_reach_the_score_through_credibility() {
    let plain = "The bakery on our street sells bread, cakes and coffee to its neighbours.";
    let score = |caption: &str| {
        assess(&post(Some(caption), Some(true)))
            .trust_score
            .unwrap()
    };
    let flags = |caption: &str| {
        assess(&post(Some(caption), Some(true)))
            .analysis_results
            .unwrap()
            .fact_check["flags"]
            .to_string()
    };
    for (flag, caption) in [
        (
            "CLICKBAIT_DETECTED",
            "You won't believe what the bakery on our street sells to its neighbours.",
        ),
        (
            "VIRAL_PRESSURE",
            "The bakery on our street sells bread to its neighbours. Send this to your friends.",
        ),
        (
            "EXCESSIVE_CAPS",
            "The BAKERY on our STREET sells BREAD and CAKES to its neighbours.",
        ),
        (
            "MULTIPLE_UNVERIFIABLE:3",
            "Studies show it. Experts say it too. Scientists agree on that.",
        ),
        (
            "MEDICAL_CLAIMS:1",
            "The bakery on our street sells healthy bread to its neighbours.",
        ),
    ] {
        assert!(flags(caption).contains(flag), "{flag}: {}", flags(caption));
        assert!(
            score(caption) < score(plain),
            "{flag}: {} and {}",
            score(caption),
            score(plain)
        );
    }
}

#[test]
fn every_adjustment_says_how_it_is_worked_out() {
    for detections in of_many_kinds() {
        let breakdown = assess(&detections).trust_score_breakdown;
        for adjustment in breakdown
            .into_iter()
            .flat_map(|breakdown| breakdown.adjustments)
        {
            assert!(
                adjustment.metadata["working"]
                    .as_str()
                    .is_some_and(|working| !working.is_empty()),
                "{adjustment:?}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_ends_in_a_bounded_score_and_a_redo_gives_the_same_bytes(caption in "\\PC{0,300}", text in ".{0,200}", p in 0.0_f64..=1.0) {
        let detections = with_picture(post(Some(&caption), Some(false)), found(Verdict::Positive, p), off(), read(&text));
        let result = SCORER.assess(&detections, at(STARTED_MS));
        prop_assert!((0.0..=100.0).contains(&result.trust_score.unwrap()));
        let bytes = || serde_json::to_vec(&SCORER.assess(&detections, at(STARTED_MS))).unwrap();
        prop_assert_eq!(bytes(), bytes());
    }
}
