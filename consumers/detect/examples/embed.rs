//! Writes the features that training works on, computed by the code that serves.
//!
//! `embed [--faces] FOLDER MANIFEST OUT [SPLIT VARIANT]` reads the pictures of FOLDER that MANIFEST names, those of one split or
//! all, and writes one CSV line each to OUT: the name and the features; with `--faces` those of its surest face, and no line for a
//! picture without one. `embed --golden` prints what to put on record in models.toml
//! for the runtime in use.
//!
//! Variants imitate what happens to pictures on their way, all drawn from the file's name: `social` shrinks to 50 to 100% and
//! recompresses as JPEG of quality 50 to 90; `harsh` shrinks to 60% and recompresses at quality 40. `shared` is for training: a part of
//! 75 to 100% of the sides, one in five with a border as of a screenshot, one in two mirrored, shrunk to 50 to 100% by one of three
//! filters, JPEG of quality 40 to 95.

use std::{
    fs,
    io::{BufWriter, Write},
    path::Path,
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use image::{
    DynamicImage, Rgb, RgbImage,
    codecs::jpeg::JpegEncoder,
    imageops::{self, FilterType},
};
use schemas::Reason;
use sha2::{Digest, Sha256};
use trustcard_detect::{DetectConfig, Detector, Registry, clip::golden_answer};

const USAGE: &str =
    "usage: embed [--faces] FOLDER MANIFEST OUT [SPLIT clean|shared|social|harsh] | --golden";

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
    if variant == "clean" {
        return Ok(file);
    }
    let picture = image::load_from_memory(&file)?;
    let shrunk = |percent: u32| {
        let side = |length: u32| (length * percent / 100).max(32);
        let (width, height) = (side(picture.width()), side(picture.height()));
        picture.resize_exact(width, height, FilterType::Triangle)
    };
    let (picture, quality) = match variant {
        "shared" => (shared(&picture, &seed), 40 + seed[6] % 56),
        "social" => (shrunk(50 + u32::from(seed[0]) % 51), 50 + seed[1] % 41),
        "harsh" => (shrunk(60), 40),
        other => bail!("no variant {other}"),
    };
    let mut jpeg = Vec::new();
    picture
        .into_rgb8()
        .write_with_encoder(JpegEncoder::new_with_quality(&mut jpeg, quality))?;
    Ok(jpeg)
}

/// A part of the picture, bordered or not, mirrored or not, and smaller; bytes 0 to 5 of the seed say how.
fn shared(picture: &DynamicImage, seed: &[u8]) -> DynamicImage {
    // From `least` percent of a length to all of it.
    let share = |length: u32, least: u32, byte: u8| {
        length * (least * 255 + (100 - least) * u32::from(byte)) / (100 * 255)
    };
    let (width, height) = (picture.width(), picture.height());
    let (w, h) = (share(width, 75, seed[0]), share(height, 75, seed[0]));
    let place = |room: u32, byte: u8| room * u32::from(byte) / 255;
    let (x, y) = (place(width - w, seed[1]), place(height - h, seed[2]));
    let mut part = picture.crop_imm(x, y, w, h);
    if seed[3].is_multiple_of(5) {
        let level = seed[3];
        let edge = h / 8;
        let page = RgbImage::from_pixel(w, h + 2 * edge, Rgb([level; 3]));
        let mut page = DynamicImage::from(page);
        imageops::overlay(&mut page, &part, 0, i64::from(edge));
        part = page;
    }
    if seed[4].is_multiple_of(2) {
        part = part.fliph();
    }
    let filter = [
        FilterType::Triangle,
        FilterType::CatmullRom,
        FilterType::Lanczos3,
    ][usize::from(seed[4] / 2) % 3];
    let side = |length: u32| share(length, 50, seed[5]).max(32);
    part.resize_exact(side(part.width()), side(part.height()), filter)
}
