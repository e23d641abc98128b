//! What a picture looks like, so that one that was saved anew is known again.
//!
//! A picture is made 32 x 32 and grey. The signs of the lowest frequencies of its cosine transform against their median are the
//! hash (the "pHash" of image forensics), by which pictures are looked up; the means of 2 x 2 pixels are the cells, by which
//! they are compared. The hash alone would take a picture for another's copy of which a part was exchanged; the cells do not.
//! The bounds were measured (docs/detectors.md, "A picture seen before"; decision 0023).

use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::{DynamicImage, metadata::Orientation};
use store::{Appearance, KeptAppearance};

use crate::header::PictureError;

/// Side of the picture that is transformed.
const SIDE: usize = 32;
/// Frequencies of the hash, in each direction.
const LOW: usize = 8;
/// Side of the grid of cells.
const GRID: usize = SIDE / 2;
/// Least standard deviation of the cells, in levels of grey: below that a picture has nothing to know it by.
const MIN_CONTRAST: f64 = 8.0;
/// Bits of the hash in which a copy may differ. Saving anew changed at most 4.
pub const MAX_DISTANCE: u32 = 4;
/// Levels of grey in which a cell of a copy may differ. Saving anew changed more in one of 1,568 cases, a patch of an eighth of
/// the sides less in one of 196.
const MAX_CELL: u8 = 8;

/// What a decoded picture looks like; none when it is too plain to be known by it.
///
/// # Errors
/// [`PictureError`] for pixels of a kind that can't be resized.
pub fn of(
    picture: &DynamicImage,
    orientation: Orientation,
) -> Result<Option<Appearance>, PictureError> {
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
        // The picture is opaque by now.
        .use_alpha(false);
    let mut small = DynamicImage::new(SIDE as u32, SIDE as u32, picture.color());
    Resizer::new()
        .resize(picture, &mut small, &options)
        .map_err(|error| PictureError::Corrupt(error.to_string()))?;
    small.apply_orientation(orientation);
    let grey = small.into_luma8().into_raw();
    let cells: Vec<u8> = cells(&grey).collect();
    Ok((contrast(&cells) >= MIN_CONTRAST).then(|| Appearance {
        hash: hash(&grey),
        cells,
    }))
}

/// A hash as events tell it.
#[must_use]
pub fn hex(appearance: &Appearance) -> String {
    format!("{:016x}", appearance.hash)
}

/// The picture among those `kept` of which this one is a copy, and in how many bits their hashes differ.
#[must_use]
pub fn copied<'a>(
    appearance: &Appearance,
    kept: &'a [KeptAppearance],
) -> Option<(&'a KeptAppearance, u32)> {
    let near = kept.iter().filter_map(|one| {
        let distance = (one.appearance.hash ^ appearance.hash).count_ones();
        let same = distance <= MAX_DISTANCE
            && one.appearance.cells.len() == appearance.cells.len()
            && widest(&one.appearance.cells, &appearance.cells) <= MAX_CELL;
        same.then_some((one, distance))
    });
    // Of equally near ones always the same.
    near.min_by_key(|(one, distance)| (*distance, one.sha256.as_str()))
}

/// Largest difference of two cells of one place, in levels of grey.
#[must_use]
pub fn widest(one: &[u8], other: &[u8]) -> u8 {
    let pairs = one.iter().zip(other);
    pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}

/// Means of 2 x 2 pixels, row by row.
fn cells(grey: &[u8]) -> impl Iterator<Item = u8> {
    (0..GRID * GRID).map(|cell| {
        let at = cell / GRID * 2 * SIDE + cell % GRID * 2;
        let pixels = [at, at + 1, at + SIDE, at + SIDE + 1];
        let sum: u32 = pixels.iter().map(|&pixel| u32::from(grey[pixel])).sum();
        ((sum + 2) / 4) as u8
    })
}

/// Standard deviation.
fn contrast(cells: &[u8]) -> f64 {
    let count = cells.len() as f64;
    let mean = cells.iter().map(|&cell| f64::from(cell)).sum::<f64>() / count;
    let squares = cells.iter().map(|&cell| (f64::from(cell) - mean).powi(2));
    (squares.sum::<f64>() / count).sqrt()
}

/// One bit for each of the lowest frequencies: whether it is above their median. The mean of the picture, which says nothing of
/// what is in it, is always 0.
fn hash(grey: &[u8]) -> u64 {
    let wave: [[f64; SIDE]; LOW] = std::array::from_fn(|frequency| {
        std::array::from_fn(|place| {
            let turn = (2 * place + 1) as f64 * frequency as f64 / (2 * SIDE) as f64;
            (std::f64::consts::PI * turn).cos()
        })
    });
    // Along the rows, then down the columns.
    let rows: Vec<[f64; LOW]> = grey
        .chunks_exact(SIDE)
        .map(|row| {
            let along = |wave: &[f64; SIDE]| -> f64 {
                let products = row.iter().zip(wave).map(|(&p, w)| f64::from(p) * w);
                products.sum()
            };
            std::array::from_fn(|frequency| along(&wave[frequency]))
        })
        .collect();
    let strength = |place: usize| {
        let down = rows.iter().zip(&wave[place / LOW]);
        down.map(|(row, w)| row[place % LOW] * w).sum::<f64>()
    };
    let strengths: [f64; LOW * LOW] = std::array::from_fn(strength);
    let mut sorted = strengths;
    sorted[1..].sort_by(f64::total_cmp);
    let median = sorted[1 + (LOW * LOW - 1) / 2];
    let bits = strengths.iter().enumerate().skip(1);
    bits.filter(|(_, strength)| **strength > median)
        .fold(0, |hash, (place, _)| hash | 1 << place)
}

#[cfg(test)]
mod tests {
    use image::{ImageReader, RgbImage, imageops};
    use std::io::Cursor;

    use super::*;

    /// Rings and stripes, drawn anew for each seed.
    fn picture(seed: u32, width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            let (x, y) = (
                f64::from(x) / f64::from(width),
                f64::from(y) / f64::from(height),
            );
            let seed = f64::from(seed);
            let ring = ((x - 0.3).hypot(y - 0.6) * (9.0 + seed)).sin();
            let stripe = (x * (3.0 + 2.0 * seed) + y * 5.0).cos();
            let level = |weight: f64| (127.0 + 60.0 * ring * weight + 60.0 * stripe) as u8;
            image::Rgb([level(1.0), level(0.5), level(-0.7)])
        })
    }

    fn look(picture: RgbImage) -> Appearance {
        of(&picture.into(), Orientation::NoTransforms)
            .unwrap()
            .unwrap()
    }

    fn kept(name: &str, picture: RgbImage) -> KeptAppearance {
        KeptAppearance {
            sha256: name.to_owned(),
            appearance: look(picture),
        }
    }

    fn saved(picture: &RgbImage, quality: u8) -> RgbImage {
        let mut file = Vec::new();
        let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut file, quality);
        picture.write_with_encoder(encoder).unwrap();
        let reader = ImageReader::new(Cursor::new(file)).with_guessed_format();
        reader.unwrap().decode().unwrap().into_rgb8()
    }

    #[test]
    fn a_picture_saved_anew_or_made_smaller_is_known_again() {
        let original = picture(1, 640, 480);
        let seen = [
            kept("other", picture(2, 640, 480)),
            kept("it", original.clone()),
        ];
        for (side, quality) in [(640, 90), (640, 40), (320, 75), (200, 60), (960, 80)] {
            let height = side * 3 / 4;
            let copy = imageops::resize(&original, side, height, imageops::FilterType::Lanczos3);
            let copy = look(saved(&copy, quality));
            let (found, distance) = copied(&copy, &seen).unwrap();
            assert_eq!(found.sha256, "it", "{side} at {quality}");
            assert!(distance <= MAX_DISTANCE);
        }
    }

    #[test]
    fn a_picture_of_which_a_part_was_exchanged_is_another() {
        let original = picture(1, 640, 480);
        let seen = [kept("it", original.clone())];
        let patch = imageops::crop_imm(&picture(5, 640, 480), 0, 0, 80, 60).to_image();
        for (x, y) in [(0, 0), (280, 200), (333, 111), (560, 420)] {
            let mut changed = original.clone();
            imageops::replace(&mut changed, &patch, x, y);
            assert_eq!(copied(&look(changed), &seen), None, "at {x}, {y}");
        }
        assert_eq!(copied(&look(picture(3, 640, 480)), &seen), None);
        let short = KeptAppearance {
            appearance: Appearance {
                cells: Vec::new(),
                ..seen[0].appearance.clone()
            },
            ..seen[0].clone()
        };
        assert_eq!(copied(&seen[0].appearance, &[short]), None, "damaged");
    }

    #[test]
    fn it_is_looked_at_as_it_is_shown() {
        let upright = picture(4, 300, 300);
        let lying = imageops::rotate270(&upright);
        let turned = of(&lying.into(), Orientation::Rotate90).unwrap().unwrap();
        let seen = [kept("upright", upright)];
        assert!(copied(&turned, &seen).is_some());
        let unturned = of(
            &imageops::rotate270(&picture(4, 300, 300)).into(),
            Orientation::NoTransforms,
        );
        assert_eq!(copied(&unturned.unwrap().unwrap(), &seen), None);
    }

    #[test]
    fn a_plain_picture_is_known_by_nothing() {
        for level in [0, 128, 255] {
            let plain = RgbImage::from_pixel(90, 60, image::Rgb([level; 3]));
            let told = of(&plain.into(), Orientation::NoTransforms).unwrap();
            assert_eq!(told, None);
        }
    }

    #[test]
    fn the_nearest_is_taken_and_of_equal_ones_always_the_same() {
        let original = kept("b", picture(1, 300, 300));
        let nearer = KeptAppearance {
            sha256: "a".to_owned(),
            ..original.clone()
        };
        let farther = KeptAppearance {
            appearance: Appearance {
                hash: original.appearance.hash ^ 1,
                ..original.appearance.clone()
            },
            sha256: "0".to_owned(),
        };
        let asked = original.appearance.clone();
        let seen = [farther, original, nearer];
        let (found, distance) = copied(&asked, &seen).unwrap();
        assert_eq!((found.sha256.as_str(), distance), ("a", 0));
    }
}
