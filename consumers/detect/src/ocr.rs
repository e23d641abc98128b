//! Reading text in pictures with PP-OCRv4 (Li et al. 2022): one model finds lines, one tells which are upside down, one reads
//! them.

mod boxes;
mod ctc;
mod golden;
mod order;
mod strip;

use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::RgbImage;
use schemas::events::detections::TextLine;

use crate::{
    ComponentError,
    clip::OutputError,
    registry::{OcrEntry, OcrFiles},
    runtime::Engine,
    session::Model,
};
use boxes::Quad;

/// Longest side of the picture that the finder sees, in pixels: smaller ones are enlarged, since small letters are found worse
/// than blurred ones.
const FIND_SIDES: std::ops::RangeInclusive<u32> = 640..=960;
/// The finder halves the picture five times.
const FIND_STEP: u32 = 32;
/// Height and width of the turner's strip, in pixels.
const TURN: (u32, u32) = (48, 192);
/// A strip is turned if the turner is as sure as this, and not if it is as sure of the opposite; between them it goes with the others
/// of its picture.
const TURN_SURE: f32 = 0.9;
/// Height of the reader's strip, in pixels.
const READ_HEIGHT: u32 = 48;
/// Narrower strips are padded to this width.
const READ_MIN_WIDTH: u32 = 96;
/// Lines read with less confidence are noise.
const SURE: f64 = 0.6;

/// What was read in one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The text, a row of it per line.
    pub text: String,
    /// Mean confidence over the lines, 0 to 1; none without lines.
    pub confidence: Option<f64>,
    /// The lines, in reading order.
    pub lines: Vec<TextLine>,
}

/// The three models on one thread.
pub(crate) struct Reader {
    finder: Model,
    turner: Model,
    reader: Model,
    characters: Vec<String>,
    resizer: Resizer,
}

impl Reader {
    /// Opens the models.
    pub(crate) fn open(
        engine: &Engine,
        files: &OcrFiles,
        intra_threads: usize,
    ) -> Result<Self, ort::Error> {
        let open = |file: &[u8], output| Model::open(engine, file, "x", &[output], intra_threads);
        let reader = open(&files.read, "softmax_11.tmp_0")?;
        // The space is the last class and not in the list.
        let characters = reader.metadata("character").unwrap_or_default();
        let characters = characters.lines().chain([" "]).map(str::to_owned).collect();
        Ok(Self {
            finder: open(&files.find, "sigmoid_0.tmp_0")?,
            turner: open(&files.turn, "save_infer_model/scale_0.tmp_1")?,
            reader,
            characters,
            resizer: Resizer::new(),
        })
    }

    /// Why its reading of the golden picture is not the one on record for this runtime; nothing when it is.
    pub(crate) fn check_golden(&mut self, entry: &OcrEntry, runtime: &str) -> Result<(), String> {
        let expected = entry
            .verified_on(runtime)
            .ok_or_else(|| format!("{} was never verified on {runtime}", entry.id()))?;
        let reading = self
            .read(&golden::picture())
            .map_err(|error| error.to_string())?;
        if reading.text == expected.golden {
            return Ok(());
        }
        Err(format!(
            "{} reads {:?} in the golden picture, not {:?}",
            entry.id(),
            reading.text,
            expected.golden
        ))
    }

    /// Reads the picture. Corners are in its pixels.
    pub(crate) fn read(&mut self, picture: &RgbImage) -> Result<Reading, ComponentError> {
        let mut found = Vec::new();
        for quad in self.find(picture)? {
            let quad = strip::reading_order(quad);
            found.push((quad, self.upside_down(picture, &quad)?));
        }
        let sure = |of: f32| move |(_, score): &&(Quad, f32)| (score - of).abs() < 1.0 - TURN_SURE;
        let most = found.iter().filter(sure(1.0)).count() > found.iter().filter(sure(0.0)).count();
        let mut lines = Vec::new();
        for (quad, score) in found {
            let turn = score > TURN_SURE || (most && score > 1.0 - TURN_SURE);
            let quad = if turn { strip::turned(quad) } else { quad };
            lines.extend(self.read_line(picture, quad)?);
        }
        let rows = order::rows(lines);
        let text: Vec<String> = rows
            .iter()
            .map(|row| {
                let words: Vec<&str> = row.iter().map(|line| line.text.as_str()).collect();
                words.join(" ")
            })
            .collect();
        let lines: Vec<TextLine> = rows.into_iter().flatten().collect();
        let sum: f64 = lines.iter().map(|line| line.confidence).sum();
        Ok(Reading {
            text: text.join("\n"),
            confidence: (!lines.is_empty()).then(|| sum / lines.len() as f64),
            lines,
        })
    }

    /// Rectangles around lines of text, in pixels of the picture.
    fn find(&mut self, picture: &RgbImage) -> Result<Vec<Quad>, ComponentError> {
        let (width, height) = picture.dimensions();
        let longest = width.max(height) as f32;
        let scale = longest.clamp(*FIND_SIDES.start() as f32, *FIND_SIDES.end() as f32) / longest;
        let side = |length: u32| {
            let steps = (length as f32 * scale / FIND_STEP as f32).round() as u32;
            steps.max(1) * FIND_STEP
        };
        let (w, h) = (side(width), side(height));
        let mut small = RgbImage::new(w, h);
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
        self.resizer
            .resize(picture, &mut small, &options)
            .map_err(|error| ComponentError::Inference(error.to_string()))?;
        let plane = (w * h) as usize;
        let mut tensor = Vec::with_capacity(3 * plane);
        // Blue, green, red, as it was trained.
        for channel in [2, 1, 0] {
            let samples = small.as_raw().iter().skip(channel).step_by(3);
            tensor.extend(samples.map(|&sample| f32::from(sample) / 127.5 - 1.0));
        }
        let outputs = self.finder.run(&[1, 3, h as usize, w as usize], &tensor)?;
        let map = outputs
            .into_iter()
            .next()
            .map(|output| output.values)
            .unwrap_or_default();
        if map.len() != plane {
            return Err(OutputError::Length {
                found: map.len(),
                expected: plane,
            }
            .into());
        }
        let back = [width as f32 / w as f32, height as f32 / h as f32];
        Ok(boxes::find(&map, w as usize, h as usize)
            .into_iter()
            .map(|quad| Quad(quad.0.map(|p| [p[0] * back[0], p[1] * back[1]])))
            .collect())
    }

    /// How sure the turner is that a line is upside down, 0 to 1.
    fn upside_down(&mut self, picture: &RgbImage, quad: &Quad) -> Result<f32, ComponentError> {
        let (height, padded) = TURN;
        let width = strip::width(quad, height).min(padded);
        let tensor = strip::tensor(picture, quad, width, padded, height);
        let outputs = self
            .turner
            .run(&[1, 3, height as usize, padded as usize], &tensor)?;
        let score = outputs.first().and_then(|output| output.values.get(1));
        Ok(score.copied().unwrap_or_default())
    }

    fn read_line(
        &mut self,
        picture: &RgbImage,
        quad: Quad,
    ) -> Result<Option<TextLine>, ComponentError> {
        let width = strip::width(&quad, READ_HEIGHT);
        let padded = width.max(READ_MIN_WIDTH).next_multiple_of(8);
        let tensor = strip::tensor(picture, &quad, width, padded, READ_HEIGHT);
        let outputs = self
            .reader
            .run(&[1, 3, READ_HEIGHT as usize, padded as usize], &tensor)?;
        let Some(output) = outputs.into_iter().next() else {
            return Ok(None);
        };
        // One class for no character, and one for each.
        let classes = self.characters.len() + 1;
        if output.shape.last() != Some(&classes) {
            return Err(OutputError::Length {
                found: output.shape.last().copied().unwrap_or_default(),
                expected: classes,
            }
            .into());
        }
        let decoded = ctc::decode(&output.values, classes, &self.characters);
        let text = decoded.text.trim();
        Ok(
            (!text.is_empty() && decoded.confidence >= SURE).then(|| TextLine {
                text: text.to_owned(),
                confidence: decoded.confidence,
                corners: quad.0.map(|p| p.map(|value| value.round() as i32)),
            }),
        )
    }
}
