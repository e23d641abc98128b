//! Cutting a line of text out of a picture, turned upright, as the models take it.

use image::{Rgb, RgbImage};

use super::boxes::Quad;

/// A strip wider than this many times its height is cut off: nothing legible is as long.
const MAX_RATIO: f32 = 60.0;
/// Samples a side for one pixel of the strip, at most; more would only cost.
const MAX_SAMPLES: u32 = 4;

/// The corners in the order of reading: a line that stands upright is taken as turned by a quarter.
pub(super) fn reading_order(quad: Quad) -> Quad {
    let [a, b, c, d] = quad.0;
    if quad.height() >= quad.width() * 1.5 {
        // Read downwards; the turner sees the other case.
        Quad([b, c, d, a])
    } else {
        quad
    }
}

/// The same line upside down.
pub(super) fn turned(quad: Quad) -> Quad {
    let [a, b, c, d] = quad.0;
    Quad([c, d, a, b])
}

/// Width of the strip of `quad` at this height, in pixels.
pub(super) fn width(quad: &Quad, height: u32) -> u32 {
    let ratio = (quad.width() / quad.height().max(1.0)).min(MAX_RATIO);
    ((ratio * height as f32).round() as u32).max(height / 2)
}

/// The tensor `[1, 3, height, padded]` of the part of `picture` in `quad`, `width` pixels wide and grey after that: blue, green,
/// red, as the models were trained, brought to -1..=1.
pub(super) fn tensor(
    picture: &RgbImage,
    quad: &Quad,
    width: u32,
    padded: u32,
    height: u32,
) -> Vec<f32> {
    let plane = (padded * height) as usize;
    let mut tensor = vec![0.0; 3 * plane];
    let [origin, right, _, below] = quad.0;
    let step = |to: [f32; 2], count: u32| {
        [
            (to[0] - origin[0]) / count as f32,
            (to[1] - origin[1]) / count as f32,
        ]
    };
    let (along, down) = (step(right, width), step(below, height));
    // Shrinking by more than one takes the mean of several samples.
    let samples = |step: [f32; 2]| (step[0].hypot(step[1]).round() as u32).clamp(1, MAX_SAMPLES);
    let (across, deep) = (samples(along), samples(down));
    for y in 0..height {
        for x in 0..width.min(padded) {
            let mut sum = [0.0; 3];
            for sy in 0..deep {
                for sx in 0..across {
                    let u = x as f32 + (sx as f32 + 0.5) / across as f32;
                    let v = y as f32 + (sy as f32 + 0.5) / deep as f32;
                    let sample = bilinear(
                        picture,
                        origin[0] + u * along[0] + v * down[0],
                        origin[1] + u * along[1] + v * down[1],
                    );
                    for (sum, sample) in sum.iter_mut().zip(sample) {
                        *sum += sample;
                    }
                }
            }
            let count = (across * deep) as f32;
            for (channel, sum) in sum.iter().rev().enumerate() {
                tensor[channel * plane + (y * padded + x) as usize] = sum / count / 127.5 - 1.0;
            }
        }
    }
    tensor
}

/// The colour at a place between pixels; outside, that of the nearest edge.
fn bilinear(picture: &RgbImage, x: f32, y: f32) -> [f32; 3] {
    let place = |value: f32, end: u32| {
        let value = (value - 0.5).clamp(0.0, (end - 1) as f32);
        let whole = value.floor();
        (whole as u32, (whole as u32 + 1).min(end - 1), value - whole)
    };
    let (x0, x1, fx) = place(x, picture.width());
    let (y0, y1, fy) = place(y, picture.height());
    let at = |x, y| picture.get_pixel(x, y);
    let (Rgb(a), Rgb(b), Rgb(c), Rgb(d)) = (at(x0, y0), at(x1, y0), at(x0, y1), at(x1, y1));
    std::array::from_fn(|i| {
        let upper = f32::from(a[i]) * (1.0 - fx) + f32::from(b[i]) * fx;
        let lower = f32::from(c[i]) * (1.0 - fx) + f32::from(d[i]) * fx;
        upper * (1.0 - fy) + lower * fy
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strip_is_the_part_within_the_corners_in_the_order_of_reading() {
        // Red on the left half, blue on the right.
        let picture = RgbImage::from_fn(40, 20, |x, _| {
            if x < 20 {
                Rgb([255, 0, 0])
            } else {
                Rgb([0, 0, 255])
            }
        });
        let whole = Quad([[0.0, 0.0], [40.0, 0.0], [40.0, 20.0], [0.0, 20.0]]);
        assert_eq!(width(&whole, 8), 16);
        let upright = tensor(&picture, &whole, 16, 16, 8);
        let red = |tensor: &[f32], x: usize| tensor[2 * 128 + 3 * 16 + x];
        assert!(red(&upright, 1) > 0.9 && red(&upright, 14) < -0.9);
        let around = tensor(&picture, &turned(whole), 16, 16, 8);
        assert!(red(&around, 1) < -0.9 && red(&around, 14) > 0.9);
    }

    #[test]
    fn a_line_that_stands_is_laid_down() {
        let standing = Quad([[0.0, 0.0], [10.0, 0.0], [10.0, 40.0], [0.0, 40.0]]);
        let laid = reading_order(standing);
        assert_eq!((laid.width(), laid.height()), (40.0, 10.0));
        let lying = Quad([[0.0, 0.0], [40.0, 0.0], [40.0, 10.0], [0.0, 10.0]]);
        assert_eq!(reading_order(lying), lying);
    }
}
