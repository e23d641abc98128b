//! Subjectivity: the mean over the words of a text that the committed lexicon of its language knows, 0 (fact) to 1 (feeling). No
//! rules for intensifiers or negation.

use std::collections::HashMap;

use serde::Deserialize;
use unicode_segmentation::UnicodeSegmentation;

use super::fold::fold_words;

const BUILT_IN: [(&str, &str); 5] = [
    ("de", include_str!("../../data/subjectivity/de.csv")),
    ("en", include_str!("../../data/subjectivity/en.csv")),
    ("es", include_str!("../../data/subjectivity/es.csv")),
    ("fr", include_str!("../../data/subjectivity/fr.csv")),
    ("pt", include_str!("../../data/subjectivity/pt.csv")),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    word: String,
    score: f64,
}

/// Why the lexicon can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LexiconError {
    /// Not `word,score`.
    #[error("lexicon of subjectivity: {0}")]
    Malformed(#[from] csv::Error),
    /// A score outside 0 to 1, a word not in lower case, or one listed twice.
    #[error(
        "lexicon of subjectivity: the entry {0:?} must be one lower-case word, listed once, with a score from 0 to 1"
    )]
    Entry(String),
}

/// The lexicons by language.
#[derive(Debug)]
pub(crate) struct Lexicons(HashMap<&'static str, Lexicon>);

impl Lexicons {
    /// The built-in ones.
    pub(crate) fn load() -> Result<Self, LexiconError> {
        let parsed = BUILT_IN
            .iter()
            .map(|(language, text)| Ok((*language, Lexicon::parse(text)?)));
        Ok(Self(parsed.collect::<Result<_, LexiconError>>()?))
    }

    /// The mean over every word found, 0 to 1; 0 when none is, or when the language has no lexicon.
    pub(crate) fn subjectivity<'a>(
        &self,
        language: &str,
        sentences: impl IntoIterator<Item = &'a str>,
    ) -> f64 {
        self.0
            .get(language)
            .map_or(0.0, |lexicon| lexicon.subjectivity(sentences))
    }
}

/// Words, folded, and how subjective each is.
#[derive(Debug)]
struct Lexicon {
    scores: HashMap<String, f64>,
}

impl Lexicon {
    fn parse(text: &str) -> Result<Self, LexiconError> {
        let mut scores = HashMap::new();
        for entry in csv::Reader::from_reader(text.as_bytes()).deserialize() {
            let Entry { word, score } = entry?;
            let valid = (0.0..=1.0).contains(&score)
                && word.to_lowercase() == word
                && word.unicode_words().eq([word.as_str()]);
            if !valid || scores.insert(fold_words(&word), score).is_some() {
                return Err(LexiconError::Entry(word));
            }
        }
        Ok(Self { scores })
    }

    /// Of folded sentences.
    fn subjectivity<'a>(&self, sentences: impl IntoIterator<Item = &'a str>) -> f64 {
        let (mut sum, mut found) = (0.0, 0_u32);
        for sentence in sentences {
            for word in sentence.unicode_words() {
                if let Some(score) = self.scores.get(&word.to_lowercase()) {
                    sum += score;
                    found += 1;
                }
            }
        }
        if found == 0 {
            0.0
        } else {
            sum / f64::from(found)
        }
    }
}

/// What identifies the lexicons.
pub(crate) fn canonical() -> String {
    BUILT_IN.map(|(_, text)| text).join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> f64 {
        Lexicons::load().unwrap().subjectivity("en", [text])
    }

    #[test]
    fn the_lexicon_has_some_hundred_words_of_every_kind() {
        let lexicons = Lexicons::load().unwrap();
        let lexicon = &lexicons.0["en"];
        assert!(lexicon.scores.len() >= 400, "{}", lexicon.scores.len());
        for (low, high) in [(0.0, 0.3), (0.3, 0.7), (0.7, 1.01)] {
            let of_kind = lexicon
                .scores
                .values()
                .filter(|s| (low..high).contains(*s))
                .count();
            assert!(of_kind >= 60, "{of_kind} from {low} to {high}");
        }
    }

    #[test]
    fn feeling_is_above_fact_and_no_known_word_is_fact() {
        assert_eq!(of("zxcv qwer"), 0.0);
        assert!(of("This is the most amazing, gorgeous and wonderful thing, I love it") > 0.7);
        assert!(of("The annual report lists the total number of registered vehicles") < 0.3);
    }

    #[test]
    fn every_language_with_patterns_has_a_lexicon_of_feeling_and_fact() {
        let lexicons = Lexicons::load().unwrap();
        for (language, feeling, fact) in [
            (
                "es",
                "Es increible y maravilloso, lo amo",
                "Segun el informe, la ley del consejo",
            ),
            (
                "pt",
                "Que coisa incrivel e maravilhosa, eu amo",
                "Segundo o relatorio, a lei do conselho",
            ),
            (
                "fr",
                "C'est incroyable et magnifique, j'adore",
                "Selon le rapport, la loi du conseil",
            ),
            (
                "de",
                "Unglaublich und wunderbar, ich liebe es",
                "Laut dem Bericht, das Gesetz der Stadt",
            ),
        ] {
            assert!(lexicons.0[language].scores.len() >= 100, "{language}");
            assert!(
                lexicons.subjectivity(language, [feeling]) > 0.7,
                "{language}"
            );
            assert!(lexicons.subjectivity(language, [fact]) < 0.3, "{language}");
        }
        assert_eq!(lexicons.subjectivity("xx", ["wonderful"]), 0.0);
    }

    #[test]
    fn every_occurrence_counts_and_case_does_not() {
        let lexicon = Lexicon::parse("word,score\ngood,0.6\nofficial,0.0\n").unwrap();
        let mean = lexicon.subjectivity(["GOOD good official", "Good?"]);
        assert!((mean - 0.45).abs() < 1e-12, "{mean}");
    }

    #[test]
    fn a_lexicon_that_can_not_be_meant_is_refused() {
        for rows in [
            "good,1.5",
            "good,NaN",
            "Good,0.5",
            "very good,0.5",
            "good,0.5\ngood,0.6",
            "good",
        ] {
            assert!(
                Lexicon::parse(&format!("word,score\n{rows}\n")).is_err(),
                "{rows}"
            );
        }
    }
}
