//! The pattern file, compiled: one linear-time expression per family.

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

/// A word bound of ASCII.
const BOUND: &str = r"(?-u:\b)";
const ENGLISH: &str = include_str!("../../data/patterns.toml");

macro_rules! families {
    ($($(#[doc = $doc:literal])+ $family:ident,)+) => {
        /// What a pattern is evidence of.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub(crate) enum Family {
            $($(#[doc = $doc])+ $family,)+
        }

        impl Family {
            const ALL: &'static [Self] = &[$(Self::$family,)+];
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
    /// Opens as clickbait does.
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

/// Why the pattern file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// Not TOML of the right shape.
    #[error("pattern file: {0}")]
    Malformed(#[from] toml::de::Error),
    /// An expression does not compile.
    #[error("patterns of {family}: {error}")]
    Expression {
        /// The family.
        family: String,
        /// Where and why.
        error: Box<regex::Error>,
    },
    /// A family has no pattern.
    #[error("pattern file: no pattern of the family {0}")]
    Missing(String),
    /// An example is not what it is listed as.
    #[error(
        "pattern file: the example {example:?} of {family} is listed as a {listed} and is none"
    )]
    Example {
        /// The family.
        family: String,
        /// `hit` or `miss`.
        listed: &'static str,
        /// The example.
        example: String,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PatternFile {
    pattern: Vec<Pattern>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pattern {
    family: Family,
    regex: String,
    #[serde(default)]
    case_sensitive: bool,
    #[serde(default)]
    unbounded: bool,
    hits: Vec<String>,
    misses: Vec<String>,
}

impl Pattern {
    /// Word bounds are those of ASCII: the patterns are English, and only these keep the matcher a plain automaton on texts with
    /// emoji.
    fn expression(&self) -> String {
        let case = if self.case_sensitive { "" } else { "i" };
        let (open, close) = match (self.family, self.unbounded) {
            (Family::ClickbaitOpening, _) => (r"\A\W*", ""),
            (_, true) => ("", ""),
            (_, false) => (BOUND, BOUND),
        };
        let regex = self.regex.replace(r"\b", BOUND);
        format!("(?{case}:{open}(?:{regex}){close})")
    }
}

/// The compiled families.
#[derive(Debug)]
pub(crate) struct Patterns {
    /// One per family, in the order of `Family::ALL`.
    compiled: Vec<Regex>,
}

impl Patterns {
    /// Compiles the built-in English patterns.
    pub(crate) fn english() -> Result<Self, PatternError> {
        Self::parse(ENGLISH)
    }

    fn parse(text: &str) -> Result<Self, PatternError> {
        let file: PatternFile = toml::from_str(text)?;
        let compiled = Family::ALL
            .iter()
            .map(|&family| {
                let parts: Vec<_> = file
                    .pattern
                    .iter()
                    .filter(|p| p.family == family)
                    .map(Pattern::expression)
                    .collect();
                if parts.is_empty() {
                    return Err(PatternError::Missing(format!("{family:?}")));
                }
                compile(family, &parts.join("|"))
            })
            .collect::<Result<_, _>>()?;
        let patterns = Self { compiled };
        file.pattern
            .iter()
            .try_for_each(|pattern| patterns.check_examples(pattern))?;
        Ok(patterns)
    }

    fn check_examples(&self, pattern: &Pattern) -> Result<(), PatternError> {
        let regex = self.of(pattern.family);
        let hit = pattern.hits.iter().find(|example| !regex.is_match(example));
        let miss = pattern
            .misses
            .iter()
            .find(|example| regex.is_match(example));
        let wrong = hit
            .map(|example| ("hit", example))
            .or(miss.map(|example| ("miss", example)));
        wrong.map_or(Ok(()), |(listed, example)| {
            Err(PatternError::Example {
                family: format!("{:?}", pattern.family),
                listed,
                example: example.clone(),
            })
        })
    }

    /// The expression of a family.
    pub(crate) fn of(&self, family: Family) -> &Regex {
        &self.compiled[family as usize]
    }
}

fn compile(family: Family, expression: &str) -> Result<Regex, PatternError> {
    RegexBuilder::new(expression)
        .build()
        .map_err(|error| PatternError::Expression {
            family: format!("{family:?}"),
            error: Box::new(error),
        })
}

/// What identifies the patterns.
pub(crate) const fn canonical() -> &'static str {
    ENGLISH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_of_the_pattern_file_is_what_it_says() {
        let file: PatternFile = toml::from_str(ENGLISH).unwrap();
        let mut wrong = Vec::new();
        for pattern in &file.pattern {
            assert!(
                !pattern.hits.is_empty() && !pattern.misses.is_empty(),
                "{} has no examples",
                pattern.regex
            );
            let alone = compile(pattern.family, &pattern.expression()).unwrap();
            for hit in &pattern.hits {
                if !alone.is_match(hit) {
                    wrong.push(format!("{:?} should match: {hit}", pattern.family));
                }
            }
            for miss in &pattern.misses {
                if let Some(found) = alone.find(miss) {
                    wrong.push(format!(
                        "{:?} should not match {:?} in: {miss}",
                        pattern.family,
                        found.as_str()
                    ));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        Patterns::english().expect("no miss is matched by another pattern of its family");
    }

    #[test]
    fn a_broken_pattern_file_is_an_error_that_names_the_place() {
        let message = |text: &str| Patterns::parse(text).unwrap_err().to_string();
        let urgent = |regex: &str| {
            format!(
                "[[pattern]]\nfamily = 'urgent_language'\nregex = '{regex}'\nhits = ['a']\nmisses = ['b']\n"
            )
        };
        assert!(message(&urgent("(")).contains("UrgentLanguage"));
        assert!(message(&urgent("x")).contains("no pattern of the family AbsolutistLanguage"));
        assert!(message("[[pattern]]\nfamily = 'no_such'").contains("unknown variant"));
    }
}
