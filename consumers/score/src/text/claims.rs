//! Claims: what a sentence asserts, one of each kind at most.

use regex::bytes::Regex;
use serde::Serialize;
use unicode_segmentation::UnicodeSegmentation;

use super::fold::URL_MARK;
use super::matcher::Evidence;
use super::patterns::{Family, Patterns};

/// Kinds of claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimKind {
    /// Gives figures.
    Statistical,
    /// Is about health: a high-risk claim, sourced or not.
    HealthMedical,
    /// States what is or what happened.
    Factual,
    /// Leans on an authority.
    AuthorityCitation,
}

/// One claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    pub kind: ClaimKind,
    /// Its sentence, by place in the text.
    pub sentence: usize,
    /// Whether someone could look it up: everything but a citation of nobody in particular.
    pub verifiable: bool,
}

impl Claim {
    pub(crate) fn is_high_risk(&self) -> bool {
        self.kind == ClaimKind::HealthMedical
    }

    pub(crate) fn is_vague_source(&self) -> bool {
        self.kind == ClaimKind::AuthorityCitation && !self.verifiable
    }
}

/// Finds claims.
#[derive(Debug)]
pub(crate) struct ClaimFinder {
    full_name: Regex,
    acronym: Regex,
    capitalised: Regex,
}

impl ClaimFinder {
    pub(crate) fn new() -> Result<Self, regex::Error> {
        Ok(Self {
            full_name: Regex::new(r"(?-u)\b[A-Z][a-z'-]+(?: [A-Z]\.)? [A-Z][a-z'-]+")?,
            acronym: Regex::new(r"(?-u)\b[A-Z]{2,5}\b")?,
            capitalised: Regex::new(r"(?-u)\b[A-Z][a-z'-]+")?,
        })
    }

    /// The claims of one sentence, given what the patterns found in it.
    pub(crate) fn claims(
        &self,
        sentence: &str,
        index: usize,
        evidence: &Evidence,
        patterns: &Patterns,
    ) -> Vec<Claim> {
        let claim = |kind, verifiable| Claim {
            kind,
            sentence: index,
            verifiable,
        };
        let mut claims = Vec::new();
        if evidence.has(Family::Statistical) {
            claims.push(claim(ClaimKind::Statistical, true));
        }
        if evidence.has(Family::HealthMedical) {
            claims.push(claim(ClaimKind::HealthMedical, true));
        }
        if self.is_factual(sentence, evidence, patterns) {
            claims.push(claim(ClaimKind::Factual, true));
        }
        if evidence.has(Family::AuthorityCitation) {
            let named = self.names_its_source(sentence, evidence, patterns);
            claims.push(claim(ClaimKind::AuthorityCitation, named));
        }
        claims
    }

    fn is_factual(&self, sentence: &str, evidence: &Evidence, patterns: &Patterns) -> bool {
        let enough_words = sentence.unicode_words().take(3).count() == 3;
        enough_words
            && !is_question(sentence)
            && (evidence.has(Family::EventVerb)
                || evidence.has(Family::Circumstance)
                || evidence.has(Family::Place)
                || (evidence.has(Family::FactualVerb)
                    && self.has_named_entity(sentence, evidence, patterns)))
    }

    /// A university, journal, institution, organisation, person or link.
    fn names_its_source(&self, sentence: &str, evidence: &Evidence, patterns: &Patterns) -> bool {
        let is_place = |name: &[u8]| {
            std::str::from_utf8(name)
                .is_ok_and(|name| patterns.matcher.matches_family(Family::Place, name))
        };
        sentence.contains(URL_MARK)
            || evidence.has(Family::NamedSource)
            || (!patterns.capitalised_nouns
                && !is_title_case(sentence)
                && self
                    .full_name
                    .find_iter(sentence.as_bytes())
                    .any(|name| !is_place(name.as_bytes())))
    }

    /// Without a dictionary of names: an acronym, a known name, or a capital where the language has none but in names. Titles
    /// and shouting have capitals everywhere, so there only known names count.
    fn has_named_entity(&self, sentence: &str, evidence: &Evidence, patterns: &Patterns) -> bool {
        if evidence.has(Family::NamedSource) {
            return true;
        }
        if is_title_case(sentence) {
            return false;
        }
        let bytes = sentence.as_bytes();
        if self.acronym.is_match(bytes) {
            return true;
        }
        let first_letter = sentence.find(char::is_alphabetic).unwrap_or_default();
        !patterns.capitalised_nouns
            && (self.full_name.is_match(bytes)
                || self
                    .capitalised
                    .find_iter(bytes)
                    .any(|word| word.start() > first_letter && !is_pronoun_i(word.as_bytes())))
    }
}

fn is_pronoun_i(word: &[u8]) -> bool {
    word.starts_with(b"I'")
}

fn is_question(sentence: &str) -> bool {
    sentence
        .chars()
        .rev()
        .take_while(|c| !c.is_alphanumeric())
        .any(|c| matches!(c, '?' | '؟'))
}

/// More than two thirds of the words of four letters or more begin with a capital, and there are at least four of them.
fn is_title_case(sentence: &str) -> bool {
    let (mut long, mut capital) = (0, 0);
    for word in sentence
        .unicode_words()
        .filter(|word| word.chars().count() >= 4)
    {
        long += 1;
        capital += usize::from(word.chars().next().is_some_and(char::is_uppercase));
    }
    (long >= 4 && capital * 3 > long * 2) || (long > 0 && !sentence.chars().any(char::is_lowercase))
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::super::patterns;
    use super::*;

    fn kinds(sentence: &str) -> Vec<ClaimKind> {
        find(sentence).iter().map(|claim| claim.kind).collect()
    }

    static ENGLISH: LazyLock<Patterns> = LazyLock::new(patterns::english);
    static FINDER: LazyLock<ClaimFinder> = LazyLock::new(|| ClaimFinder::new().unwrap());

    fn find(sentence: &str) -> Vec<Claim> {
        let evidence = ENGLISH.matcher.search(sentence);
        FINDER.claims(sentence, 0, &evidence, &ENGLISH)
    }

    #[test]
    fn a_sentence_makes_one_claim_of_each_kind_at_most() {
        use ClaimKind::{AuthorityCitation, Factual, HealthMedical, Statistical};
        assert_eq!(
            kinds("Studies show that 90% of drugs and 80% of vaccines found in 2020 cure cancer."),
            [Statistical, HealthMedical, Factual, AuthorityCitation]
        );
        assert_eq!(kinds("What a view"), []);
    }

    #[test]
    fn facts_need_three_words_and_no_question() {
        use ClaimKind::Factual;
        for yes in [
            "The mayor resigned yesterday",
            "We walked through Paris together",
            "The bridge opened in 1932",
            "Coffee was brought here by the Dutch",
            "The UN is meeting again",
            "Yesterday was Marco's turn",
        ] {
            assert_eq!(kinds(yes), [Factual], "{yes}");
        }
        for no in [
            "Paris 2020",
            "Was the mayor arrested in Paris?",
            "Did he die in 1932?!",
            "This is so beautiful and I'm in love",
            "THIS IS THE BEST DAY EVER MADE",
            "This Is The Best Place Ever Made",
            "Love this place so much",
        ] {
            assert_eq!(kinds(no), [], "{no}");
        }
    }

    #[test]
    fn health_words_count_as_words() {
        assert_eq!(
            kinds("Grandma's tea boosts the mood"),
            [ClaimKind::HealthMedical]
        );
        assert_eq!(kinds("A booster seat for the car"), []);
    }

    #[test]
    fn a_citation_of_nobody_in_particular_is_vague() {
        let vague = |sentence: &str| find(sentence).iter().any(Claim::is_vague_source);
        for yes in [
            "Studies show it works",
            "According to a doctor, it helps",
            "Experts say so",
            "SCIENTISTS SAY COVID IS OVER",
            "Studies show that Americans sleep less",
            "Experts Say Your Phone Makes You Tired",
            "A university study shows that it helps",
            "Researchers have found that Vitamin intake matters",
        ] {
            assert!(vague(yes), "{yes}");
        }
        for no in [
            "A Harvard study shows it works",
            "According to Dr. Maria Okafor, it helps",
            "Research published in the Journal of Botany suggests it",
            "Scientists at Utrecht University found a way",
            "Studies show it works \u{E000}",
            "The WHO says experts agree",
            "Doctors say, according to Jane Porter, that it helps",
        ] {
            assert!(!vague(no), "{no}");
        }
        assert!(
            find("According to the WHO report it helps")
                .iter()
                .any(|c| c.kind == ClaimKind::AuthorityCitation && c.verifiable)
        );
    }
}
