//! `trustcard inspect`: every detector on local pictures and videos, without broker, store or server.

mod files;

use std::{path::PathBuf, sync::Arc};

use anyhow::Result;
use bytes::Bytes;
use clap::Args;
use detect::{Detector, findings};
use futures::{StreamExt, stream};
use schemas::{PictureFinding, Reason, Verdict, events::detections::Status};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    exit::Failure,
    settings::Settings,
    show::{progress_bar, say},
};

/// Files larger than this are not read, in bytes.
const MAX_FILE: u64 = 256 << 20;
/// Characters of text in a line for people.
const SHOWN: usize = 60;

/// Options of `inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// Pictures and videos, or folders of them
    #[arg(required = true, value_name = "FILE|DIR")]
    pub paths: Vec<PathBuf>,
    /// One JSON line a file
    #[arg(long)]
    pub json: bool,
}

/// Looks at every file, several at once; what can't be judged says why in its own line and is no failure of the command.
///
/// # Errors
/// A path that does not exist; [`Failure::Models`] when the models can't be used.
pub async fn run(args: InspectArgs, settings: &Settings) -> Result<()> {
    let files = files::of(&args.paths)?;
    let mut config = settings.detect.clone();
    // Nothing else runs here, so every processor may look.
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    config.workers = config.workers.max(processors.min(files.len()));
    let at_once = config.workers + 1;
    let detector = tokio::task::spawn_blocking(move || Detector::start(&config)).await?;
    let detector = Arc::new(detector.map_err(|error| Failure::Models(error.to_string()))?);
    let bar = progress_bar(files.len() as u64, "files");
    let looks = files.into_iter().map(|path| {
        let detector = Arc::clone(&detector);
        async move { inspect(&detector, path).await }
    });
    let mut looks = stream::iter(looks).buffered(at_once);
    while let Some(found) = looks.next().await {
        let line = if args.json {
            found.to_string()
        } else {
            for_people(&found)
        };
        bar.suspend(|| -> Result<()> {
            say!("{line}");
            Ok(())
        })?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

async fn inspect(detector: &Detector, path: PathBuf) -> Value {
    let began = Instant::now();
    let name = path.display().to_string();
    let file = match tokio::task::spawn_blocking(move || files::read(&path, MAX_FILE)).await {
        Ok(Ok(file)) => Ok(Bytes::from(file)),
        Ok(Err(reason)) => Err(reason),
        Err(_) => Err(Reason::MediaUnavailable),
    };
    let mut found = match file {
        Ok(file) if detect::video::is_mp4(&file) => video(detector, file).await,
        Ok(file) => picture(detector, file).await,
        Err(reason) => unread(reason),
    };
    found["file"] = json!(name);
    found["millis"] = json!(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
    found
}

fn unread(reason: Reason) -> Value {
    let failed = json!({ "status": Status::Failed, "reason": reason });
    json!({ "file": null, "kind": null, "ai_generated": failed, "face_manipulation": failed, "text": failed })
}

async fn picture(detector: &Detector, file: Bytes) -> Value {
    let look = detector.look(file).await;
    let picture = findings::of(look);
    json!({
        "file": null,
        "kind": "picture",
        "width": picture.width,
        "height": picture.height,
        "ai_generated": finding(&picture.ai_generated, ["generated", "human"]),
        "face_manipulation": finding(&picture.face_manipulation, ["synthetic", "clean"]),
        "faces": picture.faces,
        "text": picture.text,
        "provenance": picture.provenance,
        "perceptual_hash": picture.perceptual_hash,
    })
}

async fn video(detector: &Detector, file: Bytes) -> Value {
    let video = findings::of_video(detector.watch(file).await);
    let findings = |ai: &PictureFinding, face: &PictureFinding| {
        json!({
            "ai_generated": finding(ai, ["generated", "human"]),
            "face_manipulation": finding(face, ["synthetic", "clean"]),
        })
    };
    let frames = video.frames.iter().map(|frame| {
        let mut found = findings(&frame.ai_generated, &frame.face_manipulation);
        found["at_ms"] = json!(frame.at_ms);
        found["faces"] = json!(frame.faces);
        found
    });
    let mut found = findings(&video.ai_generated, &video.face_manipulation);
    found["kind"] = json!("video");
    found["codec"] = json!(video.codec);
    found["width"] = json!(video.width);
    found["height"] = json!(video.height);
    found["duration_ms"] = json!(video.duration_ms);
    found["frames"] = frames.collect();
    found
}

/// A finding in the words of this command; `words` name a positive and a negative verdict.
fn finding(finding: &PictureFinding, words: [&str; 2]) -> Value {
    let verdict = match (finding.status, finding.verdict) {
        (Status::Inconclusive, _) => Some("inconclusive"),
        (_, Some(Verdict::Positive)) => Some(words[0]),
        (_, Some(Verdict::Negative)) => Some(words[1]),
        (_, None) => None,
    };
    json!({
        "status": finding.status,
        "score": finding.probability,
        "verdict": verdict,
        "model": finding.model,
        "millis": finding.millis,
        "reason": finding.reason,
    })
}

/// The same in one line for people.
fn for_people(found: &Value) -> String {
    let component = |name: &str| {
        let part = &found[name];
        let word = part["verdict"].as_str().or(part["reason"].as_str());
        let score = part["score"].as_f64().map(|score| format!(" {score:.3}"));
        format!("{}{}", word.unwrap_or("-"), score.unwrap_or_default())
    };
    let text = found["text"]["text"].as_str().unwrap_or_default();
    let mut shown: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(SHOWN)
        .collect();
    if text.chars().count() > SHOWN {
        shown.push('…');
    }
    format!(
        "{}  generated: {}  faces: {}  text: {shown:?}  {} ms",
        found["file"].as_str().unwrap_or_default(),
        component("ai_generated"),
        component("face_manipulation"),
        found["millis"]
    )
}
