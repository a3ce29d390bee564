//! What a claim has measured, and what was concluded from it.
//!
//! Owns the figures by quantity, model and setting, the verdict, and their form in a JSON file.
//! Leaves measuring and the rules to `claims`. A report is made from these values alone, so that a
//! file shows the same as the run that wrote it.

use std::fmt::Display;

use serde::{Deserialize, Serialize};

use crate::lab::model::Model;
use crate::lab::samples::{Ratio, median};

/// All figures of one claim.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Findings {
    pub(crate) series: Vec<Series>,
    /// What a reader must know about these figures.
    pub(crate) notes: Vec<String>,
    /// Why the figures decide nothing, such as a tool that is missing.
    pub(crate) obstacles: Vec<String>,
}

/// One quantity of one column: a model, or a technique on a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Series {
    /// What was measured, such as `server CPU per request`.
    pub(crate) quantity: String,
    /// The unit, such as `µs`. Empty for a plain number.
    pub(crate) unit: String,
    pub(crate) column: String,
    pub(crate) points: Vec<Point>,
}

/// One setting, such as a number of connections.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Point {
    /// The setting in words, such as `1,000 connections`.
    pub(crate) at: String,
    /// The setting as a number, for the chart's axis.
    pub(crate) x: f64,
    /// One value for each round. A missing value is NaN, and null in JSON.
    #[serde(with = "values")]
    pub(crate) rounds: Vec<f64>,
}

/// What is measured, with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quantity {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
}

impl Findings {
    /// Adds the rounds of one quantity, column and setting.
    pub(crate) fn add(&mut self, quantity: Quantity, column: impl Display, at: &str, x: f64, rounds: Vec<f64>) {
        let column = column.to_string();
        let point = Point { at: at.to_owned(), x, rounds };
        if let Some(series) = self.series.iter_mut().find(|series| series.quantity == quantity.name && series.column == column) {
            series.points.push(point);
        } else {
            let (name, unit) = (quantity.name.to_owned(), quantity.unit.to_owned());
            self.series.push(Series { quantity: name, unit, column, points: vec![point] });
        }
    }

    /// Adds several quantities that were measured together, each with its value in every round.
    pub(crate) fn add_rounds<const N: usize>(&mut self, column: impl Display, at: &str, x: f64, rounds: &[[(Quantity, f64); N]]) {
        for which in 0..N {
            if let Some(first) = rounds.first() {
                self.add(first[which].0, &column, at, x, rounds.iter().map(|round| round[which].1).collect());
            }
        }
    }

    /// The values of the rounds. The list is empty if nothing was measured.
    pub(crate) fn rounds(&self, quantity: Quantity, column: impl Display, at: &str) -> &[f64] {
        let column = column.to_string();
        let series = self.series.iter().find(|series| series.quantity == quantity.name && series.column == column);
        series.and_then(|series| series.points.iter().find(|point| point.at == at)).map_or(&[], |point| &point.rounds)
    }

    /// The median of the rounds.
    pub(crate) fn median(&self, quantity: Quantity, column: impl Display, at: &str) -> Option<f64> {
        Some(median(self.rounds(quantity, column, at))).filter(|value| value.is_finite())
    }

    /// The quantity of column `a` divided by that of column `b`, round by round.
    pub(crate) fn ratio(&self, quantity: Quantity, at: &str, a: impl Display, b: impl Display) -> Option<Ratio> {
        Ratio::of(self.rounds(quantity, a, at), self.rounds(quantity, b, at))
    }

    /// The models of which there is any figure, in the order of the report.
    pub(crate) fn models(&self) -> Vec<Model> {
        let has = |model: &Model| self.series.iter().any(|series| series.column == model.name());
        Model::ALL.into_iter().chain([Model::Foreign]).filter(has).collect()
    }
}

/// What a claim's rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    Holds,
    DoesNotHold,
    /// Too close for the noise, or something was in the way.
    NotShown,
}

impl Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Holds => "holds",
            Self::DoesNotHold => "does not hold",
            Self::NotShown => "not shown",
        })
    }
}

/// A verdict with its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ruling {
    pub(crate) verdict: Verdict,
    /// One sentence with the figures that decided.
    pub(crate) because: String,
    /// Published values, and ours beside them.
    pub(crate) compared: Vec<Compared>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Compared {
    pub(crate) published: String,
    pub(crate) ours: String,
}

impl Ruling {
    pub(crate) fn new(verdict: Verdict, because: impl Into<String>) -> Self {
        Self { verdict, because: because.into(), compared: Vec::new() }
    }

    /// The figures that the rule needs are not there.
    pub(crate) fn missing(what: &str) -> Self {
        Self::new(Verdict::NotShown, format!("There is no figure for {what}."))
    }

    pub(crate) fn beside(mut self, published: impl Into<String>, ours: impl Into<String>) -> Self {
        self.compared.push(Compared { published: published.into(), ours: ours.into() });
        self
    }
}

/// Two measurements of the same thing: by how much they differ, as a factor of at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Noise {
    /// Operations per second.
    pub(crate) rate: f64,
    /// The server's processor time per operation.
    pub(crate) cpu: f64,
    /// The median latency.
    pub(crate) latency: f64,
}

impl Noise {
    /// For measurements that count, and have no noise.
    #[cfg(test)]
    pub(crate) const NONE: Self = Self { rate: 1.0, cpu: 1.0, latency: 1.0 };
}

/// JSON has no NaN.
mod values {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(values: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        values.iter().map(|value| value.is_finite().then_some(*value)).collect::<Vec<_>>().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        let values = Vec::<Option<f64>>::deserialize(deserializer)?;
        Ok(values.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPU: Quantity = Quantity { name: "CPU", unit: "µs" };

    #[test]
    fn figures_are_found_again() {
        let mut findings = Findings::default();
        findings.add(CPU, Model::Threads, "8 connections", 8.0, vec![4.0, 6.0, 8.0]);
        findings.add(CPU, Model::EventLoop, "8 connections", 8.0, vec![2.0, 2.0, 2.0]);
        findings.add(CPU, Model::EventLoop, "9 connections", 9.0, vec![1.0]);
        assert_eq!((findings.series.len(), findings.models()), (2, vec![Model::EventLoop, Model::Threads]));
        assert_eq!(findings.median(CPU, Model::Threads, "8 connections"), Some(6.0));
        assert_eq!(findings.median(CPU, Model::Threads, "9 connections"), None);
        let ratio = findings.ratio(CPU, "8 connections", Model::Threads, Model::EventLoop).unwrap();
        assert_eq!((ratio.low, ratio.median, ratio.high), (2.0, 3.0, 4.0));
    }

    #[test]
    fn json_keeps_missing_values() {
        let mut findings = Findings::default();
        findings.add(CPU, "x", "y", 0.0, vec![1.5, f64::NAN]);
        let text = serde_json::to_string(&findings).unwrap();
        assert!(text.contains("[1.5,null]"), "{text}");
        let read: Findings = serde_json::from_str(&text).unwrap();
        assert!(read.rounds(CPU, "x", "y")[1].is_nan());
    }
}
