//! What hostile, broken and greedy peers do to a server, and what is left of it: a bounded load on this machine that ends by itself.
//!
//! `cargo run --release --example abuse` starts a server process for each attack and IO model, lets a well-behaved probe ask all the while, and
//! prints one table: what was done, how long the probe's answers took, and whether descriptors, threads and memory came back. It fails if a promise
//! did not hold. Never point it at anybody else: it only ever talks to the server that it has started on 127.0.0.1.
//!
//! | file | owns |
//! |---|---|
//! | `options` | the command line |
//! | `scenario` | the list of attacks, and what one of them is |
//! | `attacks/` | the attacks |
//! | `trial` | one attack on one model: before, during, after, verdict |
//! | `server`, `target` | the server that suffers, from inside and from outside |
//! | `probe` | the well-behaved client |
//! | `wire` | sockets and bytes of clients, good and bad |

#[path = "../common/arguments.rs"]
mod arguments;
mod attacks;
mod options;
mod probe;
mod scenario;
mod server;
mod target;
#[path = "../common/terminal.rs"]
mod terminal;
mod trial;
mod wire;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{ContentArrangement, Table};

use arguments::{Arguments, refuse};
use options::Command;
use terminal::{end, say, version};

/// Of the table, in characters.
const WIDTH: u16 = 160;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    match options::parse(Arguments::new(std::env::args_os())) {
        Ok(Command::Help) => end(say(options::HELP)),
        Ok(Command::Version) => end(say(&version())),
        Ok(Command::List) => {
            let lines: Vec<_> = scenario::ALL.iter().map(|scenario| format!("{:12} {}", scenario.name, scenario.what)).collect();
            end(say(&lines.join("\n")))
        }
        Ok(Command::Serve { model, max_threads }) => end(server::serve(model, max_threads)),
        Ok(Command::Abuse(options)) => match abuse(&options) {
            Ok(false) => ExitCode::FAILURE,
            done => end(done.map(drop)),
        },
        Err(message) => refuse(&message),
    }
}

/// Whether every promise held.
fn abuse(options: &options::Options) -> Result<bool> {
    let mut table = Table::new();
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH).load_preset(UTF8_HORIZONTAL_ONLY).set_header([
        "attack",
        "model",
        "what happened",
        "probe's half, 99 %, slowest",
        "left behind",
        "verdict",
    ]);
    let mut is_well = true;
    for scenario in scenario::ALL.iter().filter(|scenario| options.wants(scenario.name)) {
        for &model in options.models.iter().filter(|model| scenario.models.contains(model)) {
            // Whoever cannot be told goes without.
            let _ = writeln!(io::stderr(), "{}, {model}: {}", scenario.name, scenario.what);
            let trial = trial::run(scenario, model, options)?;
            is_well &= trial.broken.is_empty();
            let verdict = if trial.broken.is_empty() { "held".to_owned() } else { format!("BROKEN: {}", trial.broken.join("; ")) };
            table.add_row([scenario.name, &model.to_string(), &trial.observed, &trial.waits, &trial.left, &verdict]);
        }
    }
    say(&format!("{table}\n\n{}", trial::EXPLANATIONS))?;
    Ok(is_well)
}
