//! Tricks that only a word or a whole text gives away: letters of another alphabet in disguise, digits and signs for letters.

use std::ops::Range;

use super::Cell;
use super::letters::{is_cyrillic_or_greek, lookalike};

/// Undoes them in place.
pub(super) fn undo(cells: &mut [Cell]) {
    undo_lookalikes(cells);
    undo_leet(cells);
}

/// The runs of cells that `belongs` holds together.
fn runs(cells: &[Cell], belongs: fn(char) -> bool) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (at, cell) in cells.iter().enumerate() {
        match runs.last_mut() {
            _ if !belongs(cell.c) => {}
            Some(last) if last.end == at && !cell.tag => last.end += 1,
            _ => runs.push(at..at + 1),
        }
    }
    runs
}

/// No language mixes two alphabets in one word, so there the foreign letters are disguised. A word of nothing but lookalikes is
/// disguised where the text has no word that is truly Cyrillic or Greek.
fn undo_lookalikes(cells: &mut [Cell]) {
    if !cells.iter().any(|cell| lookalike(cell.c).is_some()) {
        return;
    }
    let words = runs(cells, char::is_alphabetic);
    let latin = |word: &Range<usize>, cells: &[Cell]| {
        cells[word.clone()].iter().any(|cell| cell.c.is_ascii())
    };
    let genuine = words.iter().any(|word| {
        let foreign = |cell: &Cell| is_cyrillic_or_greek(cell.c) && lookalike(cell.c).is_none();
        !latin(word, cells) && cells[word.clone()].iter().any(foreign)
    });
    for word in words {
        if genuine && !latin(&word, cells) {
            continue;
        }
        for cell in &mut cells[word] {
            if let Some(c) = lookalike(cell.c) {
                (cell.c, cell.seen) = (c, c);
            }
        }
    }
}

const fn leet(c: char) -> Option<char> {
    Some(match c {
        '0' => 'o',
        '1' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        '8' => 'b',
        _ => return None,
    })
}

/// In a word with more letters than digits, a digit between two letters stands for a letter, and then all its digits do. So
/// `c4nc3r` and `tox1n5`, but not `3kg`, `H1N1` or `1990s`. A `$` before or between letters is an s, an `@` between letters an a.
fn undo_leet(cells: &mut [Cell]) {
    let belongs = |c: char| c.is_ascii_alphanumeric() || c == '@' || c == '$';
    for word in runs(cells, belongs) {
        if is_address(cells, &word) {
            continue;
        }
        let word = &mut cells[word];
        let letters = word
            .iter()
            .filter(|cell| cell.c.is_ascii_alphabetic())
            .count();
        let begins_with_sign =
            matches!(word, [sign, next, ..] if sign.c == '$' && next.c.is_ascii_alphabetic());
        let inside = inner_signs(word);
        if letters <= word.len() - letters || letters < 2 || !(inside || begins_with_sign) {
            continue;
        }
        let upper = word
            .iter()
            .filter(|cell| cell.c.is_ascii_uppercase())
            .count()
            * 2
            > letters;
        let ones: Vec<bool> = (0..word.len())
            .map(|at| {
                let one = |at: usize| word.get(at).is_some_and(|cell| cell.c == '1');
                one(at) && (one(at + 1) || (at > 0 && one(at - 1)))
            })
            .collect();
        for (cell, twin) in word.iter_mut().zip(ones) {
            let Some(c) = leet(cell.c) else { continue };
            let c = if twin { 'l' } else { c };
            let c = if upper { c.to_ascii_uppercase() } else { c };
            (cell.c, cell.seen) = (c, c);
        }
    }
}

/// Whether a digit or sign stands between letters.
fn inner_signs(word: &[Cell]) -> bool {
    let is_letter = |cell: &Cell| cell.c.is_ascii_alphabetic();
    let first = word.iter().position(is_letter);
    let last = word.iter().rposition(is_letter);
    match (first, last) {
        (Some(first), Some(last)) => word[first..last]
            .iter()
            .any(|cell| !is_letter(cell) && leet(cell.c).is_some()),
        _ => false,
    }
}

/// `me@x.example`: an @ with a domain behind it.
fn is_address(cells: &[Cell], word: &Range<usize>) -> bool {
    let stop = cells.get(word.end).is_some_and(|cell| cell.c == '.');
    let more = cells
        .get(word.end + 1)
        .is_some_and(|cell| cell.c.is_ascii_alphanumeric());
    stop && more && cells[word.clone()].iter().any(|cell| cell.c == '@')
}
