//! The detect bench: pictures a second, and a CPU-second, of the stage with its store and files, against a bare loop over the same
//! runtime in Python that decodes, resizes and runs the same model on the same pictures; what decoding, resizing, inference and the
//! rest cost; and what a worker with every model does and holds.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context, Result, ensure};
use benches::{Figure, Mark, Report, Spread, process};
use bytes::Bytes;
use clap::Parser;
use detect::{
    DetectConfig, Detector, Registry,
    metrics::DetectMetrics,
    preprocess::{self, Preprocessor},
    stage::DetectStage,
};
use engine::{Message, Meta, Outcome, Stage, SystemClock};
use jiff::Timestamp;
use schemas::{
    PostRef, PostScraped, Run,
    events::scraped::{BlobRef, Media, MediaKind, Post, PostKind},
    identity, topics,
};
use serde_json::json;
use store::{BlobStore, EndMetrics, SqliteStore, StorePolicy};
use tokio::time::Instant;

mod peer;
mod pictures;

use peer::Peer;

/// As in `trustcard` itself.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const ROUNDS: usize = 5;
/// Pictures of a round.
const PICTURES: u32 = 160;
/// The same where a run shall only show that the bench works.
const QUICK: u32 = 8;
/// Least share of the bare loop's speed.
const MARK: f64 = 0.95;
/// Least cosine of the features of both sides. They decode and scale with the same filters but not in the same arithmetic, which 8-bit
/// weights make more of (0.986 was seen); another product of 8-bit numbers would give 0.4.
const SAME: f64 = 0.95;

#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    options: benches::Options,
    /// A Python that has what peers/onnxruntime/requirements.txt names.
    #[arg(long)]
    python: PathBuf,
    /// Workers of the stage, and threads of the peer.
    #[arg(long, default_value_t = 2)]
    workers: usize,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let quick = args.options.quick;
    let (rounds, count) = if quick {
        (1, QUICK)
    } else {
        (ROUNDS, PICTURES)
    };
    let folder = tempfile::tempdir()?;
    let files = draw(&folder.path().join("pictures"), count)?;
    let registry = Registry::load(None)?;
    let config = DetectConfig {
        workers: args.workers,
        registry: Some(encoder_alone(folder.path())?),
        ..DetectConfig::default()
    };
    let model = registry.models.first().context("no model")?;
    let parts = parts(&config, &registry, &files).await?;
    let detector = Arc::new(Detector::start(&config)?);
    let mut peer = Peer::start(
        &args.python,
        &folder.path().join("pictures"),
        &model.path(&config.models_dir),
        args.workers,
    )?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let told = peer.round()?;
        ensure!(told.pictures == files.len());
        let features = detector.features(files[0].clone()).await?;
        // The peer asks for the output alone.
        let output = features.get(..told.features.len()).unwrap_or_default();
        let same = cosine(output, &told.features);
        ensure!(same >= SAME, "the peer does other work: cosine {same}");
        theirs.push(Leg {
            seconds: told.seconds,
            cpu_seconds: told.cpu_seconds,
        });
        let place = folder.path().join(format!("round-{round}"));
        ours.push(stage(&place, Arc::clone(&detector), &files).await?);
    }
    let (peer_mib, own_mib) = (peer.peak_mib()?, process::peak_mib(std::process::id())?);
    drop(peer);
    let whole = whole(&files, if quick { 2 } else { 40 }).await?;
    let count = files.len() as f64;
    let ratio = |of: fn(&Leg) -> f64| {
        let rounds = ours.iter().zip(&theirs);
        Spread::of(rounds.map(|(ours, theirs)| of(theirs) / of(ours))).context("no round")
    };
    let figure = |name: &str, legs: &[Leg], of: fn(&Leg) -> f64| {
        Figure::of(name, legs.iter().map(|leg| count / of(leg)))
    };
    let stage_ms = Spread::of(ours.iter().map(|leg| leg.cpu_seconds * 1000.0 / count));
    let stage_ms = stage_ms.context("no round")?.median;
    let inference = parts.features - parts.decode - parts.resize;
    let report = Report {
        name: "detect".to_owned(),
        measurement: !quick,
        ratios: vec![
            Mark::at_least(
                "stage / bare loop, pictures per second",
                ratio(Leg::seconds)?,
                MARK,
            ),
            Mark::at_least(
                "stage / bare loop, pictures per CPU-second",
                ratio(Leg::cpu_seconds)?,
                MARK,
            ),
        ],
        others: vec![
            figure("stage, pictures per second", &ours, Leg::seconds)?,
            figure("stage, pictures per CPU-second", &ours, Leg::cpu_seconds)?,
            figure("bare loop, pictures per second", &theirs, Leg::seconds)?,
            figure(
                "bare loop, pictures per CPU-second",
                &theirs,
                Leg::cpu_seconds,
            )?,
            Figure::once("stage, CPU ms a picture", stage_ms),
            Figure::once("of that decoding", parts.decode),
            Figure::once("of that resizing", parts.resize),
            Figure::once("of that inference", inference),
            Figure::once("of that the rest", stage_ms - parts.features),
            Figure::once("stage with the encoder alone, peak MiB", own_mib),
            Figure::once("bare loop, peak MiB", peer_mib),
            Figure::once(
                "every model, one worker, pictures per second",
                whole.per_second,
            ),
            Figure::once("every model, first worker, MiB", whole.first_mib),
            Figure::once("every model, each further worker, MiB", whole.further_mib),
        ],
        legs: json!({ "stage": ours.iter().map(Leg::told).collect::<Vec<_>>(), "bare": theirs.iter().map(Leg::told).collect::<Vec<_>>() }),
        settings: json!({ "pictures": files.len(), "workers": args.workers, "rounds": rounds, "model": model.id(),
            "bytes_of_a_picture": files.iter().map(Bytes::len).sum::<usize>() / files.len() }),
    };
    print!("{}", report.summary());
    println!("{}", report.write(&args.options.out)?.display());
    Ok(ExitCode::from(u8::from(
        report.measurement && !report.passed(),
    )))
}

/// One round of one side.
struct Leg {
    seconds: f64,
    cpu_seconds: f64,
}

impl Leg {
    const fn seconds(&self) -> f64 {
        self.seconds
    }

    const fn cpu_seconds(&self) -> f64 {
        self.cpu_seconds
    }

    fn told(&self) -> serde_json::Value {
        json!({ "seconds": self.seconds, "cpu_seconds": self.cpu_seconds })
    }
}

fn draw(folder: &Path, count: u32) -> Result<Vec<Bytes>> {
    std::fs::create_dir_all(folder)?;
    let draw = |number: u32| {
        let file = pictures::jpeg(number)?;
        std::fs::write(folder.join(format!("{number:04}.jpg")), &file)?;
        Ok(Bytes::from(file))
    };
    (0..count).map(draw).collect()
}

/// A registry of the encoder and its head alone: what the peer does.
fn encoder_alone(folder: &Path) -> Result<PathBuf> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../consumers/detect");
    let text = std::fs::read_to_string(home.join("models.toml"))?;
    let mut registry: toml::Table = text.parse()?;
    registry.remove("ocr");
    registry.remove("finder");
    let weights = home.join("weights/ai_generated.json");
    std::fs::create_dir_all(folder.join("weights"))?;
    std::fs::copy(weights, folder.join("weights/ai_generated.json"))?;
    let path = folder.join("models.toml");
    std::fs::write(&path, registry.to_string())?;
    Ok(path)
}

/// CPU-milliseconds a picture, one after the other on one thread.
struct Parts {
    decode: f64,
    resize: f64,
    /// Both, and inference.
    features: f64,
}

async fn parts(config: &DetectConfig, registry: &Registry, files: &[Bytes]) -> Result<Parts> {
    let model = registry.models.first().context("no model")?;
    let mut preprocessor = Preprocessor::new(&model.input);
    let alone = DetectConfig {
        workers: 1,
        ..config.clone()
    };
    let detector = Detector::start(&alone)?;
    let files = &files[..files.len().min(40)];
    let (mut decode, mut resize, mut features) = (0.0, 0.0, 0.0);
    for file in files {
        let began = cpu()?;
        let (picture, orientation) = preprocess::open(file, &config.picture)?;
        let decoded = cpu()?;
        preprocessor.tensor(&picture, orientation)?;
        let resized = cpu()?;
        drop(picture);
        detector.features(file.clone()).await?;
        decode += decoded - began;
        resize += resized - decoded;
        features += cpu()? - resized;
    }
    let each = |seconds: f64| seconds * 1000.0 / files.len() as f64;
    Ok(Parts {
        decode: each(decode),
        resize: each(resize),
        features: each(features),
    })
}

fn cpu() -> Result<f64> {
    Ok(process::cpu_seconds(std::process::id())?)
}

/// The stage over all pictures, each a post, on a store and files that know none of them.
async fn stage(place: &Path, detector: Arc<Detector>, files: &[Bytes]) -> Result<Leg> {
    std::fs::create_dir_all(place)?;
    let store = SqliteStore::open(&place.join("store.db"), StorePolicy::default())?;
    let blobs = BlobStore::local(&place.join("media"))?;
    let registry = prometheus::Registry::new();
    let metrics = DetectMetrics::register(&registry, EndMetrics::register(&registry)?)?;
    let clock = Arc::new(SystemClock);
    let stage = DetectStage::new(Arc::new(store), blobs.clone(), detector, clock, metrics);
    let mut posts = Vec::new();
    for (number, file) in files.iter().enumerate() {
        let blob = blobs.put(file.clone(), "image/jpeg").await?;
        posts.push(post(&number.to_string(), blob)?);
    }
    let (began, cpu_before) = (Instant::now(), cpu()?);
    let outcomes = stage.process(posts).await?;
    let leg = Leg {
        seconds: began.elapsed().as_secs_f64(),
        cpu_seconds: cpu()? - cpu_before,
    };
    for outcome in outcomes {
        let Outcome::Forward(records) = outcome else {
            anyhow::bail!("a post did not pass: {outcome:?}")
        };
        let seen: schemas::Detections =
            schemas::decode(&records[0].headers, records[0].value.as_deref())?;
        let picture = &seen.pictures[0];
        let own = picture.ai_generated.probability.is_some() && !picture.ai_generated.reused;
        ensure!(own, "a picture was not judged: {picture:?}");
    }
    Ok(leg)
}

fn post(id: &str, blob: BlobRef) -> Result<Message<PostScraped>> {
    let now = Timestamp::from_second(1_790_000_000)?;
    let media = Media {
        index: 0,
        kind: MediaKind::Image,
        blob: Some(blob),
        failure: None,
        width: None,
        height: None,
        duration_s: None,
    };
    let event = PostScraped {
        analysis_id: identity::derive(&["bench-detect", id]),
        run: Run::submitted(now),
        supersedes: None,
        post: PostRef {
            post_id: id.to_owned(),
            url: format!("https://www.instagram.com/p/{id}/"),
        },
        scraped_at: now,
        reused: false,
        content: Post {
            media: vec![media],
            ..Post::bare(PostKind::Photo, "bench")
        },
    };
    let meta = Meta {
        topic: topics::POSTS.into(),
        partition: 0,
        offset: 0,
        timestamp: now,
        event_id: id.into(),
        attempt: 1,
    };
    Ok(Message { event, meta })
}

/// A worker with every model.
struct Whole {
    per_second: f64,
    first_mib: f64,
    further_mib: f64,
}

async fn whole(files: &[Bytes], count: usize) -> Result<Whole> {
    let resident = || process::resident_mib(std::process::id());
    let look = async |workers: usize| -> Result<(f64, f64)> {
        let before = resident()?;
        let config = DetectConfig {
            workers,
            ..DetectConfig::default()
        };
        let detector = Detector::start(&config)?;
        let looks = files.iter().take(count * workers).cloned();
        let began = Instant::now();
        futures::future::join_all(looks.map(|file| detector.look(file))).await;
        let seconds = began.elapsed().as_secs_f64();
        Ok((count as f64 / seconds, resident()? - before))
    };
    // What libraries keep for themselves is not counted with the first worker.
    look(1).await?;
    let (per_second, first_mib) = look(1).await?;
    let (_, both_mib) = look(2).await?;
    Ok(Whole {
        per_second,
        first_mib,
        further_mib: both_mib - first_mib,
    })
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
