//! The real model on the real ONNX Runtime, from the cache folder (`TRUSTCARD_MODELS_DIR`, else the default) that
//! `trustcard models pull` fills.
//!
//! Where the files can't be had, these tests say so in one line and pass; with `CI=true` they fail.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;
#[path = "common/posts.rs"]
mod posts;

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use common::{Setup, Then, fixture, model, plain};
use engine::Stage;
use posts::{post, seen, stage};
use schemas::Reason;
use trustcard_detect::{
    ComponentError, DetectConfig, Detector, Registry, Runtime, Verdict,
    clip::{ClipEncoder, Opened, OutputError},
};

/// Settings for the real files; `None`, loudly, when they are not there.
fn real() -> Option<DetectConfig> {
    let mut config = DetectConfig::default();
    if let Some(folder) = std::env::var_os("TRUSTCARD_MODELS_DIR") {
        config.models_dir = PathBuf::from(folder);
    }
    let registry = Registry::load(None).unwrap();
    let missing: Vec<_> = registry
        .models
        .iter()
        .map(|model| model.path(&config.models_dir))
        .chain(
            registry
                .runtime_for(std::env::consts::ARCH, std::env::consts::OS)
                .map(|runtime| runtime.path(&config.models_dir)),
        )
        .filter(|path| !path.exists())
        .collect();
    if missing.is_empty() {
        return Some(config);
    }
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "{missing:?} missing: run `trustcard models pull`"
    );
    eprintln!(
        "SKIPPED, NOT TESTED: the real model, because {missing:?} are missing; run `trustcard models pull`"
    );
    None
}

#[tokio::test]
async fn the_real_model_passes_its_golden_check_and_judges_every_kind_of_file() {
    let Some(config) = real() else { return };
    let detector = Detector::start(&config).unwrap();
    let runtime = detector.runtime().unwrap();
    assert!(matches!(runtime, Runtime::Native { .. }), "{runtime:?}");
    assert_eq!(runtime.name(), "onnxruntime 1.32.0");
    assert!(
        detector
            .models()
            .iter()
            .all(|model| model.skipped.is_none())
    );
    for name in [
        "baseline.jpg",
        "rgba.png",
        "animated.gif",
        "lossy.webp",
        "turned.jpg",
        "cmyk.jpg",
    ] {
        let answer = detector.ai_generated(fixture(name).into()).await.unwrap();
        assert!(
            (0.0..=1.0).contains(&answer.probability),
            "{name}: {answer:?}"
        );
        assert!(answer.model.starts_with("ai-generated@"));
    }
    let broken = detector
        .ai_generated(Bytes::from_static(b"\xFF\xD8\xFF\xE0"))
        .await;
    assert_eq!(broken.unwrap_err().reason(), Reason::MediaUndecodable);
}

#[tokio::test]
async fn the_same_picture_always_has_the_same_features_on_every_worker() {
    let Some(config) = real() else { return };
    let config = DetectConfig {
        workers: 2,
        ..config
    };
    let registry = Registry::load(None).unwrap();
    let Opened::Ready(encoder) =
        ClipEncoder::open(&config, &registry, &registry.models[0]).unwrap()
    else {
        panic!("the golden check failed");
    };
    let file = Bytes::from(fixture("baseline.jpg"));
    let first = encoder.features(file.clone()).await.unwrap().values;
    assert_eq!(first.len(), 512);
    let (a, b) = tokio::join!(encoder.features(file.clone()), encoder.features(file));
    assert_eq!(a.unwrap().values, first);
    assert_eq!(b.unwrap().values, first);
}

#[tokio::test]
async fn outputs_that_are_no_features_fail_on_the_native_runtime_too() {
    let Some(real) = real() else { return };
    let registry = Registry::load(None).unwrap();
    let library = registry
        .runtime_for(std::env::consts::ARCH, std::env::consts::OS)
        .unwrap()
        .path(&real.models_dir);
    let start = |setup: Setup<'_>| {
        let installed = setup.install();
        let config = DetectConfig {
            onnxruntime_library: Some(library.clone()),
            ..installed.config
        };
        Detector::start(&config).unwrap()
    };
    let native = || Setup {
        runtime: "onnxruntime 1.32.0",
        ..Setup::default()
    };

    let good = start(native());
    let answer = good.ai_generated(plain([255, 0, 0]).into()).await.unwrap();
    assert_eq!(answer.verdict, Verdict::Generated);
    let black = good.ai_generated(plain([0, 0, 0]).into()).await;
    assert_eq!(black, Err(ComponentError::Output(OutputError::Zero)));

    let infinite = start(Setup {
        model: model(Then::Reciprocal),
        golden: "[0.5757, 0.5259, 0.6261]",
        ..native()
    });
    let black = infinite.ai_generated(plain([0, 0, 0]).into()).await;
    assert_eq!(
        black,
        Err(ComponentError::Output(OutputError::NotFinite(0)))
    );

    for wrong in [
        Setup {
            features: 512,
            ..native()
        },
        Setup {
            model: model(Then::Integers),
            ..native()
        },
        Setup {
            runtime: "tract",
            ..native()
        },
    ] {
        let answer = start(wrong).ai_generated(plain([1, 2, 3]).into()).await;
        assert_eq!(answer, Err(ComponentError::Skipped(Reason::Runtime)));
    }
}

#[tokio::test]
async fn the_same_bytes_are_never_looked_at_twice() {
    let Some(config) = real() else { return };
    let detector = Arc::new(Detector::start(&config).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let (stage, blobs) = stage(folder.path(), detector);
    let file = fixture("baseline.jpg").into();
    let blob = blobs.put(file, "image/jpeg").await.unwrap();

    let mut findings = Vec::new();
    for post_id in ["first", "second"] {
        let outcomes = stage
            .process(vec![post(post_id, std::slice::from_ref(&blob))])
            .await;
        let mut pictures = seen(&outcomes.unwrap()[0]);
        findings.push(pictures.remove(0).ai_generated);
    }
    assert!(findings[0].probability.is_some() && !findings[0].reused);
    assert!(findings[1].reused);
    findings[1].reused = false;
    assert_eq!(findings[0], findings[1]);
}
