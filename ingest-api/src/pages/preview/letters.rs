//! Letters as strokes, on a grid of 4 by 6: capitals, digits and some signs. Others are left out, and small letters are capitals.

use super::canvas::Point;

/// Height of the grid.
pub const HEIGHT: f64 = 6.0;
/// Between two letters.
const GAP: f64 = 1.6;
/// How often the corners of a curve are cut.
const SMOOTH: usize = 4;

/// Strokes of a letter, apart by spaces: how it goes from point to point (`l` straight, `c` in a curve, `o` in a closed one), then the
/// points, a digit right and a digit down each.
const LETTERS: [(char, &str); 46] = [
    ('A', "l062046 l1434"),
    ('B', "l0006 c00404303 c03434606"),
    ('C', "c414000064645"),
    ('D', "l0006 c00404606"),
    ('E', "l40000646 l0333"),
    ('F', "l400006 l0333"),
    ('G', "c414000064643 l2343"),
    ('H', "l0006 l4046 l0343"),
    ('I', "l2026"),
    ('J', "c40460604"),
    ('K', "l0006 l4004 l1346"),
    ('L', "l000646"),
    ('M', "l0600234046"),
    ('N', "l06004640"),
    ('O', "o00404606"),
    ('P', "l0006 c00404303"),
    ('Q', "o00404606 l2446"),
    ('R', "l0006 c00404303 l2346"),
    ('S', "c4140000343460605"),
    ('T', "l0040 l2026"),
    ('U', "c00064640"),
    ('V', "l002640"),
    ('W', "l0016223640"),
    ('X', "l0046 l4006"),
    ('Y', "l002340 l2326"),
    ('Z', "l00400646"),
    ('0', "o00404606"),
    ('1', "l112026"),
    ('2', "c0100404306 l0646"),
    ('3', "c0100404323 c2343460605"),
    ('4', "l36300444"),
    ('5', "l400002 c0242460605"),
    ('6', "o03434606 c400005"),
    ('7', "l004016"),
    ('8', "o00404303 o03434606"),
    ('9', "o00404303 c424606"),
    ('+', "l0343 l2125"),
    ('-', "l1333"),
    ('−', "l0343"),
    ('.', "l2626"),
    (',', "l2617"),
    (':', "l2222 l2525"),
    ('/', "l4006"),
    ('_', "l0646"),
    ('%', "l4006 o00202202 o24444626"),
    ('@', "o00404606 o11313515 l3135"),
];

fn found(letter: char) -> Option<&'static str> {
    let letter = letter.to_ascii_uppercase();
    let known = LETTERS.iter().find(|(known, _)| *known == letter);
    known.map(|(_, strokes)| *strokes)
}

/// Strokes of a letter, each through its points.
pub fn strokes(letter: char) -> Vec<Vec<Point>> {
    let strokes = found(letter).unwrap_or_default().split_whitespace();
    strokes.map(stroke).collect()
}

/// From the left edge of a letter to that of the next.
pub fn advance(letter: char) -> f64 {
    match letter {
        'I' | 'i' | '1' | '.' | ',' | ':' => 4.0 + GAP / 2.0,
        _ if found(letter).is_some() => 4.0 + GAP,
        _ => 3.0,
    }
}

/// Width of a text.
pub fn width(text: &str) -> f64 {
    let advances: f64 = text.chars().map(advance).sum();
    (advances - GAP).max(0.0)
}

fn stroke(text: &str) -> Vec<Point> {
    let (how, digits) = text.split_at(1);
    let digits: Vec<f64> = digits
        .chars()
        .filter_map(|digit| digit.to_digit(10))
        .map(f64::from)
        .collect();
    let points: Vec<Point> = digits
        .chunks_exact(2)
        .map(|pair| [pair[0], pair[1]])
        .collect();
    match how {
        "c" => (0..SMOOTH).fold(points, |points, _| cut(&points, false)),
        "o" => {
            let mut round = (0..SMOOTH).fold(points, |points, _| cut(&points, true));
            round.extend(round.first().copied());
            round
        }
        _ => points,
    }
}

/// Cuts corners (Chaikin 1974): two points on each piece, at a quarter and at three. An open line keeps its ends.
fn cut(points: &[Point], closed: bool) -> Vec<Point> {
    let next = points.iter().cycle().skip(1);
    let pieces = points.len().saturating_sub(usize::from(!closed));
    let inner = points.iter().zip(next).take(pieces).flat_map(|(a, b)| {
        let between = |share: f64| [a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])];
        [between(0.25), between(0.75)]
    });
    if closed {
        return inner.collect();
    }
    let (first, last) = (points.first().copied(), points.last().copied());
    first.into_iter().chain(inner).chain(last).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_is_on_the_grid() {
        for (letter, text) in LETTERS {
            let strokes = strokes(letter);
            assert_eq!(strokes.len(), text.split(' ').count(), "{letter}");
            for points in strokes {
                assert!(points.len() >= 2, "{letter}");
                for [right, down] in points {
                    assert!((0.0..=4.0).contains(&right), "{letter}");
                    assert!((0.0..=7.0).contains(&down), "{letter}");
                }
            }
        }
        assert_eq!(strokes('a'), strokes('A'));
        assert!(strokes('é').is_empty() && advance('é') > 0.0);
    }

    #[test]
    fn a_curve_keeps_its_ends_and_a_closed_one_comes_back() {
        let open = stroke("c00404606");
        assert_eq!((open[0], *open.last().unwrap()), ([0.0, 0.0], [0.0, 6.0]));
        let closed = stroke("o00404606");
        assert_eq!(closed[0], *closed.last().unwrap());
        assert!(
            closed.iter().all(|point| *point != [0.0, 0.0]),
            "no corner is left"
        );
    }
}
