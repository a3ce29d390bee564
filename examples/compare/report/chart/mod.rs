//! The chart of a claim, as an SVG picture.
//!
//! Owns the colours, the markers and the texts that all charts share. Each column has a colour, a
//! marker and its name beside it, so that no reader needs the colours. Each coloured element also
//! has a class, with which a page chooses the colours of its light and its dark form. Leaves the
//! scale to `axis`, and the two forms to `bars` and `lines`.

mod axis;
mod bars;
mod lines;

use maud::html;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::grid::Grid;
use crate::Result;
use crate::claims::{Chart, Form};
use crate::findings::Findings;
use crate::lab::model::Model;

/// The width of a chart. A phone shows it at about two thirds of this size, and a large screen at
/// one and a half times.
const WIDTH: i32 = 600;
/// The size of all texts.
const FONT: f64 = 17.0;
/// The largest width of a character, on average, as a share of the size.
const CHARACTER: f64 = 0.55;
/// The backend divides the size of a font by this number.
const FONT_SCALE: f64 = 1.24;
/// The height of the title above the axes.
const TITLE: i32 = 34;
/// The height of the labels of the horizontal axis.
const LABELS: i32 = 32;
/// The distance of a text from what it names.
const GAP: i32 = 8;
/// Half the width of the end of a whisker.
const WHISKER: i32 = 4;

/// A colour with the name of its class. A page gives each class a light and a dark colour.
struct Ink {
    class: &'static str,
    colour: RGBColor,
}

const TEXT: Ink = Ink { class: "ink", colour: RGBColor(0x1A, 0x1A, 0x1A) };
const MUTED: Ink = Ink { class: "muted", colour: RGBColor(0x59, 0x59, 0x59) };
const LINE: Ink = Ink { class: "grid", colour: RGBColor(0xD0, 0xD0, 0xD0) };

/// After the palette of Okabe and Ito (2008), which colour-blind readers can tell apart. Some are
/// darker here, so that they have a contrast of 3:1 on white.
const COLUMNS: [Ink; 7] = [
    Ink { class: "c1", colour: RGBColor(0x00, 0x72, 0xB2) },
    Ink { class: "c2", colour: RGBColor(0xD5, 0x5E, 0x00) },
    Ink { class: "c3", colour: RGBColor(0x00, 0x8A, 0x64) },
    Ink { class: "c4", colour: RGBColor(0xB0, 0x4E, 0x8B) },
    Ink { class: "c5", colour: RGBColor(0xA6, 0x78, 0x00) },
    Ink { class: "c6", colour: RGBColor(0x30, 0x30, 0x30) },
    Ink { class: "c7", colour: RGBColor(0x7A, 0x7A, 0x7A) },
];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The chart, with all figures in words as its accessible name. `None` if there is no figure.
pub(crate) fn svg(findings: &Findings, chart: &Chart) -> Result<Option<String>> {
    let Some(grid) = Grid::of(findings, &chart.quantity).filter(|grid| grid.figures().next().is_some()) else { return Ok(None) };
    // A line needs two points.
    let form = if grid.settings.len() < 2 { Form::Bars } else { chart.form };
    let height = match form {
        Form::Bars => bars::height(&grid),
        Form::Lines => lines::height(&grid),
    };
    let mut picture = String::new();
    {
        let area = SVGBackend::with_string(&mut picture, (WIDTH.unsigned_abs(), height.unsigned_abs())).into_drawing_area();
        area.draw(&Text::new(grid.title(), (0, 0), text(&TEXT, HPos::Left, VPos::Top)))?;
        match form {
            Form::Bars => bars::draw(&area, &grid, chart)?,
            Form::Lines => lines::draw(&area, &grid, chart)?,
        }
        area.present()?;
    }
    let kind = match form {
        Form::Bars => "Bar chart",
        Form::Lines => "Line chart",
    };
    Ok(Some(named(&classed(&picture), &format!("{kind} of {}. {}.", grid.title(), grid.words()))))
}

/// A picture as a file of its own, on white paper with a margin.
pub(crate) fn on_paper(picture: &str) -> String {
    const MARGIN: i32 = 12;
    let size = |name: &str| {
        let start = picture.find(&format!(" {name}=\"")).map_or(0, |at| at + name.len() + 3);
        let digits = picture[start..].split('"').next().unwrap_or_default();
        digits.parse().unwrap_or(WIDTH) + 2 * MARGIN
    };
    let (width, height) = (size("width"), size("height"));
    let inner = picture.replacen("<svg ", &format!("<svg x=\"{MARGIN}\" y=\"{MARGIN}\" "), 1);
    format!(
        "<svg width=\"{width}\" height=\"{height}\" xmlns=\"http://www.w3.org/2000/svg\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{}\n</svg>\n",
        inner.trim_end()
    )
}

/// The picture with an accessible name.
fn named(picture: &str, name: &str) -> String {
    let name = html! { (name) }.into_string();
    picture.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{name}\" "), 1)
}

/// The picture with a class beside each colour.
fn classed(picture: &str) -> String {
    let mut picture = picture.to_owned();
    for Ink { class, colour: RGBColor(red, green, blue) } in [&TEXT, &MUTED, &LINE].into_iter().chain(&COLUMNS) {
        for (attribute, kind) in [("fill", "f"), ("stroke", "s")] {
            let colour = format!("{attribute}=\"#{red:02X}{green:02X}{blue:02X}\"");
            picture = picture.replace(&colour, &format!("{colour} class=\"{kind}-{class}\""));
        }
    }
    picture
}

/// The marker and the colour of a column. A model has the same ones in all charts. Where there are
/// more columns than colours, two columns of one colour have different markers.
fn look(columns: &[&str], column: usize) -> (usize, &'static Ink) {
    let place = Model::ALL.iter().chain([&Model::Foreign]).position(|model| model.name() == columns[column]).unwrap_or(column);
    (place + place / COLUMNS.len(), &COLUMNS[place % COLUMNS.len()])
}

fn text(ink: &'static Ink, horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    let style = TextStyle::from(("sans-serif", FONT * FONT_SCALE).into_font());
    style.color(&ink.colour).pos(Pos::new(horizontal, vertical))
}

/// The height of a row for each column.
fn rows(grid: &Grid<'_>, height: i32) -> i32 {
    grid.columns.iter().map(|_| height).sum()
}

/// The width of the longest text, in pixels.
fn width<'a>(texts: impl IntoIterator<Item = &'a str>) -> i32 {
    let longest = texts.into_iter().map(|text| text.chars().count()).max().unwrap_or(0);
    (longest as f64 * FONT * CHARACTER).ceil() as i32
}

/// A text of at most so many pixels.
fn cut(text: &str, pixels: i32) -> String {
    let most = (f64::from(pixels) / (FONT * CHARACTER)) as usize;
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Quantity;

    const CPU: Quantity = Quantity { name: "CPU <per> \"message\"", unit: "µs" };

    fn findings(values: &[f64]) -> Findings {
        let mut findings = Findings::default();
        for (column, name) in ["event-loop", "threads", "a & b"].into_iter().enumerate() {
            for (x, value) in values.iter().enumerate() {
                findings.add(CPU, name, &format!("{x} <at>"), x as f64, vec![*value, value * (column as f64 + 1.5)]);
            }
        }
        findings
    }

    fn charts() -> [Chart; 4] {
        let new = || [Chart::bars(CPU, "x"), Chart::lines(CPU, "x")];
        let [[a, b], [c, d]] = [new(), new()];
        [a, b, c.log(), d.log()]
    }

    #[test]
    fn a_chart_names_its_columns_and_figures() {
        for chart in charts() {
            let svg = svg(&findings(&[1.0, 20.0, 300.0]), &chart).unwrap().unwrap();
            for part in
                ["role=\"img\"", "CPU &lt;per&gt; &quot;message&quot; (µs)", "a &amp; b", "0 &lt;at&gt;: event-loop 1.25", "class=\"f-c1\""]
            {
                assert!(svg.contains(part), "{chart:?}: no {part} in {svg}");
            }
            assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"), "{svg}");
            assert!(!svg.contains("NaN") && !svg.contains("<at>"), "{svg}");
        }
    }

    #[test]
    fn missing_and_odd_values_break_no_chart() {
        for chart in charts() {
            for values in [&[f64::NAN, 1.0][..], &[0.0, 0.0], &[-1.0, 5.0], &[1e-9, 1e18], &[f64::INFINITY, 3.0], &[7.0], &[0.0]] {
                let svg = svg(&findings(values), &chart).unwrap().unwrap();
                assert!(svg.ends_with("</svg>\n") && !svg.contains("inf\"") && !svg.contains("NaN"), "{chart:?} {values:?}: {svg}");
            }
            assert_eq!(svg(&findings(&[f64::NAN]), &chart).unwrap(), None);
            assert_eq!(svg(&Findings::default(), &chart).unwrap(), None);
        }
    }

    #[test]
    fn each_colour_has_a_class() {
        let mut many = Findings::default();
        for column in 0..20 {
            many.add(CPU, format!("column {column}"), "", 0.0, vec![f64::from(column)]);
        }
        let svg = svg(&many, &charts()[0]).unwrap().unwrap();
        let colours = svg.matches("=\"#").count();
        assert_eq!(svg.matches("class=\"").count(), colours, "{svg}");
    }

    #[test]
    fn a_model_looks_alike_everywhere_and_no_two_columns_do() {
        assert_eq!(look(&["SSE", "threads"], 1).1.class, look(&["threads"], 0).1.class);
        let names: Vec<String> = (0..20).map(|column| format!("column {column}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let looks: Vec<_> = (0..20).map(|column| (look(&names, column).0 % 7, look(&names, column).1.class)).collect();
        assert!((0..20).all(|column| !looks[..column].contains(&looks[column])), "{looks:?}");
    }

    #[test]
    fn a_long_text_is_cut() {
        assert_eq!([cut("short", 100), cut("much too long", 60)], ["short", "much…"]);
    }
}
