//! The report as a page: one file, which needs no script and no other file.
//!
//! Owns the order of the page, its head and its contents. The page reads well on a projector, on a
//! phone and on paper. Leaves one claim to `claim`, and what holds for all claims to `about`.

mod about;
mod claim;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Named, Row, rows};
use crate::Result;
use crate::findings::Verdict;

const STYLE: &str = include_str!("page.css");

/// The page of one report, or of several side by side.
pub(crate) fn page(reports: &[Named]) -> Result<String> {
    let rows = rows(reports);
    let claims = rows.iter().map(|row| claim::section(reports, row)).collect::<Result<Vec<Markup>>>()?;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "pushlab: claims about server push and IO models, tested" }
                style { (PreEscaped(STYLE)) }
            }
            body class=[(reports.len() > 1).then_some("several")] {
                header {
                    p.name { "pushlab compare" }
                    h1 { "What textbooks say about server push and IO models, tested" }
                    @for named in reports {
                        p.summary { @if reports.len() > 1 { (named.name) ": " } (named.report.summary()) }
                        p { (named.report.place()) }
                        @for warning in named.report.warnings() {
                            p.warning { (warning) }
                        }
                    }
                }
                main {
                    (contents(reports, &rows))
                    @for claim in claims { (claim) }
                    (about::sections(reports))
                }
            }
        }
    };
    Ok(page.into_string())
}

fn contents(reports: &[Named], rows: &[Row<'_>]) -> Markup {
    html! {
        nav aria-labelledby="claims" {
            h2 #claims { "The claims" }
            (scrolling("The claims and their verdicts", &html! {
                table.contents {
                    thead {
                        tr {
                            th scope="col" { "No." }
                            th scope="col" { "Claim" }
                            @for named in reports {
                                th scope="col" { @if reports.len() > 1 { (named.name) } @else { "Verdict" } }
                            }
                        }
                    }
                    tbody {
                        @for Row { claim, entries } in rows {
                            tr {
                                td { (claim.id) }
                                td { a href={ "#" (anchor(&claim.id)) } { (claim.sentence) } }
                                @for entry in entries {
                                    td { @if let Some(entry) = entry { (badge(entry.ruling.verdict)) } @else { "n/a" } }
                                }
                            }
                        }
                    }
                }
            }))
            p {
                "A rule that was written before the run decides each verdict. " b { "Not shown" }
                " means that the figures are too close for the noise, or that something was in the way. Further down: "
                a href="#models" { "the models" } ", " a href="#machine" { "the machine and the method" } ", "
                a href="#noise" { "the noise" } ", " a href="#figures" { "all figures" } "."
            }
        }
    }
}

/// The name of a claim's section, such as `c8`.
fn anchor(id: &str) -> String {
    id.to_ascii_lowercase()
}

/// A verdict, which has a sign beside its colour.
fn badge(verdict: Verdict) -> Markup {
    let (class, sign) = match verdict {
        Verdict::Holds => ("holds", "✓"),
        Verdict::DoesNotHold => ("fails", "✗"),
        Verdict::NotShown => ("open", "?"),
    };
    html! { span class={ "verdict " (class) } { span aria-hidden="true" { (sign) } " " (verdict) } }
}

/// A part that may be wider than a phone, and scrolls by itself.
fn scrolling(name: &str, part: &Markup) -> Markup {
    html! { div.scrolling role="region" aria-label=(name) tabindex="0" { (part) } }
}

/// A sentence in which names of code stand between backticks.
fn prose(text: &str) -> Markup {
    let parts: Vec<&str> = text.split('`').collect();
    // A backtick without its partner is no quotation.
    if parts.len().is_multiple_of(2) {
        return html! { (text) };
    }
    html! {
        @for (at, part) in parts.iter().enumerate() {
            @if at % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Findings;
    use crate::report::Report;
    use crate::report::tests::{named, sample};

    fn page_of(report: Report) -> String {
        page(&[named("here", report)]).unwrap()
    }

    #[test]
    fn each_claim_is_on_the_page() {
        let report = sample();
        let page = page_of(report.clone());
        for entry in &report.entries {
            let id = anchor(&entry.id);
            for part in [format!("<section class=\"claim\" id=\"{id}\""), format!("href=\"#{id}\""), entry.file.clone()] {
                assert!(page.contains(&part), "no {part}");
            }
            for text in [&entry.sentence, &entry.source, &entry.rule, &entry.setup, &entry.explanation] {
                assert!(page.contains(&prose(text).into_string()), "no {text}");
            }
        }
        assert_eq!(page.matches("<svg ").count(), report.entries.len());
        assert!(page.contains(&report.summary()) && page.contains("published: 1.2") && page.contains("here: 1.3"));
    }

    #[test]
    fn nothing_on_the_page_is_markup_by_accident() {
        let mut report = sample();
        report.entries[0].sentence = "<script>alert(1)</script> & \"quotes\"".to_owned();
        report.entries[0].findings.notes.push("</pre><img src=x>".to_owned());
        report.entries[0].findings.series[0].column = "<b>".to_owned();
        let page = page_of(report);
        for markup in ["<script", "<img", "<test>", "<decided>", "<b>\"", ">alert(1)</script>", "http-equiv"] {
            assert!(!page.contains(markup), "{markup} is on the page");
        }
        assert!(page.contains("a &lt;test&gt; processor") && page.contains("&lt;script&gt;alert(1)"));
        assert!(!page.replace("http://www.w3.org/2000/svg", "").contains("http"), "the page loads or links another file");
    }

    #[test]
    fn missing_figures_leave_the_rest_of_the_page() {
        let mut report = sample();
        report.noise = None;
        report.is_interrupted = true;
        report.entries[0].findings = Findings::default();
        report.entries[1].findings.series.iter_mut().flat_map(|series| &mut series.points).for_each(|point| point.rounds.fill(f64::NAN));
        let page = page_of(report);
        assert!(page.contains("There is no figure to draw") && page.contains("The run was interrupted"), "{page}");
        assert!(!page.contains("NaN"));
        let mut empty = sample();
        empty.entries.clear();
        assert!(page_of(empty).contains("0 claims hold, 0 do not, 0 are not shown."));
    }

    #[test]
    fn several_reports_share_a_page() {
        let (first, mut second) = (sample(), sample());
        second.entries.remove(0);
        second.entries[0].rule = "Another rule.".to_owned();
        let claims = first.entries.len();
        let page = page(&[named("laptop", first), named("<server>", second)]).unwrap();
        assert_eq!(page.matches("<svg ").count(), 2 * claims - 1);
        assert_eq!(page.matches("<section class=\"claim\"").count(), claims);
        for part in ["laptop", "&lt;server&gt;", "n/a", "Another rule."] {
            assert!(page.contains(part), "no {part}");
        }
    }

    #[test]
    fn code_stands_between_backticks() {
        assert_eq!(prose("`a<b>` is code").into_string(), "<code>a&lt;b&gt;</code> is code");
        assert_eq!(prose("one ` alone").into_string(), "one ` alone");
    }
}
