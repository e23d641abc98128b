//! The text of a post with what was found in it.

use schemas::events::result::{AnalysisResult, ComponentResults};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{entries, read};
use crate::pages::{
    marks::{self, Kind, Mark, Piece},
    words,
};

/// Where a finding in the text stands.
#[derive(Debug, Clone, Deserialize)]
struct Place {
    #[serde(rename = "where")]
    part: String,
    media_index: Option<u32>,
    start: usize,
    end: usize,
}

/// Something that is claimed.
#[derive(Debug, Deserialize)]
struct FoundClaim {
    kind: String,
    text: String,
    #[serde(default)]
    verifiable: bool,
    #[serde(default)]
    high_risk: bool,
    #[serde(default)]
    vague: bool,
}

/// A way of arguing.
#[derive(Debug, Deserialize)]
struct FoundFlag {
    family: String,
    text: String,
}

/// A finding as it is listed below the text.
#[derive(Debug, Serialize)]
struct Listed {
    number: usize,
    name: String,
    text: String,
    /// Such as `high risk`.
    notes: Vec<&'static str>,
}

/// A part of the text.
#[derive(Debug, Serialize)]
struct Part<'a> {
    title: String,
    pieces: Vec<Piece<'a>>,
}

/// The text of a post with what was found in it.
#[derive(Debug, Serialize)]
pub struct Text<'a> {
    parts: Vec<Part<'a>>,
    claims: Vec<Listed>,
    flags: Vec<Listed>,
    /// 0 to 100, and what that means.
    credibility: Option<String>,
    interpretation: Option<&'a str>,
}

/// The parts of a text that offsets count in: the caption, then what was read in each picture.
struct Source<'a> {
    part: &'static str,
    media_index: Option<u32>,
    title: String,
    text: &'a str,
}

/// The text of a result.
#[must_use]
pub fn text(result: &AnalysisResult) -> Text<'_> {
    let found = result.analysis_results.as_ref();
    let facts = found.map_or(&Value::Null, |found| &found.fact_check);
    let mut marks = Vec::new();
    let mut claims = Vec::new();
    for (value, claim) in entries::<FoundClaim>(&facts["claims"]) {
        let number = claims.len() + 1;
        claims.push(claim.listed(number));
        marks.extend(mark(value, Kind::Claim, number));
    }
    let mut flags = Vec::new();
    for (value, flag) in entries::<FoundFlag>(&facts["red_flags"]) {
        let number = flags.len() + 1;
        flags.push(flag.listed(number));
        marks.extend(mark(value, Kind::Flag, number));
    }
    let parts = parts_of(result).into_iter().map(|source| {
        let of_part = marks.iter().filter(|(place, _)| {
            place.part == source.part && (source.part == "caption" || place.media_index == source.media_index)
        });
        let marks: Vec<Mark> = of_part.map(|(_, mark)| mark.clone()).collect();
        Part {
            title: source.title,
            pieces: marks::cut(source.text, &marks),
        }
    });
    Text {
        parts: parts.collect(),
        claims,
        flags,
        credibility: facts["credibility"].as_f64().map(words::number),
        interpretation: facts["interpretation"].as_str(),
    }
}

fn mark(value: &Value, kind: Kind, number: usize) -> Option<(Place, Mark)> {
    let place: Place = read(value)?;
    let mark = Mark {
        start: place.start,
        end: place.end,
        kind,
        number,
    };
    Some((place, mark))
}

fn parts_of(result: &AnalysisResult) -> Vec<Source<'_>> {
    let caption = result.post_info.as_ref().and_then(|info| info.caption.as_deref());
    let caption = caption.map(|text| Source {
        part: "caption",
        media_index: None,
        title: "Caption".to_owned(),
        text,
    });
    let read = result.analysis_results.as_ref().map_or_else(Vec::new, read_text);
    let parts = caption.into_iter().chain(read);
    parts.filter(|source| !source.text.trim().is_empty()).collect()
}

/// What was read in pictures: each by itself, or all of it where an older version kept no more.
fn read_text(found: &ComponentResults) -> Vec<Source<'_>> {
    let images = found.ocr["images"].as_array().map_or(&[][..], Vec::as_slice);
    let texts = images.iter().filter_map(|image| {
        let index = u32::try_from(image["media_index"].as_u64()?).ok()?;
        Some(Source {
            part: "picture",
            media_index: Some(index),
            title: format!("Read in picture {}", index.saturating_add(1)),
            text: image["text"].as_str()?,
        })
    });
    let texts: Vec<Source<'_>> = texts.collect();
    match found.ocr_text.as_deref() {
        Some(text) if texts.is_empty() => vec![Source {
            part: "pictures",
            media_index: None,
            title: "Read in the pictures".to_owned(),
            text,
        }],
        _ => texts,
    }
}

impl FoundClaim {
    fn listed(self, number: usize) -> Listed {
        let notes = [
            (self.high_risk, "high risk"),
            (self.vague, "names nobody"),
            (!self.verifiable, "can't be verified"),
        ];
        Listed {
            number,
            name: words::plain(&self.kind),
            text: self.text,
            notes: notes.iter().filter(|(is, _)| *is).map(|(_, note)| *note).collect(),
        }
    }
}

impl FoundFlag {
    fn listed(self, number: usize) -> Listed {
        Listed {
            number,
            name: words::plain(&self.family),
            text: self.text,
            notes: Vec::new(),
        }
    }
}
