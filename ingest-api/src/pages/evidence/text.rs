//! The text of a post with what was found in it.

use schemas::events::result::{AnalysisResult, ComponentResults};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{entries, read};
use crate::pages::{
    marks::{self, Kind, Mark, Piece},
    words,
};

/// Where a finding stands: which text, and from which byte of it to which.
#[derive(Debug, Deserialize)]
struct Span {
    #[serde(rename = "where")]
    place: Place,
    start: usize,
    end: usize,
}

/// A text of the post.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "part", rename_all = "snake_case")]
enum Place {
    /// What its author wrote.
    Caption,
    /// What was read in this one of its pictures, from 0.
    Picture { picture: usize },
    /// What was read in all of them, where an older version kept no more. No finding stands here.
    #[serde(skip)]
    Pictures,
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

/// One of the texts that offsets count in.
struct Source<'a> {
    place: Place,
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
    let signs = entries::<FoundFlag>(&facts["signs"]);
    for (value, flag) in entries::<FoundFlag>(&facts["red_flags"]).chain(signs) {
        let number = flags.len() + 1;
        flags.push(flag.listed(number));
        marks.extend(mark(value, Kind::Flag, number));
    }
    let parts = texts(result).into_iter().map(|source| {
        let here = marks.iter().filter(|(place, _)| *place == source.place);
        let here: Vec<Mark> = here.map(|(_, mark)| mark.clone()).collect();
        Part {
            title: source.title,
            pieces: marks::cut(source.text, &here),
        }
    });
    Text {
        parts: parts.collect(),
        claims,
        flags,
        credibility: facts["credibility_score"].as_f64().map(words::number),
        interpretation: facts["interpretation"].as_str(),
    }
}

fn mark(value: &Value, kind: Kind, number: usize) -> Option<(Place, Mark)> {
    let span: Span = read(value)?;
    let mark = Mark {
        start: span.start,
        end: span.end,
        kind,
        number,
    };
    Some((span.place, mark))
}

/// The caption, then what was read in each picture.
fn texts(result: &AnalysisResult) -> Vec<Source<'_>> {
    let info = result.post_info.as_ref();
    let caption = info.and_then(|info| info.caption.as_deref());
    let caption = caption.map(|text| Source {
        place: Place::Caption,
        title: "Caption".to_owned(),
        text,
    });
    let found = result.analysis_results.as_ref();
    let parts = caption
        .into_iter()
        .chain(found.map_or_else(Vec::new, read_in_pictures));
    parts
        .filter(|source| !source.text.trim().is_empty())
        .collect()
}

fn read_in_pictures(found: &ComponentResults) -> Vec<Source<'_>> {
    let images = found.ocr["images"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let texts = images.iter().enumerate().filter_map(|(picture, image)| {
        let number = image["media_index"].as_u64()?.saturating_add(1);
        Some(Source {
            place: Place::Picture { picture },
            title: format!("Read in picture {number}"),
            text: image["text"].as_str()?,
        })
    });
    let texts: Vec<Source<'_>> = texts.collect();
    match found.ocr_text.as_deref() {
        Some(text) if texts.is_empty() => vec![Source {
            place: Place::Pictures,
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
            notes: notes
                .iter()
                .filter(|(is, _)| *is)
                .map(|(_, note)| *note)
                .collect(),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_place_is_read_as_the_score_stage_writes_it() {
        let span = |place: Value| {
            let value = json!({ "where": place, "start": 1, "end": 2, "text": "x" });
            mark(&value, Kind::Flag, 1).map(|(place, _)| place)
        };
        assert_eq!(span(json!({ "part": "caption" })), Some(Place::Caption));
        let picture = json!({ "part": "picture", "picture": 3, "media_index": 5 });
        assert_eq!(span(picture), Some(Place::Picture { picture: 3 }));
        for odd in [json!("caption"), json!({ "part": "pictures" }), json!(null)] {
            assert_eq!(span(odd), None);
        }
    }
}
