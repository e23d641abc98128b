//! Measures by what pictures are known again: `alike FOLDER [COUNT]` takes COUNT (200) pictures of FOLDER, does to each what
//! happens to pictures on their way, and what makes another picture of one, and prints how many are taken for copies. Then it
//! does the same with all pairs of the folder's pictures, which are all different.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, ensure};
use image::{
    DynamicImage, RgbImage, codecs::jpeg::JpegEncoder, imageops::FilterType, metadata::Orientation,
};
use store::{Appearance, KeptAppearance};
use trustcard_detect::appearance;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().context("usage: alike FOLDER [COUNT]")?;
    let count: usize = arguments.next().map_or(Ok(200), |count| count.parse())?;
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .with_context(|| folder.clone())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| image::ImageFormat::from_path(path).is_ok())
        .collect();
    files.sort();
    ensure!(
        files.len() > 1 && count > 0,
        "{folder} holds no two pictures"
    );
    let step = files.len().div_ceil(count);
    let taken = files.iter().step_by(step);
    let pictures: Vec<RgbImage> = taken
        .map(|file| Ok(image::open(file)?.into_rgb8()))
        .collect::<Result<_>>()?;
    println!(
        "| what is done to it | taken for a copy | by the hash alone | bits, most | grey, median | grey, most |"
    );
    println!("|---|---|---|---|---|---|");
    for (name, change) in CHANGES {
        let others = pictures.iter().cycle().skip(pictures.len() / 2);
        let pairs = pictures.iter().zip(others);
        let pairs =
            pairs.map(|(picture, other)| Ok((look(picture)?, look(&change(picture, other))?)));
        let compared = Compared::of(pairs.collect::<Result<_>>()?);
        let Compared {
            copies,
            near,
            bits,
            cells,
        } = compared;
        let (median, most) = (cells.get(cells.len() / 2), cells.last());
        let (median, most) = (median.unwrap_or(&0), most.unwrap_or(&0));
        println!(
            "| {name} | {copies} of {} | {near} | {bits} | {median} | {most} |",
            cells.len()
        );
    }
    let all: Vec<Appearance> = files
        .iter()
        .map(|file| {
            Ok(appearance::of(
                &image::open(file)?,
                Orientation::NoTransforms,
            )?)
        })
        .filter_map(Result::transpose)
        .collect::<Result<_>>()?;
    let mut copies = 0;
    for (place, one) in all.iter().enumerate() {
        let others = all[place + 1..].iter();
        copies += others.filter(|other| is_copy(one, other)).count();
    }
    let pairs = all.len() * (all.len() - 1) / 2;
    println!(
        "{copies} of {pairs} pairs of different pictures are taken for copies; {} of {} pictures are too plain to be known",
        files.len() - all.len(),
        files.len()
    );
    Ok(())
}

/// What happens to a picture; some of it takes parts of another one.
type Change = fn(&RgbImage, &RgbImage) -> RgbImage;

const CHANGES: &[(&str, Change)] = &[
    ("JPEG 95", |picture, _| saved(picture, 95)),
    ("JPEG 75", |picture, _| saved(picture, 75)),
    ("JPEG 40", |picture, _| saved(picture, 40)),
    ("JPEG 20", |picture, _| saved(picture, 20)),
    ("half the size, JPEG 75", |picture, _| {
        saved(&sized(picture, 0.5), 75)
    }),
    ("a third of the size, JPEG 60", |picture, _| {
        saved(&sized(picture, 1.0 / 3.0), 60)
    }),
    ("half as large again, JPEG 80", |picture, _| {
        saved(&sized(picture, 1.5), 80)
    }),
    ("two thirds, JPEG 50, then JPEG 60", |picture, _| {
        saved(&saved(&sized(picture, 2.0 / 3.0), 50), 60)
    }),
    ("edges of 1% cut off", |picture, _| cropped(picture, 100)),
    ("edges of 3% cut off", |picture, _| cropped(picture, 33)),
    ("patch of an eighth of the sides", |picture, other| {
        patched(picture, other, 8)
    }),
    ("patch of a fifth of the sides", |picture, other| {
        patched(picture, other, 5)
    }),
    ("patch of a third of the sides", |picture, other| {
        patched(picture, other, 3)
    }),
];

fn look(picture: &RgbImage) -> Result<Option<Appearance>> {
    let picture = DynamicImage::from(picture.clone());
    Ok(appearance::of(&picture, Orientation::NoTransforms)?)
}

fn is_copy(one: &Appearance, other: &Appearance) -> bool {
    let kept = KeptAppearance {
        sha256: String::new(),
        appearance: one.clone(),
    };
    appearance::copied(other, &[kept]).is_some()
}

/// What pairs of pictures differ in.
struct Compared {
    copies: usize,
    /// Those whose hashes are near enough.
    near: usize,
    /// Bits in which the hashes of a pair differ, at most.
    bits: u32,
    /// Widest difference of a cell, of each pair, in order.
    cells: Vec<u8>,
}

impl Compared {
    fn of(pairs: Vec<(Option<Appearance>, Option<Appearance>)>) -> Self {
        let mut compared = Self {
            copies: 0,
            near: 0,
            bits: 0,
            cells: Vec::new(),
        };
        for (one, other) in pairs {
            let (Some(one), Some(other)) = (one, other) else {
                continue;
            };
            compared.copies += usize::from(is_copy(&one, &other));
            let bits = (one.hash ^ other.hash).count_ones();
            compared.near += usize::from(bits <= appearance::MAX_DISTANCE);
            compared.bits = compared.bits.max(bits);
            let widest = appearance::widest(&one.cells, &other.cells);
            compared.cells.push(widest);
        }
        compared.cells.sort_unstable();
        compared
    }
}

fn saved(picture: &RgbImage, quality: u8) -> RgbImage {
    let mut file = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut file, quality);
    let written = picture.write_with_encoder(encoder);
    let read = written.and_then(|()| image::load_from_memory(&file));
    read.map_or_else(|_| picture.clone(), DynamicImage::into_rgb8)
}

fn sized(picture: &RgbImage, factor: f64) -> RgbImage {
    let side = |length: u32| ((f64::from(length) * factor) as u32).max(1);
    let (width, height) = (side(picture.width()), side(picture.height()));
    image::imageops::resize(picture, width, height, FilterType::Lanczos3)
}

fn cropped(picture: &RgbImage, share: u32) -> RgbImage {
    let (x, y) = (picture.width() / share, picture.height() / share);
    let (width, height) = (picture.width() - 2 * x, picture.height() - 2 * y);
    image::imageops::crop_imm(picture, x, y, width, height).to_image()
}

/// A part of another picture in its place, as far from the edges as the golden ratio.
fn patched(picture: &RgbImage, other: &RgbImage, share: u32) -> RgbImage {
    let (width, height) = picture.dimensions();
    let other = image::imageops::resize(other, width, height, FilterType::Triangle);
    let place = |length: u32| f64::from(length - length / share) * 0.618;
    let (x, y) = (place(width) as u32, place(height) as u32);
    let part = image::imageops::crop_imm(&other, x, y, width / share, height / share).to_image();
    let mut patched = picture.clone();
    image::imageops::replace(&mut patched, &part, i64::from(x), i64::from(y));
    patched
}
