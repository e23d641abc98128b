//! The order in which the lines of a picture are read: from above, and within a row from the left.

use super::TextLine;

/// Share of the lower of two lines that must overlap for both to stand in one row.
const OVERLAP: f32 = 0.5;

/// Sorts lines into rows; each row is in order.
pub(super) fn rows(mut lines: Vec<TextLine>) -> Vec<Vec<TextLine>> {
    lines.sort_by_key(|line| {
        let (top, bottom) = span(line, 1);
        top + bottom
    });
    let mut rows: Vec<Vec<TextLine>> = Vec::new();
    for line in lines {
        match rows.last_mut() {
            Some(row) if row.iter().all(|other| beside(other, &line)) => row.push(line),
            _ => rows.push(vec![line]),
        }
    }
    for row in &mut rows {
        row.sort_by_key(|line| span(line, 0).0);
    }
    rows
}

/// Whether two lines share a row: they overlap in height and hardly in width.
fn beside(a: &TextLine, b: &TextLine) -> bool {
    let shared = |axis| {
        let (a, b) = (span(a, axis), span(b, axis));
        let overlap = (a.1.min(b.1) - a.0.max(b.0)) as f32;
        overlap / (a.1 - a.0).min(b.1 - b.0).max(1) as f32
    };
    shared(1) > OVERLAP && shared(0) < OVERLAP
}

fn span(line: &TextLine, axis: usize) -> (i32, i32) {
    let values = line.corners.map(|corner| corner[axis]);
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

    #[test]
    fn rows_from_above_and_words_from_the_left() {
        let lines = vec![
            line("below", [10, 100, 200, 30]),
            line("right", [300, 14, 90, 30]),
            line("left", [10, 10, 200, 34]),
            line("overlapping", [15, 60, 200, 60]),
        ];
        let order: Vec<Vec<String>> = rows(lines)
            .into_iter()
            .map(|row| row.into_iter().map(|line| line.text).collect())
            .collect();
        assert_eq!(
            order,
            [vec!["left", "right"], vec!["overlapping"], vec!["below"]]
        );
        assert!(rows(Vec::new()).is_empty());
    }
}
