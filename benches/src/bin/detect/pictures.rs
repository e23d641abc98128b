//! Pictures to look at: as large as the site serves them, every one another, drawn from a number.

use anyhow::Result;
use image::{Rgb, RgbImage, codecs::jpeg::JpegEncoder};

/// Width and height, in pixels: a portrait post.
const SIZE: (u32, u32) = (1080, 1350);
const QUALITY: u8 = 85;
/// Side of the coarsest cells, in pixels; each next layer is half as large and half as strong.
const COARSEST: u32 = 512;
const FINEST: u32 = 4;

/// A JPEG file, always the same for a number.
pub fn jpeg(number: u32) -> Result<Vec<u8>> {
    let (width, height) = SIZE;
    let picture = RgbImage::from_fn(width, height, |x, y| {
        Rgb(std::array::from_fn(|channel| {
            // Channels go together, as in a photograph.
            let shared = level(number * 4, x, y);
            let own = level(number * 4 + 1 + channel as u32, x, y);
            (shared * 0.75 + own * 0.25) as u8
        }))
    });
    let mut file = Vec::new();
    picture.write_with_encoder(JpegEncoder::new_with_quality(&mut file, QUALITY))?;
    Ok(file)
}

/// Value noise in octaves, 0 to 255.
fn level(seed: u32, x: u32, y: u32) -> f64 {
    let (mut sum, mut weight, mut side) = (0.0, 0.5, COARSEST);
    while side >= FINEST {
        let (cell_x, cell_y) = (x / side, y / side);
        let within = |at: u32| f64::from(at % side) / f64::from(side);
        let corner = |right: u32, down: u32| random(seed ^ side, cell_x + right, cell_y + down);
        let mix = |a: f64, b: f64, share: f64| a + (b - a) * share;
        let upper = mix(corner(0, 0), corner(1, 0), within(x));
        let lower = mix(corner(0, 1), corner(1, 1), within(x));
        sum += weight * mix(upper, lower, within(y));
        weight /= 2.0;
        side /= 2;
    }
    sum * 255.0
}

/// A number from 0 to 1 for a cell (the finaliser of MurmurHash3 by Austin Appleby, public domain).
fn random(seed: u32, x: u32, y: u32) -> f64 {
    let mut bits = seed
        .wrapping_mul(0x9e37_79b9)
        .wrapping_add(x.wrapping_mul(0x85eb_ca6b))
        .wrapping_add(y.wrapping_mul(0xc2b2_ae35));
    bits = (bits ^ (bits >> 16)).wrapping_mul(0x85eb_ca6b);
    bits = (bits ^ (bits >> 13)).wrapping_mul(0xc2b2_ae35);
    f64::from(bits ^ (bits >> 16)) / f64::from(u32::MAX)
}
