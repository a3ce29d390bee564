//! Both IO models on the same load, side by side, on this machine.
//!
//! `cargo run --release --example compare` starts a server process for each IO model and measures what an idle connection costs and how fast
//! requests and echoes go, then prints one table. Reading order: this file; `server` (what is measured); `idle` and `load` (how);
//! `proc` (where figures of processes come from); `report` and `table`.

#![allow(clippy::cast_precision_loss, reason = "figures have three digits that count")]

mod client;
mod idle;
mod load;
mod options;
mod proc;
mod process;
mod progress;
mod report;
mod server;
mod table;
mod wire;

use std::error::Error;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use options::{Command, Options};
use progress::Progress;
use report::Report;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let done = match Command::from_args() {
        Ok(Command::Help) => print(options::HELP),
        Ok(Command::Serve(model)) => server::serve(model),
        Ok(Command::Compare(options)) => compare(&options),
        Err(error) => {
            eprintln!("compare: {error}\ncompare: try --help");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(options: &Options) -> Result<()> {
    // Opened first: nobody wants to learn after a minute that the file cannot be written.
    let json = match &options.json {
        Some(path) => Some(File::create(path).map_err(|error| format!("--json: cannot write {}: {error}", path.display()))?),
        None => None,
    };
    let limits = proc::descriptor_limits();
    let points = load::points(limits)?;
    let mut progress = Progress::new(idle::steps(options) + load::steps(options, &points));
    let idle = idle::measure(options, limits, &mut progress)?;
    let load = load::measure(options, points, &mut progress)?;
    progress.finish();

    let report = Report { machine: proc::Machine::this(), limits, settings: options.clone(), idle, load };
    print(&table::text(&report))?;
    if let Some(mut file) = json {
        writeln!(file, "{:#}", report.json())?;
    }
    Ok(())
}

/// A reader that has seen enough (`| head`) is no error.
fn print(text: &str) -> Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
