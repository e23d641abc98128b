//! From a caption or a picture's text to sentences ready for matching: URLs and @mentions masked, hashtags without their #,
//! straight apostrophes, single spaces.

use std::collections::HashSet;

use regex::Regex;
use unicode_segmentation::UnicodeSegmentation;

use crate::links::url_spans;

/// Stands for a URL. Private use, so no text means anything by it; it is no letter, so no word either.
pub(crate) const URL_MARK: char = '\u{E000}';
/// Stands for an @mention.
const MENTION_MARK: char = '\u{E001}';

/// Sentence ends that UAX #29 sees and a reader does not.
const ABBREVIATIONS: [&str; 16] = [
    "dr.", "prof.", "mr.", "mrs.", "ms.", "st.", "sr.", "jr.", "vs.", "e.g.", "i.e.", "approx.",
    "gov.", "sen.", "rep.", "u.s.",
];

/// Masks what is no prose.
#[derive(Debug)]
pub(crate) struct Masker {
    bare_url: Regex,
    mention: Regex,
}

impl Masker {
    pub(crate) fn new() -> Result<Self, regex::Error> {
        Ok(Self {
            bare_url: Regex::new(r"(?i)(?-u:\b)www\.[^\s]+[^\s.,;:!?)]")?,
            mention: Regex::new(r"(^|[^\w@])@[A-Za-z0-9_](?:[A-Za-z0-9_.]*[A-Za-z0-9_])?")?,
        })
    }

    /// The text with URLs and @mentions masked and the # of hashtags gone.
    pub(crate) fn mask(&self, text: &str) -> String {
        let text: String = text
            .chars()
            .map(|c| match c {
                URL_MARK | MENTION_MARK => ' ',
                '\u{2018}' | '\u{2019}' | '\u{02BC}' => '\'',
                _ => c,
            })
            .collect();
        let mut masked = String::with_capacity(text.len());
        let mut from = 0;
        for (start, end) in url_spans(&text) {
            masked.push_str(&text[from..start]);
            masked.push(URL_MARK);
            from = end;
        }
        masked.push_str(&text[from..]);
        let masked = self.bare_url.replace_all(&masked, URL_MARK.to_string());
        let masked = self
            .mention
            .replace_all(&masked, format!("${{1}}{MENTION_MARK}"));
        drop_hashes(&masked)
    }
}

/// `#wake#up` is `wake up`.
fn drop_hashes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let tag = c == '#'
            && chars
                .peek()
                .is_some_and(|next| next.is_alphanumeric() || *next == '_');
        if !tag {
            out.push(c);
        } else if out.chars().next_back().is_some_and(char::is_alphanumeric) {
            out.push(' ');
        }
    }
    out
}

/// The sentences of masked texts by UAX #29 and line breaks, in order, identical ones (trimmed, lower-cased) once.
pub(crate) fn sentences<'a>(masked: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut seen = HashSet::new();
    let mut sentences = Vec::new();
    let mut add = |sentence: &mut String| {
        let sentence = std::mem::take(sentence);
        if !sentence.is_empty() && seen.insert(sentence.to_lowercase()) {
            sentences.push(sentence);
        }
    };
    for text in masked {
        let mut open = String::new();
        for piece in text.split_sentence_bounds() {
            for word in piece.split_whitespace() {
                if !open.is_empty() {
                    open.push(' ');
                }
                open.push_str(word);
            }
            let ends_line = piece.ends_with(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']);
            if ends_line || !ends_in_abbreviation(&open) {
                add(&mut open);
            }
        }
        add(&mut open);
    }
    sentences
}

fn ends_in_abbreviation(sentence: &str) -> bool {
    let last = sentence.rsplit(' ').next().unwrap_or_default();
    let last = last.trim_start_matches(|c: char| !c.is_alphanumeric());
    ABBREVIATIONS
        .iter()
        .any(|known| known.eq_ignore_ascii_case(last))
}

/// A sentence as people may read it.
pub(crate) fn readable(sentence: &str) -> String {
    const LONGEST: usize = 300;
    let mut text: String = sentence.chars().take(LONGEST).collect();
    if text.len() < sentence.len() {
        text.push('…');
    }
    text.replace(URL_MARK, "[link]")
        .replace(MENTION_MARK, "[account]")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<String> {
        let masked = Masker::new().unwrap().mask(text);
        sentences([masked.as_str()])
            .iter()
            .map(|s| readable(s))
            .collect()
    }

    #[test]
    fn sentences_end_at_stops_and_line_breaks() {
        assert_eq!(
            split("One. Two! Three?\nFour\r\n\nFive"),
            ["One.", "Two!", "Three?", "Four", "Five"]
        );
        assert_eq!(
            split("It weighs 3.5 kg. Good."),
            ["It weighs 3.5 kg.", "Good."]
        );
        assert_eq!(
            split("Ask Dr. Smith. She knows."),
            ["Ask Dr. Smith.", "She knows."]
        );
        assert_eq!(split("He said no. She left."), ["He said no.", "She left."]);
        assert_eq!(
            split("Ask the dr.\nSmith knows."),
            ["Ask the dr.", "Smith knows."]
        );
        assert_eq!(split("  \n \t "), [""; 0]);
    }

    #[test]
    fn identical_sentences_count_once() {
        assert_eq!(
            split("Buy now!\nBUY NOW!\n  buy   now!  \nBuy later!"),
            ["Buy now!", "Buy later!"]
        );
    }

    #[test]
    fn urls_and_mentions_are_masked_and_hashtags_lose_their_hash() {
        assert_eq!(
            split(
                "See https://cures.example/detox?x=1! now, www.heal.example/a. Thanks @dr.cure. me@x.example #detox#now # 1"
            ),
            [
                "See [link]!",
                "now, [link].",
                "Thanks [account]. me@x.example detox now # 1"
            ]
        );
        assert_eq!(split("@nasa #1 in space"), ["[account] 1 in space"]);
        assert_eq!(split("it\u{2019}s"), ["it's"]);
        assert_eq!(
            split("a \u{E000} b"),
            ["a b"],
            "marks in the text itself are blanks"
        );
    }

    #[test]
    fn long_sentences_are_cut_for_people_on_a_character() {
        let long = "é".repeat(400);
        assert_eq!(readable(&long).chars().count(), 301);
    }
}
