//! A bar for each column, grouped by setting.
//!
//! Owns the layout: bars lie, so that the name of each stands before it and its value behind it.
//! A whisker spans the rounds.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::axis::Axis;
use super::{Area, GAP, LABELS, LINE, MUTED, TEXT, TITLE, WHISKER, WIDTH, cut, look, rows, text, width};
use crate::Result;
use crate::claims::Chart;
use crate::report::grid::{self, Grid};

/// The height of a bar with the gap below it.
const ROW: i32 = 27;
const BAR: i32 = 21;
/// The height of a setting's name, and the gap below its group.
const HEADING: i32 = 28;
const GROUP_GAP: i32 = 8;
/// The largest share of the width for the names of the columns.
const NAMES_MAX: i32 = WIDTH / 2;
/// The least distance of two ticks.
const TICKS_APART: i32 = 60;

pub(super) fn height(grid: &Grid<'_>) -> i32 {
    TITLE + bars(grid) + LABELS
}

fn bars(grid: &Grid<'_>) -> i32 {
    let group = rows(grid, ROW) + GROUP_GAP;
    grid.settings.iter().map(|setting| heading(setting.at) + group).sum()
}

fn heading(at: &str) -> i32 {
    if at.is_empty() { 0 } else { HEADING }
}

pub(super) fn draw(area: &Area<'_>, grid: &Grid<'_>, chart: &Chart) -> Result<()> {
    let texts: Vec<String> = grid.figures().map(|cell| grid::text(Some(cell))).collect();
    let names = (width(grid.columns.iter().copied()) + GAP).min(NAMES_MAX);
    let values = width(texts.iter().map(String::as_str)) + 2 * GAP;
    let axis = Axis::of_quantity(grid.figures().flat_map(|cell| [cell.low, cell.high]), chart.is_log);
    let axis = axis.thinned(TICKS_APART, WIDTH - names - values);
    let base = axis.base();
    let mut plot = ChartBuilder::on(area)
        .margin_top(TITLE)
        .margin_left(names)
        .margin_right(values)
        .x_label_area_size(LABELS)
        .build_cartesian_2d(axis, 0..bars(grid))?;
    plot.configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .bold_line_style(LINE.colour)
        .axis_style(LINE.colour)
        .x_label_style(text(&MUTED, HPos::Center, VPos::Top))
        .draw()?;
    let x = |value: f64| plot.backend_coord(&(value, 0)).0;
    let zero = x(base);
    let mut top = TITLE;
    for (at, setting) in grid.settings.iter().enumerate() {
        if !setting.at.is_empty() {
            let name = cut(setting.at, WIDTH);
            area.draw(&Text::new(name, (0, top + HEADING / 2), text(&MUTED, HPos::Left, VPos::Center)))?;
        }
        top += heading(setting.at);
        for (column, name) in grid.columns.iter().enumerate() {
            let (_, ink) = look(&grid.columns, column);
            let middle = top + ROW / 2;
            area.draw(&Text::new(cut(name, names - GAP), (names - GAP, middle), text(&TEXT, HPos::Right, VPos::Center)))?;
            let cell = grid.cell(at, column);
            let mut end = zero;
            if let Some(cell) = cell {
                let (value, low, high) = (x(cell.median), x(cell.low), x(cell.high));
                let bar = [(zero.min(value), middle - BAR / 2), (zero.max(value).max(zero + 1), middle + BAR / 2)];
                area.draw(&Rectangle::new(bar, ink.colour.filled()))?;
                draw_whisker(area, low, high, middle)?;
                end = value.max(high).max(zero);
            }
            area.draw(&Text::new(grid::text(cell), (end + GAP, middle), text(&TEXT, HPos::Left, VPos::Center)))?;
            top += ROW;
        }
        top += GROUP_GAP;
    }
    Ok(())
}

fn draw_whisker(area: &Area<'_>, low: i32, high: i32, middle: i32) -> Result<()> {
    // A shorter whisker would hide in its own ends.
    const LEAST: i32 = 3;
    if high - low < LEAST {
        return Ok(());
    }
    let end = |at| vec![(at, middle - WHISKER), (at, middle + WHISKER)];
    for path in [vec![(low, middle), (high, middle)], end(low), end(high)] {
        area.draw(&PathElement::new(path, TEXT.colour.stroke_width(2)))?;
    }
    Ok(())
}
