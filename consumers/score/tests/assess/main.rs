//! Whole results: from detections as they come off the topic to the result as it goes on.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::LazyLock;

use jiff::Timestamp;
use proptest::prelude::*;
use schemas::events::detections::{ProvenanceFinding, Status, TextFinding, VideoDetections};
use schemas::events::result::Outcome;
use schemas::events::scraped::{Author, BlobRef, Media, MediaKind, Post, PostKind};
use schemas::identity::RunCause;
use schemas::{
    AnalysisResult, Detections, PictureDetections, PictureFinding, PostRef, Reason, Run, Verdict,
};
use store::EndMetrics;
use trustcard_score::{Metrics, SCORING_VERSION, Scorer, ScoringConfig};

mod again;
mod origin;

const STARTED_MS: i64 = 1_760_000_000_000;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap()
}

fn post(caption: Option<&str>, author: Option<bool>) -> Detections {
    let run = Run {
        started_ms: STARTED_MS,
        cause: RunCause::Submission,
    };
    Detections {
        analysis_id: schemas::identity::derive(&["test"]),
        run,
        supersedes: None,
        post: PostRef {
            post_id: "CHAIm2sHSQZ".to_owned(),
            url: "https://www.instagram.com/p/CHAIm2sHSQZ/".to_owned(),
        },
        scraped_at: at(STARTED_MS + 100),
        reused: false,
        detected_at: at(STARTED_MS + 200),
        content: Post {
            caption: caption.map(str::to_owned),
            author: author.map(|is_verified| Author {
                username: "someone".to_owned(),
                full_name: None,
                is_verified,
            }),
            like_count: Some(7),
            ..Post::bare(PostKind::Photo, "web")
        },
        pictures: Vec::new(),
        runtime: None,
        videos: Vec::new(),
    }
}

fn found(verdict: Verdict, probability: f64) -> PictureFinding {
    PictureFinding {
        status: Status::Completed,
        verdict: Some(verdict),
        probability: Some(probability),
        model: Some("clip-head@1".to_owned()),
        millis: Some(60),
        reason: None,
        reused: false,
    }
}

fn read(text: &str) -> TextFinding {
    TextFinding {
        status: Status::Completed,
        text: Some(text.to_owned()),
        confidence: Some(0.9),
        model: Some("reader@2".to_owned()),
        reason: None,
        lines: Vec::new(),
        millis: None,
        reused: false,
    }
}

fn with_picture(
    mut detections: Detections,
    ai: PictureFinding,
    face: PictureFinding,
    text: TextFinding,
) -> Detections {
    let media_index = u32::try_from(detections.pictures.len()).unwrap();
    detections.content.media.push(Media {
        index: media_index,
        kind: MediaKind::Image,
        blob: Some(BlobRef {
            sha256: "00".repeat(32),
            bytes: 10,
            content_type: "image/jpeg".to_owned(),
        }),
        failure: None,
        width: None,
        height: None,
        duration_s: None,
    });
    detections.pictures.push(PictureDetections {
        media_index,
        kind: MediaKind::Image,
        sha256: Some("00".repeat(32)),
        ai_generated: ai,
        face_manipulation: face,
        text,
        width: None,
        height: None,
        perceptual_hash: None,
        copy_of: None,
        faces: Vec::new(),
        provenance: None,
    });
    detections
}

fn off() -> PictureFinding {
    PictureFinding::skipped(Reason::ModelsOff)
}

fn no_text() -> TextFinding {
    TextFinding::skipped(Reason::ModelsOff)
}

static SCORER: LazyLock<Scorer> = LazyLock::new(|| Scorer::new(ScoringConfig::default()).unwrap());

fn assess(detections: &Detections) -> AnalysisResult {
    SCORER.assess(detections, at(STARTED_MS + 300))
}

fn categories(result: &AnalysisResult) -> Vec<String> {
    let breakdown = result.trust_score_breakdown.as_ref().unwrap();
    breakdown
        .adjustments
        .iter()
        .map(|a| a.category.clone())
        .collect()
}

fn covered(result: &AnalysisResult, component: &str) -> (Status, Option<Reason>, u32, u32) {
    let entry = result
        .coverage
        .iter()
        .find(|c| c.component == component)
        .unwrap();
    (entry.status, entry.reason, entry.analysed, entry.failed)
}

#[test]
fn a_result_says_everything_it_must() {
    let caption =
        "The city council approved the budget on Monday, says https://www.reuters.com/world/1";
    let detections = with_picture(
        post(Some(caption), Some(false)),
        found(Verdict::Negative, 0.1),
        off(),
        no_text(),
    );
    let result = assess(&detections);
    assert_eq!((result.status, &result.error), (Outcome::Completed, &None));
    // 70 + 5 link + 8 objective + 10 clean claims = 93 -> +2.6; reuters 1.0 -> +3; clamped.
    assert_eq!(result.trust_score, Some(100.0));
    assert_eq!(
        categories(&result),
        ["High Credibility", "High Source Reliability"]
    );
    assert_eq!(
        result.trust_score_breakdown.as_ref().unwrap().total_bonuses,
        5.6
    );
    assert_eq!(result.grade.as_deref(), Some("A+"));
    assert_eq!(result.grade_info.as_ref().unwrap().emoji, "✅");
    assert_eq!(result.scoring_version.as_deref(), Some(SCORING_VERSION));
    assert_eq!(result.models, ["clip-head@1"]);
    assert_eq!(
        (result.created_at, result.completed_at),
        (at(STARTED_MS), at(STARTED_MS + 300))
    );

    let components: Vec<_> = result
        .coverage
        .iter()
        .map(|c| c.component.as_str())
        .collect();
    assert_eq!(
        components,
        [
            "instagram_extraction",
            "ai_detection",
            "ocr",
            "deepfake",
            "fact_check",
            "source_credibility"
        ]
    );
    assert_eq!(
        covered(&result, "instagram_extraction"),
        (Status::Completed, None, 1, 0)
    );
    assert_eq!(
        covered(&result, "ai_detection"),
        (Status::Completed, None, 1, 0)
    );
    assert_eq!(
        covered(&result, "deepfake"),
        (Status::Skipped, Some(Reason::ModelsOff), 0, 0)
    );
    assert_eq!(
        covered(&result, "ocr"),
        (Status::Skipped, Some(Reason::ModelsOff), 0, 0)
    );
    assert_eq!(
        covered(&result, "fact_check"),
        (Status::Completed, None, 1, 0)
    );
    assert_eq!(
        covered(&result, "source_credibility"),
        (Status::Completed, None, 1, 0)
    );

    let info = result.post_info.as_ref().unwrap();
    assert_eq!(
        (info.username.as_deref(), info.image_count, info.video_count),
        (Some("someone"), 1, 0)
    );
    let found = result.analysis_results.as_ref().unwrap();
    assert_eq!(found.ai_detection["verdict"], "human_made");
    assert_eq!(found.deepfake["status"], "skipped");
    assert_eq!(found.deepfake["reason"], "models_off");
    assert_eq!(found.fact_check["credibility_score"], 93.0);
    assert_eq!(found.fact_check["risk"], "very_low");
    assert_eq!(found.source_credibility["sources"][0]["name"], "Reuters");
    assert_eq!(
        found.source_credibility["sources"][0]["reliability"],
        "very-high"
    );
    assert_eq!(found.ocr_text, None);
}

#[test]
fn one_picture_has_one_penalty() {
    let positive = || found(Verdict::Positive, 0.9);
    let result = assess(&with_picture(
        post(None, Some(true)),
        positive(),
        positive(),
        no_text(),
    ));
    assert_eq!(categories(&result), ["Deepfake/Manipulation"]);
    assert_eq!(result.trust_score, Some(60.0));
    assert_eq!(
        result.analysis_results.as_ref().unwrap().ai_detection["verdict"],
        "ai_generated"
    );

    let faked = with_picture(post(None, Some(true)), positive(), positive(), no_text());
    let two = with_picture(
        faked,
        found(Verdict::Positive, 0.6),
        found(Verdict::Negative, 0.2),
        no_text(),
    );
    let result = assess(&two);
    assert_eq!(
        categories(&result),
        ["AI-Generated Content", "Deepfake/Manipulation"]
    );
    assert_eq!(
        result.trust_score,
        Some(42.0),
        "the other picture's 0.6 counts, not the faked one's 0.9"
    );
    let metadata = &result.trust_score_breakdown.as_ref().unwrap().adjustments[0].metadata;
    assert_eq!(
        (
            metadata["ai_images"].as_u64(),
            metadata["total_images"].as_u64()
        ),
        (Some(1), Some(2))
    );
}

#[test]
fn the_still_of_a_video_counts_as_a_picture() {
    let mut still = with_picture(
        post(None, Some(true)),
        found(Verdict::Positive, 0.8),
        off(),
        no_text(),
    );
    still.pictures[0].kind = MediaKind::Thumbnail;
    let result = assess(&still);
    assert_eq!(categories(&result), ["AI-Generated Content"]);
    assert_eq!(result.trust_score, Some(76.0));
}

#[test]
fn two_faked_faces_cost_as_much_as_one() {
    let positive = || found(Verdict::Positive, 0.9);
    let one = with_picture(post(None, Some(true)), off(), positive(), no_text());
    let two = with_picture(one.clone(), off(), positive(), no_text());
    assert_eq!(
        (assess(&one).trust_score, assess(&two).trust_score),
        (Some(60.0), Some(60.0))
    );
}

#[test]
fn what_can_not_decide_is_shown_and_changes_nothing() {
    let undecided = PictureFinding {
        status: Status::Inconclusive,
        verdict: None,
        ..found(Verdict::Positive, 0.6)
    };
    let result = assess(&with_picture(
        post(None, Some(true)),
        undecided,
        off(),
        no_text(),
    ));
    assert_eq!(result.trust_score, Some(100.0));
    assert_eq!(
        covered(&result, "ai_detection"),
        (Status::Inconclusive, None, 1, 0)
    );
    assert_eq!(
        result.analysis_results.unwrap().ai_detection["verdict"],
        "inconclusive"
    );
}

#[test]
fn a_number_that_is_none_is_a_failed_component_and_never_a_perfect_score() {
    for nonsense in [f64::NAN, f64::INFINITY, -1.0, 2.0] {
        let broken = with_picture(
            post(None, None),
            found(Verdict::Positive, nonsense),
            off(),
            no_text(),
        );
        let result = assess(&broken);
        assert_eq!(result.status, Outcome::Failed, "{nonsense}");
        assert_eq!(
            result.error.as_ref().unwrap().code,
            Reason::NothingCompleted
        );
        assert_eq!(
            covered(&result, "ai_detection"),
            (Status::Failed, Some(Reason::ModelOutputInvalid), 0, 1)
        );
        serde_json::from_slice::<AnalysisResult>(&serde_json::to_vec(&result).unwrap()).unwrap();
    }
}

#[test]
fn nothing_completed_is_a_failed_result_that_shows_what_was_not_checked() {
    let result = assess(&with_picture(post(None, None), off(), off(), no_text()));
    assert_eq!(result.status, Outcome::Failed);
    let error = result.error.as_ref().unwrap();
    assert_eq!(
        (error.code, error.stage.as_str()),
        (Reason::NothingCompleted, "score")
    );
    assert_eq!(
        (result.trust_score, &result.grade, &result.grade_info),
        (None, &None, &None)
    );
    assert!(result.trust_score_breakdown.is_none());
    assert_eq!(
        covered(&result, "fact_check"),
        (Status::Skipped, Some(Reason::NoText), 0, 0)
    );
    assert_eq!(
        covered(&result, "source_credibility"),
        (Status::Skipped, Some(Reason::NoAuthor), 0, 0)
    );
    assert_eq!(result.post_info.unwrap().post_id, "CHAIm2sHSQZ");
}

#[test]
fn picture_text_is_read_with_the_caption_and_its_links_count() {
    let detections = with_picture(
        post(Some("A quiet walk by the sea"), Some(true)),
        off(),
        off(),
        read("Garlic cures cancer\nhttps://infowars.com/garlic"),
    );
    let result = assess(&detections);
    let breakdown = result.trust_score_breakdown.as_ref().unwrap();
    assert!(
        breakdown
            .flags
            .contains(&"Medical claims require verification".to_owned()),
        "{:?}",
        breakdown.flags
    );
    assert!(
        breakdown
            .flags
            .contains(&"Conspiracy theory sources detected".to_owned()),
        "{:?}",
        breakdown.flags
    );
    assert!(breakdown.requires_review);
    assert_eq!(categories(&result).last().unwrap(), "Conspiracy Sources");
    assert_eq!(covered(&result, "fact_check").2, 2, "caption and picture");
    assert_eq!(result.models, ["reader@2"]);
    let found = result.analysis_results.unwrap();
    assert_eq!(
        found.ocr_text.as_deref(),
        Some("Garlic cures cancer\nhttps://infowars.com/garlic")
    );
    assert_eq!(found.fact_check["flags"][0], "MEDICAL_CLAIMS:1");
}

#[test]
fn a_broken_picture_is_counted_beside_those_that_were_analysed() {
    let good = with_picture(
        post(None, Some(true)),
        found(Verdict::Negative, 0.2),
        off(),
        no_text(),
    );
    let broken = PictureFinding::failed(Reason::MediaUndecodable);
    let mut both = with_picture(good, broken, off(), no_text());
    both.content.media[1].blob = None;
    both.content.media[1].failure = Some(Reason::MediaExpired);
    let result = assess(&both);
    assert_eq!(
        covered(&result, "ai_detection"),
        (Status::Completed, None, 1, 1)
    );
    assert_eq!(
        covered(&result, "instagram_extraction"),
        (Status::Completed, None, 1, 1)
    );
    let found = result.analysis_results.unwrap();
    assert_eq!(
        found.ai_detection["images"][1]["reason"],
        "media_undecodable"
    );
    assert_eq!(
        found.instagram_extraction["failures"][0]["reason"],
        "media_expired"
    );
}

#[test]
fn results_are_counted_by_their_verdicts() {
    let registry = prometheus::Registry::new();
    let ends = EndMetrics::register(&registry).unwrap();
    let metrics = Metrics::register(&registry, ends.clone()).unwrap();
    let scored = with_picture(
        post(None, Some(true)),
        found(Verdict::Positive, 0.9),
        off(),
        no_text(),
    );
    metrics.observe(&assess(&scored));
    metrics.observe(&assess(&post(None, None)));
    let text = prometheus::TextEncoder::new()
        .encode_to_string(&registry.gather())
        .unwrap();
    for line in [
        "trustcard_analyses_completed_total{status=\"completed\"} 1",
        "trustcard_analyses_completed_total{status=\"failed\"} 1",
        "trustcard_ai_detection_results_total{result=\"ai_generated\"} 1",
        "trustcard_ai_detection_results_total{result=\"human_made\"} 0",
        "trustcard_deepfake_detection_results_total{result=\"clean\"} 0",
        "trustcard_analysis_duration_seconds_bucket{le=\"0.3\"} 2",
        "trustcard_analysis_duration_seconds_bucket{le=\"0.2\"} 0",
        "trustcard_trust_score_bucket{le=\"70\"} 0",
        "trustcard_trust_score_bucket{le=\"80\"} 1",
        "trustcard_trust_score_count 1",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
    assert!(
        Metrics::register(&registry, ends).is_err(),
        "names are taken"
    );
}
