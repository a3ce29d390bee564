//! What holds for all claims: the models, the machine, the method, the noise, and the raw figures.

use maud::{Markup, html};

use super::{prose, scrolling};
use crate::lab::Effort;
use crate::lab::model::Model;
use crate::lab::samples::grouped;
use crate::report::{Named, Report};

pub(super) fn sections(reports: &[Named]) -> Markup {
    html! {
        section #models {
            h2 { "The models" }
            p { "The handlers and the protocol code are the same in all models. Each server is a process of its own." }
            (scrolling("The models", &models(reports)))
        }
        section #machine {
            h2 { "The machine and the method" }
            @for named in reports {
                @if reports.len() > 1 { h3 { (named.name) } }
                (machine(&named.report))
                @for line in named.report.method() { p { (prose(&line)) } }
            }
        }
        section #noise {
            h2 { "The noise" }
            p {
                "Two servers of the same model, " code { "event-loop" } ", were measured in turn, as if they were two models. \
                 A claim about time must differ by more than they do. "
                "No timed claim is decided while other programs keep the processors busy."
            }
            @for named in reports {
                p {
                    @if reports.len() > 1 { (named.name) ": " }
                    @if let Some(noise) = named.report.noise_text() { (noise) "." } @else { "The noise was not measured." }
                }
            }
        }
        section #figures {
            h2 { "All figures" }
            p.paper { "The page on a screen also has all figures of all rounds, as JSON." }
            @for named in reports {
                details {
                    summary { "The figures of all rounds, as JSON" @if reports.len() > 1 { ": " (named.name) } }
                    (scrolling("The figures as JSON", &html! { pre { (named.report.json()) } }))
                }
            }
        }
    }
}

fn models(reports: &[Named]) -> Markup {
    let has = |model: &Model| reports.iter().flat_map(|named| &named.report.entries).any(|entry| entry.findings.models().contains(model));
    html! {
        table.models {
            thead { tr { th scope="col" { "Model" } th scope="col" { "In textbooks" } th scope="col" { "How it is built" } } }
            tbody {
                @for model in Model::ALL.into_iter().chain([Model::Foreign]).filter(has) {
                    tr { th scope="row" { (model.name()) } td { (model.textbook()) } td { (prose(model.how())) } }
                }
            }
        }
    }
}

fn machine(report: &Report) -> Markup {
    let effort = match report.effort {
        Effort::Quick => "quick: rough figures",
        Effort::Full => "full",
    };
    let descriptors = if report.descriptors == usize::MAX { "no limit".to_owned() } else { grouped(report.descriptors as f64) };
    html! {
        dl {
            dt { "Processor" } dd { (report.machine.cpu) ", " (report.machine.cores) " in use" }
            dt { "System" } dd { (report.machine.system) ", loopback interface" }
            dt { "Descriptors" } dd { (descriptors) " for each process" }
            dt { "Program" } dd { "pushlab " (report.version) ", " @if report.is_release_build { "release build" } @else { "debug build" } }
            dt { "Run" } dd { (effort) ", " (format!("{:.0}", report.seconds)) " s" }
        }
    }
}
