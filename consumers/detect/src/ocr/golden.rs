//! The golden picture of the reader: letters drawn by integer arithmetic, so that every machine has the same pixels.

use image::{Rgb, RgbImage};

/// Side of one square of a letter, in pixels.
const SQUARE: u32 = 8;
/// Letters, five squares wide and seven high, a row per byte, the leftmost square in bit 4.
const LETTERS: [[u8; 7]; 8] = [
    [0x1F, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04], // T
    [0x11, 0x11, 0x11, 0x1F, 0x11, 0x11, 0x11], // H
    [0x0E, 0x04, 0x04, 0x04, 0x04, 0x04, 0x0E], // I
    [0x0F, 0x10, 0x10, 0x0E, 0x01, 0x01, 0x1E], // S
    [0x1F, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04], // T
    [0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x1F], // L
    [0x1F, 0x10, 0x10, 0x1E, 0x10, 0x10, 0x1F], // E
    [0x0F, 0x10, 0x10, 0x0E, 0x01, 0x01, 0x1E], // S
];

/// The picture: dark letters on a light gradient.
pub(super) fn picture() -> RgbImage {
    RgbImage::from_fn(480, 160, |x, y| {
        let (column, row) = (x.wrapping_sub(48) / SQUARE, y.wrapping_sub(52) / SQUARE);
        let letter = LETTERS.get((column / 6) as usize);
        let dark = letter
            .and_then(|letter| letter.get(row as usize))
            .is_some_and(|bits| column % 6 < 5 && bits >> (4 - column % 6) & 1 == 1);
        if dark {
            Rgb([20, 30, 60])
        } else {
            Rgb([(200 + x / 16) as u8, (215 + y / 8) as u8, 230])
        }
    })
}
