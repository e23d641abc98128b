//! Red flags: one per sentence and family, however often the family's patterns match it.

use serde::Serialize;

use super::flags::FlagKind;
use super::patterns::{Family, Patterns};

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RedFlag {
    pub family: Family,
    /// Its sentence, by place in the text.
    #[serde(skip)]
    pub sentence: usize,
    /// The flag it raises.
    #[serde(skip)]
    pub raises: Option<FlagKind>,
    /// The words that matched first.
    pub matched: String,
}

/// The red flags of one sentence.
pub(crate) fn red_flags(
    sentence: &str,
    index: usize,
    is_health_claim: bool,
    patterns: &Patterns,
) -> Vec<RedFlag> {
    FAMILIES
        .iter()
        .filter(|(family, _)| *family != Family::MedicalRedFlags || is_health_claim)
        .filter_map(|&(family, raises)| {
            // Shouting is by punctuation or by capitals.
            let found = patterns.of(family).find(sentence).or_else(|| {
                (family == Family::Sensationalism)
                    .then(|| patterns.of(Family::ShoutedWord).find(sentence))
                    .flatten()
            })?;
            Some(RedFlag {
                family,
                sentence: index,
                raises,
                matched: found.as_str().trim().to_owned(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| Patterns::english().unwrap());

    fn families(sentence: &str, is_health_claim: bool) -> Vec<Family> {
        red_flags(sentence, 0, is_health_claim, &PATTERNS)
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
