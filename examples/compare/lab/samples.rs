//! The arithmetic of repeated measurements.
//!
//! Owns the median, the spread, and the ratio of two models that were measured in turn. Leaves
//! verdicts to the claims.

use serde::{Deserialize, Serialize};

/// The median. NaN if there is no value.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        len if len % 2 == 0 => f64::midpoint(sorted[len / 2 - 1], sorted[len / 2]),
        len => sorted[len / 2],
    }
}

/// The smallest and the largest value.
pub(crate) fn spread(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(*value), high.max(*value)))
}

/// The smallest and the largest value after one round in five was left out at each end; no round of
/// fewer than five. So at least four of five rounds are not below the first value, and at least
/// four of five are not above the second. One round that other work on the machine disturbed
/// decides nothing.
pub(crate) fn inner_spread(values: &[f64]) -> (f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let left_out = sorted.len() / 5;
    spread(&sorted[left_out..sorted.len() - left_out])
}

/// How many times a measurement is another one, round by round. `low` and `high` are the
/// [`inner_spread`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ratio {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// Where a ratio lies, seen from a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Above,
    Below,
    /// The rounds disagree, or the distance is within the noise.
    Unclear,
}

impl Ratio {
    /// `a` divided by `b`. Both have one value for each round, and the values of a round were
    /// measured one after the other. `None` if a round is missing, or a value is not positive.
    pub(crate) fn of(a: &[f64], b: &[f64]) -> Option<Self> {
        if a.is_empty() || a.len() != b.len() || a.iter().chain(b).any(|value| !value.is_finite() || *value <= 0.0) {
            return None;
        }
        let quotients: Vec<f64> = a.iter().zip(b).map(|(a, b)| a / b).collect();
        let (low, high) = inner_spread(&quotients);
        Some(Self { median: median(&quotients), low, high })
    }

    /// The side of `threshold` on which at least four of five rounds lie, with the factor `noise`
    /// (at least 1) between.
    pub(crate) fn side(&self, threshold: f64, noise: f64) -> Side {
        if self.low > threshold * noise {
            Side::Above
        } else if self.high * noise < threshold {
            Side::Below
        } else {
            Side::Unclear
        }
    }
}

impl std::fmt::Display for Ratio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({} to {})", short(self.median), short(self.low), short(self.high))
    }
}

/// A number with as many digits as count.
pub(crate) fn short(number: f64) -> String {
    match number.abs() {
        0.0 => "0".to_owned(),
        size if size >= 100.0 => grouped(number),
        size if size >= 10.0 => format!("{number:.1}"),
        size if size >= 0.1 => format!("{number:.2}"),
        size if size.is_finite() => format!("{number:.4}"),
        _ => "n/a".to_owned(),
    }
}

/// A whole number with commas between the thousands.
pub(crate) fn grouped(number: f64) -> String {
    let digits = format!("{:.0}", number.abs());
    let mut text = if number <= -0.5 { "-".to_owned() } else { String::new() };
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!((median(&[3.0, 1.0, 2.0]), median(&[4.0, 1.0, 2.0, 3.0])), (2.0, 2.5));
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_ratio_needs_all_rounds_on_one_side() {
        let ratio = Ratio::of(&[3.0, 2.0, 4.0], &[2.0, 2.0, 2.0]).unwrap();
        assert_eq!(ratio, Ratio { median: 1.5, low: 1.0, high: 2.0 });
        assert_eq!(ratio.side(0.9, 1.05), Side::Above);
        assert_eq!(ratio.side(0.9, 1.2), Side::Unclear, "0.9 with noise of 1.2 is more than the lowest round");
        assert_eq!(ratio.side(1.0, 1.0), Side::Unclear);
        assert_eq!(ratio.side(2.2, 1.05), Side::Below);
        assert_eq!(ratio.side(2.2, 1.2), Side::Unclear);
    }

    #[test]
    fn missing_rounds_give_no_ratio() {
        for (a, b) in [(&[][..], &[][..]), (&[1.0], &[]), (&[1.0], &[0.0]), (&[f64::NAN], &[1.0]), (&[-1.0], &[1.0])] {
            assert_eq!(Ratio::of(a, b), None, "{a:?} {b:?}");
        }
    }

    #[test]
    fn numbers_are_short() {
        let texts = [0.0, 0.012_34, 0.5, 1.234, 12.34, 123.4, 1_234_567.0].map(short);
        assert_eq!(texts, ["0", "0.0123", "0.50", "1.23", "12.3", "123", "1,234,567"]);
        assert_eq!([short(f64::NAN), short(-1_500.0)], ["n/a", "-1,500"]);
    }
}
