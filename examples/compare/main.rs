//! Tests what textbooks say about server push, and about blocking and non-blocking IO.
//!
//! `cargo run --release --example compare` starts a server process for each IO model, measures the
//! claims, and judges each of them by a rule that was written before the run. Reading order: this
//! file; `claims` (what is tested); `run` (how a verdict comes about); `lab` (the tools); `server`
//! (the measured server); `findings` (the figures); `report` (the output).

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test"))]
#![allow(clippy::cast_precision_loss, reason = "figures have three digits that count")]
#![allow(clippy::duplicate_mod, reason = "the driver of an example is used here, and brings its own terminal")]
#![allow(clippy::cast_sign_loss, reason = "times and counts are not negative")]

#[path = "../common/arguments.rs"]
mod arguments;
#[path = "../common/broker/mod.rs"]
mod broker;
mod claims;
mod findings;
mod interrupt;
mod lab;
mod options;
mod output;
mod progress;
mod report;
mod run;
mod server;
#[path = "../common/terminal.rs"]
mod terminal;
#[path = "../third_driver.rs"]
#[allow(dead_code, reason = "it is an example of its own, with a main function")]
mod third_driver;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use arguments::{Arguments, refuse};
use options::{Command, Merge, Options};
use output::Output;
use report::{Named, Report};
use terminal::{end, say, version};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    match options::parse(Arguments::new(std::env::args_os())) {
        Ok(Command::Help) => end(say(options::HELP)),
        Ok(Command::Version) => end(say(&version())),
        Ok(Command::Techniques(file)) => end(techniques(&file)),
        Ok(Command::List) => end(say(&report::terminal::list())),
        Ok(Command::Explain(claim)) => end(say(&report::terminal::explain(claim))),
        Ok(Command::Serve(setup)) => end(server::serve(&setup)),
        Ok(Command::ServeBroker(directory)) => end(lab::broker::serve(&directory)),
        Ok(Command::Merge(asked)) => end(merge(&asked)),
        Ok(Command::Compare(options)) => match compare(&options) {
            Ok(()) if interrupt::is_asked() => ExitCode::from(interrupt::EXIT_INTERRUPTED),
            done => end(done),
        },
        Err(message) => refuse(&message),
    }
}

fn compare(options: &Options) -> Result<()> {
    let conditions = run::conditions(options)?;
    // The files are opened before the measurement: an error shows at once, and not after minutes.
    let page = output::open_page(&options.out)?;
    let json = options.json.as_deref().map(|path| Output::open("--json", path)).transpose()?;
    interrupt::catch()?;
    let report = run::run(options, &conditions)?;
    show(&[Named { name: "this machine".to_owned(), report }], page, json, options.charts.as_deref())
}

fn techniques(file: &Path) -> Result<()> {
    let table = Report::read(file).and_then(|report| report::techniques::table(&report));
    Ok(say(table.map_err(|error| format!("--techniques: {error}"))?.trim_end())?)
}

fn merge(asked: &Merge) -> Result<()> {
    let reports = Named::read_all(&asked.files)?;
    show(&reports, output::open_page(&asked.out)?, None, asked.charts.as_deref())
}

fn show(reports: &[Named], mut page: Output, json: Option<Output>, charts: Option<&Path>) -> Result<()> {
    // If one form cannot be written, the others still have the figures.
    let said = say(&report::terminal::text(reports));
    let kept = json.zip(reports.first()).map_or(Ok(()), |(mut json, named)| json.write(&named.report.json()));
    page.write(&report::html::page(reports)?)?;
    if let Some((directory, named)) = charts.zip(reports.first()) {
        output::write_charts(directory, &report::charts(&named.report)?)?;
    }
    kept?;
    said?;
    Ok(say(&format!("The page with all charts is {}.", page.path.display()))?)
}
