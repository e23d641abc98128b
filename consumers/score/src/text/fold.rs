//! A text as it is matched. What looks alike becomes alike: full-width and mathematical letters, letters of other alphabets in
//! disguise, digits for letters, accents, invisible characters. Each byte of the outcome knows which bytes of the original it
//! stands for, so that findings are told where the author wrote them.

use std::ops::Range;

use icu_normalizer::{DecomposingNormalizer, DecomposingNormalizerBorrowed};

use super::mask::{Mask, masks};

mod letters;
mod tricks;

/// Stands for a URL. Private use, so no text means anything by it; it is no letter, so no word either.
pub(super) const URL_MARK: char = '\u{E000}';
/// Stands for an @mention.
pub(super) const MENTION_MARK: char = '\u{E001}';

const COMPATIBLE: DecomposingNormalizerBorrowed<'static> = DecomposingNormalizer::new_nfkd();

/// A folded text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Folded {
    /// What is matched: single spaces, line breaks as `\n`, letters of the Latin alphabet in ASCII, case as it was.
    pub text: String,
    /// For each byte of `text`, the bytes of the original it stands for.
    origins: Vec<(u32, u32)>,
    /// Where in `text` the words of hashtags begin.
    pub tags: Vec<usize>,
    /// The letters as written, accents and all, by which a language can be told. Other offsets than `text`.
    pub prose: String,
}

/// One character on its way.
#[derive(Debug, Clone, Copy)]
struct Cell {
    /// As it is matched.
    c: char,
    /// As a language is told by it; NUL where another cell of the same character says it.
    seen: char,
    from: u32,
    to: u32,
    /// Whether a hashtag begins here.
    tag: bool,
}

impl Folded {
    /// Folds a caption or a picture's text.
    pub(super) fn of(original: &str) -> Self {
        let mut cells = cells(original);
        tricks::undo(&mut cells);
        let mut folded = Self {
            text: String::with_capacity(original.len()),
            origins: Vec::with_capacity(original.len()),
            tags: Vec::new(),
            prose: String::with_capacity(original.len()),
        };
        let mut space: Option<Cell> = None;
        for cell in cells {
            if cell.c.is_whitespace() {
                let open = space.get_or_insert(Cell {
                    c: ' ',
                    seen: ' ',
                    ..cell
                });
                open.to = cell.to;
                if is_line_break(cell.c) {
                    open.c = '\n';
                }
                continue;
            }
            if let Some(space) = space.take() {
                folded.push(space);
            }
            if cell.tag {
                folded.tags.push(folded.text.len());
            }
            folded.push(cell);
        }
        folded
    }

    fn push(&mut self, cell: Cell) {
        self.text.push(cell.c);
        self.origins.resize(self.text.len(), (cell.from, cell.to));
        if cell.seen.is_alphabetic() || cell.seen == '\'' {
            self.prose.push(cell.seen);
        } else if cell.seen != '\0' {
            // Marks, digits and emoji say nothing about a language.
            self.prose.push(' ');
        }
    }

    /// The bytes of the original that a span of `text` stands for.
    pub(super) fn original(&self, span: Range<usize>) -> Range<usize> {
        let part = self.origins.get(span).unwrap_or_default();
        match (part.first(), part.last()) {
            (Some((start, _)), Some((_, end))) => *start as usize..*end as usize,
            _ => 0..0,
        }
    }
}

fn is_line_break(c: char) -> bool {
    matches!(
        c,
        '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}'
    )
}

/// Folds words of a data file the way texts are, without what a text has around them.
pub(super) fn fold_words(words: &str) -> String {
    let mut folded = String::with_capacity(words.len());
    for c in words.chars() {
        simple(c, |plain| folded.push(plain));
    }
    folded
}

fn cells(original: &str) -> Vec<Cell> {
    let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    let mut cells: Vec<Cell> = Vec::with_capacity(original.len());
    let mut masks = masks(original).into_iter().peekable();
    let mut skip_to = 0;
    let mut tag = false;
    for (at, c) in original.char_indices() {
        if at < skip_to {
            continue;
        }
        let (from, to) = (offset(at), offset(at + c.len_utf8()));
        if let Some((span, mask)) = masks.next_if(|(span, _)| span.start == at) {
            skip_to = span.end;
            let to = offset(span.end);
            let mark = match mask {
                Mask::Url => URL_MARK,
                Mask::Mention => MENTION_MARK,
                Mask::Hash => {
                    // `#wake#up` is `wake up`.
                    if cells.last().is_some_and(|last| last.c.is_alphanumeric()) {
                        cells.push(Cell {
                            c: ' ',
                            seen: ' ',
                            from,
                            to,
                            tag: false,
                        });
                    }
                    tag = true;
                    continue;
                }
            };
            cells.push(Cell {
                c: mark,
                seen: ' ',
                from,
                to,
                tag: false,
            });
            continue;
        }
        let mut first = true;
        simple(c, |plain| {
            let seen = match (first, plain.is_ascii()) {
                // An accent tells a language; full-width, mathematical and small capitals only hide one.
                (true, true) if !('\u{C0}'..='\u{24F}').contains(&c) => plain,
                (true, _) => c,
                (false, _) => '\0',
            };
            cells.push(Cell {
                c: plain,
                seen,
                from,
                to,
                tag: std::mem::take(&mut tag),
            });
            first = false;
        });
    }
    cells
}

/// What one character is matched as: nothing where it can't be seen, several letters where it stands for them.
fn simple(c: char, mut push: impl FnMut(char)) {
    if c.is_ascii() {
        push(if c.is_ascii_control() && !c.is_ascii_whitespace() {
            ' '
        } else {
            c
        });
    } else if let Some(plain) = letters::plain(c) {
        plain.chars().for_each(push);
    } else if !letters::is_invisible(c) {
        let mut bytes = [0; 4];
        let one: &str = c.encode_utf8(&mut bytes);
        for part in COMPATIBLE.normalize(one).chars() {
            if letters::is_invisible(part) || letters::is_accent(part) {
                continue;
            }
            match letters::plain(part) {
                Some(plain) => plain.chars().for_each(&mut push),
                None => push(part),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fold(text: &str) -> String {
        Folded::of(text).text
    }

    #[test]
    fn what_looks_alike_becomes_alike() {
        for (written, matched) in [
            ("Ｇａｒｌｉｃ ｃｕｒｅｓ", "Garlic cures"),
            ("𝐠𝐚𝐫𝐥𝐢𝐜 𝓬𝓾𝓻𝓮𝓼 𝕔𝕒𝕟𝕔𝕖𝕣", "garlic cures cancer"),
            ("ⓒⓤⓡⓔⓢ 🅲🆄🆁🅴🆂 🄲🅄🅁🄴🅂", "cures CURES CURES"),
            ("ᴄᴜʀᴇꜱ", "cures"),
            ("gаrliс сurеs", "garlic cures"),
            ("Τhε vαccιnε", "The vaccine"),
            ("c\u{200b}u\u{200d}r\u{ad}e\u{2060}s\u{feff}", "cures"),
            ("c\u{336}u\u{336}r\u{336}e\u{336}s\u{336}", "cures"),
            (
                "vacúna não façam crème Größe łódź",
                "vacuna nao facam creme Grosse lodz",
            ),
            ("it\u{2019}s “so” – good…", "it's \"so\" - good..."),
            (
                "c4nc3r cur3s v4cc1n3 V4CC1N3 $hocking v@ccine ki11s",
                "cancer cures vaccine VACCINE shocking vaccine kills",
            ),
            ("a\u{a0} b\t\tc \n\n d", "a b c\nd"),
            ("what！？", "what!?"),
        ] {
            assert_eq!(fold(written), matched, "{written}");
        }
    }

    #[test]
    fn what_is_meant_as_written_stays() {
        for text in [
            "In 2021 it grew 10x, 3kg, 5G, 1 in 5, 12%, on the 3rd at 10pm",
            "COVID-19 H1N1 B2B 1990s $5 4U A4 MP3 i18n h2o 1st",
            "Привет, мир",
            "me@x.example @ home",
        ] {
            assert_eq!(fold(text), text);
        }
        assert_eq!(fold("Καλημέρα κόσμε"), "Καλημερα κοσμε");
        assert_eq!(fold("Москва and саnсеr"), "Москва and cancer");
    }

    #[test]
    fn a_language_is_told_by_the_letters_as_written() {
        assert_eq!(
            Folded::of("El niño comió, ¿sí?").prose,
            "El niño comió   sí "
        );
        assert_eq!(Folded::of("Ｇａｒｌｉｃ сurеs").prose, "Garlic cures");
        assert_eq!(Folded::of("Привет").prose, "Привет");
    }

    #[test]
    fn every_span_leads_back_to_what_the_author_wrote() {
        let text = "See https://a.example/x — Ｇarlic с\u{200b}ur3s #now";
        let folded = Folded::of(text);
        assert_eq!(folded.text, "See \u{E000} - Garlic cures now");
        let written = |word: &str| {
            let start = folded.text.find(word).unwrap();
            &text[folded.original(start..start + word.len())]
        };
        assert_eq!(written("Garlic"), "Ｇarlic");
        assert_eq!(written("cures"), "с\u{200b}ur3s");
        assert_eq!(written("\u{E000}"), "https://a.example/x");
        assert_eq!(written("now"), "now");
        assert_eq!(folded.tags, [folded.text.find("now").unwrap()]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_span_of_any_text_is_whole_characters_of_it(text in ".{0,60}", from in 0.0_f64..1.0, to in 0.0_f64..1.0) {
            let folded = Folded::of(&text);
            prop_assert_eq!(folded.origins.len(), folded.text.len());
            let at = |share: f64| (share * folded.text.len() as f64) as usize;
            let span = at(from.min(to))..at(from.max(to));
            prop_assert!(text.get(folded.original(span)).is_some());
        }
    }
}
