//! The scale of a chart.
//!
//! Owns the range of an axis, where a value lies on it, and its ticks. It is a coordinate of
//! plotters, which draws the ticks and the grid. Leaves the layout to `bars` and `lines`.

use std::ops::Range;

use plotters::coord::ranged1d::{BoldPoints, KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::coord::types::RangedCoordf64;

use crate::lab::samples::grouped;

/// The most ticks of an axis.
const TICKS_MAX: u8 = 7;

#[derive(Debug)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    ticks: Vec<f64>,
    pub(super) is_log: bool,
}

impl Axis {
    /// An axis for a quantity, on which all values lie. It is linear if no value is positive.
    pub(super) fn of_quantity(values: impl Iterator<Item = f64>, is_log: bool) -> Self {
        let values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        let positive = values.iter().copied().filter(|value| *value > 0.0);
        match range(positive) {
            Some(range) if is_log => Self::log(&range),
            _ => Self::linear(&range(values.iter().copied().chain([0.0])).unwrap_or(0.0..1.0)),
        }
    }

    fn linear(range: &Range<f64>) -> Self {
        // The longest bar ends a little before the axis.
        const ROOM: f64 = 1.03;
        let (low, high) = if range.is_empty() { (0.0, 1.0) } else { (range.start * ROOM, range.end * ROOM) };
        let ticks = RangedCoordf64::from(low..high).key_points(BoldPoints(TICKS_MAX.into()));
        Self { low, high, ticks, is_log: false }
    }

    /// The axis has whole decades.
    fn log(range: &Range<f64>) -> Self {
        // A little room, so that the bar of the smallest value has a length.
        const ROOM: f64 = 0.1;
        /// So few decades also have ticks at 2 and 5.
        const FEW: i32 = 2;
        let (low, high) = ((range.start.log10() - ROOM).floor() as i32, range.end.log10().ceil() as i32);
        let step = (high - low) / i32::from(TICKS_MAX) + 1;
        let mut ticks: Vec<f64> = (low..=high).step_by(step.unsigned_abs() as usize).map(|decade| 10_f64.powi(decade)).collect();
        if high - low <= FEW {
            ticks.extend((low..high).flat_map(|decade| [2.0, 5.0].map(|factor| factor * 10_f64.powi(decade))));
        }
        Self { low: 10_f64.powi(low), high: 10_f64.powi(high), ticks, is_log: true }
    }

    /// An axis for settings, which has ticks at the settings alone. It is logarithmic if it can be.
    pub(super) fn of_settings(settings: Vec<f64>) -> Self {
        /// How much the axis is longer than the settings need, at each end.
        const ROOM: f64 = 0.05;
        let is_log = settings.iter().all(|setting| *setting > 0.0);
        let Range { start, end } = range(settings.iter().copied()).unwrap_or(1.0..1.0);
        let (low, high) = if is_log {
            let room = (end / start).powf(ROOM).max(1.01);
            (start / room, end * room)
        } else {
            let room = ((end - start) * ROOM).max(0.01);
            (start - room, end + room)
        };
        Self { low, high, ticks: settings, is_log }
    }

    /// The axis without the ticks that are nearer to the tick before them than `pixels`, if it is
    /// so many pixels `long`.
    pub(super) fn thinned(mut self, pixels: i32, long: i32) -> Self {
        let mut ticks = std::mem::take(&mut self.ticks);
        ticks.sort_by(f64::total_cmp);
        let mut before = None;
        ticks.retain(|tick| {
            let at = self.map(tick, (0, long));
            let is_kept = before.is_none_or(|before| at - before >= pixels);
            if is_kept {
                before = Some(at);
            }
            is_kept
        });
        Self { ticks, ..self }
    }

    /// The value at which bars begin. A logarithmic axis has no zero.
    pub(super) fn base(&self) -> f64 {
        if self.is_log { self.low } else { 0.0 }
    }

    /// The texts of all ticks.
    pub(super) fn labels(&self) -> Vec<String> {
        self.ticks.iter().map(|tick| self.format_ext(tick)).collect()
    }
}

/// The smallest and the largest value.
fn range(mut values: impl Iterator<Item = f64>) -> Option<Range<f64>> {
    let first = values.next()?;
    Some(values.fold(first..first, |range, value| range.start.min(value)..range.end.max(value)))
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    /// What is outside of the axis lies at its end.
    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let value = value.clamp(self.low, self.high);
        let share =
            if self.is_log { (value / self.low).ln() / (self.high / self.low).ln() } else { (value - self.low) / (self.high - self.low) };
        limit.0 + (share * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        // Plotters asks for the grid between the ticks, too.
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        if value.abs() >= 1_000.0 {
            return grouped(*value);
        }
        // A tick has few digits. More of them are the error of a sum.
        let text = format!("{value:.6}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(values: &[f64], is_log: bool) -> String {
        Axis::of_quantity(values.iter().copied(), is_log).thinned(1, 500).labels().join(" ")
    }

    #[test]
    fn a_linear_axis_begins_at_zero() {
        assert_eq!(labels(&[3.0, 1_730.0, f64::NAN], false), "0 500 1,000 1,500");
        assert_eq!(labels(&[0.03, 0.1], false), "0 0.02 0.04 0.06 0.08 0.1");
        assert_eq!(labels(&[-3.0, 3.0], false), "-3 -2 -1 0 1 2 3");
        assert_eq!(labels(&[0.0], false), "0 0.2 0.4 0.6 0.8 1");
    }

    #[test]
    fn a_logarithmic_axis_has_decades() {
        assert_eq!(labels(&[0.0, 0.3, 46.0], true), "0.1 1 10 100");
        assert_eq!(labels(&[2.0, 8.0], true), "1 2 5 10");
        assert_eq!(labels(&[1.0, 1e20], true).split(' ').count(), 6);
        let axis = Axis::of_quantity([0.3, 46.0].into_iter(), true);
        assert_eq!([0.0, 0.1, 1.0, 1e9].map(|value| axis.map(&value, (100, 400))), [100, 100, 200, 400]);
        assert!(!Axis::of_quantity([0.0, -1.0].into_iter(), true).is_log, "no value is positive");
    }

    #[test]
    fn ticks_of_settings_do_not_overlap() {
        let axis = Axis::of_settings(vec![1.0, 100.0, 110.0, 10_000.0]).thinned(30, 300);
        assert_eq!((axis.labels().join(" "), axis.is_log), ("1 100 10,000".to_owned(), true));
        assert!(!Axis::of_settings(vec![0.0, 5.0]).is_log);
        assert_eq!(Axis::of_settings(vec![8.0]).labels(), ["8"]);
    }
}
