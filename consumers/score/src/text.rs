//! How a text argues, by rules: claims, red flags, clickbait, pressure to share, shouting, subjectivity. It says nothing on
//! whether a claim is true.

mod claims;
#[cfg(test)]
mod corpus;
pub(crate) mod credibility;
mod flags;
mod fold;
mod language;
mod mask;
mod matcher;
mod patterns;
mod red_flags;
mod report;
mod sentences;
mod subjectivity;

use std::path::Path;

use regex::Regex;
use schemas::Reason;
use serde::Serialize;

use crate::config::TextWeights;
use claims::{Claim, ClaimFinder};
use credibility::{Counts, Step};
pub use flags::{Flag, FlagKind};
use fold::Folded;
pub use patterns::PatternError;
use patterns::{Family, PatternFiles, Patterns};
use red_flags::RedFlag;
use sentences::{Sentence, sentences};
pub use subjectivity::LexiconError;
use subjectivity::Lexicons;

/// Why the rules can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TextRulesError {
    /// The pattern files.
    #[error(transparent)]
    Patterns(#[from] PatternError),
    /// A lexicon.
    #[error(transparent)]
    Lexicon(#[from] LexiconError),
    /// An expression built in.
    #[error(transparent)]
    Expression(#[from] regex::Error),
}

/// The rules, compiled.
#[derive(Debug)]
pub(crate) struct TextRules {
    languages: Vec<Patterns>,
    lexicons: Lexicons,
    claims: ClaimFinder,
    exclamations: Regex,
    canonical: String,
}

/// Where in a post a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "part", rename_all = "snake_case")]
pub(crate) enum Place {
    /// `post_info.caption`.
    Caption,
    /// `analysis_results.ocr.images[picture].text`.
    Picture {
        /// Place among the pictures, from 0.
        picture: usize,
        /// Place among the post's media, from 0.
        media_index: u32,
    },
}

/// One text of a post.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TextPart<'a> {
    pub place: Place,
    pub text: &'a str,
}

/// A text that was not analysed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unread {
    /// [`Reason::NoText`] or [`Reason::Language`].
    pub reason: Reason,
    /// Its language, where that is the reason; ISO 639-1.
    pub language: Option<String>,
}

/// What a text came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TextSignals {
    /// ISO 639-1; `en` where it could not be told.
    pub language: String,
    /// 0 to 100, one decimal.
    pub credibility: f64,
    /// Flags raised, each kind once.
    pub flags: Vec<Flag>,
    steps: Vec<Step>,
    counts: Counts,
    claims: Vec<Claim>,
    red_flags: Vec<RedFlag>,
    /// Where it opens as clickbait or presses to share: the part, and bytes of its folded text.
    signs: Vec<Sign>,
    parts: Vec<Part>,
    sentences: Vec<Sentence>,
}

/// A text and what was matched of it.
#[derive(Debug, Clone, PartialEq)]
struct Part {
    place: Place,
    original: String,
    folded: Folded,
}

/// A sign beside the red flags.
#[derive(Debug, Clone, PartialEq)]
struct Sign {
    family: Family,
    part: usize,
    /// Bytes of the part's folded text.
    span: std::ops::Range<usize>,
}

impl TextRules {
    /// Compiles the built-in rules, with an operator's folder of patterns in the place of the built-in ones.
    pub(crate) fn load(patterns: Option<&Path>) -> Result<Self, TextRulesError> {
        let files = PatternFiles::read(patterns)?;
        Ok(Self {
            languages: files.compile()?,
            lexicons: Lexicons::load()?,
            claims: ClaimFinder::new()?,
            exclamations: Regex::new("!{2,}")?,
            canonical: [files.canonical(), subjectivity::canonical()].join("\n"),
        })
    }

    /// What identifies the rules: equal for equal patterns and lexicons.
    pub(crate) fn canonical(&self) -> &str {
        &self.canonical
    }

    /// Analyses the texts of a post: the caption, then each picture's. `links` is the number of their links.
    ///
    /// # Errors
    /// The text was not analysed.
    pub(crate) fn analyse(
        &self,
        parts: &[TextPart<'_>],
        links: usize,
        weights: &TextWeights,
    ) -> Result<TextSignals, Unread> {
        let whole: Vec<&str> = parts.iter().map(|part| part.text).collect();
        if (whole.join("\n\n").trim().chars().count() as f64) < weights.min_characters {
            return Err(Unread {
                reason: Reason::NoText,
                language: None,
            });
        }
        let folded: Vec<Folded> = parts.iter().map(|part| Folded::of(part.text)).collect();
        let prose: Vec<&str> = folded.iter().map(|part| part.prose.as_str()).collect();
        let language = language::language_of(&prose.join("\n\n"), &self.languages);
        let Some(patterns) = self
            .languages
            .iter()
            .find(|patterns| patterns.language == language)
        else {
            return Err(Unread {
                reason: Reason::Language,
                language: Some(language),
            });
        };
        Ok(self.signals(patterns, parts, folded, links, weights))
    }

    fn signals(
        &self,
        patterns: &Patterns,
        parts: &[TextPart<'_>],
        folded: Vec<Folded>,
        links: usize,
        weights: &TextWeights,
    ) -> TextSignals {
        let sentences = sentences(&folded);
        let texts: Vec<&str> = sentences
            .iter()
            .map(|s| &folded[s.part].text[s.span.clone()])
            .collect();
        let (mut claims, mut red_flags, mut signs) =
            (Vec::new(), Vec::new(), openings(patterns, &folded));
        let clickbait = !signs.is_empty();
        let (mut shouted_words, mut exclamation_runs) = (0, 0);
        for (index, (sentence, text)) in sentences.iter().zip(&texts).enumerate() {
            let evidence = patterns.matcher.search(text);
            let found = self.claims.claims(text, index, &evidence, patterns);
            let is_health_claim = found.iter().any(Claim::is_high_risk);
            red_flags.extend(red_flags::red_flags(index, is_health_claim, &evidence));
            claims.extend(found);
            if let Some(span) = evidence.span(Family::PressureToShare) {
                let start = sentence.span.start;
                let span = start + span.start..start + span.end;
                signs.push(Sign {
                    family: Family::PressureToShare,
                    part: sentence.part,
                    span,
                });
            }
            if evidence.has(Family::ShoutedWord) {
                shouted_words += patterns.matcher.count(Family::ShoutedWord, text);
            }
            exclamation_runs += self.exclamations.find_iter(text).count();
        }
        let weigh = |flag: &RedFlag| patterns.weight(flag.family);
        let counts = Counts {
            claims: claims.len(),
            unverifiable: claims.iter().filter(|claim| !claim.verifiable).count(),
            vague_sources: claims
                .iter()
                .filter(|claim| claim.is_vague_source())
                .count(),
            high_risk: claims.iter().filter(|claim| claim.is_high_risk()).count(),
            red_flags: red_flags.len(),
            red_flag_weight: red_flags.iter().map(weigh).sum(),
            clickbait,
            viral_pressure: signs
                .iter()
                .any(|sign| sign.family == Family::PressureToShare),
            shouted_words,
            exclamation_runs,
            links,
            subjectivity: self
                .lexicons
                .subjectivity(&patterns.language, texts.iter().copied()),
        };
        let mut flags: Vec<Flag> = Vec::new();
        for kind in red_flags.iter().filter_map(|flag| flag.raises) {
            if !flags.iter().any(|flag| flag.kind == kind) {
                flags.push(Flag::new(kind, 1));
            }
        }
        flags.extend(counts.flags(weights));
        let (credibility, steps) = counts.credibility(weights);
        let part = |(part, folded): (&TextPart<'_>, Folded)| Part {
            place: part.place,
            original: part.text.to_owned(),
            folded,
        };
        TextSignals {
            language: patterns.language.clone(),
            credibility,
            flags,
            steps,
            counts,
            claims,
            red_flags,
            signs,
            parts: parts.iter().zip(folded).map(part).collect(),
            sentences,
        }
    }
}

/// The parts that open as clickbait does.
fn openings(patterns: &Patterns, folded: &[Folded]) -> Vec<Sign> {
    let family = Family::ClickbaitOpening;
    let opening = |(part, folded): (usize, &Folded)| {
        let text = folded.text.replace('\n', " ");
        let span = patterns.matcher.find(family, &text)?;
        Some(Sign { family, part, span })
    };
    folded.iter().enumerate().filter_map(opening).collect()
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;
