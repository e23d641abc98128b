//! Red flags: one per sentence and family, however often the family's patterns match it.

use std::ops::Range;

use super::flags::FlagKind;
use super::matcher::Evidence;
use super::patterns::Family;

/// The seven families, and the flag each raises. Medical red flags have none of their own: the claims they stand in have.
const FAMILIES: [(Family, Option<FlagKind>); 7] = [
    (Family::UrgentLanguage, Some(FlagKind::UrgentLanguage)),
    (Family::AbsolutistLanguage, Some(FlagKind::AbsolutistClaims)),
    (Family::UnverifiedSources, Some(FlagKind::UnverifiedSources)),
    (
        Family::ConspiracyIndicators,
        Some(FlagKind::ConspiracyLanguage),
    ),
    (
        Family::EmotionalManipulation,
        Some(FlagKind::EmotionalManipulation),
    ),
    (Family::Sensationalism, Some(FlagKind::Sensationalism)),
    (Family::MedicalRedFlags, None),
];

/// One red flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RedFlag {
    pub family: Family,
    /// Its sentence, by place in the text.
    pub sentence: usize,
    /// The words that matched first, bytes of the sentence.
    pub span: Range<usize>,
    /// The flag it raises.
    pub raises: Option<FlagKind>,
}

/// The red flags of one sentence, given what the patterns found in it.
pub(crate) fn red_flags(index: usize, is_health_claim: bool, evidence: &Evidence) -> Vec<RedFlag> {
    FAMILIES
        .iter()
        .filter(|(family, _)| *family != Family::MedicalRedFlags || is_health_claim)
        .filter_map(|&(family, raises)| {
            // Shouting is by punctuation or by capitals.
            let capitals = || {
                (family == Family::Sensationalism)
                    .then(|| evidence.span(Family::ShoutedWord))
                    .flatten()
            };
            let span = evidence.span(family).or_else(capitals)?;
            Some(RedFlag {
                family,
                sentence: index,
                span,
                raises,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::super::patterns::{self, Patterns};
    use super::*;

    static ENGLISH: LazyLock<Patterns> = LazyLock::new(patterns::english);

    fn families(sentence: &str, is_health_claim: bool) -> Vec<Family> {
        red_flags(0, is_health_claim, &ENGLISH.matcher.search(sentence))
            .iter()
            .map(|flag| flag.family)
            .collect()
    }

    #[test]
    fn each_family_is_found_alone() {
        for (sentence, family) in [
            ("Act now or lose it", Family::UrgentLanguage),
            ("It never fails", Family::AbsolutistLanguage),
            ("Anonymous sources confirmed it", Family::UnverifiedSources),
            ("Another false flag", Family::ConspiracyIndicators),
            ("A horrifying sight", Family::EmotionalManipulation),
            ("So good!!!", Family::Sensationalism),
            ("So GREAT", Family::Sensationalism),
        ] {
            assert_eq!(families(sentence, false), [family], "{sentence}");
            assert_eq!(
                families(&sentence.to_lowercase(), false).is_empty(),
                sentence == "So GREAT",
                "{sentence}"
            );
        }
    }

    #[test]
    fn medical_red_flags_are_looked_for_in_health_claims_only() {
        assert_eq!(
            families("Garlic cures cancer", true),
            [Family::MedicalRedFlags]
        );
        assert_eq!(families("Garlic cures cancer", false), []);
    }

    #[test]
    fn a_family_counts_once_a_sentence_however_often_it_matches() {
        assert_eq!(
            families("Hurry, act now, last chance, urgent", false),
            [Family::UrgentLanguage]
        );
        assert_eq!(
            families("Hurry, it is a HOAX!!! and a false flag", false),
            [
                Family::UrgentLanguage,
                Family::ConspiracyIndicators,
                Family::Sensationalism
            ]
        );
    }
}
