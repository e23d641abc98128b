//! The score as a picture: half a circle, filled as far as the score goes.

use serde::Serialize;

/// Centre of the half circle, in units of the picture, which is 200 wide and 116 high.
const CENTRE: (f64, f64) = (100.0, 100.0);
const RADIUS: f64 = 84.0;
/// A stroke of no length is not drawn, and with round ends a short one is a dot.
const LEAST: f64 = 0.5;

/// The gauge's arcs, as `d` of an SVG path.
#[derive(Debug, Serialize)]
pub struct Gauge {
    /// From 0 to 100.
    track: String,
    /// From 0 to the score.
    arc: String,
}

impl Gauge {
    /// The gauge of a score; one outside 0 to 100 is shown as the nearest that is not.
    #[must_use]
    pub fn of(score: f64) -> Self {
        let score = if score.is_finite() { score } else { 0.0 };
        Self {
            track: arc_to(100.0),
            arc: arc_to(score.clamp(LEAST, 100.0)),
        }
    }
}

/// From the left end over the top. Half a circle is never the large arc.
fn arc_to(score: f64) -> String {
    let angle = std::f64::consts::PI * (1.0 - score / 100.0);
    let (x, y) = (
        CENTRE.0 + RADIUS * angle.cos(),
        CENTRE.1 - RADIUS * angle.sin(),
    );
    let left = CENTRE.0 - RADIUS;
    format!(
        "M{left} {} A{RADIUS} {RADIUS} 0 0 1 {x:.2} {y:.2}",
        CENTRE.1
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(score: f64) -> (f64, f64) {
        let arc = Gauge::of(score).arc;
        let mut words = arc.rsplit(' ').map(|word| word.parse::<f64>().unwrap());
        let (y, x) = (words.next().unwrap(), words.next().unwrap());
        (x, y)
    }

    #[test]
    fn the_arc_goes_as_far_as_the_score() {
        assert_eq!(end(100.0), (184.0, 100.0));
        assert_eq!(end(50.0), (100.0, 16.0), "half way is the top");
        let (x, y) = end(25.0);
        assert!((x - 40.6).abs() < 0.1 && (y - 40.6).abs() < 0.1, "{x} {y}");
    }

    #[test]
    fn odd_scores_stay_inside() {
        assert_eq!(end(1000.0), (184.0, 100.0));
        for odd in [-5.0, 0.0, f64::NAN, f64::INFINITY] {
            let (x, _) = end(odd);
            assert!((16.0..17.0).contains(&x), "{odd}: {x}");
        }
    }
}
