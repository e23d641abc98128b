//! Every adjustment as a bar from the points before it to the points after it.

use schemas::events::result::Adjustment;
use serde::Serialize;

use super::words;

/// Where every post begins, in points.
const START: f64 = 100.0;
/// Width of the picture a bar is drawn in.
const WIDTH: f64 = 100.0;
/// Bars of hardly any points are drawn as wide as this, so that they are seen.
const THINNEST: f64 = 0.8;

/// The steps from 100 to the score.
#[derive(Debug, Serialize)]
pub struct Waterfall<'a> {
    steps: Vec<Step<'a>>,
    /// Where 0 lies, when the sum fell below it.
    zero: f64,
    /// Where 100 lies.
    hundred: f64,
    /// The end before it was brought back into 0 to 100; absent where it did not have to be.
    beyond: Option<String>,
}

/// An adjustment with its bar.
#[derive(Debug, Serialize)]
struct Step<'a> {
    component: &'a str,
    category: &'a str,
    reason: &'a str,
    /// Such as `−25.64`.
    points: String,
    gain: bool,
    /// Left end of the bar.
    x: f64,
    width: f64,
}

impl<'a> Waterfall<'a> {
    /// The waterfall of adjustments in their order.
    #[must_use]
    pub fn of(adjustments: &'a [Adjustment]) -> Self {
        let mut sums = vec![START];
        for adjustment in adjustments {
            let impact = finite(adjustment.impact);
            sums.push(sums.last().copied().unwrap_or(START) + impact);
        }
        let lowest = sums.iter().copied().fold(0.0, f64::min);
        let highest = sums.iter().copied().fold(START, f64::max);
        let place = |points: f64| round(WIDTH * (points - lowest) / (highest - lowest));
        let steps = adjustments.iter().zip(sums.windows(2));
        let steps = steps.map(|(adjustment, sums)| {
            let (left, right) = (place(sums[0].min(sums[1])), place(sums[0].max(sums[1])));
            let width = round((right - left).max(THINNEST));
            Step {
                component: &adjustment.component,
                category: &adjustment.category,
                reason: &adjustment.reason,
                points: words::points(adjustment.impact),
                gain: adjustment.impact > 0.0,
                x: round(left.min(WIDTH - width)),
                width,
            }
        });
        let end = sums.last().copied().unwrap_or(START);
        Self {
            steps: steps.collect(),
            zero: place(0.0),
            hundred: place(START),
            beyond: (!(0.0..=START).contains(&end)).then(|| words::number(end)),
        }
    }
}

fn finite(points: f64) -> f64 {
    if points.is_finite() { points } else { 0.0 }
}

fn round(length: f64) -> f64 {
    (length * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn adjustments(impacts: &[f64]) -> Vec<Adjustment> {
        let adjustment = |impact: &f64| Adjustment {
            component: "Fact-Checking".to_owned(),
            category: "Sensationalism".to_owned(),
            impact: *impact,
            reason: "The text is sensationalist".to_owned(),
            metadata: Value::Null,
        };
        impacts.iter().map(adjustment).collect()
    }

    #[test]
    fn each_bar_begins_where_the_last_one_ended() {
        let adjustments = adjustments(&[-25.0, -15.0, 10.0]);
        let fall = Waterfall::of(&adjustments);
        let bars: Vec<_> = fall.steps.iter().map(|step| (step.x, step.width)).collect();
        assert_eq!(bars, [(75.0, 25.0), (60.0, 15.0), (60.0, 10.0)]);
        assert_eq!(fall.steps[0].points, "−25");
        assert_eq!(
            (fall.steps[2].points.as_str(), fall.steps[2].gain),
            ("+10", true)
        );
        assert_eq!((fall.zero, fall.hundred, fall.beyond), (0.0, 100.0, None));
    }

    #[test]
    fn sums_outside_0_to_100_still_fit() {
        let deep = adjustments(&[-80.0, -70.0]);
        let fall = Waterfall::of(&deep);
        assert_eq!(fall.beyond.as_deref(), Some("−50"));
        assert_eq!(fall.zero, 33.33);
        let last = &fall.steps[1];
        assert_eq!((last.x, last.width), (0.0, 46.67));
        let high = adjustments(&[1.0, 1.0]);
        let fall = Waterfall::of(&high);
        assert_eq!(fall.beyond.as_deref(), Some("102"));
        assert!(fall.hundred < 100.0);
    }

    #[test]
    fn every_bar_lies_inside_whatever_the_points() {
        for impacts in [
            &[][..],
            &[0.0],
            &[f64::NAN, f64::INFINITY],
            &[-0.001],
            &[1e300, -1e300],
        ] {
            let adjustments = adjustments(impacts);
            for step in Waterfall::of(&adjustments).steps {
                assert!(step.x >= 0.0 && step.width > 0.0, "{step:?}");
                assert!(step.x + step.width <= WIDTH + 0.01, "{step:?}");
            }
        }
    }
}
