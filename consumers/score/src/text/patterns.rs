//! The pattern files of the languages: what each family of patterns looks like, how much its red flags weigh, by which words the
//! language is known. Built in, and replaceable by an operator.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::fold::Folded;
use super::matcher::Matcher;

const COMMON: &str = "common";
const BUILT_IN: [(&str, &str); 6] = [
    (COMMON, include_str!("../../data/patterns/common.toml")),
    ("de", include_str!("../../data/patterns/de.toml")),
    ("en", include_str!("../../data/patterns/en.toml")),
    ("es", include_str!("../../data/patterns/es.toml")),
    ("fr", include_str!("../../data/patterns/fr.toml")),
    ("pt", include_str!("../../data/patterns/pt.toml")),
];

macro_rules! families {
    ($($(#[doc = $doc:literal])+ $family:ident,)+) => {
        /// What a pattern is evidence of.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub(crate) enum Family {
            $($(#[doc = $doc])+ $family,)+
        }

        impl Family {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$family,)+];
        }
    };
}

families! {
    /// Red flag: urges to hurry.
    UrgentLanguage,
    /// Red flag: knows no exception.
    AbsolutistLanguage,
    /// Red flag: rests on hearsay.
    UnverifiedSources,
    /// Red flag: tells of hidden powers.
    ConspiracyIndicators,
    /// Red flag: plays on fear, anger and guilt.
    EmotionalManipulation,
    /// Red flag: shouts by punctuation.
    Sensationalism,
    /// Red flag: promises of miracle medicine; looked for in health claims only.
    MedicalRedFlags,
    /// A word of five or more capitals.
    ShoutedWord,
    /// Opens as clickbait does: looked for at the start of a caption or a picture's text.
    ClickbaitOpening,
    /// Wants to be passed on.
    PressureToShare,
    /// Claim: a statistic.
    Statistical,
    /// Claim: about health.
    HealthMedical,
    /// A verb that states.
    FactualVerb,
    /// A verb that reports an event.
    EventVerb,
    /// A date, time or number.
    Circumstance,
    /// A place.
    Place,
    /// Claim: leans on an authority.
    AuthorityCitation,
    /// Names the authority.
    NamedSource,
}

impl Family {
    /// The name used in the files and in results.
    pub(crate) fn name(self) -> String {
        let name = serde_json::to_value(self).unwrap_or_default();
        name.as_str().unwrap_or_default().to_owned()
    }
}

/// Why the pattern files can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// The operator's folder or a file in it can't be read.
    #[error("patterns: {path} can't be read: {error}")]
    Unreadable {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// A file whose name is no language.
    #[error(
        "patterns: {0} is not named by a language of two letters that can be told, or `common`"
    )]
    Name(PathBuf),
    /// Not TOML of the right shape.
    #[error("patterns of {language}: {error}")]
    Malformed {
        /// The language, or `common`.
        language: String,
        /// Where and why.
        error: Box<toml::de::Error>,
    },
    /// An expression does not compile.
    #[error("patterns of {language}: {family}: {error}")]
    Expression {
        /// The language.
        language: String,
        /// The family.
        family: String,
        /// Where and why.
        error: String,
    },
    /// A language has no pattern of a family.
    #[error("patterns of {language}: no pattern of the family {family}")]
    Missing {
        /// The language.
        language: String,
        /// The family.
        family: String,
    },
    /// An example is not what it is listed as, or there is none.
    #[error(
        "patterns of {language}: {family}: the example {example:?} is listed as a {listed} and is none"
    )]
    Example {
        /// The language.
        language: String,
        /// The family.
        family: String,
        /// `hit` or `miss`.
        listed: &'static str,
        /// The example.
        example: String,
    },
    /// A weight that is none.
    #[error("patterns of {language}: the weight of {family} must be between 0 and 10")]
    Weight {
        /// The language.
        language: String,
        /// The family.
        family: String,
    },
}

/// One file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PatternFile {
    /// Words by which a short text is known to be in this language.
    function_words: Vec<String>,
    /// Whether nouns begin with a capital, so that one is no name.
    capitalised_nouns: bool,
    /// What a red flag of a family counts, where it is not 1.
    weights: BTreeMap<Family, f64>,
    pattern: Vec<Pattern>,
}

/// One entry of a file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pattern {
    pub family: Family,
    /// Words and phrases, matched as they are.
    #[serde(default)]
    pub phrases: Vec<String>,
    /// An expression.
    pub regex: Option<String>,
    #[serde(default)]
    pub case_sensitive: bool,
    /// Whether an expression may begin and end within a word.
    #[serde(default)]
    pub unbounded: bool,
    hits: Vec<String>,
    misses: Vec<String>,
}

/// The patterns of one language, compiled.
#[derive(Debug)]
pub(crate) struct Patterns {
    /// ISO 639-1.
    pub language: String,
    pub function_words: Vec<String>,
    pub capitalised_nouns: bool,
    weights: BTreeMap<Family, f64>,
    pub matcher: Matcher,
}

/// The texts of the pattern files in effect, by language.
#[derive(Debug)]
pub(crate) struct PatternFiles(BTreeMap<String, String>);

impl PatternFiles {
    /// The built-in files, those of the operator's folder in their place or beside them.
    pub(crate) fn read(folder: Option<&Path>) -> Result<Self, PatternError> {
        let mut files: BTreeMap<_, _> = BUILT_IN
            .iter()
            .map(|(language, text)| ((*language).to_owned(), (*text).to_owned()))
            .collect();
        let Some(folder) = folder else {
            return Ok(Self(files));
        };
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            move |error| PatternError::Unreadable { path, error }
        };
        for entry in std::fs::read_dir(folder).map_err(unreadable(folder))? {
            let path = entry.map_err(unreadable(folder))?.path();
            if path.extension().is_none_or(|extension| extension != "toml") {
                continue;
            }
            let name = path
                .file_stem()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            if name != COMMON && !super::language::can_be_told(name) {
                return Err(PatternError::Name(path));
            }
            let text = std::fs::read_to_string(&path).map_err(unreadable(&path))?;
            files.insert(name.to_owned(), text);
        }
        Ok(Self(files))
    }

    /// The files as text in a fixed order: equal for equal patterns, so it identifies them.
    pub(crate) fn canonical(&self) -> String {
        self.0
            .iter()
            .flat_map(|(name, text)| [name.as_str(), text])
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Compiles and checks the patterns of every language.
    pub(crate) fn compile(&self) -> Result<Vec<Patterns>, PatternError> {
        let parsed = |(language, text): (&String, &String)| {
            let file: Result<PatternFile, _> = toml::from_str(text);
            let file = file.map_err(|error| PatternError::Malformed {
                language: language.clone(),
                error: Box::new(error),
            });
            Ok::<_, PatternError>((language.clone(), file?))
        };
        let mut files = self
            .0
            .iter()
            .map(parsed)
            .collect::<Result<BTreeMap<_, _>, _>>()?;
        let common = files.remove(COMMON).unwrap_or_default();
        files
            .into_iter()
            .map(|(language, file)| Patterns::compile(language, file, &common))
            .collect()
    }
}

impl Patterns {
    fn compile(
        language: String,
        file: PatternFile,
        common: &PatternFile,
    ) -> Result<Self, PatternError> {
        let all: Vec<Pattern> = file
            .pattern
            .into_iter()
            .chain(common.pattern.iter().cloned())
            .collect();
        for family in Family::ALL {
            if !all.iter().any(|pattern| pattern.family == *family) {
                return Err(PatternError::Missing {
                    language,
                    family: family.name(),
                });
            }
        }
        let mut weights = common.weights.clone();
        weights.extend(file.weights);
        if let Some((family, _)) = weights
            .iter()
            .find(|(_, weight)| !(0.0..=10.0).contains(*weight))
        {
            return Err(PatternError::Weight {
                language,
                family: family.name(),
            });
        }
        let matcher = Matcher::new(&all).map_err(|(family, error)| PatternError::Expression {
            language: language.clone(),
            family: family.name(),
            error,
        })?;
        let patterns = Self {
            language,
            function_words: file
                .function_words
                .iter()
                .map(|word| word.to_lowercase())
                .collect(),
            capitalised_nouns: file.capitalised_nouns,
            weights,
            matcher,
        };
        all.iter()
            .enumerate()
            .try_for_each(|(place, pattern)| patterns.check_examples(place, pattern))?;
        Ok(patterns)
    }

    /// Every hit is matched by its own pattern, and no miss by any of its family.
    fn check_examples(&self, place: usize, pattern: &Pattern) -> Result<(), PatternError> {
        let fault = |listed, example: &str| {
            Err(PatternError::Example {
                language: self.language.clone(),
                family: pattern.family.name(),
                listed,
                example: example.to_owned(),
            })
        };
        if pattern.hits.is_empty() || pattern.misses.is_empty() {
            let listed = if pattern.hits.is_empty() {
                "hit"
            } else {
                "miss"
            };
            return fault(listed, "");
        }
        let hit = |example: &str| self.matcher.matches_entry(place, &one_line(example));
        if let Some(example) = pattern.hits.iter().find(|example| !hit(example)) {
            return fault("hit", example);
        }
        let missed = |example: &str| {
            !self
                .matcher
                .matches_family(pattern.family, &one_line(example))
        };
        if let Some(example) = pattern.misses.iter().find(|example| !missed(example)) {
            return fault("miss", example);
        }
        Ok(())
    }

    /// What a red flag of the family counts; 1 where the files don't say.
    pub(crate) fn weight(&self, family: Family) -> f64 {
        self.weights.get(&family).copied().unwrap_or(1.0)
    }
}

fn one_line(example: &str) -> String {
    Folded::of(example).text.replace('\n', " ")
}

/// The built-in English ones.
#[cfg(test)]
pub(super) fn english() -> Patterns {
    let all = PatternFiles::read(None).unwrap().compile().unwrap();
    all.into_iter()
        .find(|patterns| patterns.language == "en")
        .unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_files_hold_their_examples() {
        let compiled = PatternFiles::read(None).unwrap().compile().unwrap();
        let languages: Vec<_> = compiled
            .iter()
            .map(|patterns| patterns.language.as_str())
            .collect();
        assert_eq!(languages, ["de", "en", "es", "fr", "pt"]);
    }

    #[test]
    fn a_file_that_can_not_be_meant_is_refused_with_its_place() {
        let message = |text: &str| {
            let files = BTreeMap::from([("en".to_owned(), text.to_owned())]);
            PatternFiles(files).compile().unwrap_err().to_string()
        };
        let entry = |family: &Family, rest: &str| {
            format!("[[pattern]]\nfamily = '{}'\n{rest}\n", family.name())
        };
        let all = |odd: Family, rest: &str| -> String {
            let good = "phrases = ['a']\nhits = ['a']\nmisses = ['b']";
            Family::ALL
                .iter()
                .map(|family| entry(family, if *family == odd { rest } else { good }))
                .collect()
        };
        let urgent = |rest: &str| message(&all(Family::UrgentLanguage, rest));
        assert!(
            urgent("regex = '('\nhits = ['a']\nmisses = ['b']").contains("en: urgent_language: ")
        );
        assert!(
            urgent("regex = 'a'\nhits = ['b']\nmisses = ['c']")
                .contains("\"b\" is listed as a hit")
        );
        assert!(
            urgent("regex = 'a'\nhits = ['a']\nmisses = ['a']")
                .contains("\"a\" is listed as a miss")
        );
        assert!(urgent("regex = 'a'\nhits = ['a']\nmisses = []").contains("listed as a miss"));
        assert!(
            message(&entry(
                &Family::Place,
                "phrases = ['a']\nhits = ['a']\nmisses = ['b']"
            ))
            .contains("no pattern of the family")
        );
        assert!(message("[[pattern]]\nfamily = 'no_such'").contains("unknown variant"));
        assert!(message("speed = 1").contains("unknown field"));
        let heavy = all(
            Family::Place,
            "phrases = ['a']\nhits = ['a']\nmisses = ['b']",
        );
        assert!(message(&format!("[weights]\nplace = 11.0\n{heavy}")).contains("weight of place"));
    }

    #[test]
    fn an_operators_folder_replaces_a_language_and_adds_others() {
        let folder = tempfile::tempdir().unwrap();
        let english = PatternFiles::read(None).unwrap().0["en"].clone();
        std::fs::write(
            folder.path().join("en.toml"),
            english.replace("act now", "strike now"),
        )
        .unwrap();
        std::fs::write(folder.path().join("notes.txt"), "nothing").unwrap();
        let files = PatternFiles::read(Some(folder.path())).unwrap();
        assert_ne!(
            files.canonical(),
            PatternFiles::read(None).unwrap().canonical()
        );
        std::fs::write(folder.path().join("english.toml"), "").unwrap();
        assert!(matches!(
            PatternFiles::read(Some(folder.path())),
            Err(PatternError::Name(_))
        ));
        let nowhere = folder.path().join("nowhere");
        assert!(matches!(
            PatternFiles::read(Some(&nowhere)),
            Err(PatternError::Unreadable { .. })
        ));
    }
}
