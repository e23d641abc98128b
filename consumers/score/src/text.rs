//! How a text argues, by rules: claims, red flags, clickbait, pressure to share, shouting, subjectivity. It says nothing on
//! whether a claim is true.

mod claims;
pub(crate) mod credibility;
mod flags;
mod language;
pub(crate) mod patterns;
mod red_flags;
mod sentences;
pub(crate) mod subjectivity;

use regex::Regex;
use schemas::Reason;
use serde_json::{Value, json};

use crate::config::TextWeights;
use claims::{Claim, ClaimFinder, ClaimKind};
use credibility::{Counts, Step};
pub use flags::{Flag, FlagKind};
pub use patterns::PatternError;
use patterns::{Family, Patterns};
use red_flags::RedFlag;
use sentences::{Masker, readable, sentences};
use subjectivity::Lexicon;
pub use subjectivity::LexiconError;

/// At most so many claims, and so many red flags, are listed in a result; all are counted.
const LISTED: usize = 40;

/// Why the rules can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TextRulesError {
    /// The pattern file.
    #[error(transparent)]
    Patterns(#[from] PatternError),
    /// The lexicon.
    #[error(transparent)]
    Lexicon(#[from] LexiconError),
    /// An expression built in.
    #[error(transparent)]
    Expression(#[from] regex::Error),
}

/// The rules, compiled.
#[derive(Debug)]
pub(crate) struct TextRules {
    patterns: Patterns,
    lexicon: Lexicon,
    masker: Masker,
    claims: ClaimFinder,
    exclamations: Regex,
}

/// What a text came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TextSignals {
    /// 0 to 100, one decimal.
    pub credibility: f64,
    /// Flags raised, each kind once.
    pub flags: Vec<Flag>,
    steps: Vec<Step>,
    counts: Counts,
    claims: Vec<Claim>,
    red_flags: Vec<RedFlag>,
    sentences: Vec<String>,
}

impl TextRules {
    /// Compiles the built-in rules.
    pub(crate) fn load() -> Result<Self, TextRulesError> {
        Ok(Self {
            patterns: Patterns::english()?,
            lexicon: Lexicon::english()?,
            masker: Masker::new()?,
            claims: ClaimFinder::new()?,
            exclamations: Regex::new("!{2,}")?,
        })
    }

    /// Analyses the parts of a post's text: the caption, then each picture's text. `links` is the number of its links.
    ///
    /// # Errors
    /// [`Reason::NoText`] and [`Reason::Language`]: the text was not analysed.
    pub(crate) fn analyse(
        &self,
        parts: &[&str],
        links: usize,
        weights: &TextWeights,
    ) -> Result<TextSignals, Reason> {
        let whole = parts.join("\n\n");
        if (whole.trim().chars().count() as f64) < weights.min_characters {
            return Err(Reason::NoText);
        }
        let masked: Vec<String> = parts.iter().map(|part| self.masker.mask(part)).collect();
        if language::foreign_language(&masked.join("\n\n")).is_some() {
            return Err(Reason::Language);
        }
        let sentences = sentences(masked.iter().map(String::as_str));
        let mut claims = Vec::new();
        let mut red_flags = Vec::new();
        for (index, sentence) in sentences.iter().enumerate() {
            let found = self.claims.claims(sentence, index, &self.patterns);
            let is_health_claim = found.iter().any(Claim::is_high_risk);
            red_flags.extend(red_flags::red_flags(
                sentence,
                index,
                is_health_claim,
                &self.patterns,
            ));
            claims.extend(found);
        }
        let matches = |family| {
            let regex = self.patterns.of(family);
            sentences.iter().any(|sentence| regex.is_match(sentence))
        };
        let count = |regex: &Regex| {
            sentences
                .iter()
                .map(|sentence| regex.find_iter(sentence).count())
                .sum()
        };
        let opening = self.patterns.of(Family::ClickbaitOpening);
        let counts = Counts {
            claims: claims.len(),
            unverifiable: claims.iter().filter(|claim| !claim.verifiable).count(),
            vague_sources: claims
                .iter()
                .filter(|claim| claim.is_vague_source())
                .count(),
            high_risk: claims.iter().filter(|claim| claim.is_high_risk()).count(),
            red_flags: red_flags.len(),
            clickbait: masked
                .iter()
                .any(|part| opening.is_match(&single_spaces(part))),
            viral_pressure: matches(Family::PressureToShare),
            shouted_words: count(self.patterns.of(Family::ShoutedWord)),
            exclamation_runs: count(&self.exclamations),
            links,
            subjectivity: self.lexicon.subjectivity(&sentences),
        };
        let mut flags: Vec<Flag> = Vec::new();
        for kind in red_flags.iter().filter_map(|flag| flag.raises) {
            if !flags.iter().any(|flag| flag.kind == kind) {
                flags.push(Flag::new(kind, 1));
            }
        }
        flags.extend(counts.flags(weights));
        let (credibility, steps) = counts.credibility(weights);
        Ok(TextSignals {
            credibility,
            flags,
            steps,
            counts,
            claims,
            red_flags,
            sentences,
        })
    }
}

fn single_spaces(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl TextSignals {
    /// What `analysis_results.fact_check` says beside its status.
    pub(crate) fn to_json(&self, requires_review: bool, weights: &TextWeights) -> Value {
        let sentence = |index: usize| {
            self.sentences
                .get(index)
                .map(|s| readable(s))
                .unwrap_or_default()
        };
        let claim = |claim: &Claim| {
            json!({
                "type": claim.kind,
                "text": sentence(claim.sentence),
                "verifiable": claim.verifiable,
                "high_risk": claim.is_high_risk(),
            })
        };
        let red_flag = |flag: &RedFlag| json!({ "family": flag.family, "matched": flag.matched, "text": sentence(flag.sentence) });
        let of_kind = |kind: ClaimKind| {
            self.claims
                .iter()
                .filter(|claim| claim.kind == kind)
                .count()
        };
        json!({
            "credibility": self.credibility,
            "interpretation": credibility::interpretation(self.credibility, weights),
            "risk": credibility::risk(self.credibility, &self.flags, weights),
            "requires_review": requires_review,
            "flags": self.flags.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "calculation": { "start": weights.start, "steps": self.steps },
            "claims": {
                "total": self.claims.len(),
                "statistical": of_kind(ClaimKind::Statistical),
                "health_medical": of_kind(ClaimKind::HealthMedical),
                "factual": of_kind(ClaimKind::Factual),
                "authority_citation": of_kind(ClaimKind::AuthorityCitation),
                "unverifiable": self.counts.unverifiable,
                "listed": self.claims.iter().take(LISTED).map(claim).collect::<Vec<_>>(),
            },
            "red_flags": {
                "total": self.red_flags.len(),
                "listed": self.red_flags.iter().take(LISTED).map(red_flag).collect::<Vec<_>>(),
            },
            "subjectivity": crate::round2(self.counts.subjectivity),
            "links": self.counts.links,
        })
    }
}

/// What identifies the rules.
pub(crate) fn canonical() -> [&'static str; 2] {
    [patterns::canonical(), subjectivity::canonical()]
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    static RULES: LazyLock<TextRules> = LazyLock::new(|| TextRules::load().unwrap());

    fn analyse(parts: &[&str]) -> Result<TextSignals, Reason> {
        RULES.analyse(parts, 0, &TextWeights::default())
    }

    fn codes(parts: &[&str]) -> Vec<String> {
        analyse(parts)
            .unwrap()
            .flags
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_text_needs_ten_characters_after_trimming() {
        assert_eq!(analyse(&[]).unwrap_err(), Reason::NoText);
        assert_eq!(analyse(&["   123456789   "]).unwrap_err(), Reason::NoText);
        assert!(analyse(&["1234567890"]).is_ok());
        assert!(
            analyse(&["1234", "5678"]).is_ok(),
            "the blank line between parts counts"
        );
    }

    #[test]
    fn other_languages_are_not_judged_by_english_rules() {
        let spanish = "El gobierno anunció ayer que las escuelas permanecerán cerradas durante toda la semana por la tormenta.";
        assert_eq!(analyse(&[spanish]).unwrap_err(), Reason::Language);
    }

    #[test]
    fn a_plain_text_without_a_known_word_gains_for_objectivity() {
        let found = analyse(&["qwertyuiop asdfgh"]).unwrap();
        assert_eq!((found.credibility, found.flags.len()), (78.0, 0));
    }

    #[test]
    fn a_miracle_cure_pays_for_every_trick_it_uses() {
        let found = analyse(&[
            "You won't believe this! DOCTORS WON'T TELL YOU: garlic cures CANCER!!! Experts say it never fails!! \
             Share this before they delete it!! #WAKEUP",
        ])
        .unwrap();
        let codes: Vec<_> = found.flags.iter().map(ToString::to_string).collect();
        for code in [
            "CONSPIRACY_LANGUAGE",
            "SENSATIONALISM",
            "ABSOLUTIST_CLAIMS",
            "URGENT_LANGUAGE",
            "CLICKBAIT_DETECTED",
            "VIRAL_PRESSURE",
            "MEDICAL_CLAIMS:1",
        ] {
            assert!(codes.iter().any(|c| c == code), "{code} of {codes:?}");
        }
        assert!(found.credibility < 20.0, "{}", found.credibility);
    }

    #[test]
    fn a_sober_report_is_highly_credible() {
        let found = analyse(&["The city council approved the budget on Monday. The library of Utrecht will open in March 2026."]).unwrap();
        assert_eq!(found.flags, []);
        assert_eq!(
            found.credibility, 88.0,
            "70 + 8 objective + 10 claims without a red flag"
        );
    }

    #[test]
    fn clickbait_counts_at_the_start_of_the_caption_or_of_one_picture() {
        let bait = "You won't believe what happened here";
        assert_eq!(codes(&[bait]), ["CLICKBAIT_DETECTED"]);
        assert_eq!(
            codes(&["A quiet walk by the sea", bait]),
            ["CLICKBAIT_DETECTED"]
        );
        assert_eq!(
            codes(&["\u{1F631} \n You  won't\nbelieve what happened"]),
            ["CLICKBAIT_DETECTED"]
        );
        assert_eq!(
            codes(&["A quiet walk. You won't believe what happened here"]),
            [""; 0]
        );
    }

    #[test]
    fn capitals_are_excessive_from_the_fourth_shouted_word_on() {
        assert_eq!(codes(&["HELLO WORLD AGAIN my dear"]), ["SENSATIONALISM"]);
        assert_eq!(
            codes(&["HELLO WORLD AGAIN MYDEAR"]),
            ["SENSATIONALISM", "EXCESSIVE_CAPS"]
        );
        assert_eq!(
            codes(&["HELLO WORLD.\nHELLO WORLD.\nhello world.\n"]),
            ["SENSATIONALISM"],
            "once each"
        );
    }

    #[test]
    fn unverifiable_claims_are_counted() {
        let text = "Studies show it works. Experts say so too. Scientists agree on that.";
        assert_eq!(codes(&[text]), ["MULTIPLE_UNVERIFIABLE:3"]);
        let found = analyse(&[text]).unwrap();
        assert_eq!(
            found.credibility, 44.0,
            "70 - 15 - 21, and 10 for claims without a red flag"
        );
    }

    #[test]
    fn words_in_links_and_account_names_are_not_read() {
        assert_eq!(
            codes(&["Look at https://example.org/garlic-cures-cancer and @miracle_cure today"]),
            [""; 0]
        );
    }

    #[test]
    fn lists_in_the_result_are_bounded_and_counts_are_not() {
        let text: String = (0..200)
            .map(|i| format!("Drug number {i} cures everyone!!!\n"))
            .collect();
        let found = analyse(&[&text]).unwrap();
        let json = found.to_json(true, &TextWeights::default());
        assert_eq!(json["claims"]["health_medical"], 200);
        assert_eq!(json["claims"]["listed"].as_array().unwrap().len(), LISTED);
        assert_eq!(
            json["red_flags"]["listed"].as_array().unwrap().len(),
            LISTED
        );
    }
}
