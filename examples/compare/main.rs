//! Compares both IO models under the same load on this machine.
//!
//! `cargo run --release --example compare` starts a server process for each IO model. It measures
//! the cost of an idle connection and the speed of requests and echoes, and prints one table.
//! Reading order: this file; `server` (the measured server); `idle` and `load` (the measurements);
//! `proc` (the source of the figures); `report` and `table` (the output).

#![allow(clippy::cast_precision_loss, reason = "figures have three digits that count")]

#[path = "../common/arguments.rs"]
mod arguments;
mod client;
mod idle;
mod interrupt;
mod load;
mod options;
mod proc;
mod process;
mod progress;
mod report;
mod server;
mod table;
#[path = "../common/terminal.rs"]
mod terminal;
mod wire;

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::process::ExitCode;

use arguments::{Arguments, refuse};
use options::{Command, Options};
use progress::Progress;
use report::Report;
use terminal::{end, say, version};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    match options::parse(Arguments::new(std::env::args_os())) {
        Ok(Command::Help) => end(say(options::HELP)),
        Ok(Command::Version) => end(say(&version())),
        Ok(Command::Serve(model)) => end(server::serve(model)),
        Ok(Command::Compare(options)) => match compare(&options) {
            Ok(()) if interrupt::is_asked() => ExitCode::from(interrupt::EXIT_INTERRUPTED),
            done => end(done),
        },
        Err(message) => refuse(&message),
    }
}

fn compare(options: &Options) -> Result<()> {
    // The file is opened before the measurement: an error shows at once, and not after a minute.
    let json = match &options.json {
        Some(path) => Some(File::create(path).map_err(|error| format!("--json: cannot write {}: {error}", path.display()))?),
        None => None,
    };
    interrupt::catch()?;
    let limits = proc::descriptor_limits();
    let points = load::points(limits)?;
    let mut progress = Progress::new(idle::steps(options) + load::steps(options, &points));
    let idle = idle::measure(options, limits, &mut progress)?;
    let load = load::measure(options, points, &mut progress)?;
    progress.finish();

    let is_interrupted = interrupt::is_asked();
    let report = Report { is_interrupted, machine: proc::Machine::this(), limits, settings: options.clone(), idle, load };
    say(table::text(&report).trim_end())?;
    if let Some(mut file) = json {
        writeln!(file, "{:#}", report.json())?;
    }
    Ok(())
}
