//! The golden picture: a known input whose answer is on record for every runtime a model was verified on.
//!
//! It is drawn by integer arithmetic, so that every machine has the same pixels, and goes through the same resizing and
//! normalisation as any other picture.

use image::{DynamicImage, Rgb, RgbImage};

use crate::registry::VerifiedOn;

const WIDTH: u32 = 320;
const HEIGHT: u32 = 256;

/// The golden picture: a sky-like gradient, tiles of several sizes and a disc, so that smooth areas, edges, fine texture
/// and colours all occur.
pub(crate) fn picture() -> DynamicImage {
    RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        let (dx, dy) = (x.abs_diff(200), y.abs_diff(120));
        if dx * dx + dy * dy < 60 * 60 {
            return Rgb([(200 + y / 8) as u8, (40 + x / 4) as u8, 30]);
        }
        if y > 170 {
            let tile = (x / 7 + y / 5) % 2;
            return Rgb([
                (60 + 120 * tile) as u8,
                (90 + 60 * tile) as u8,
                (x % 64) as u8,
            ]);
        }
        Rgb([(x / 2) as u8, (100 + y / 2) as u8, (250 - y) as u8])
    })
    .into()
}

/// Features scaled to length 1, which is how golden values are kept and how heads read them. `None` when they have no
/// direction.
pub(crate) fn unit(features: &[f32]) -> Option<Vec<f32>> {
    let squares: f64 = features.iter().map(|&f| f64::from(f) * f64::from(f)).sum();
    let length = squares.sqrt();
    (length.is_finite() && length > 0.0).then(|| {
        features
            .iter()
            .map(|&f| (f64::from(f) / length) as f32)
            .collect()
    })
}

/// Largest difference between the first features of `answer` (scaled to length 1) and the values on record.
pub(crate) fn difference(answer: &[f32], record: &VerifiedOn) -> f32 {
    answer
        .iter()
        .zip(&record.golden)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_never_changes() {
        // Golden values are on record for exactly these pixels.
        let picture = picture().into_rgb8();
        let sum: u64 = picture
            .as_raw()
            .iter()
            .enumerate()
            .map(|(i, &v)| (i as u64 % 997 + 1) * u64::from(v))
            .sum();
        assert_eq!((picture.dimensions(), sum), ((320, 256), 13_936_312_019));
    }

    #[test]
    fn features_without_a_direction_have_no_unit() {
        assert_eq!(unit(&[3.0, 4.0]), Some(vec![0.6, 0.8]));
        for none in [
            &[][..],
            &[0.0, 0.0],
            &[f32::NAN, 1.0],
            &[f32::INFINITY, 1.0],
        ] {
            assert_eq!(unit(none), None);
        }
    }
}
