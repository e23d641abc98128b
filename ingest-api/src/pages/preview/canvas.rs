//! Strokes with round ends on a canvas, smooth at their edges.

use std::f64::consts::PI;

use super::letters::{self, HEIGHT};

/// Red, green, blue.
pub type Colour = [u8; 3];
/// Right and down, in pixels.
pub type Point = [f64; 2];

/// Thickness of letters, as a share of their height.
const WEIGHT: f64 = 0.16;
/// More letters than this can't be read on a picture.
const LONGEST: usize = 80;
/// Straight pieces that half a circle is drawn with.
const PIECES: u32 = 120;

/// A picture that is drawn on.
pub struct Canvas {
    width: usize,
    height: usize,
    bytes: Vec<u8>,
}

impl Canvas {
    /// A canvas of one colour, `(width, height)` in pixels.
    pub fn new((width, height): (u32, u32), ground: Colour) -> Self {
        let (width, height) = (width as usize, height as usize);
        Self {
            width,
            height,
            bytes: ground.repeat(width * height),
        }
    }

    /// Rows from the top, three bytes a pixel.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The part of half a circle, from its left end over its top, that `percent` of it is.
    pub fn arc(&mut self, centre: Point, radius: f64, percent: f64, thick: f64, colour: Colour) {
        let points = (0..=PIECES).map(|piece| {
            let angle = PI * (1.0 - percent / 100.0 * f64::from(piece) / f64::from(PIECES));
            [
                centre[0] + radius * angle.cos(),
                centre[1] - radius * angle.sin(),
            ]
        });
        self.stroke(&points.collect::<Vec<_>>(), thick, colour);
    }

    /// Writes a text with its upper left corner here, in letters of that height; smaller where it would be wider than `most`.
    pub fn write(&mut self, place: Point, height: f64, colour: Colour, text: &str, most: f64) {
        let text: String = text.chars().take(LONGEST).collect();
        let width = letters::width(&text) * height / HEIGHT;
        let fit = (most / width.max(1.0)).min(1.0);
        let (unit, top) = (height * fit / HEIGHT, place[1] + height * (1.0 - fit));
        let mut left = place[0];
        for letter in text.chars() {
            for stroke in letters::strokes(letter) {
                let onto = |point: Point| [left + point[0] * unit, top + point[1] * unit];
                let points: Vec<Point> = stroke.into_iter().map(onto).collect();
                self.stroke(&points, height * fit * WEIGHT, colour);
            }
            left += letters::advance(letter) * unit;
        }
    }

    /// The same, with its middle here.
    pub fn write_centred(
        &mut self,
        place: Point,
        height: f64,
        colour: Colour,
        text: &str,
        most: f64,
    ) {
        let width = (letters::width(text) * height / HEIGHT).min(most);
        let left = [place[0] - width / 2.0, place[1]];
        self.write(left, height, colour, text, most);
    }

    /// A line through points.
    fn stroke(&mut self, points: &[Point], thick: f64, colour: Colour) {
        let reach = thick / 2.0 + 1.0;
        let bounds = |axis: usize, most: usize| {
            let along = points.iter().map(|point| point[axis]);
            let from = along.clone().fold(f64::INFINITY, f64::min) - reach;
            let to = along.fold(f64::NEG_INFINITY, f64::max) + reach;
            (from.max(0.0) as usize)..(to.ceil().max(0.0) as usize).min(most)
        };
        let (columns, rows) = (bounds(0, self.width), bounds(1, self.height));
        for row in rows {
            for column in columns.clone() {
                let pixel = [column as f64 + 0.5, row as f64 + 0.5];
                let distance = points
                    .windows(2)
                    .map(|ends| distance(pixel, ends[0], ends[1]))
                    .fold(f64::INFINITY, f64::min);
                let cover = (thick / 2.0 - distance + 0.5).clamp(0.0, 1.0);
                if cover > 0.0 {
                    self.blend(column, row, colour, cover);
                }
            }
        }
    }

    fn blend(&mut self, column: usize, row: usize, colour: Colour, cover: f64) {
        let first = (row * self.width + column) * 3;
        let Some(pixel) = self.bytes.get_mut(first..first + 3) else {
            return;
        };
        for (old, new) in pixel.iter_mut().zip(colour) {
            *old = (f64::from(*old) * (1.0 - cover) + f64::from(new) * cover).round() as u8;
        }
    }
}

/// From a point to the nearest of a straight piece.
fn distance(point: Point, from: Point, to: Point) -> f64 {
    let along = [to[0] - from[0], to[1] - from[1]];
    let length = along[0] * along[0] + along[1] * along[1];
    let towards = (point[0] - from[0]) * along[0] + (point[1] - from[1]) * along[1];
    let share = if length > 0.0 {
        (towards / length).clamp(0.0, 1.0)
    } else {
        0.0
    };
    let nearest = [from[0] + share * along[0], from[1] + share * along[1]];
    (point[0] - nearest[0]).hypot(point[1] - nearest[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stroke_covers_what_is_near_it() {
        let mut canvas = Canvas::new((20, 20), [0; 3]);
        canvas.stroke(&[[5.0, 10.0], [15.0, 10.0]], 4.0, [255, 0, 0]);
        let red = |column: usize, row: usize| canvas.bytes()[(row * 20 + column) * 3];
        assert_eq!((red(10, 10), red(10, 9), red(10, 3)), (255, 255, 0));
        assert_eq!((red(0, 10), red(19, 10)), (0, 0));
    }

    #[test]
    fn what_lies_outside_is_not_drawn() {
        let mut canvas = Canvas::new((4, 4), [0; 3]);
        for far in [-1e12, 1e12] {
            canvas.stroke(&[[far, far], [far, far]], 3.0, [255; 3]);
        }
        canvas.stroke(&[], 3.0, [255; 3]);
        assert!(canvas.bytes().iter().all(|byte| *byte == 0));
    }

    #[test]
    fn the_distance_is_to_the_nearest_point() {
        let (from, to) = ([0.0, 0.0], [10.0, 0.0]);
        assert_eq!(distance([5.0, 3.0], from, to), 3.0);
        assert_eq!(distance([13.0, 4.0], from, to), 5.0);
        assert_eq!(distance([3.0, 4.0], from, from), 5.0);
    }
}
