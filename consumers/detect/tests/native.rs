//! The real model on the real ONNX Runtime, from the cache folder (`TRUSTCARD_MODELS_DIR`, else the default) that
//! `trustcard models pull` fills.
//!
//! Where the files can't be had, these tests say so in one line and pass; with `CI=true` they fail.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;
#[path = "common/film.rs"]
mod film;
#[path = "common/posts.rs"]
mod posts;

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use common::{Setup, Then, fixture, model, plain};
use engine::Stage;
use image::{codecs::jpeg::JpegEncoder, imageops::FilterType};
use posts::{detections, post, post_of, seen, stage};
use schemas::{Reason, events::detections::Status, events::scraped::MediaKind};
use trustcard_detect::{
    ComponentError, DetectConfig, Detector, Registry, Runtime, Verdict, clip::OutputError,
};

/// Settings for the real files; `None`, loudly, when they are not there.
fn real() -> Option<DetectConfig> {
    let mut config = DetectConfig::default();
    if let Some(folder) = std::env::var_os("TRUSTCARD_MODELS_DIR") {
        config.models_dir = PathBuf::from(folder);
    }
    let registry = Registry::load(None).unwrap();
    let missing: Vec<_> = registry
        .model_files(&config.models_dir)
        .into_iter()
        .map(|model| model.path)
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
    let detector = Detector::start(&config).unwrap();
    let file = Bytes::from(fixture("baseline.jpg"));
    let first = detector.features(file.clone()).await.unwrap();
    // The output, and the first token of three inner states.
    assert_eq!(first.len(), 512 + 3 * 768);
    let (a, b) = tokio::join!(detector.features(file.clone()), detector.features(file));
    assert_eq!(a.unwrap(), first);
    assert_eq!(b.unwrap(), first);
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
    assert_eq!(answer.verdict, Verdict::Positive);
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

#[tokio::test]
async fn a_picture_that_was_saved_anew_has_the_verdict_of_the_first_and_is_read_anew() {
    let Some(config) = real() else { return };
    let detector = Arc::new(Detector::start(&config).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let (stage, blobs) = stage(folder.path(), detector);
    let look = async |post_id, file: Vec<u8>| {
        let blob = blobs.put(file.into(), "image/jpeg").await.unwrap();
        let outcomes = stage.process(vec![post(post_id, &[blob])]).await.unwrap();
        seen(&outcomes[0]).remove(0)
    };
    let poster = image::load_from_memory(&fixture("poster.png")).unwrap();
    let saved = |side: u32, quality| {
        let copy = poster.resize(side, side, FilterType::CatmullRom).to_rgb8();
        let mut file = Vec::new();
        let encoder = JpegEncoder::new_with_quality(&mut file, quality);
        copy.write_with_encoder(encoder).unwrap();
        file
    };
    let original = look("original", saved(900, 92)).await;
    assert_eq!(
        (&original.copy_of, original.ai_generated.reused),
        (&None, false)
    );
    let copy = look("copy", saved(700, 60)).await;
    let source = copy.copy_of.as_ref().unwrap();
    assert_eq!(Some(&source.sha256), original.sha256.as_ref());
    assert!(copy.ai_generated.reused);
    assert_eq!(
        copy.ai_generated.probability,
        original.ai_generated.probability
    );
    // What is finer than the comparison is looked at in the copy itself.
    assert!(!copy.text.reused && copy.text.status == Status::Completed);
    assert_ne!(
        (copy.width, &copy.text.lines),
        (original.width, &original.text.lines)
    );
    assert_ne!(copy.perceptual_hash, None);

    // Its own bytes again, and another picture.
    let again = look("again", saved(700, 60)).await;
    assert_eq!(again.copy_of, copy.copy_of);
    assert!(again.text.reused);
    let other = look("other", fixture("baseline.jpg")).await;
    assert_eq!((other.copy_of, other.ai_generated.reused), (None, false));
}

#[tokio::test]
async fn a_video_is_judged_by_its_frames_and_the_same_bytes_once() {
    let Some(config) = real() else { return };
    let detector = Arc::new(Detector::start(&config).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let (stage, blobs) = stage(folder.path(), detector);
    let frame = |name| {
        let picture = image::load_from_memory(&fixture(name)).unwrap();
        let picture = picture.resize_exact(320, 384, FilterType::Triangle);
        vec![picture.to_rgb8(); 5]
    };
    let frames = [frame("face.png"), frame("poster.png")].concat();
    let file = film::film(&frames, &[]).mp4();
    let blob = blobs.put(file.into(), "video/mp4").await.unwrap();
    let files = std::slice::from_ref(&blob);
    let watch = async |post_id| {
        let outcomes = stage.process(vec![post_of(post_id, MediaKind::Video, files)]);
        detections(&outcomes.await.unwrap()[0]).videos.remove(0)
    };
    let mut first = watch("first").await;

    assert_eq!(
        (first.status, first.codec.as_deref()),
        (Status::Completed, Some("h264"))
    );
    assert_eq!(first.sha256.as_ref(), Some(&blob.sha256));
    let times: Vec<u64> = first.frames.iter().map(|frame| frame.at_ms).collect();
    assert_eq!(times, [0, 500]);
    let likely = first
        .frames
        .iter()
        .map(|frame| frame.ai_generated.probability.unwrap());
    let likeliest = likely.reduce(f64::max);
    assert_eq!(first.ai_generated.probability, likeliest);
    assert_eq!(
        (first.frames[0].faces.len(), first.frames[1].faces.len()),
        (1, 0)
    );
    assert_eq!(first.face_manipulation.reason, Some(Reason::NotInstalled));

    let second = watch("second").await;
    assert!(second.ai_generated.reused && !first.ai_generated.reused);
    first.ai_generated.reused = true;
    assert_eq!(first, second);
}

#[tokio::test]
async fn a_poster_is_read_upright_and_turned_with_corners_in_its_pixels() {
    let Some(config) = real() else { return };
    let detector = Detector::start(&config).unwrap();
    let poster = image::load_from_memory(&fixture("poster.png")).unwrap();
    for (turn, picture) in [
        (0, poster.clone()),
        (90, poster.rotate90()),
        (180, poster.rotate180()),
        (270, poster.rotate270()),
    ] {
        let look = detector.look(common::png(&picture.to_rgb8()).into()).await;
        let size = (picture.width(), picture.height());
        assert_eq!(look.size, Some(size));
        let reading = look.text.unwrap().reading;
        let found: Vec<&str> = reading
            .lines
            .iter()
            .map(|line| line.text.as_str())
            .collect();
        for expected in ["Doctors hate this cure", "Share before it is deleted"] {
            let plain = |text: &str| text.replace(' ', "").to_lowercase();
            let line = reading
                .lines
                .iter()
                .find(|line| plain(&line.text) == plain(expected));
            let line = line.unwrap_or_else(|| panic!("turned by {turn}: {found:?}"));
            assert!(line.confidence > 0.8);
            let inside = |[x, y]: [i32; 2]| {
                (-40..size.0 as i32 + 40).contains(&x) && (-40..size.1 as i32 + 40).contains(&y)
            };
            assert!(line.corners.into_iter().all(inside), "{line:?}");
        }
        let judged = look.face_manipulation.unwrap_err();
        assert!(judged.is_skip(), "no head is installed: {judged:?}");
    }
}

#[tokio::test]
async fn a_face_is_found_in_pixels_of_the_picture_and_an_operators_model_judges_it() {
    let Some(real) = real() else { return };
    let small = image::load_from_memory(&fixture("face.png")).unwrap();
    // In the lower right quarter of a large picture, beyond the copy that faces are looked for in.
    let mut large = image::RgbImage::from_pixel(1600, 1200, image::Rgb([90, 120, 150]));
    image::imageops::overlay(&mut large, &small.to_rgb8(), 1100, 700);
    let detector = Detector::start(&real).unwrap();
    for (file, [x, y]) in [
        (fixture("face.png"), [160, 190]),
        (common::png(&large), [1260, 890]),
    ] {
        let look = detector.look(file.into()).await;
        let [face] = &look.faces[..] else {
            panic!("{:?}", look.faces)
        };
        let centre = [face.x + face.width / 2, face.y + face.height / 2];
        assert!(
            centre[0].abs_diff(x) < 30 && centre[1].abs_diff(y) < 40,
            "{face:?}"
        );
        assert!((100..240).contains(&face.width), "{face:?}");
    }

    // Three classes from the means of the cut-out's colours; skin is red.
    let installed = Setup {
        runtime: "onnxruntime 1.32.0",
        ..Setup::default()
    }
    .install();
    let path = installed.config.registry.clone().unwrap();
    let built_in = include_str!("../models.toml");
    let finder = &built_in[built_in.find("[[finder]]").unwrap()..];
    let classifier = r#"
        [[classifier]]
        name = "face-manipulation"
        version = "3"
        model = "means@1"
        labels = ["swapped", "clean", "other"]
        positive = "swapped"
        activation = "softmax"
        thresholds = { low = 0.1, high = 0.335 }
    "#;
    let registry = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{registry}\n{finder}\n{classifier}")).unwrap();
    let config = DetectConfig {
        onnxruntime_library: library(&real),
        ..installed.config.clone()
    };
    let detector = Detector::start(&config).unwrap();
    let look = detector.look(fixture("face.png").into()).await;
    let verdict = look.face_manipulation.unwrap();
    assert_eq!(verdict.model, "face-manipulation@3");
    assert_eq!(verdict.verdict, Verdict::Positive, "{verdict:?}");
    assert_eq!(look.faces[0].probability, Some(verdict.probability));
    // No face: nothing to judge.
    let look = detector.look(plain([200, 30, 30]).into()).await;
    assert_eq!(
        look.face_manipulation,
        Err(ComponentError::Skipped(Reason::NoFaces))
    );
}

/// The native library that the registry keeps.
fn library(config: &DetectConfig) -> Option<PathBuf> {
    let registry = Registry::load(None).unwrap();
    let entry = registry.runtime_for(std::env::consts::ARCH, std::env::consts::OS);
    entry.map(|entry| entry.path(&config.models_dir))
}
