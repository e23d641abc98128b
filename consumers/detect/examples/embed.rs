//! Writes the features that training works on, computed by the code that serves.
//!
//! `embed [--faces] FOLDER MANIFEST OUT [SPLIT VARIANT]` reads the pictures of FOLDER that MANIFEST names, those of one split or
//! all, and writes one CSV line each to OUT: the name and the features; with `--faces` those of its surest face, and no line for a
//! picture without one. `embed --golden` prints what to put on record in models.toml
//! for the runtime in use.
//!
//! Variants imitate what happens to pictures on their way: `social` shrinks to 50 to 100% and recompresses as JPEG of
//! quality 50 to 90, drawn from the file's name; `harsh` shrinks to 60% and recompresses at quality 40.

use std::{
    fs,
    io::{BufWriter, Write},
    path::Path,
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use image::{codecs::jpeg::JpegEncoder, imageops::FilterType};
use schemas::Reason;
use sha2::{Digest, Sha256};
use trustcard_detect::{DetectConfig, Detector, Registry, clip::golden_answer};

const USAGE: &str =
    "usage: embed [--faces] FOLDER MANIFEST OUT [SPLIT clean|social|harsh] | --golden";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let config = DetectConfig {
        workers: 2,
        ..DetectConfig::default()
    };
    let registry = Registry::load(None)?;
    let model = registry
        .models
        .first()
        .context("the registry has no model")?;
    let mut words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let faces = words.first() == Some(&"--faces");
    words.drain(..usize::from(faces));
    match words[..] {
        ["--golden"] => {
            let answer = golden_answer(&config, &registry, model)?;
            println!("golden = {:?}", &answer[..16]);
            Ok(())
        }
        [folder, manifest, out, ref rest @ ..] => {
            let (split, variant) = match *rest {
                [] => (None, "clean"),
                [split, variant] => (Some(split), variant),
                _ => bail!(USAGE),
            };
            let work = Work {
                folder,
                names: names(manifest, split)?,
                variant,
                faces,
            };
            embed(&config, &work, out)
        }
        _ => bail!(USAGE),
    }
}

/// Which pictures, and what of them.
struct Work<'a> {
    folder: &'a str,
    names: Vec<String>,
    variant: &'a str,
    /// Their surest face instead of the whole.
    faces: bool,
}

/// The files of a split: the first two columns of the manifest, which hold no comma, are file and split.
fn names(manifest: &str, split: Option<&str>) -> Result<Vec<String>> {
    let text = fs::read_to_string(manifest).with_context(|| manifest.to_owned())?;
    let rows = text.lines().skip(1).filter_map(|line| {
        let mut columns = line.split(',');
        Some((columns.next()?, columns.next()?))
    });
    Ok(rows
        .filter(|(_, of)| split.is_none_or(|split| split == *of))
        .map(|(name, _)| name.to_owned())
        .collect())
}

fn embed(config: &DetectConfig, work: &Work<'_>, out: &str) -> Result<()> {
    let names = &work.names;
    let faces = work.faces;
    let detector = Arc::new(Detector::start(config)?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let mut out = BufWriter::new(fs::File::create(out)?);
    runtime.block_on(async {
        // Enough in flight to keep the workers busy, in the order of the list.
        for (number, group) in names.chunks(32).enumerate() {
            let mut running = Vec::new();
            for name in group {
                let path = Path::new(work.folder).join(name);
                let (detector, variant, name) =
                    (detector.clone(), work.variant.to_owned(), name.clone());
                running.push(tokio::spawn(async move {
                    let file =
                        tokio::task::spawn_blocking(move || degraded(&path, &name, &variant))
                            .await??;
                    let features = if faces {
                        detector.face_features(file.into()).await
                    } else {
                        detector.features(file.into()).await
                    };
                    match features {
                        Err(error) if error.reason() == Reason::NoFaces => Ok(None),
                        features => Ok::<_, anyhow::Error>(Some(features?)),
                    }
                }));
            }
            for (name, features) in group.iter().zip(running) {
                let Some(features) = features.await?.with_context(|| name.clone())? else {
                    continue;
                };
                write!(out, "{name}")?;
                for value in features {
                    write!(out, ",{value}")?;
                }
                writeln!(out)?;
            }
            eprint!("\r{} of {}", (number * 32 + group.len()), names.len());
        }
        eprintln!();
        out.flush()?;
        Ok(())
    })
}

/// The file, or what becomes of it on its way.
fn degraded(path: &Path, name: &str, variant: &str) -> Result<Vec<u8>> {
    let file = fs::read(path).with_context(|| path.display().to_string())?;
    let seed = Sha256::digest(name.as_bytes());
    let (percent, quality) = match variant {
        "clean" => return Ok(file),
        "social" => (50 + u32::from(seed[0]) % 51, 50 + seed[1] % 41),
        "harsh" => (60, 40),
        other => bail!("no variant {other}"),
    };
    let picture = image::load_from_memory(&file)?;
    let side = |length: u32| (length * percent / 100).max(32);
    let (width, height) = (side(picture.width()), side(picture.height()));
    let small = picture.resize_exact(width, height, FilterType::Triangle);
    let mut jpeg = Vec::new();
    small
        .into_rgb8()
        .write_with_encoder(JpegEncoder::new_with_quality(&mut jpeg, quality))?;
    Ok(jpeg)
}
