//! Finding faces with BlazeFace (Bazarevsky et al. 2019), and cutting each out for a closer look.

use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::{DynamicImage, RgbImage, imageops};
use schemas::events::detections::FaceBox;

use crate::{
    ComponentError, clip::OutputError, golden, registry::FinderEntry, runtime::Engine,
    session::Model,
};

/// Side of the square that the model sees, in pixels.
const SIDE: u32 = 128;
/// Cells a side, and anchors in each, of the model's two grids.
const GRIDS: [(u32, usize); 2] = [(16, 2), (8, 6)];
/// Candidates of the model, the sum over the grids.
const ANCHORS: usize = 896;
/// Numbers for each candidate: centre and size of the box, then six points that are not used.
const NUMBERS: usize = 16;
/// A candidate is a face from this score on.
const SURE: f64 = 0.6;
/// Two boxes are one face if more than this part of the smaller one lies in the other.
const SAME: f64 = 0.5;
/// The whole picture, and quarters of this share of its sides: the model finds faces down to a sixth of what it sees.
const QUARTER: f64 = 0.6;
/// Faces of a picture, at most; the surest are kept.
const MAX_FACES: usize = 16;
/// A cut-out is this many times as wide as the face's box, so that hair and chin are in it.
const AROUND: f64 = 1.5;

/// The face finder on one thread.
pub(crate) struct Finder {
    model: Model,
    resizer: Resizer,
}

/// A part of a picture, in its pixels.
#[derive(Clone, Copy)]
struct Window {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

impl Finder {
    pub(crate) fn open(
        engine: &Engine,
        file: &[u8],
        intra_threads: usize,
    ) -> Result<Self, ort::Error> {
        let outputs = ["regressors", "classificators"];
        Ok(Self {
            model: Model::open(engine, file, "input", &outputs, intra_threads)?,
            resizer: Resizer::new(),
        })
    }

    /// Why its answer to the golden picture is not the one on record; nothing when it is.
    pub(crate) fn check_golden(
        &mut self,
        entry: &FinderEntry,
        runtime: &str,
    ) -> Result<(), String> {
        let record = entry
            .verified
            .iter()
            .find(|record| record.runtime == runtime)
            .ok_or_else(|| format!("{} was never verified on {runtime}", entry.id()))?;
        let picture = golden::picture().into_rgb8();
        let window = Window::of(&picture);
        let (boxes, _) = self.run(&picture, window).map_err(|e| e.to_string())?;
        let difference = golden::difference(&boxes, record);
        if difference <= record.tolerance {
            return Ok(());
        }
        Err(format!(
            "the answer of {} to the golden picture is off by {difference}, more than {}: {:?}",
            entry.id(),
            record.tolerance,
            &boxes[..record.golden.len().min(boxes.len())]
        ))
    }

    /// The faces of the picture, the surest first, in its pixels.
    pub(crate) fn find(&mut self, picture: &RgbImage) -> Result<Vec<FaceBox>, ComponentError> {
        let whole = Window::of(picture);
        let mut found = Vec::new();
        for window in std::iter::once(whole).chain(whole.quarters()) {
            let (boxes, scores) = self.run(picture, window)?;
            found.extend(candidates(&boxes, &scores, window));
        }
        Ok(distinct(found, picture.dimensions()))
    }

    /// The raw boxes and scores of what lies in the window.
    fn run(
        &mut self,
        picture: &RgbImage,
        window: Window,
    ) -> Result<(Vec<f32>, Vec<f32>), ComponentError> {
        let scale = f64::from(SIDE) / window.width.max(window.height);
        let side = |length: f64| ((length * scale).round() as u32).clamp(1, SIDE);
        let mut small = RgbImage::new(side(window.width), side(window.height));
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
            .crop(window.x, window.y, window.width, window.height);
        self.resizer
            .resize(picture, &mut small, &options)
            .map_err(|error| ComponentError::Inference(error.to_string()))?;
        let plane = (SIDE * SIDE) as usize;
        let mut tensor = vec![0.0; 3 * plane];
        let (left, top) = margins(small.width(), small.height());
        for (x, y, pixel) in small.enumerate_pixels() {
            let place = ((y + top) * SIDE + x + left) as usize;
            for (channel, sample) in pixel.0.into_iter().enumerate() {
                tensor[channel * plane + place] = f32::from(sample) / 127.5 - 1.0;
            }
        }
        let side = SIDE as usize;
        let mut outputs = self.model.run(&[1, 3, side, side], &tensor)?.into_iter();
        let mut next = |expected: usize| {
            let values = outputs
                .next()
                .map(|output| output.values)
                .unwrap_or_default();
            if values.len() == expected {
                Ok(values)
            } else {
                Err(OutputError::Length {
                    found: values.len(),
                    expected,
                })
            }
        };
        Ok((next(ANCHORS * NUMBERS)?, next(ANCHORS)?))
    }
}

impl Window {
    fn of(picture: &RgbImage) -> Self {
        Self {
            x: 0.0,
            y: 0.0,
            width: f64::from(picture.width()),
            height: f64::from(picture.height()),
        }
    }

    fn quarters(self) -> [Self; 4] {
        let (width, height) = (self.width * QUARTER, self.height * QUARTER);
        [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)].map(|(right, below)| Self {
            x: self.x + right * (self.width - width),
            y: self.y + below * (self.height - height),
            width,
            height,
        })
    }
}

/// Empty pixels left of and above a picture in the model's square.
const fn margins(width: u32, height: u32) -> (u32, u32) {
    ((SIDE - width) / 2, (SIDE - height) / 2)
}

/// The candidates that are sure enough, as boxes `[left, top, right, bottom]` in pixels of the picture.
fn candidates(boxes: &[f32], scores: &[f32], window: Window) -> Vec<([f64; 4], f64)> {
    let longest = window.width.max(window.height);
    let scale = longest / f64::from(SIDE);
    let anchors = GRIDS.iter().flat_map(|&(cells, each)| {
        let centre = move |cell: u32| (f64::from(cell) + 0.5) / f64::from(cells) * f64::from(SIDE);
        (0..cells * cells).flat_map(move |cell| {
            std::iter::repeat_n([centre(cell % cells), centre(cell / cells)], each)
        })
    });
    let numbers = boxes.chunks_exact(NUMBERS).zip(scores);
    let faces = anchors
        .zip(numbers)
        .filter_map(|([ax, ay], (numbers, score))| {
            let score = 1.0 / (1.0 + (-f64::from(*score)).exp());
            let [cx, cy, width, height] = [0, 1, 2, 3].map(|i| f64::from(numbers[i]) * scale);
            // The picture lies in the middle of the square.
            let x = window.x + cx + ax * scale - (longest - window.width) / 2.0;
            let y = window.y + cy + ay * scale - (longest - window.height) / 2.0;
            let (w, h) = (width / 2.0, height / 2.0);
            (score >= SURE && w > 0.0 && h > 0.0).then_some(([x - w, y - h, x + w, y + h], score))
        });
    faces.collect()
}

/// One box a face, the surest of those that mostly cover each other: a quarter of the picture may show a part of a face that
/// the whole shows too.
fn distinct(mut found: Vec<([f64; 4], f64)>, (width, height): (u32, u32)) -> Vec<FaceBox> {
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut kept: Vec<([f64; 4], f64)> = Vec::new();
    for face in found {
        if kept
            .iter()
            .all(|(other, _)| overlap(&face.0, other) <= SAME)
        {
            kept.push(face);
        }
    }
    let faces = kept
        .into_iter()
        .filter_map(|([left, top, right, bottom], score)| {
            let within = |value: f64, end: u32| value.round().clamp(0.0, f64::from(end)) as u32;
            let (x, y) = (within(left, width), within(top, height));
            let (right, bottom) = (within(right, width), within(bottom, height));
            (right > x && bottom > y).then(|| FaceBox {
                x,
                y,
                width: right - x,
                height: bottom - y,
                score,
                probability: None,
            })
        });
    faces.take(MAX_FACES).collect()
}

/// What two boxes share, as a part of the smaller one.
fn overlap(a: &[f64; 4], b: &[f64; 4]) -> f64 {
    let shared = |i: usize| (a[i + 2].min(b[i + 2]) - a[i].max(b[i])).max(0.0);
    let area = |c: &[f64; 4]| (c[2] - c[0]) * (c[3] - c[1]);
    shared(0) * shared(1) / area(a).min(area(b))
}

/// The part of the picture around a face, square where the picture allows it.
pub(crate) fn cut_out(picture: &RgbImage, face: &FaceBox) -> DynamicImage {
    let side = f64::from(face.width.max(face.height)) * AROUND;
    let place = |start: u32, length: u32, end: u32| {
        let centre = f64::from(start) + f64::from(length) / 2.0;
        let low = (centre - side / 2.0).max(0.0) as u32;
        let high = ((centre + side / 2.0).ceil() as u32).min(end);
        (low, high.saturating_sub(low).max(1))
    };
    let (x, width) = place(face.x, face.width, picture.width());
    let (y, height) = place(face.y, face.height, picture.height());
    imageops::crop_imm(picture, x, y, width, height)
        .to_image()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grids_hold_every_candidate() {
        let sum: usize = GRIDS
            .iter()
            .map(|&(cells, each)| (cells * cells) as usize * each)
            .sum();
        assert_eq!(sum, ANCHORS);
    }

    #[test]
    fn a_candidate_is_placed_by_its_anchor_in_the_window() {
        let mut boxes = vec![0.0; ANCHORS * NUMBERS];
        let mut scores = vec![-10.0; ANCHORS];
        // The second anchor of cell (3, 1) of the fine grid: its centre is (28, 12) of 128.
        let anchor = (16 + 3) * 2 + 1;
        boxes[anchor * NUMBERS..][..4].copy_from_slice(&[4.0, -2.0, 16.0, 8.0]);
        scores[anchor] = 3.0;
        // Twice the model's square, with a quarter of it empty above and below.
        let window = Window {
            x: 100.0,
            y: 50.0,
            width: 256.0,
            height: 128.0,
        };
        let found = candidates(&boxes, &scores, window);
        assert_eq!(found.len(), 1);
        // Centre (32, 10) doubled, less the empty 64 rows.
        assert_eq!(found[0].0, [148.0, -2.0, 180.0, 14.0]);
    }

    #[test]
    fn boxes_of_one_face_become_one_and_stay_inside() {
        let found = vec![
            ([-5.0, 10.0, 45.0, 60.0], 0.9),
            ([-5.0, 12.0, 45.0, 62.0], 0.9),
            ([80.0, 10.0, 120.0, 50.0], 0.7),
            // Half of the first: the part of it that one quarter shows.
            ([0.0, 10.0, 25.0, 40.0], 0.8),
        ];
        let faces = distinct(found, (100, 100));
        assert_eq!(faces.len(), 2, "{faces:?}");
        assert_eq!((faces[0].x, faces[0].score), (0, 0.9));
        assert_eq!((faces[1].x, faces[1].width, faces[1].height), (80, 20, 40));
        assert!(distinct(Vec::new(), (10, 10)).is_empty());
    }

    #[test]
    fn a_cut_out_holds_the_face_and_ends_at_the_picture() {
        let picture = RgbImage::new(200, 100);
        let face = |x, y, side| FaceBox {
            x,
            y,
            width: side,
            height: side,
            score: 1.0,
            probability: None,
        };
        let size = |face| {
            let cut = cut_out(&picture, &face);
            (cut.width(), cut.height())
        };
        assert_eq!(size(face(80, 30, 40)), (60, 60));
        assert_eq!(size(face(0, 0, 40)), (50, 50));
        assert_eq!(size(face(199, 99, 1)), (2, 2));
    }
}
