//! A picture to draw on, and the few primitives the scenes are made of.

use image::{Rgb, RgbImage};

use super::font;

/// Red, green and blue, 0 to 1.
pub(super) type Colour = [f32; 3];

/// A colour between two, `t` of the way from `a` to `b`.
pub(super) fn mix(a: Colour, b: Colour, t: f32) -> Colour {
    let t = t.clamp(0.0, 1.0);
    std::array::from_fn(|i| a[i] + (b[i] - a[i]) * t)
}

/// 0 below `from`, 1 above `to`, smooth between.
pub(super) fn smoothstep(from: f32, to: f32, x: f32) -> f32 {
    let t = ((x - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// A picture being drawn.
pub(super) struct Canvas(RgbImage);

impl Canvas {
    pub(super) fn new(width: u32, height: u32) -> Self {
        Self(RgbImage::new(width, height))
    }

    pub(super) fn into_image(self) -> RgbImage {
        self.0
    }

    pub(super) fn width(&self) -> i32 {
        self.0.width() as i32
    }

    pub(super) fn height(&self) -> i32 {
        self.0.height() as i32
    }

    /// Gives every pixel the colour at its place: x from 0 to 1 over the width, y from 0 to 1 over the height.
    pub(super) fn shade(&mut self, colour_at: impl Fn(f32, f32) -> Colour) {
        let (width, height) = (self.0.width() as f32, self.0.height() as f32);
        for (x, y, pixel) in self.0.enumerate_pixels_mut() {
            *pixel = to_rgb(colour_at(x as f32 / width, y as f32 / height));
        }
    }

    /// A filled rectangle in pixels; what lies outside is cut off.
    pub(super) fn rect(&mut self, left: i32, top: i32, width: i32, height: i32, colour: Colour) {
        let rgb = to_rgb(colour);
        for y in top.max(0)..(top + height).min(self.height()) {
            for x in left.max(0)..(left + width).min(self.width()) {
                self.0.put_pixel(x as u32, y as u32, rgb);
            }
        }
    }

    /// A straight stroke between two points in pixels, drawn as a row of squares.
    pub(super) fn stroke(
        &mut self,
        from: (f32, f32),
        to: (f32, f32),
        thickness: i32,
        colour: Colour,
    ) {
        let steps = (to.0 - from.0)
            .abs()
            .max((to.1 - from.1).abs())
            .ceil()
            .max(1.0);
        for step in 0..=steps as i32 {
            let t = step as f32 / steps;
            let (x, y) = (from.0 + (to.0 - from.0) * t, from.1 + (to.1 - from.1) * t);
            self.rect(
                x as i32 - thickness / 2,
                y as i32 - thickness / 2,
                thickness,
                thickness,
                colour,
            );
        }
    }

    /// A line of text from its top left corner, each dot of a letter `dot` pixels wide. Letters without a glyph are blank.
    pub(super) fn text(&mut self, left: i32, top: i32, dot: i32, colour: Colour, text: &str) {
        for (n, letter) in text.chars().enumerate() {
            let x = left + n as i32 * (font::WIDTH as i32 + 1) * dot;
            for (row, bits) in font::glyph(letter).into_iter().enumerate() {
                for column in 0..font::WIDTH {
                    if bits >> (font::WIDTH - 1 - column) & 1 == 1 {
                        self.rect(
                            x + column as i32 * dot,
                            top + row as i32 * dot,
                            dot,
                            dot,
                            colour,
                        );
                    }
                }
            }
        }
    }

    /// A line of text in the middle of the width.
    pub(super) fn centred(&mut self, top: i32, dot: i32, colour: Colour, text: &str) {
        let width = text.chars().count() as i32 * (font::WIDTH as i32 + 1) * dot - dot;
        self.text((self.width() - width) / 2, top, dot, colour, text);
    }
}

fn to_rgb(colour: Colour) -> Rgb<u8> {
    Rgb(colour.map(|c| (c.clamp(0.0, 1.0) * 255.0 + 0.5) as u8))
}
