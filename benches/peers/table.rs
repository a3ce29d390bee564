//! The table of all figures, in Markdown.

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table};

use crate::measure::Figure;
use crate::scenarios::Scenario;
use crate::server::Peer;

/// A row for each scenario, and a column for each peer.
pub(crate) fn table(rows: &[(&Scenario, Vec<(Peer, Figure)>)]) -> Table {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN);
    table.set_header(["Operation", "Unit"].into_iter().chain(Peer::ALL.map(Peer::name)));
    for (scenario, figures) in rows {
        table.add_row([scenario.name.to_owned(), scenario.unit().to_owned()].into_iter().chain(Peer::ALL.map(|peer| cell(peer, figures))));
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The figure, and its ratio to pushlab's event loop. A peer that cannot do the scenario has a dash.
fn cell(peer: Peer, figures: &[(Peer, Figure)]) -> String {
    let median = |wanted| figures.iter().find(|(peer, _)| *peer == wanted).map(|(_, figure)| figure.median);
    match (median(peer), median(Peer::ALL[0])) {
        (Some(figure), Some(first)) => format!("{} ({:.2})", with_three_digits(figure), figure / first),
        _ => "–".to_owned(),
    }
}

fn with_three_digits(figure: f64) -> String {
    let decimals = match figure {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    format!("{figure:.decimals$}")
}

/// How far the rounds of a cell lie apart: a machine that does other things shows it here.
pub(crate) fn spread(rows: &[(&Scenario, Vec<(Peer, Figure)>)]) -> Option<String> {
    let cells = rows.iter().flat_map(|(scenario, figures)| figures.iter().map(move |(peer, figure)| (figure.spread, *peer, scenario.name)));
    let mut spreads: Vec<_> = cells.filter_map(|(spread, peer, name)| Some((spread? * 100.0, peer, name))).collect();
    spreads.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (half, ..) = spreads.get(spreads.len() / 2)?;
    let (most, peer, name) = spreads.last()?;
    Some(format!(
        "In half of the cells, the rounds lie apart by at most {half:.0} % of their median. The most is {most:.0} %: {peer}, {name}."
    ))
}

#[test]
fn a_cell_has_the_figure_and_its_ratio() {
    let figure = |median| Figure { median, spread: None };
    let figures = [(Peer::Pushlab, figure(5.0)), (Peer::Hyper, figure(12.345)), (Peer::Axum, figure(1_024.4))];
    let cells = [Peer::Pushlab, Peer::Hyper, Peer::Axum, Peer::TinyHttp].map(|peer| cell(peer, &figures));
    assert_eq!(cells, ["5.00 (1.00)", "12.3 (2.47)", "1024 (204.88)", "–"]);
}
