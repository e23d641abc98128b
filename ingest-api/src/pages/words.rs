//! Numbers, times and names as people read them.

use jiff::Timestamp;

/// A number with at most two decimals, none where they are 0, and a real minus.
#[must_use]
pub fn number(number: f64) -> String {
    if !number.is_finite() {
        return "–".to_owned();
    }
    let text = format!("{:.2}", number.abs());
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if number < 0.0 && text != "0" {
        format!("−{text}")
    } else {
        text.to_owned()
    }
}

/// The same with its sign, always.
#[must_use]
pub fn points(points: f64) -> String {
    let text = number(points);
    if points > 0.0 && points.is_finite() {
        format!("+{text}")
    } else {
        text
    }
}

/// A share, 0 to 1, in percent.
#[must_use]
pub fn percent(share: f64) -> String {
    if share.is_finite() {
        format!("{:.0} %", share.clamp(0.0, 1.0) * 100.0)
    } else {
        "–".to_owned()
    }
}

/// `2026-11-20 09:30 UTC`.
#[must_use]
pub fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// `high_risk` as `high risk`.
#[must_use]
pub fn plain(name: &str) -> String {
    name.replace(['_', '-'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_no_more_decimals_than_they_need() {
        for (value, text) in [
            (51.36, "51.36"),
            (100.0, "100"),
            (74.5, "74.5"),
            (-25.64, "−25.64"),
            (-0.001, "0"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(number(value), text);
        }
        assert_eq!(
            (points(1.0), points(-1.0), points(0.0)),
            ("+1".into(), "−1".into(), "0".into())
        );
        assert_eq!(
            (percent(0.8547), percent(7.0)),
            ("85 %".into(), "100 %".into())
        );
    }
}
