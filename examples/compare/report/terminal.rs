//! The report for a terminal: one table, and one sentence for each claim.
//!
//! Owns the text, which has no colours, so that it is the same in a file. Leaves the figures to
//! [`Report`].

use std::fmt::Write;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, ContentArrangement, Table};

use super::{Entry, Report};
use crate::claims::{CLAIMS, Claim};
use crate::lab::model::Model;
use crate::lab::samples::{median, short};

/// The width of the text.
const COLUMNS: u16 = 118;

pub(crate) fn text(report: &Report) -> String {
    let mut text = String::new();
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_width(COLUMNS).set_content_arrangement(ContentArrangement::Dynamic);
    let models: Vec<Model> = Model::ALL.into_iter().chain([Model::Foreign]).filter(|model| has(report, *model)).collect();
    let mut header = vec!["".to_owned(), "figure".to_owned(), "at".to_owned()];
    header.extend(models.iter().map(Model::to_string));
    table.set_header(header);
    for column in table.column_iter_mut().skip(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for entry in &report.entries {
        add_rows(&mut table, entry, &models);
    }
    let _ = writeln!(text, "{table}\n");
    for entry in &report.entries {
        let _ = writeln!(text, "{:<4} {:<14} {}", entry.id, entry.ruling.verdict, entry.sentence);
        let _ = writeln!(text, "{:19} {}", "", entry.ruling.because);
    }
    let _ = writeln!(text, "\n{}", report.summary());
    for line in report.method() {
        let _ = writeln!(text, "{line}");
    }
    text.trim_end().to_owned()
}

fn has(report: &Report, model: Model) -> bool {
    report.entries.iter().any(|entry| entry.findings.models().contains(&model))
}

/// One row for a claim, with a line for each setting of its chart. Columns that are no models, such
/// as techniques, are lines, too.
fn add_rows(table: &mut Table, entry: &Entry, models: &[Model]) {
    let charted = entry.findings.series.iter().filter(|series| series.quantity == entry.chart.quantity);
    let (by_model, others): (Vec<_>, Vec<_>) = charted.partition(|series| models.iter().any(|model| series.column == model.name()));
    let unit = by_model.first().or(others.first()).map_or(String::new(), |series| series.unit.clone());
    let mut settings: Vec<&str> = Vec::new();
    for point in by_model.iter().flat_map(|series| &series.points) {
        if !settings.contains(&&*point.at) {
            settings.push(&point.at);
        }
    }
    let value = |rounds: &[f64]| short(median(rounds));
    let mut cells: Vec<Vec<String>> = vec![settings.iter().map(|at| (*at).to_owned()).collect()];
    for model in models {
        let series = by_model.iter().find(|series| series.column == model.name());
        let cell = |at: &&str| {
            let point = series.and_then(|series| series.points.iter().find(|point| point.at == *at));
            point.map_or_else(String::new, |point| value(&point.rounds))
        };
        cells.push(settings.iter().map(cell).collect());
    }
    // A column that is not a model is written as a setting, with its value in the first column.
    for series in others {
        for point in &series.points {
            cells[0].push(format!("{}, {}", series.column, point.at).trim_end_matches(", ").to_owned());
            for (at, cell) in cells[1..].iter_mut().enumerate() {
                cell.push(if at == 0 { value(&point.rounds) } else { String::new() });
            }
        }
    }
    let figure = if unit.is_empty() { entry.chart.quantity.to_string() } else { format!("{} ({unit})", entry.chart.quantity) };
    let mut row = vec![entry.id.clone(), figure];
    row.extend(cells.into_iter().map(|lines| lines.join("\n")));
    table.add_row(row);
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
    use crate::report::tests::sample;

    #[test]
    fn each_claim_has_its_row_and_its_sentence() {
        let report = sample();
        let text = text(&report);
        for entry in &report.entries {
            assert!(text.contains(&format!("{:<4} {:<14} {}", entry.id, entry.ruling.verdict, entry.sentence)), "{text}");
        }
        assert!(text.contains("100 & more") && text.contains("event-loop"), "{text}");
    }

    #[test]
    fn an_explanation_has_all_parts() {
        for claim in CLAIMS {
            let text = explain(claim);
            assert!(["Source", "Set-up", "Measured", "Rule", "Models"].iter().all(|part| text.contains(part)), "{text}");
        }
    }
}
