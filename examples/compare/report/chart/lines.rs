//! A line for each column over the settings.
//!
//! Owns the layout: the name of a column stands at the end of its line, and each column has a
//! marker of its own. A whisker spans the rounds.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::axis::Axis;
use super::{Area, GAP, Ink, LABELS, LINE, MUTED, TEXT, TITLE, WHISKER, WIDTH, cut, look, rows, text, width};
use crate::Result;
use crate::claims::Chart;
use crate::report::grid::{Grid, Setting};

/// The height between the axes, at least.
const HEIGHT: i32 = 330;
/// The least distance of the names of two lines.
const NAME: i32 = 22;
/// The length of the line from a last point to its name.
const LEADER: i32 = 22;
/// The largest share of the width for the names.
const NAMES_MAX: i32 = WIDTH * 2 / 5;
/// The distance of a marker's edge from its centre.
const MARKER: i32 = 6;
/// The height of the name of the horizontal axis.
const DESCRIPTION: i32 = 22;
/// The least distance of two ticks, on each axis.
const TICKS_APART: [i32; 2] = [60, 24];

/// The pixels of the lowest round, of the median, and of the highest round.
type Points = [(i32, i32); 3];

fn between(grid: &Grid<'_>) -> i32 {
    HEIGHT.max(rows(grid, NAME))
}

pub(super) fn height(grid: &Grid<'_>) -> i32 {
    // Below the axis are its ticks and its name.
    TITLE + GAP + between(grid) + LABELS + DESCRIPTION
}

pub(super) fn draw(area: &Area<'_>, grid: &Grid<'_>, chart: &Chart) -> Result<()> {
    let y = Axis::of_quantity(grid.figures().flat_map(|cell| [cell.low, cell.high]), chart.is_log);
    let y = y.thinned(TICKS_APART[1], between(grid));
    let levels = width(y.labels().iter().map(String::as_str)) + 2 * GAP;
    let names = (width(grid.columns.iter().copied()) + LEADER + GAP).min(NAMES_MAX);
    let x = Axis::of_settings(grid.settings.iter().map(|setting| setting.x).collect());
    let x = x.thinned(TICKS_APART[0], WIDTH - levels - names);
    let mut plot = ChartBuilder::on(area)
        .margin_top(TITLE + GAP)
        .margin_right(names)
        .x_label_area_size(LABELS + DESCRIPTION)
        .y_label_area_size(levels)
        .build_cartesian_2d(x, y)?;
    plot.configure_mesh()
        .disable_x_mesh()
        .bold_line_style(LINE.colour)
        .axis_style(MUTED.colour)
        .x_desc(chart.x.as_ref())
        .axis_desc_style(text(&TEXT, HPos::Center, VPos::Bottom))
        .label_style(text(&MUTED, HPos::Center, VPos::Top))
        .set_all_tick_mark_size(GAP / 2)
        .draw()?;
    let mut ends = Vec::new();
    for column in 0..grid.columns.len() {
        let pixels = |(at, setting): (usize, &Setting<'_>)| {
            let cell = grid.cell(at, column)?;
            Some([cell.low, cell.median, cell.high].map(|value| plot.backend_coord(&(setting.x, value))))
        };
        let measured = grid.settings.iter().enumerate().filter(|(at, _)| grid.is_measured(*at, column));
        let points: Vec<Option<Points>> = measured.map(pixels).collect();
        let (marker, ink) = look(&grid.columns, column);
        draw_line(area, &points, ink, marker)?;
        ends.extend(points.iter().flatten().last().map(|[_, end, _]| (column, *end)));
    }
    let heights: Vec<i32> = ends.iter().map(|(_, (_, y))| *y).collect();
    let (top, bottom) = (TITLE + GAP, TITLE + GAP + between(grid));
    for ((column, end), y) in ends.iter().zip(apart(&heights, NAME, top, bottom)) {
        let (_, ink) = look(&grid.columns, *column);
        let at = (WIDTH - names + LEADER, y);
        area.draw(&PathElement::new(vec![*end, (at.0 - GAP / 2, y)], ink.colour.stroke_width(1)))?;
        let name = cut(grid.columns[*column], names - LEADER);
        area.draw(&Text::new(name, at, text(&TEXT, HPos::Left, VPos::Center)))?;
    }
    Ok(())
}

/// Draws the line of one column. It has a gap where the measurement of a setting gave no figure.
fn draw_line(area: &Area<'_>, settings: &[Option<Points>], ink: &Ink, marker: usize) -> Result<()> {
    for [(x, low), _, (_, high)] in settings.iter().flatten() {
        // A whisker within the marker cannot be seen.
        if low - high > 2 * MARKER {
            let end = |y: i32| vec![(x - WHISKER, y), (x + WHISKER, y)];
            for path in [vec![(*x, *low), (*x, *high)], end(*low), end(*high)] {
                area.draw(&PathElement::new(path, ink.colour.stroke_width(2)))?;
            }
        }
    }
    for run in settings.split(Option::is_none) {
        let path: Vec<(i32, i32)> = run.iter().flatten().map(|[_, middle, _]| *middle).collect();
        if path.len() > 1 {
            area.draw(&PathElement::new(path, ink.colour.stroke_width(3)))?;
        }
    }
    for [_, middle, _] in settings.iter().flatten() {
        match shape(marker) {
            None => area.draw(&Circle::new(*middle, MARKER, ink.colour.filled()))?,
            Some(shape) => {
                let corners = shape.map(|(x, y)| (middle.0 + x, middle.1 + y));
                area.draw(&Polygon::new(corners.to_vec(), ink.colour.filled()))?;
            }
        }
    }
    Ok(())
}

/// The corners of a marker. `None` is a circle.
fn shape(marker: usize) -> Option<[(i32, i32); 4]> {
    const M: i32 = MARKER;
    const WIDE: i32 = MARKER + 2;
    [
        None,
        Some([(-M, -M), (M, -M), (M, M), (-M, M)]),
        Some([(0, -WIDE), (WIDE, M), (0, M), (-WIDE, M)]),
        Some([(0, -WIDE), (WIDE, 0), (0, WIDE), (-WIDE, 0)]),
        Some([(-WIDE, -M), (0, -M), (WIDE, -M), (0, WIDE)]),
        Some([(-2, -WIDE), (2, -WIDE), (2, WIDE), (-2, WIDE)]),
        Some([(-WIDE, -2), (WIDE, -2), (WIDE, 2), (-WIDE, 2)]),
    ][marker % 7]
}

/// The wanted heights, moved apart by at least `least`, within `top` and `bottom` if there is room.
fn apart(wanted: &[i32], least: i32, top: i32, bottom: i32) -> Vec<i32> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by_key(|at| wanted[*at]);
    let mut heights = wanted.to_vec();
    let mut free = top;
    for at in &order {
        heights[*at] = heights[*at].max(free);
        free = heights[*at] + least;
    }
    let mut free = bottom;
    for at in order.iter().rev() {
        heights[*at] = heights[*at].min(free);
        free = heights[*at] - least;
    }
    heights
}

#[cfg(test)]
mod tests {
    use super::apart;

    #[test]
    fn names_do_not_overlap() {
        assert_eq!(apart(&[100, 100, 100], 20, 0, 300), [100, 120, 140]);
        assert_eq!(apart(&[300, 10, 295], 20, 0, 300), [300, 10, 280]);
        assert_eq!(apart(&[300, 299, 298], 20, 0, 300), [300, 280, 260]);
        assert_eq!(apart(&[], 20, 0, 300), [0; 0]);
    }
}
