//! The order in which the lines of a picture are read: from above, and within a row from the left, as the reader sees it who holds
//! the picture so that most of its text stands upright.

use super::TextLine;

/// Share of the lower of two lines that must overlap for both to stand in one row.
const OVERLAP: f32 = 0.5;

/// A direction along the edges of the picture, in pixels: one of its parts is 1 or -1, the other 0.
type Direction = [i32; 2];

/// Sorts lines into rows; each row is in order.
pub(super) fn rows(mut lines: Vec<TextLine>) -> Vec<Vec<TextLine>> {
    let along = direction(&lines);
    let down = [-along[1], along[0]];
    lines.sort_by_key(|line| {
        let (top, bottom) = span(line, down);
        top + bottom
    });
    // Whether two lines share a row: they overlap in height and hardly in width.
    let beside = |a: &TextLine, b: &TextLine| {
        let shared = |axis| {
            let (a, b) = (span(a, axis), span(b, axis));
            let overlap = (a.1.min(b.1) - a.0.max(b.0)) as f32;
            overlap / (a.1 - a.0).min(b.1 - b.0).max(1) as f32
        };
        shared(down) > OVERLAP && shared(along) < OVERLAP
    };
    let mut rows: Vec<Vec<TextLine>> = Vec::new();
    for line in lines {
        match rows.last_mut() {
            Some(row) if row.iter().all(|other| beside(other, &line)) => row.push(line),
            _ => rows.push(vec![line]),
        }
    }
    for row in &mut rows {
        row.sort_by_key(|line| span(line, along).0);
    }
    rows
}

/// The direction in which most of the text is read, by the length of its lines; the first two corners of each say it.
fn direction(lines: &[TextLine]) -> Direction {
    let mut sum = [0_i64; 2];
    for TextLine { corners, .. } in lines {
        for (axis, sum) in sum.iter_mut().enumerate() {
            *sum += i64::from(corners[1][axis]) - i64::from(corners[0][axis]);
        }
    }
    if sum[1].abs() > sum[0].abs() {
        [0, if sum[1] < 0 { -1 } else { 1 }]
    } else {
        [if sum[0] < 0 { -1 } else { 1 }, 0]
    }
}

/// From where to where a line reaches in a direction.
fn span(line: &TextLine, along: Direction) -> (i32, i32) {
    let values = line.corners.map(|[x, y]| {
        x.saturating_mul(along[0])
            .saturating_add(y.saturating_mul(along[1]))
    });
    (
        values.into_iter().min().unwrap_or_default(),
        values.into_iter().max().unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, [x, y, width, height]: [i32; 4]) -> TextLine {
        TextLine {
            text: text.to_owned(),
            confidence: 1.0,
            corners: [
                [x, y],
                [x + width, y],
                [x + width, y + height],
                [x, y + height],
            ],
        }
    }

    /// The texts of the rows.
    fn read(lines: Vec<TextLine>) -> Vec<Vec<String>> {
        rows(lines)
            .into_iter()
            .map(|row| row.into_iter().map(|line| line.text).collect())
            .collect()
    }

    #[test]
    fn rows_from_above_and_words_from_the_left() {
        let lines = vec![
            line("below", [10, 100, 200, 30]),
            line("right", [300, 14, 90, 30]),
            line("left", [10, 10, 200, 34]),
            line("overlapping", [15, 60, 200, 60]),
        ];
        assert_eq!(
            read(lines),
            [vec!["left", "right"], vec!["overlapping"], vec!["below"]]
        );
        assert!(rows(Vec::new()).is_empty());
    }

    #[test]
    fn a_picture_that_is_turned_is_read_as_if_it_stood_upright() {
        let upright = [
            line("first", [10, 10, 200, 30]),
            line("beside", [300, 14, 90, 30]),
            line("second", [10, 60, 200, 30]),
            line("third", [10, 110, 200, 30]),
        ];
        // By so many quarters, clockwise around the origin.
        for quarters in 0..4 {
            let turn = |mut point: [i32; 2]| {
                for _ in 0..quarters {
                    point = [-point[1], point[0]];
                }
                point
            };
            let mut turned = upright.to_vec();
            for line in &mut turned {
                line.corners = line.corners.map(turn);
            }
            turned.reverse();
            assert_eq!(
                read(turned),
                [vec!["first", "beside"], vec!["second"], vec!["third"]],
                "{quarters}"
            );
        }
    }
}
