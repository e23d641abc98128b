//! The detectors on tract, which is in the binary and needs no file: what a model may answer, and when it is not asked.
//!
//! A process has one inference runtime, so this is a binary of its own: the library it names does not exist.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{Setup, Then, model, plain};
use schemas::Reason;
use trustcard_detect::{
    ComponentError, DetectConfig, Detector, Runtime, Verdict, clip::OutputError,
};

fn start(setup: Setup<'_>) -> Detector {
    let installed = setup.install();
    Detector::start(&installed.config).unwrap()
}

#[tokio::test]
async fn a_verified_model_answers_with_a_calibrated_probability_and_its_verdict() {
    let detector = start(Setup::default());
    assert!(matches!(detector.runtime(), Some(Runtime::Tract { .. })));
    assert_eq!(detector.runtime().unwrap().name(), "tract");
    assert!(
        detector
            .models()
            .iter()
            .all(|model| model.skipped.is_none())
    );
    // The head says red less blue: 4 * (+-1), 4 * 0.
    let cases = [
        (
            [255, 0, 0],
            1.0 / (1.0 + (-4.0f64).exp()),
            Verdict::Positive,
        ),
        ([0, 0, 255], 1.0 / (1.0 + 4.0f64.exp()), Verdict::Negative),
        ([90, 0, 90], 0.5, Verdict::Inconclusive),
    ];
    for (colour, probability, verdict) in cases {
        let answer = detector.ai_generated(plain(colour).into()).await.unwrap();
        assert!(
            (answer.probability - probability).abs() < 1e-6,
            "{answer:?}"
        );
        assert_eq!(
            (answer.verdict, answer.model.as_str()),
            (verdict, "ai-generated@7")
        );
    }
}

#[tokio::test]
async fn nan_infinite_and_zero_features_fail_the_picture_and_are_never_a_score() {
    // The golden picture gives these models finite features; a black one does not.
    let cases = [
        (Then::Log, LOG, OutputError::NotFinite(0)),
        (Then::Reciprocal, RECIPROCAL, OutputError::NotFinite(0)),
        (Then::Nothing, common::GOLDEN, OutputError::Zero),
    ];
    for (then, golden, expected) in cases {
        let setup = Setup {
            model: model(then),
            golden,
            ..Setup::default()
        };
        let detector = start(setup);
        let black = detector.ai_generated(plain([0, 0, 0]).into()).await;
        assert_eq!(black, Err(ComponentError::Output(expected)));
        assert_eq!(black.unwrap_err().reason(), Reason::ModelOutputInvalid);
        // The worker goes on.
        let white = detector.ai_generated(plain([255, 255, 255]).into()).await;
        assert!(white.is_ok(), "{white:?}");
    }
}

const LOG: &str = "[-0.5762, -0.5142, -0.6353]";
const RECIPROCAL: &str = "[0.5757, 0.5259, 0.6261]";

#[tokio::test]
async fn a_model_whose_golden_answer_is_not_the_one_on_record_is_skipped() {
    let wrong = [
        // Other numbers.
        Setup {
            golden: "[0.1, 0.2, 0.97]",
            ..Setup::default()
        },
        // Another runtime.
        Setup {
            runtime: "onnxruntime 1.32.0",
            ..Setup::default()
        },
        // Another shape.
        Setup {
            features: 512,
            ..Setup::default()
        },
        // No such output.
        Setup {
            output: "embedding",
            ..Setup::default()
        },
    ];
    for setup in wrong {
        let detector = start(setup);
        let skipped: Vec<_> = detector
            .models()
            .iter()
            .map(|model| model.skipped)
            .collect();
        assert_eq!(skipped, [Some(Reason::Runtime); 2]);
        let answer = detector.ai_generated(plain([255, 0, 0]).into()).await;
        assert_eq!(answer, Err(ComponentError::Skipped(Reason::Runtime)));
    }
}

#[tokio::test]
async fn one_bad_picture_fails_that_picture() {
    let detector = start(Setup::default());
    let good = plain([255, 0, 0]);
    let mut cut = good.clone();
    cut.truncate(cut.len() / 2);
    let files = [
        good.clone(),
        cut,
        b"not a picture".to_vec(),
        Vec::new(),
        good,
    ];
    let mut reasons = Vec::new();
    for file in files {
        let answer = detector.ai_generated(file.into()).await;
        reasons.push(answer.map(|_| ()).map_err(|error| error.reason()));
    }
    assert_eq!(
        reasons,
        [
            Ok(()),
            Err(Reason::MediaUndecodable),
            Err(Reason::MediaUnsupported),
            Err(Reason::MediaUndecodable),
            Ok(())
        ]
    );
}

#[tokio::test]
async fn many_pictures_at_once_each_get_their_own_answer() {
    let installed = Setup::default().install();
    let config = DetectConfig {
        workers: 3,
        queue: 2,
        ..installed.config.clone()
    };
    let detector = std::sync::Arc::new(Detector::start(&config).unwrap());
    let mut running = Vec::new();
    for number in 0..60u8 {
        let detector = detector.clone();
        running.push(tokio::spawn(async move {
            let colour = if number % 2 == 0 {
                [255, 0, 0]
            } else {
                [0, 0, 255]
            };
            detector
                .ai_generated(plain(colour).into())
                .await
                .unwrap()
                .verdict
        }));
    }
    for (number, answer) in running.into_iter().enumerate() {
        let expected = if number % 2 == 0 {
            Verdict::Positive
        } else {
            Verdict::Negative
        };
        assert_eq!(answer.await.unwrap(), expected);
    }
}

#[tokio::test]
async fn with_models_off_nothing_is_read_and_everything_is_skipped() {
    let config = DetectConfig {
        models_enabled: false,
        models_dir: "/nonexistent".into(),
        registry: Some("/nonexistent/models.toml".into()),
        ..DetectConfig::default()
    };
    let detector = Detector::start(&config).unwrap();
    assert_eq!(detector.runtime(), None);
    assert!(detector.models().is_empty());
    let answer = detector.ai_generated(plain([1, 2, 3]).into()).await;
    assert_eq!(answer, Err(ComponentError::Skipped(Reason::ModelsOff)));
    assert!(answer.unwrap_err().is_skip());
}

#[tokio::test]
async fn a_registry_without_the_head_says_not_installed() {
    let installed = Setup::default().install();
    std::fs::write(installed.config.registry.clone().unwrap(), "").unwrap();
    let detector = Detector::start(&installed.config).unwrap();
    let answer = detector.ai_generated(plain([1, 2, 3]).into()).await;
    assert_eq!(answer, Err(ComponentError::Skipped(Reason::NotInstalled)));
}
