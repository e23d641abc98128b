//! The card as a picture of 1200 x 630 pixels, which is what sites show of a page whose address is shared. Drawn here, from
//! strokes: no font and no library beside the PNG encoder.

use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use store::{AnalysisRow, Status, StorePolicy};

use super::words;

mod canvas;
mod letters;

use canvas::{Canvas, Colour};

/// Size in pixels.
pub const SIZE: (u32, u32) = (1200, 630);

const GROUND: Colour = [15, 23, 42];
const INK: Colour = [248, 250, 252];
const FAINT: Colour = [148, 163, 184];
const TRACK: Colour = [51, 65, 85];

/// Centre of the gauge and its radius, in pixels.
const GAUGE: ([f64; 2], f64) = ([330.0, 400.0], 220.0);
/// Left edge of what stands beside it, and how wide that may be.
const BESIDE: (f64, f64) = (640.0, 500.0);

/// What the picture says.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    app_name: String,
    /// Absent while there is none.
    score: Option<f64>,
    /// The grade, or where the analysis stands.
    title: String,
    colour: Colour,
    lines: Vec<String>,
}

impl Preview {
    /// The picture of a row.
    #[must_use]
    pub fn of(row: &AnalysisRow, policy: &StorePolicy, app_name: &str) -> Self {
        let result = row.current_result(policy);
        let grade = result.and_then(|result| result.grade_info.as_ref());
        let user = result
            .and_then(|result| result.post_info.as_ref())
            .and_then(|info| info.username.as_deref());
        let title = match row.state(policy).status {
            Status::Completed => result
                .and_then(|result| result.grade.clone())
                .unwrap_or_default(),
            Status::Failed => "No score".to_owned(),
            Status::Pending | Status::Processing => "In progress".to_owned(),
        };
        let lines = [
            grade.map(|grade| grade.description.clone()),
            user.map(|user| format!("@{user}")),
            result.map(|result| words::minute(result.completed_at)),
        ];
        Self {
            app_name: app_name.to_owned(),
            score: result.and_then(|result| result.trust_score),
            title,
            colour: grade
                .and_then(|grade| colour(&grade.color))
                .unwrap_or(FAINT),
            lines: lines.into_iter().flatten().collect(),
        }
    }

    /// Draws it; takes some milliseconds. Empty if it can't be encoded.
    #[must_use]
    pub fn png(&self) -> Vec<u8> {
        let mut canvas = Canvas::new(SIZE, GROUND);
        canvas.write([60.0, 70.0], 36.0, INK, &self.app_name, 1000.0);
        let (centre, radius) = GAUGE;
        canvas.arc(centre, radius, 100.0, 44.0, TRACK);
        if let Some(score) = self.score.filter(|score| score.is_finite()) {
            canvas.arc(centre, radius, score.clamp(0.5, 100.0), 44.0, self.colour);
            let text = words::number(score);
            canvas.write_centred([centre[0], 310.0], 90.0, INK, &text, 320.0);
            canvas.write_centred([centre[0], 440.0], 26.0, FAINT, "trust score of 100", 420.0);
        }
        let (left, width) = BESIDE;
        canvas.write([left, 200.0], 110.0, self.colour, &self.title, width);
        for (line, place) in self.lines.iter().zip([360.0, 420.0, 480.0]) {
            canvas.write([left, place], 28.0, INK, line, width);
        }
        let about = "How far to trust a post, and why. No verdict on what is true.";
        canvas.write([60.0, 560.0], 22.0, FAINT, about, 1080.0);
        let mut png = Vec::new();
        let encoder = PngEncoder::new(&mut png);
        let encoded = encoder.write_image(canvas.bytes(), SIZE.0, SIZE.1, ExtendedColorType::Rgb8);
        if let Err(error) = encoded {
            tracing::error!(%error, "a preview can't be encoded");
        }
        png
    }
}

/// `#rrggbb`.
fn colour(text: &str) -> Option<Colour> {
    let mut colour = [0; 3];
    hex::decode_to_slice(text.strip_prefix('#')?, &mut colour).ok()?;
    Some(colour)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preview(score: Option<f64>) -> Preview {
        Preview {
            app_name: "TrustCard".to_owned(),
            score,
            title: "B-".to_owned(),
            colour: colour("#a3e635").unwrap(),
            lines: vec![
                "Satisfactory - Some concerns".to_owned(),
                "@köder<script>".to_owned(),
            ],
        }
    }

    #[test]
    fn it_is_a_picture_of_the_score() {
        let decode = |score| {
            let png = preview(score).png();
            assert!(png.len() < 120_000, "{} bytes", png.len());
            image::load_from_memory(&png).unwrap().to_rgb8()
        };
        let (low, high) = (decode(Some(10.0)), decode(Some(90.0)));
        assert_eq!(low.dimensions(), SIZE);
        let coloured = |picture: &image::RgbImage| {
            let colour = colour("#a3e635").unwrap();
            picture.pixels().filter(|pixel| pixel.0 == colour).count()
        };
        assert!(
            coloured(&high) > coloured(&low) + 10_000,
            "the arc is longer"
        );
        // Where the gauge of 90 has its colour, that of none has the track's.
        let top = (GAUGE.0[0] as u32, (GAUGE.0[1] - GAUGE.1) as u32);
        assert_eq!(high.get_pixel(top.0, top.1).0, [0xa3, 0xe6, 0x35]);
        assert_eq!(decode(None).get_pixel(top.0, top.1).0, TRACK);
    }

    #[test]
    fn odd_scores_and_texts_break_nothing() {
        for score in [f64::NAN, f64::INFINITY, -1e9, 1e9] {
            assert!(!preview(Some(score)).png().is_empty());
        }
        let mut long = preview(Some(5.0));
        long.title = "😮".repeat(1000);
        long.lines = vec!["w".repeat(10_000); 9];
        assert!(!long.png().is_empty());
        for odd in ["red", "#12", "#12345g", "#1234567", ""] {
            assert_eq!(colour(odd), None, "{odd}");
        }
    }
}
