//! How the rounds of several conditions become one verdict.
//!
//! Owns the rule that at least four of five rounds must agree. Leaves the conditions to the claims.

use crate::findings::Verdict;
use crate::lab::samples::{Ratio, Side, inner_spread, median};

/// Whether a condition is true in at least four of five rounds, false in as many, or neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Agreement {
    True,
    False,
    Split,
}

impl Agreement {
    /// Asks every round. Fewer than five rounds must all agree. No round at all is `Split`.
    pub(crate) fn of(rounds: &[f64], is_true: impl Fn(f64) -> bool) -> Self {
        let count = rounds.iter().filter(|value| is_true(**value)).count();
        let may_differ = rounds.len() / 5;
        match count {
            _ if rounds.is_empty() => Self::Split,
            count if count <= may_differ => Self::False,
            count if count + may_differ >= rounds.len() => Self::True,
            _ => Self::Split,
        }
    }

    /// A claim that needs one side.
    pub(crate) fn wants(wanted: Side, is: Side) -> Self {
        match is {
            Side::Unclear => Self::Split,
            is if is == wanted => Self::True,
            _ => Self::False,
        }
    }
}

/// A claim with several conditions holds if all of them are true. It does not hold if one of them
/// is false.
pub(crate) fn verdict(conditions: impl IntoIterator<Item = Agreement>) -> Verdict {
    let conditions: Vec<Agreement> = conditions.into_iter().collect();
    if conditions.contains(&Agreement::False) {
        Verdict::DoesNotHold
    } else if conditions.is_empty() || conditions.contains(&Agreement::Split) {
        Verdict::NotShown
    } else {
        Verdict::Holds
    }
}

/// A claim that several ratios are above a limit. It holds if all of them are, and does not hold if
/// all of them are below.
pub(crate) fn all_above(sides: &[Side]) -> Verdict {
    match sides {
        [] => Verdict::NotShown,
        sides if sides.iter().all(|side| *side == Side::Above) => Verdict::Holds,
        sides if sides.iter().all(|side| *side == Side::Below) => Verdict::DoesNotHold,
        _ => Verdict::NotShown,
    }
}

/// The side of `threshold` on which at least four of five rounds lie, with the factor `noise`
/// between.
pub(crate) fn side(rounds: &[f64], threshold: f64, noise: f64) -> Side {
    if rounds.is_empty() || rounds.iter().any(|value| value.is_nan()) {
        return Side::Unclear;
    }
    let (low, high) = inner_spread(rounds);
    Ratio { median: median(rounds), low, high }.side(threshold, noise)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_false_condition_decides_and_a_split_one_leaves_it_open() {
        use Agreement::{False, Split, True};
        assert_eq!(verdict([True, True]), Verdict::Holds);
        assert_eq!(verdict([True, Split]), Verdict::NotShown);
        assert_eq!(verdict([Split, False]), Verdict::DoesNotHold);
        assert_eq!(verdict([]), Verdict::NotShown);
        let positive = |rounds: &[f64]| Agreement::of(rounds, |value| value > 0.0);
        assert_eq!([positive(&[1.0, 2.0]), positive(&[-1.0, -2.0]), positive(&[1.0, -1.0]), positive(&[])], [True, False, Split, Split]);
        let of_five = |true_ones: usize| positive(&std::array::from_fn::<f64, 5, _>(|at| if at < true_ones { 1.0 } else { -1.0 }));
        assert_eq!([0, 1, 2, 3, 4, 5].map(of_five), [False, False, Split, Split, True, True]);
    }

    #[test]
    fn a_side_needs_four_of_five_rounds_and_the_noise() {
        assert_eq!([side(&[2.2, 3.0], 2.0, 1.05), side(&[2.05, 3.0], 2.0, 1.05)], [Side::Above, Side::Unclear]);
        assert_eq!([side(&[1.0, 1.9], 2.0, 1.05), side(&[1.0, 1.99], 2.0, 1.05)], [Side::Below, Side::Unclear]);
        assert_eq!(side(&[2.2, 2.3, 2.4, 2.5, 0.5], 2.0, 1.05), Side::Above, "one of five was disturbed");
        assert_eq!(side(&[2.2, 2.3, 2.4, 0.6, 0.5], 2.0, 1.05), Side::Unclear);
        assert_eq!([side(&[], 2.0, 1.0), side(&[f64::NAN], 2.0, 1.0)], [Side::Unclear; 2]);
    }
}
