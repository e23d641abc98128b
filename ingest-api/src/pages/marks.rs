//! What was found in a text, shown in the text itself.
//!
//! Findings say where they stand as offsets into the bytes of a text; they may overlap and nest, and they come from records, so
//! they may be wrong. The text is cut wherever a finding begins or ends, and nothing of it is ever lost or repeated.

use serde::Serialize;

/// Where a finding stands, and by which entry of the list below the text it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset behind the last byte.
    pub end: usize,
    /// What kind of finding.
    pub kind: Kind,
    /// Number of the entry in its list, from 1.
    pub number: usize,
}

/// Kinds of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Something that is claimed.
    Claim,
    /// A way of arguing that misleading posts have.
    Flag,
}

/// A piece of a text, all of whose characters are in the same findings.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Piece<'a> {
    text: &'a str,
    claim: bool,
    flag: bool,
    /// The findings that end with this piece.
    ends: Vec<Note>,
}

/// Which entry tells of a finding.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    kind: Kind,
    number: usize,
}

/// Cuts a text. Marks that begin or end inside a character are widened to all of it; those that lie outside the text, or hold
/// nothing of it, are left out.
#[must_use]
pub fn cut<'a>(text: &'a str, marks: &[Mark]) -> Vec<Piece<'a>> {
    let within: Vec<Mark> = marks
        .iter()
        .filter(|mark| mark.start < mark.end && mark.end <= text.len())
        .map(|mark| Mark {
            start: text.floor_char_boundary(mark.start),
            end: text.ceil_char_boundary(mark.end),
            ..*mark
        })
        .collect();
    let mut cuts: Vec<usize> = within
        .iter()
        .flat_map(|mark| [mark.start, mark.end])
        .chain([0, text.len()])
        .collect();
    cuts.sort_unstable();
    cuts.dedup();
    let pieces = cuts.windows(2).map(|ends| {
        let (start, end) = (ends[0], ends[1]);
        let holds = |kind| {
            let mut of_kind = within.iter().filter(|mark| mark.kind == kind);
            of_kind.any(|mark| mark.start <= start && end <= mark.end)
        };
        let ended = within.iter().filter(|mark| mark.end == end);
        Piece {
            text: &text[start..end],
            claim: holds(Kind::Claim),
            flag: holds(Kind::Flag),
            ends: ended
                .map(|mark| Note {
                    kind: mark.kind,
                    number: mark.number,
                })
                .collect(),
        }
    });
    pieces.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(start: usize, end: usize, kind: Kind) -> Mark {
        Mark {
            start,
            end,
            kind,
            number: 1,
        }
    }

    /// The pieces, `[claims]` and `<flags>` around them.
    fn shown(text: &str, marks: &[Mark]) -> Vec<String> {
        let pieces = cut(text, marks);
        let whole: String = pieces.iter().map(|piece| piece.text).collect();
        assert_eq!(whole, text, "nothing is lost");
        let piece = |piece: &Piece<'_>| {
            let mut shown = piece.text.to_owned();
            if piece.flag {
                shown = format!("<{shown}>");
            }
            if piece.claim {
                shown = format!("[{shown}]");
            }
            shown
        };
        pieces.iter().map(piece).collect()
    }

    #[test]
    fn a_text_is_cut_where_findings_begin_and_end() {
        assert_eq!(shown("plain", &[]), ["plain"]);
        assert_eq!(shown("", &[]), [""; 0]);
        let nested = [mark(0, 11, Kind::Claim), mark(6, 11, Kind::Flag)];
        assert_eq!(
            shown("hello world!", &nested),
            ["[hello ]", "[<world>]", "!"]
        );
        let crossing = [mark(0, 3, Kind::Claim), mark(2, 5, Kind::Flag)];
        assert_eq!(shown("abcdef", &crossing), ["[ab]", "[<c>]", "<de>", "f"]);
    }

    #[test]
    fn a_finding_is_noted_where_it_ends() {
        let marks = [mark(0, 5, Kind::Claim), mark(0, 3, Kind::Flag)];
        let pieces = cut("abcdefg", &marks);
        let notes: Vec<_> = pieces.iter().map(|piece| piece.ends.len()).collect();
        assert_eq!(notes, [1, 1, 0]);
        assert_eq!(pieces[0].ends[0].kind, Kind::Flag);
    }

    #[test]
    fn offsets_that_can_not_be_break_nothing() {
        let text = "a😮é";
        assert_eq!(shown(text, &[mark(2, 3, Kind::Flag)]), ["a", "<😮>", "é"]);
        for (start, end) in [(3, 3), (5, 2), (0, 100), (usize::MAX - 1, usize::MAX)] {
            assert_eq!(shown(text, &[mark(start, end, Kind::Claim)]), [text]);
        }
        for start in 0..=text.len() {
            for end in 0..=text.len() + 1 {
                shown(
                    text,
                    &[mark(start, end, Kind::Flag), mark(0, end, Kind::Claim)],
                );
            }
        }
    }
}
