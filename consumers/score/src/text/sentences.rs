//! Sentences of a folded text: by UAX #29 and line breaks, and by what posts end sentences with besides: emoji, links, blocks of
//! hashtags. Abbreviations end none.

use std::collections::HashSet;
use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::fold::{Folded, MENTION_MARK, URL_MARK};

/// Stops that end no sentence, folded and lower-case, of all languages with patterns.
const ABBREVIATIONS: [&str; 49] = [
    // English
    "dr", "prof", "mr", "mrs", "ms", "st", "sr", "jr", "vs", "e.g", "i.e", "approx", "gov", "sen",
    "rep", "u.s", "u.k", "gen", "col", "capt", "dept", "inc", "fig", // Spanish and Portuguese
    "sra", "srta", "dra", "ud", "uds", "p.ej", "ej", "pag", "ee.uu", "profa",
    "exmo", // French
    "mme", "mlle", "env", "p.ex", "cf", "boul", // German
    "z.b", "d.h", "u.a", "bzw", "nr", "str", "hr", "ggf", "evtl",
];
/// Longest of them, in bytes, and a stop.
const LONGEST_ABBREVIATION: usize = 10;
/// An emoji ends a sentence of at least so many words.
const WORDS_BEFORE_EMOJI: usize = 3;

/// One sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sentence {
    /// Which part of the post it stands in.
    pub part: usize,
    /// Where in the folded text of that part.
    pub span: Range<usize>,
}

/// The sentences of the parts in order, identical ones (trimmed, lower-cased) once.
pub(super) fn sentences(parts: &[Folded]) -> Vec<Sentence> {
    let mut seen = HashSet::new();
    let mut sentences = Vec::new();
    for (part, folded) in parts.iter().enumerate() {
        let text = &folded.text;
        let mut start = 0;
        for end in cuts(folded) {
            let piece = &text[start..end];
            let span_start = end - piece.trim_start().len();
            let span = span_start..span_start + piece.trim().len();
            start = end;
            if !span.is_empty() && seen.insert(text[span.clone()].to_lowercase()) {
                sentences.push(Sentence { part, span });
            }
        }
    }
    sentences
}

/// Where sentences end, the end of the text included, in order.
fn cuts(folded: &Folded) -> Vec<usize> {
    let text = &folded.text;
    let mut cuts: Vec<usize> = text
        .split_sentence_bound_indices()
        .map(|(at, piece)| at + piece.len())
        .filter(|&end| text[..end].ends_with('\n') || !ends_in_abbreviation(&text[..end]))
        .collect();
    cuts.extend(before_marks(folded));
    cuts.extend(before_hashtags(folded));
    cuts.extend(after_emoji(text, &cuts));
    cuts.push(text.len());
    cuts.sort_unstable();
    cuts.dedup();
    cuts
}

fn ends_in_abbreviation(before: &str) -> bool {
    let Some(before) = before.trim_end_matches(' ').strip_suffix('.') else {
        return false;
    };
    let bytes = before.as_bytes();
    let window = &bytes[bytes.len().saturating_sub(LONGEST_ABBREVIATION)..];
    let word = window
        .rsplit(|b| !b.is_ascii_alphanumeric() && *b != b'.')
        .next();
    let word = word.unwrap_or_default();
    let initial = matches!(word, [one] if one.is_ascii_uppercase() && *one != b'I');
    initial
        || ABBREVIATIONS
            .iter()
            .any(|known| known.as_bytes().eq_ignore_ascii_case(word))
}

/// A stop ends a sentence also where a link, an account or a hashtag follows, by which UAX #29 does not see a beginning.
fn before_marks(folded: &Folded) -> Vec<usize> {
    let text = &folded.text;
    let mut marks: Vec<usize> = text
        .match_indices([URL_MARK, MENTION_MARK])
        .map(|(at, _)| at)
        .collect();
    marks.extend(&folded.tags);
    marks.retain(|&at| {
        let before = text[..at].trim_end_matches(' ');
        before.len() < at && before.ends_with(['.', '!', '?']) && !ends_in_abbreviation(before)
    });
    marks
}

/// Two or more hashtags at the end of a line, and nothing else behind them, are no part of the sentence before.
fn before_hashtags(folded: &Folded) -> Vec<usize> {
    let text = &folded.text;
    let mut cuts = Vec::new();
    let mut block: Option<(usize, usize)> = None;
    // From the end: a tag belongs to the block if only blanks lie between it and what follows.
    let mut next = text.len();
    for &tag in folded.tags.iter().rev() {
        let word = text[tag..].find(|c: char| !c.is_alphanumeric() && c != '_');
        let end = word.map_or(text.len(), |length| tag + length);
        let rest = &text[end..next.max(end)];
        let line_ends = rest.trim_start_matches(' ').starts_with('\n')
            || next == text.len() && rest.trim().is_empty();
        block = match block {
            _ if line_ends => {
                cuts.extend(finished(block));
                Some((tag, 1))
            }
            Some((_, count)) if rest.trim().is_empty() => Some((tag, count + 1)),
            other => {
                cuts.extend(finished(other));
                None
            }
        };
        next = tag;
    }
    cuts.extend(finished(block));
    cuts
}

fn finished(block: Option<(usize, usize)>) -> Option<usize> {
    block.filter(|(_, tags)| *tags >= 2).map(|(start, _)| start)
}

/// `Great day in the hills 🎉 Tomorrow we rest`: an emoji between some words and a capital letter.
fn after_emoji(text: &str, cuts: &[usize]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut known = cuts.iter().copied().peekable();
    let (mut words, mut in_word, mut after_emoji, mut space) = (0, false, false, false);
    for (at, c) in text.char_indices() {
        while known.next_if(|&cut| cut <= at).is_some() {
            (words, after_emoji) = (0, false);
        }
        if is_emoji(c) {
            (after_emoji, space) = (words >= WORDS_BEFORE_EMOJI, false);
        } else if c == ' ' {
            space = true;
        } else {
            if after_emoji && space && c.is_uppercase() {
                ends.push(at);
                words = 0;
            }
            (after_emoji, space) = (false, false);
        }
        words += usize::from(c.is_alphanumeric() && !in_word);
        in_word = c.is_alphanumeric();
    }
    ends
}

const fn is_emoji(c: char) -> bool {
    matches!(c, '\u{2190}'..='\u{21FF}' | '\u{2300}'..='\u{23FF}' | '\u{2600}'..='\u{27BF}' | '\u{2B00}'..='\u{2BFF}'
        | '\u{1F000}'..='\u{1FAFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<String> {
        let parts = [Folded::of(text)];
        let found = sentences(&parts);
        let readable = |s: &Sentence| {
            let text = &parts[0].text[s.span.clone()];
            text.replace(URL_MARK, "[link]")
                .replace(MENTION_MARK, "[account]")
        };
        found.iter().map(readable).collect()
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
        assert_eq!(split("He said no. She left."), ["He said no.", "She left."]);
        assert_eq!(split("  \n \t "), [""; 0]);
    }

    #[test]
    fn abbreviations_and_initials_end_none() {
        assert_eq!(
            split("Ask Dr. Smith. She knows."),
            ["Ask Dr. Smith.", "She knows."]
        );
        assert_eq!(
            split("Ask the dr.\nSmith knows."),
            ["Ask the dr.", "Smith knows."]
        );
        assert_eq!(
            split("By J. K. Moor. Read it."),
            ["By J. K. Moor.", "Read it."]
        );
        assert_eq!(split("So did I. You too."), ["So did I.", "You too."]);
        assert_eq!(
            split("Das gilt z.B. Montags. Dann nicht."),
            ["Das gilt z.B. Montags.", "Dann nicht."]
        );
        assert_eq!(
            split("Vino la Sra. Gil. Luego no."),
            ["Vino la Sra. Gil.", "Luego no."]
        );
        assert_eq!(
            split("Selon Mme. Roux oui. Voilà."),
            ["Selon Mme. Roux oui.", "Voila."]
        );
    }

    #[test]
    fn identical_sentences_count_once() {
        assert_eq!(
            split("Buy now!\nBUY NOW!\n  buy   now!  \nBuy later!"),
            ["Buy now!", "Buy later!"]
        );
    }

    #[test]
    fn links_accounts_and_hashtags_begin_sentences_after_a_stop() {
        assert_eq!(
            split(
                "Read it. https://a.example/x.y is good. @nasa says so! #wow that is it, see www.b.example."
            ),
            [
                "Read it.",
                "[link] is good.",
                "[account] says so!",
                "wow that is it, see [link]."
            ]
        );
        assert_eq!(
            split("Thanks @dr.cure. me@x.example #1 in #space today"),
            ["Thanks [account]. me@x.example 1 in space today"]
        );
    }

    #[test]
    fn a_block_of_hashtags_is_a_sentence_of_its_own_and_hashtags_within_are_words() {
        assert_eq!(
            split("Try #keto with me #diet #health #now"),
            ["Try keto with me", "diet health now"]
        );
        assert_eq!(
            split("A walk #sea\n#sun #sand\nB #one"),
            ["A walk sea", "sun sand", "B one"]
        );
        assert_eq!(split("#love #peace to all"), ["love peace to all"]);
        assert_eq!(split("#wake#up"), ["wake up"]);
    }

    #[test]
    fn an_emoji_ends_a_sentence_before_a_capital() {
        assert_eq!(
            split("Great day in the hills 🎉🎉 Tomorrow we rest"),
            ["Great day in the hills 🎉🎉", "Tomorrow we rest"]
        );
        assert_eq!(
            split("I ❤️ London and its rain"),
            ["I ❤ London and its rain"]
        );
        assert_eq!(
            split("We had so much fun 🎉 with you"),
            ["We had so much fun 🎉 with you"]
        );
    }

    #[test]
    fn marks_in_the_text_itself_are_blanks() {
        assert_eq!(split("a \u{E000} b"), ["a b"]);
    }
}
