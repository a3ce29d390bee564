//! The report for a terminal: a table for each claim, and then all verdicts.
//!
//! Owns the text, which has no colours, so that it is the same in a file. The verdicts come last,
//! because a terminal shows the end of a long text. Leaves the figures to [`Report`].

use std::fmt::Write;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, TableComponent};

use super::grid::{self, Grid};
use super::{Entry, Named, Report, Row, rows};
use crate::claims::{CLAIMS, Claim};
use crate::lab::model::Model;

/// The width of the text.
const COLUMNS: u16 = 100;
/// How much of it the figures of a table may have, beside the names of the rows.
const FIGURES: usize = 65;
/// A longer name of a row may wrap.
const NAME: usize = 40;

pub(crate) fn text(reports: &[Named]) -> String {
    let mut text = String::new();
    let rows = rows(reports);
    for row in &rows {
        let _ = writeln!(text, "{}", wrapped(&format!("{:<4} ", row.claim.id), &row.claim.sentence));
        for (named, entry) in reports.iter().zip(&row.entries) {
            let Some(entry) = entry else { continue };
            if reports.len() > 1 {
                let _ = writeln!(text, "\n     on {}:", named.name);
            }
            if let Some(grid) = Grid::of(&entry.findings, &entry.chart.quantity) {
                let _ = writeln!(text, "{}", table(&grid));
            }
            let _ = writeln!(text, "{}", reason(entry));
        }
        text.push('\n');
    }
    if !rows.is_empty() {
        let _ = writeln!(text, "{}\n", verdicts(reports, &rows));
    }
    for named in reports {
        let name = if reports.len() > 1 { format!("{}: ", named.name) } else { String::new() };
        let _ = writeln!(text, "{}", wrapped("", &format!("{name}{}", named.report.summary())));
        for line in lines(&named.report) {
            let _ = writeln!(text, "{}", wrapped("", &line));
        }
        text.push('\n');
    }
    text.trim_end().to_owned()
}

/// The figures of the claim's chart, with one row for each setting.
fn table(grid: &Grid<'_>) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_width(COLUMNS).set_content_arrangement(ContentArrangement::Dynamic);
    for line in [TableComponent::HeaderLines, TableComponent::MiddleHeaderIntersections] {
        table.set_style(line, '─');
    }
    let settings: Vec<&str> = grid.settings.iter().map(|setting| setting.at).collect();
    let is_turned = grid.is_wide(FIGURES);
    let (rows, columns) = if is_turned { (&grid.columns, &settings) } else { (&settings, &grid.columns) };
    if columns.iter().any(|name| !name.is_empty()) {
        table.set_header(std::iter::once(&"").chain(columns));
    }
    for (row, name) in rows.iter().enumerate() {
        let value = |column: usize| grid::text(if is_turned { grid.cell(column, row) } else { grid.cell(row, column) });
        table.add_row(std::iter::once((*name).to_owned()).chain((0..columns.len()).map(value)));
    }
    for (at, column) in table.column_iter_mut().enumerate() {
        if at > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        } else if rows.iter().all(|name| name.chars().count() <= NAME) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    format!(" {}\n{}", grid.title(), trimmed(&table))
}

/// The table without spaces at the ends of its lines.
fn trimmed(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// The verdict and what it rests on.
fn reason(entry: &Entry) -> String {
    let mut text = wrapped("", &format!("{}: {}", entry.ruling.verdict, entry.ruling.because));
    for compared in &entry.ruling.compared {
        let _ = write!(text, "\n{}", wrapped("  ", &format!("published: {}; here: {}", compared.published, compared.ours)));
    }
    for note in &entry.findings.notes {
        let _ = write!(text, "\n{}", wrapped("  ", note));
    }
    text
}

/// One row for each claim, with a verdict for each report.
fn verdicts(reports: &[Named], rows: &[Row<'_>]) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_width(COLUMNS).set_content_arrangement(ContentArrangement::Dynamic);
    if reports.len() > 1 {
        table.set_header(["", "claim"].into_iter().chain(reports.iter().map(|named| &*named.name)));
    }
    for Row { claim, entries } in rows {
        let verdict = |entry: Option<&Entry>| entry.map_or_else(|| "n/a".to_owned(), |entry| entry.ruling.verdict.to_string());
        let start = [claim.id.clone(), claim.sentence.clone()];
        table.add_row(start.into_iter().chain(entries.iter().copied().map(verdict)));
    }
    if let Some(column) = table.column_mut(0) {
        column.set_padding((0, 1));
    }
    trimmed(&table)
}

fn lines(report: &Report) -> Vec<String> {
    let mut lines = vec![report.place()];
    lines.extend(report.method());
    lines.extend(report.noise_text().map(|noise| format!("Noise, from `event-loop` against itself: {noise}.")));
    lines.extend(report.warnings().into_iter().map(str::to_owned));
    lines
}

/// The text in lines, of which all but the first are indented as far as `start` is long.
fn wrapped(start: &str, text: &str) -> String {
    let indent = " ".repeat(start.len());
    textwrap::fill(text, textwrap::Options::new(COLUMNS.into()).initial_indent(start).subsequent_indent(&indent))
}

/// What `--list` prints.
pub(crate) fn list() -> String {
    CLAIMS.iter().map(|claim| format!("{:<4} {}", claim.id, claim.sentence)).collect::<Vec<_>>().join("\n")
}

/// What `--explain` prints.
pub(crate) fn explain(claim: &Claim) -> String {
    let models = |models: &[Model]| models.iter().map(|model| model.name()).collect::<Vec<_>>().join(", ");
    let mut text = format!("{}: {}\n", claim.id, claim.sentence);
    let more = if claim.takes.is_empty() { String::new() } else { format!("; on request also {}", models(claim.takes)) };
    for (name, words) in [
        ("Source", claim.source.to_owned()),
        ("Set-up", claim.setup.to_owned()),
        ("Measured", claim.measured.to_owned()),
        ("Rule", claim.rule.to_owned()),
        ("Models", format!("{}{more}.", models(claim.needs))),
        ("Explanation", format!("{} See {}.", claim.explanation, claim.file)),
    ] {
        let _ = write!(text, "\n{name}\n{}\n", textwrap::indent(&textwrap::fill(&words, 96), "  "));
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::Chart;
    use crate::findings::{Findings, Quantity, Ruling, Verdict};
    use crate::report::tests::{named, sample};

    #[test]
    fn each_claim_has_its_figures_and_its_verdict() {
        let report = sample();
        let text = text(&[named("here", report.clone())]);
        for entry in &report.entries {
            let told = format!("{}: A figure <decided> it.", entry.ruling.verdict);
            let begin: String = entry.sentence.chars().take(25).collect();
            assert!(text.contains(&format!("{:<4} {begin}", entry.id)) && text.contains(&told), "{text}");
        }
        assert!(text.contains("100 & more") && text.contains("event-loop"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS.into()), "{text}");
    }

    #[test]
    fn a_setting_stands_beside_its_values() {
        const RATE: Quantity = Quantity { name: "operations per second", unit: "/s" };
        let mut findings = Findings::default();
        for (at, model) in Model::ALL.into_iter().take(5).enumerate() {
            for (x, value) in [111_000.0, 222_000.0].into_iter().enumerate() {
                let setting = format!("WebSocket echoes of 16 B, {x} connections");
                findings.add(RATE, model, &setting, x as f64, vec![value + at as f64 * 1_000.0]);
            }
        }
        let text = table(&Grid::of(&findings, RATE.name).unwrap());
        let row = text.lines().find(|line| line.contains("111,000")).unwrap();
        assert!(row.contains("WebSocket echoes of 16 B") && row.contains("115,000"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS.into()), "{text}");
    }

    #[test]
    fn many_columns_become_rows() {
        const CPU: Quantity = Quantity { name: "CPU", unit: "µs" };
        let mut findings = Findings::default();
        for column in 0..9 {
            findings.add(CPU, format!("technique {column}"), "1 a second", 1.0, vec![f64::from(column)]);
        }
        let text = table(&Grid::of(&findings, "CPU").unwrap());
        assert!(text.lines().any(|line| line.contains("technique 8") && line.contains("8.00")), "{text}");
    }

    #[test]
    fn several_reports_stand_side_by_side() {
        let (first, mut second) = (sample(), sample());
        let missing = second.entries.remove(0);
        second.entries[0].ruling = Ruling::new(Verdict::NotShown, "Too close.");
        second.entries[0].chart = Chart::bars(Quantity { name: "nothing", unit: "" }, "");
        let text = text(&[named("laptop", first), named("server", second.clone())]);
        let verdicts = |id: &str| text.lines().rfind(|line| line.starts_with(&format!("{id} "))).unwrap();
        assert!(verdicts(&missing.id).ends_with("n/a"), "{text}");
        assert!(verdicts(&second.entries[0].id).ends_with("not shown"), "{text}");
        assert!(text.contains("on server:\nnot shown: Too close."), "{text}");
    }

    #[test]
    fn an_explanation_has_all_parts() {
        for claim in CLAIMS {
            let text = explain(claim);
            assert!(["Source", "Set-up", "Measured", "Rule", "Models"].iter().all(|part| text.contains(part)), "{text}");
        }
    }
}
