//! The figures of one quantity, as a grid of settings and columns.
//!
//! Owns the order of columns and settings, and the median and the spread of each cell. A table, a
//! chart and a sentence are made from the same grid, so that they show the same. Leaves the figures
//! to `findings`.

use crate::findings::Findings;
use crate::lab::model::Model;
use crate::lab::samples::{median, short, spread};

/// One quantity of one claim.
pub(crate) struct Grid<'a> {
    pub(crate) quantity: &'a str,
    unit: &'a str,
    /// The models in the order of the report, then the other columns as they were measured.
    pub(crate) columns: Vec<&'a str>,
    pub(crate) settings: Vec<Setting<'a>>,
    /// By setting, then by column. `None` if there is no figure.
    cells: Vec<Vec<Option<Cell>>>,
    /// Whether the column was measured at the setting, by setting, then by column.
    measured: Vec<Vec<bool>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Setting<'a> {
    pub(crate) at: &'a str,
    pub(crate) x: f64,
}

/// The rounds of one setting and column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cell {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Cell {
    /// `None` if no round has a value.
    fn of(rounds: &[f64]) -> Option<Self> {
        let values: Vec<f64> = rounds.iter().copied().filter(|value| value.is_finite()).collect();
        let (low, high) = spread(&values);
        (!values.is_empty()).then(|| Self { median: median(&values), low, high })
    }

    /// The spread of the rounds, if it can be seen with as many digits as count.
    pub(crate) fn spread(&self) -> Option<String> {
        let (low, high) = (short(self.low), short(self.high));
        (low != high).then(|| format!("{low} to {high}"))
    }
}

/// The text of a cell, which may be missing.
pub(crate) fn text(cell: Option<Cell>) -> String {
    short(cell.map_or(f64::NAN, |cell| cell.median))
}

impl<'a> Grid<'a> {
    /// The grids of all quantities, in the order in which they were measured.
    pub(crate) fn all(findings: &'a Findings) -> Vec<Self> {
        let mut quantities: Vec<&str> = Vec::new();
        for series in &findings.series {
            push_new(&mut quantities, &series.quantity);
        }
        quantities.into_iter().filter_map(|quantity| Self::of(findings, quantity)).collect()
    }

    /// `None` if the quantity was not measured.
    pub(crate) fn of(findings: &'a Findings, quantity: &str) -> Option<Self> {
        let all: Vec<_> = findings.series.iter().filter(|series| series.quantity == quantity).collect();
        let first = *all.first()?;
        let mut columns: Vec<&str> = Vec::new();
        for model in Model::ALL.into_iter().chain([Model::Foreign]) {
            columns.extend(all.iter().map(|series| &*series.column).find(|column| *column == model.name()));
        }
        let mut settings: Vec<Setting<'a>> = Vec::new();
        for series in &all {
            push_new(&mut columns, &series.column);
            for point in &series.points {
                if settings.iter().all(|setting| setting.at != point.at) {
                    settings.push(Setting { at: &point.at, x: point.x });
                }
            }
        }
        settings.sort_by(|a, b| a.x.total_cmp(&b.x));
        let point = |at: &str, column: &str| {
            let series = all.iter().find(|series| series.column == column)?;
            series.points.iter().find(|point| point.at == at)
        };
        let cell = |at: &str, column: &str| Cell::of(&point(at, column)?.rounds);
        let cells = settings.iter().map(|setting| columns.iter().map(|column| cell(setting.at, column)).collect()).collect();
        let is_measured = |at: &str, column: &str| point(at, column).is_some();
        let measured = settings.iter().map(|setting| columns.iter().map(|column| is_measured(setting.at, column)).collect()).collect();
        Some(Self { quantity: &first.quantity, unit: &first.unit, columns, settings, cells, measured })
    }

    /// The quantity with its unit.
    pub(crate) fn title(&self) -> String {
        if self.unit.is_empty() { self.quantity.to_owned() } else { format!("{} ({})", self.quantity, self.unit) }
    }

    pub(crate) fn cell(&self, setting: usize, column: usize) -> Option<Cell> {
        self.cells[setting][column]
    }

    /// Whether the column was measured at the setting, even if no round has a value.
    pub(crate) fn is_measured(&self, setting: usize, column: usize) -> bool {
        self.measured[setting][column]
    }

    /// Whether a table of this grid is narrower with the columns as its rows, and would otherwise be
    /// wider than so many characters.
    pub(crate) fn is_wide(&self, characters: usize) -> bool {
        /// A figure and its distance from the next one.
        const FIGURE: usize = 8;
        const GAP: usize = 3;
        let width = |names: &mut dyn Iterator<Item = &str>| names.map(|name| name.chars().count().max(FIGURE) + GAP).sum::<usize>();
        let upright = width(&mut self.columns.iter().copied());
        upright > characters && upright > width(&mut self.settings.iter().map(|setting| setting.at))
    }

    /// All cells that have a figure.
    pub(crate) fn figures(&self) -> impl Iterator<Item = Cell> {
        self.cells.iter().flatten().filter_map(|cell| *cell)
    }

    /// All figures in words, for readers who cannot see a chart.
    pub(crate) fn words(&self) -> String {
        let setting = |(at, setting): (usize, &Setting<'_>)| {
            let values = self.columns.iter().enumerate().map(|(column, name)| format!("{name} {}", text(self.cell(at, column))));
            let values = values.collect::<Vec<_>>().join(", ");
            if setting.at.is_empty() { values } else { format!("{}: {values}", setting.at) }
        };
        self.settings.iter().enumerate().map(setting).collect::<Vec<_>>().join("; ")
    }
}

fn push_new<'a>(texts: &mut Vec<&'a str>, text: &'a str) {
    if !texts.contains(&text) {
        texts.push(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Quantity;

    const CPU: Quantity = Quantity { name: "CPU", unit: "µs" };

    #[test]
    fn a_grid_has_models_first_and_settings_by_size() {
        let mut findings = Findings::default();
        findings.add(CPU, "SSE", "8 connections", 8.0, vec![1.0]);
        findings.add(CPU, Model::Threads, "100 connections", 100.0, vec![3.0, f64::NAN, 5.0]);
        findings.add(CPU, Model::EventLoop, "8 connections", 8.0, vec![f64::NAN]);
        let grid = Grid::of(&findings, "CPU").unwrap();
        assert_eq!((grid.title(), grid.columns.clone()), ("CPU (µs)".to_owned(), vec!["event-loop", "threads", "SSE"]));
        assert_eq!(grid.settings.iter().map(|setting| setting.at).collect::<Vec<_>>(), ["8 connections", "100 connections"]);
        assert_eq!(grid.cell(1, 1), Some(Cell { median: 4.0, low: 3.0, high: 5.0 }), "a missing round is left out");
        assert_eq!(
            [(0, 0), (1, 0)].map(|(at, column)| (grid.cell(at, column), grid.is_measured(at, column))),
            [(None, true), (None, false)]
        );
        assert_eq!(
            grid.words(),
            "8 connections: event-loop n/a, threads n/a, SSE 1.00; 100 connections: event-loop n/a, threads 4.00, SSE n/a"
        );
        assert!(Grid::of(&findings, "memory").is_none());
        assert_eq!((Grid::all(&findings).len(), grid.figures().count()), (1, 2));
    }

    #[test]
    fn a_spread_is_shown_if_it_is_visible() {
        let spread = |rounds: &[f64]| Cell::of(rounds).and_then(|cell| cell.spread());
        assert_eq!(spread(&[1.0, 2.0]), Some("1.00 to 2.00".to_owned()));
        assert_eq!([spread(&[1.0, 1.0001]), spread(&[])], [None, None]);
    }
}
