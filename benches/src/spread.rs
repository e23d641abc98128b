//! Median and range of a few measurements, and percentiles of many.

use std::fmt;

use serde::Serialize;

/// Median, least and greatest of some figures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The middle one; of an even number the mean of the two in the middle.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// The spread of `figures`; `None` when there are none.
    #[must_use]
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let upper = *sorted.get(middle)?;
        let lower = if sorted.len().is_multiple_of(2) {
            *sorted.get(middle - 1)?
        } else {
            upper
        };
        Some(Self {
            median: f64::midpoint(lower, upper),
            min,
            max,
        })
    }
}

impl fmt::Display for Spread {
    /// `median (min..max)`, with the formatter's precision.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        let Self { median, min, max } = self;
        write!(f, "{median:.digits$} ({min:.digits$}..{max:.digits$})")
    }
}

/// The 50th, 90th and 99th percentile by nearest rank.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantiles(pub [f64; 3]);

impl Quantiles {
    /// Those of `figures`; NaN when there are none.
    #[must_use]
    pub fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        Self([50, 90, 99].map(|percent| {
            let rank = (figures.len() * percent).div_ceil(100).max(1);
            figures.get(rank - 1).copied().unwrap_or(f64::NAN)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_a_figure_that_was_measured() {
        let figures = (1..=200).rev().map(f64::from).collect();
        assert_eq!(Quantiles::of(figures).0, [100.0, 180.0, 198.0]);
        assert_eq!(Quantiles::of(vec![7.0]).0, [7.0; 3]);
    }

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        let spread = |figures: &[f64]| Spread::of(figures.iter().copied());
        let odd = spread(&[9.0, 1.0, 2.0]).unwrap();
        assert_eq!((odd.median, odd.min, odd.max), (2.0, 1.0, 9.0));
        assert_eq!(spread(&[4.0, 1.0, 2.0, 9.0]).unwrap().median, 3.0);
        assert_eq!(spread(&[]), None);
        assert_eq!(format!("{odd:.1}"), "2.0 (1.0..9.0)");
    }
}
