//! One pass over a sentence for all patterns of a language: phrases by one Aho-Corasick automaton, expressions by one set of a
//! finite automaton. Both take time linear in the text whatever it holds. Only where the set says that an expression matches is
//! its place looked for.

use std::ops::Range;
use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, MatchKind};
use regex_automata::{
    Input, PatternSet,
    meta::{Config, Regex},
    util::syntax,
};

use super::fold::fold_words;
use super::patterns::{Family, Pattern};

/// Room for the states of the set, made as texts need them.
const CACHE_BYTES: usize = 8 << 20;
const FAMILIES: usize = Family::ALL.len();

/// Patterns of one language.
#[derive(Debug)]
pub(crate) struct Matcher {
    phrases: AhoCorasick,
    /// For each phrase the entry of the files it comes from.
    phrase_entries: Vec<Entry>,
    /// All expressions but those tied to the start of a text.
    set: Regex,
    set_entries: Vec<Entry>,
    /// The expressions of each family as one, for their places.
    by_family: Vec<Option<Lazy>>,
}

/// An expression that is compiled when it is first needed. Its parts have been compiled before, in the set.
#[derive(Debug)]
struct Lazy {
    expression: String,
    compiled: OnceLock<Option<Regex>>,
}

impl Lazy {
    fn get(&self) -> Option<&Regex> {
        let expression = std::slice::from_ref(&self.expression);
        let compile = || build(expression, regex_automata::MatchKind::LeftmostFirst).ok();
        self.compiled.get_or_init(compile).as_ref()
    }
}

/// Where a pattern comes from.
#[derive(Debug, Clone)]
struct Entry {
    place: usize,
    family: Family,
    /// The phrase as it must be written.
    exactly: Option<String>,
}

/// What was found in a sentence: for each family its first span, bytes of the sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Evidence([Option<(usize, usize)>; FAMILIES]);

impl Evidence {
    pub(crate) const fn has(&self, family: Family) -> bool {
        self.0[family as usize].is_some()
    }

    pub(crate) fn span(&self, family: Family) -> Option<Range<usize>> {
        self.0[family as usize].map(|(start, end)| start..end)
    }

    fn note(&mut self, family: Family, span: Range<usize>) {
        let first = &mut self.0[family as usize];
        let earlier = first.is_none_or(|(start, end)| {
            span.start < start || (span.start == start && span.end > end)
        });
        if earlier {
            *first = Some((span.start, span.end));
        }
    }
}

/// Expressions see folded text, whose letters are ASCII, as bytes.
fn build(expressions: &[String], kind: regex_automata::MatchKind) -> Result<Regex, String> {
    let config = Config::new()
        .utf8_empty(false)
        .match_kind(kind)
        .hybrid_cache_capacity(CACHE_BYTES)
        // Too large for these; trying costs time at every start.
        .onepass(false)
        .dfa(false)
        .nfa_size_limit(Some(32 << 20));
    let built = Regex::builder()
        .syntax(syntax::Config::new().unicode(false).utf8(false))
        .configure(config)
        .build_many(expressions);
    // The inner error says where in the expression; the outer one only which expression.
    built.map_err(|error| {
        error
            .syntax_error()
            .map_or_else(|| error.to_string(), ToString::to_string)
    })
}

impl Pattern {
    fn expression(&self) -> Option<String> {
        let case = if self.case_sensitive { "" } else { "i" };
        let opening = self.family == Family::ClickbaitOpening;
        let (open, close) = match (opening, self.unbounded) {
            (true, _) => (r"\A\W*", ""),
            (_, true) => ("", ""),
            (_, false) => (r"\b", r"\b"),
        };
        let regex = self.regex.as_deref().map(fold_words);
        // A phrase at the start is an expression: the automaton of phrases knows no start.
        let phrases = self.phrases.iter().filter(|_| opening);
        let phrases = phrases.map(|phrase| format!("{}\\b", escape(&fold_words(phrase))));
        let all: Vec<_> = regex.into_iter().chain(phrases).collect();
        (!all.is_empty()).then(|| format!("(?{case}:{open}(?:{}){close})", all.join("|")))
    }
}

fn escape(phrase: &str) -> String {
    let mut escaped = String::with_capacity(phrase.len());
    for c in phrase.chars() {
        if !c.is_ascii_alphanumeric() && c.is_ascii() && c != ' ' {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

impl Matcher {
    /// Compiles all entries; the error names the family and says what is wrong.
    pub(super) fn new(patterns: &[Pattern]) -> Result<Self, (Family, String)> {
        let mut phrases = Vec::new();
        let mut phrase_entries = Vec::new();
        let mut expressions = Vec::new();
        let mut set_entries = Vec::new();
        let mut families: Vec<Vec<String>> = vec![Vec::new(); FAMILIES];
        for (place, pattern) in patterns.iter().enumerate() {
            let family = pattern.family;
            if let Some(expression) = pattern.expression() {
                families[family as usize].push(expression.clone());
                expressions.push(expression);
                set_entries.push(Entry {
                    place,
                    family,
                    exactly: None,
                });
            }
            if family != Family::ClickbaitOpening {
                for phrase in pattern.phrases.iter().map(|phrase| fold_words(phrase)) {
                    let exactly = pattern.case_sensitive.then(|| phrase.clone());
                    phrase_entries.push(Entry {
                        place,
                        family,
                        exactly,
                    });
                    phrases.push(phrase);
                }
            }
        }
        let set = build(&expressions, regex_automata::MatchKind::All).map_err(|error| {
            // Which of them it is is looked for only now.
            let alone = |expression: &String| {
                build(
                    std::slice::from_ref(expression),
                    regex_automata::MatchKind::All,
                )
                .err()
            };
            let wrong = expressions.iter().zip(&set_entries);
            let mut wrong =
                wrong.filter_map(|(expression, entry)| Some((entry.family, alone(expression)?)));
            wrong.next().unwrap_or((Family::UrgentLanguage, error))
        })?;
        let by_family = families.iter().map(|one| {
            (!one.is_empty()).then(|| Lazy {
                expression: one.join("|"),
                compiled: OnceLock::new(),
            })
        });
        Ok(Self {
            phrases: AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .match_kind(MatchKind::Standard)
                .build(&phrases)
                .map_err(|error| (Family::UrgentLanguage, error.to_string()))?,
            phrase_entries,
            set,
            set_entries,
            by_family: by_family.collect(),
        })
    }

    /// Everything there is in one sentence; openings only where it is the start of a text.
    pub(crate) fn search(&self, sentence: &str) -> Evidence {
        let mut evidence = Evidence([None; FAMILIES]);
        self.each_phrase(sentence, |entry, span| evidence.note(entry.family, span));
        let mut matched = PatternSet::new(self.set.pattern_len());
        self.set
            .which_overlapping_matches(&Input::new(sentence), &mut matched);
        let mut found = [false; FAMILIES];
        for id in matched.iter() {
            if let Some(entry) = self.set_entries.get(id.as_usize()) {
                found[entry.family as usize] = true;
            }
        }
        for family in Family::ALL.iter().filter(|family| found[**family as usize]) {
            if let Some(span) = self.find(*family, sentence) {
                evidence.note(*family, span);
            }
        }
        evidence
    }

    /// The first place where an expression of the family matches.
    pub(crate) fn find(&self, family: Family, text: &str) -> Option<Range<usize>> {
        let regex = self.by_family.get(family as usize)?.as_ref()?.get()?;
        regex.find(text).map(|found| found.range())
    }

    /// How often expressions of the family match.
    pub(crate) fn count(&self, family: Family, text: &str) -> usize {
        let regex = self.by_family.get(family as usize).and_then(Option::as_ref);
        regex
            .and_then(Lazy::get)
            .map_or(0, |regex| regex.find_iter(text).count())
    }

    fn each_phrase(&self, text: &str, mut found: impl FnMut(&Entry, Range<usize>)) {
        let is_word =
            |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
        let bytes = text.as_bytes();
        for hit in self.phrases.find_overlapping_iter(text) {
            let span = hit.range();
            let bounded = !is_word(
                span.start
                    .checked_sub(1)
                    .and_then(|before| bytes.get(before)),
            ) && !is_word(bytes.get(span.end));
            let Some(entry) = self.phrase_entries.get(hit.pattern().as_usize()) else {
                continue;
            };
            let exact = entry
                .exactly
                .as_ref()
                .is_none_or(|exactly| exactly.as_bytes() == &bytes[span.clone()]);
            if bounded && exact {
                found(entry, span);
            }
        }
    }

    /// Whether anything of the family matches.
    pub(super) fn matches_family(&self, family: Family, text: &str) -> bool {
        self.any(text, |entry| entry.family == family)
    }

    /// Whether this one entry of the files matches.
    pub(super) fn matches_entry(&self, place: usize, text: &str) -> bool {
        self.any(text, |entry| entry.place == place)
    }

    fn any(&self, text: &str, is_meant: impl Fn(&Entry) -> bool) -> bool {
        let mut hit = false;
        self.each_phrase(text, |entry, _| hit |= is_meant(entry));
        let mut matched = PatternSet::new(self.set.pattern_len());
        self.set
            .which_overlapping_matches(&Input::new(text), &mut matched);
        hit || matched
            .iter()
            .any(|id| self.set_entries.get(id.as_usize()).is_some_and(&is_meant))
    }
}
