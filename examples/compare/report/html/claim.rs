//! One claim on the page.
//!
//! Owns the order within its section: the sentence with its source, the verdict, the published
//! values beside ours, the chart, all figures, and how they came about. Several reports have their
//! figures side by side.

use maud::{Markup, PreEscaped, html};

use super::{anchor, badge, prose, scrolling};
use crate::Result;
use crate::report::grid::{self, Grid};
use crate::report::{Entry, Named, Row, chart};

/// The characters beside the names of the rows that a table may have.
const CHARACTERS: usize = 85;

pub(super) fn section(reports: &[Named], row: &Row<'_>) -> Result<Markup> {
    let claim = row.claim;
    let mut results = Vec::new();
    for (named, entry) in reports.iter().zip(&row.entries) {
        let Some(entry) = entry else { continue };
        results.push((named, result(entry, claim)?));
    }
    let heading = format!("{}-heading", anchor(&claim.id));
    Ok(html! {
        section.claim id=(anchor(&claim.id)) aria-labelledby=(heading) {
            h2 id=(heading) { span.number { (claim.id) } " " (prose(&claim.sentence)) }
            p.source { b { "Source: " } (prose(&claim.source)) }
            @if reports.len() == 1 {
                @for (_, result) in &results { (result) }
            } @else {
                div.machines {
                    @for (named, result) in &results {
                        div { h3 { "On " (named.name) } (result) }
                    }
                }
            }
            dl {
                dt { "Set-up" } dd { (prose(&claim.setup)) }
                dt { "Measured" } dd { (prose(&claim.measured)) }
                dt { "Rule" } dd { (prose(&claim.rule)) }
                dt { "Explanation" } dd { (prose(&claim.explanation)) " See " code { (claim.file) } "." }
            }
            p.back { a href="#claims" { "All claims" } }
        }
    })
}

/// What one run says about the claim.
fn result(entry: &Entry, claim: &Entry) -> Result<Markup> {
    let compared = &entry.ruling.compared;
    let chart = chart::svg(&entry.findings, &entry.chart)?;
    // An obstacle that is a part of the reason is not told twice.
    let obstacles = entry.findings.obstacles.iter().filter(|obstacle| !entry.ruling.because.contains(*obstacle));
    let notes: Vec<&String> = entry.findings.notes.iter().chain(obstacles).collect();
    Ok(html! {
        p.ruling { (badge(entry.ruling.verdict)) " " (prose(&entry.ruling.because)) }
        @if entry.rule != claim.rule {
            p { b { "The rule of this run: " } (prose(&entry.rule)) }
        }
        @if !compared.is_empty() {
            table.compared {
                thead { tr { th scope="col" { "Published" } th scope="col" { "Here" } } }
                tbody {
                    @for compared in compared {
                        tr { td { (prose(&compared.published)) } td { (prose(&compared.ours)) } }
                    }
                }
            }
        }
        @if let Some(svg) = chart {
            figure {
                (PreEscaped(svg))
                figcaption { (caption(entry)) }
            }
        } @else {
            p { "There is no figure to draw." }
        }
        (tables(entry))
        @if !notes.is_empty() {
            ul.notes { @for note in notes { li { (prose(note)) } } }
        }
        p.took {
            "Measured in " (format!("{:.0}", entry.seconds)) " s."
            @if let Some(busy) = entry.others_busy { " Other programs kept " (format!("{busy:.2}")) " processors busy meanwhile." }
        }
    })
}

fn caption(entry: &Entry) -> String {
    let scale = if entry.chart.is_log { " The scale of the figures is logarithmic." } else { "" };
    format!("Each figure is the median of the rounds; a whisker spans all of them.{scale}")
}

/// All figures. Quantities with the same columns share a table.
fn tables(entry: &Entry) -> Markup {
    let grids = Grid::all(&entry.findings);
    let groups: Vec<&[Grid<'_>]> = grids.chunk_by(|a, b| a.columns == b.columns).collect();
    html! {
        @for grids in groups {
            @if grids.iter().all(|grid| grid.is_wide(CHARACTERS)) {
                @for grid in grids { (scrolling(grid.quantity, &turned(grid))) }
            } @else {
                (scrolling("All figures of this claim", &upright(grids, &entry.chart.x)))
            }
        }
    }
}

/// The settings are rows.
fn upright(grids: &[Grid<'_>], x: &str) -> Markup {
    html! {
        table.figures {
            thead {
                tr {
                    th scope="col" { (x) }
                    @for column in &grids[0].columns { th scope="col" { (column) } }
                }
            }
            @for grid in grids {
                tbody {
                    tr { th.quantity scope="rowgroup" colspan=(grid.columns.len() + 1) { span { (grid.title()) } } }
                    @for (at, setting) in grid.settings.iter().enumerate() {
                        tr {
                            th scope="row" { (setting.at) }
                            @for column in 0..grid.columns.len() { (cell(grid, at, column)) }
                        }
                    }
                }
            }
        }
    }
}

/// The columns are rows.
fn turned(grid: &Grid<'_>) -> Markup {
    html! {
        table.figures {
            thead {
                tr {
                    th scope="col" { (grid.title()) }
                    @for setting in &grid.settings { th scope="col" { (setting.at) } }
                }
            }
            tbody {
                @for (column, name) in grid.columns.iter().enumerate() {
                    tr {
                        th scope="row" { (name) }
                        @for at in 0..grid.settings.len() { (cell(grid, at, column)) }
                    }
                }
            }
        }
    }
}

fn cell(grid: &Grid<'_>, setting: usize, column: usize) -> Markup {
    let cell = grid.cell(setting, column);
    html! {
        td {
            (grid::text(cell))
            @if let Some(spread) = cell.and_then(|cell| cell.spread()) { " " span.spread { (spread) } }
        }
    }
}
