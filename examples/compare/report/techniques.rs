//! The techniques side by side, as a table in Markdown. README has it.
//!
//! Owns what each technique can do, which is a fact of its protocol and of browsers. The figures are
//! those of claim C26, so that the table and the report cannot differ. Leaves measuring to the claim.

use std::fmt::Write;

use super::Report;
use crate::Result;
use crate::claims::c26_comparison::{self as c26, BYTES, CPU, LATENCY, MEMORY};
use crate::findings::Quantity;
use crate::lab::model::Model;
use crate::lab::samples::short;
use crate::lab::technique::Technique;

/// What a technique can do in a browser.
struct Facts {
    /// Where messages go, without a further request.
    direction: &'static str,
    binary: &'static str,
    resume: &'static str,
    needs_scripts: &'static str,
    crosses_origins: &'static str,
    /// Between two messages.
    stays_open: &'static str,
    /// How many of the six connections that a browser opens to a server over HTTP/1.1.
    of_six: &'static str,
    choose: &'static str,
}

const POLLS: Facts = Facts {
    direction: "to the client",
    binary: "as base64",
    resume: "by `after=`",
    needs_scripts: "yes",
    crosses_origins: "by CORS",
    stays_open: "nothing",
    of_six: "one during a request",
    choose: "",
};
const LONG_POLLS: Facts = Facts { stays_open: "a request", of_six: "one", ..POLLS };
const STREAMS: Facts = Facts { stays_open: "a response", ..LONG_POLLS };

const fn facts(technique: Technique) -> Facts {
    match technique {
        Technique::MetaRefresh => Facts {
            binary: "no",
            resume: "the page's next address has the cursor",
            needs_scripts: "no",
            crosses_origins: "in a frame",
            choose: "scripts are off",
            ..POLLS
        },
        Technique::Poll => Facts {
            binary: "`format=raw`",
            resume: "by `If-None-Match` or `after=`",
            choose: "data changes rarely, and may come late",
            ..POLLS
        },
        Technique::Jsonp => Facts { crosses_origins: "always", choose: "as short polling, for browsers without CORS", ..POLLS },
        Technique::LongPoll => Facts { binary: "`format=raw`", choose: "a proxy breaks streams", ..LONG_POLLS },
        Technique::JsonpLongPoll => Facts { crosses_origins: "always", choose: "as long polling, for browsers without CORS", ..LONG_POLLS },
        Technique::Stream => Facts { choose: "a program reads lines, or the request needs fields of its own", ..STREAMS },
        Technique::Iframe => Facts { crosses_origins: "no", choose: "the browser is older than XHR streaming", ..STREAMS },
        Technique::Multipart => Facts {
            binary: "yes",
            resume: "no",
            needs_scripts: "not for pictures",
            crosses_origins: "as a picture",
            choose: "each picture replaces the one before",
            ..STREAMS
        },
        Technique::Events => Facts {
            resume: "the browser does, by `Last-Event-ID`",
            choose: "text goes to the client: the least work on both sides",
            ..STREAMS
        },
        Technique::WebSocket => Facts {
            direction: "both ways",
            binary: "yes",
            crosses_origins: "if the server allows the origin",
            stays_open: "a connection",
            of_six: "none: browsers count WebSockets apart",
            choose: "both sides send often, or data is binary",
            ..STREAMS
        },
    }
}

/// The table of a full run.
///
/// # Errors
/// If the report lacks a figure of a technique.
pub(crate) fn table(report: &Report) -> Result<String> {
    let entry = report.entries.iter().find(|entry| entry.id == c26::CLAIM.id).ok_or("the report has no claim C26")?;
    let figure = |quantity: Quantity, technique: Technique| -> Result<String> {
        let of = |model: Model| {
            let missing = || format!("the report has no {} of {technique}; a full run measures it", quantity.name);
            Ok::<_, Box<dyn std::error::Error>>(short(entry.findings.median(quantity, model, technique.name()).ok_or_else(missing)?))
        };
        let (event_loop, threads) = (of(Model::EventLoop)?, of(Model::Threads)?);
        Ok(if event_loop == threads { event_loop } else { format!("{event_loop} / {threads}") })
    };
    let mut text = String::from(
        "| Technique | Messages go | Binary | Continues after a cut | Needs JavaScript | Crosses origins | Stays open | Of a browser's six connections \
         | Bytes per message | Latency, ms | Server CPU per message, µs | Server memory per subscriber, KiB | Choose it when |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for technique in Technique::ALL {
        let facts = facts(technique);
        let cells = [
            technique.name().to_owned(),
            facts.direction.to_owned(),
            facts.binary.to_owned(),
            facts.resume.to_owned(),
            facts.needs_scripts.to_owned(),
            facts.crosses_origins.to_owned(),
            facts.stays_open.to_owned(),
            facts.of_six.to_owned(),
            figure(BYTES, technique)?,
            figure(LATENCY, technique)?,
            figure(CPU, technique)?,
            figure(MEMORY, technique)?,
            facts.choose.to_owned(),
        ];
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// README's table is that of the committed report.
    #[test]
    fn readme_has_the_table_of_the_committed_report() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let report = Report::read(&root.join("examples/compare/results/epyc-2-cores.json")).unwrap();
        let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
        let table = table(&report).unwrap();
        assert!(readme.contains(&table), "README.md must have this table:\n{table}");
    }

    #[test]
    fn a_report_without_the_figures_is_refused() {
        let report = Report::new(crate::lab::proc::Machine::this(), crate::lab::Effort::Quick);
        assert_eq!(table(&report).unwrap_err().to_string(), "the report has no claim C26");
    }
}
