//! What a result says of a text, under `analysis_results.fact_check`. Offsets are bytes of UTF-8 into the text that `where` names,
//! as the author wrote it: a caption is in `post_info.caption`, a picture's text in `analysis_results.ocr.images[picture].text`.

use std::ops::Range;

use serde::Serialize;
use serde_json::{Value, json};

use super::claims::{Claim, ClaimKind};
use super::credibility;
use super::patterns::Family;
use super::{Place, TextSignals, Unread};
use crate::config::TextWeights;

/// At most so many claims, and so many red flags, are listed in a result; all are counted.
pub(super) const LISTED: usize = 40;
/// Longest quotation, in characters.
const LONGEST: usize = 300;

/// A quotation and where it stands.
#[derive(Debug, Serialize)]
struct Quote {
    /// The author's words, cut where they are many.
    text: String,
    #[serde(rename = "where")]
    place: Place,
    start: usize,
    end: usize,
}

#[derive(Debug, Serialize)]
struct ClaimReport {
    kind: ClaimKind,
    verifiable: bool,
    high_risk: bool,
    /// Whether it leans on a source that it does not name.
    vague: bool,
    #[serde(flatten)]
    quote: Quote,
}

/// A red flag, or another sign.
#[derive(Debug, Serialize)]
struct SignReport {
    family: Family,
    #[serde(flatten)]
    quote: Quote,
}

impl TextSignals {
    /// What `analysis_results.fact_check` says beside its status.
    pub(crate) fn to_json(&self, requires_review: bool, weights: &TextWeights) -> Value {
        let of_kind = |kind: ClaimKind| {
            self.claims
                .iter()
                .filter(|claim| claim.kind == kind)
                .count()
        };
        let claims = self.claims.iter().filter_map(|claim| self.claim(claim));
        let red_flags = self.red_flags.iter().filter_map(|flag| {
            let sentence = self.sentences.get(flag.sentence)?;
            let start = sentence.span.start;
            let quote = self.quote(
                sentence.part,
                start + flag.span.start..start + flag.span.end,
            )?;
            Some(SignReport {
                family: flag.family,
                quote,
            })
        });
        let signs = self.signs.iter().filter_map(|sign| {
            let quote = self.quote(sign.part, sign.span.clone())?;
            Some(SignReport {
                family: sign.family,
                quote,
            })
        });
        json!({
            "language": self.language,
            "credibility_score": self.credibility,
            "interpretation": credibility::interpretation(self.credibility, weights),
            "risk": credibility::risk(self.credibility, &self.flags, weights),
            "requires_review": requires_review,
            "flags": self.flags.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "calculation": { "start": weights.start, "steps": self.steps },
            "claims": claims.take(LISTED).collect::<Vec<_>>(),
            "claim_counts": {
                "total": self.claims.len(),
                "statistical": of_kind(ClaimKind::Statistical),
                "health_medical": of_kind(ClaimKind::HealthMedical),
                "factual": of_kind(ClaimKind::Factual),
                "authority_citation": of_kind(ClaimKind::AuthorityCitation),
                "unverifiable": self.counts.unverifiable,
                "vague_sources": self.counts.vague_sources,
            },
            "red_flags": red_flags.take(LISTED).collect::<Vec<_>>(),
            "red_flag_count": self.red_flags.len(),
            "signs": signs.take(LISTED).collect::<Vec<_>>(),
            "subjectivity": crate::round2(self.counts.subjectivity),
            "links": self.counts.links,
        })
    }

    fn claim(&self, claim: &Claim) -> Option<ClaimReport> {
        let sentence = self.sentences.get(claim.sentence)?;
        Some(ClaimReport {
            kind: claim.kind,
            verifiable: claim.verifiable,
            high_risk: claim.is_high_risk(),
            vague: claim.is_vague_source(),
            quote: self.quote(sentence.part, sentence.span.clone())?,
        })
    }

    /// The author's words behind a span of folded text.
    fn quote(&self, part: usize, span: Range<usize>) -> Option<Quote> {
        let part = self.parts.get(part)?;
        let Range { start, end } = trimmed(&part.original, part.folded.original(span));
        let written = part.original.get(start..end)?;
        let mut text: String = written.chars().take(LONGEST).collect();
        if text.len() < written.len() {
            text.push('…');
        }
        Some(Quote {
            text,
            place: part.place,
            start,
            end,
        })
    }
}

/// A match may take in a blank beside it; a quotation does not.
fn trimmed(text: &str, span: Range<usize>) -> Range<usize> {
    let Some(part) = text.get(span.clone()) else {
        return span;
    };
    let start = span.end - part.trim_start().len();
    start..start + part.trim().len()
}

impl Unread {
    /// What `analysis_results.fact_check` says beside status and reason.
    pub(crate) fn to_json(&self) -> Value {
        self.language
            .as_ref()
            .map_or(Value::Null, |language| json!({ "language": language }))
    }
}
