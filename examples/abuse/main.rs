//! What hostile, broken and greedy peers do to a server, and what is left of it: a bounded load on this machine that ends by itself.
//!
//! `cargo run --release --example abuse` starts a server process for each attack and IO model, lets a well-behaved probe ask all the while, and
//! prints one table: what was done, how long the probe's answers took, and whether descriptors, threads and memory came back. It fails if a promise
//! did not hold. A promise about time that does not hold while other programs keep the machine busy is not shown, which is another exit code. Never point it at anybody else: it only ever talks to the server that it has started on 127.0.0.1.
//!
//! | file | owns |
//! |---|---|
//! | `options` | the command line |
//! | `scenario` | the list of attacks, and what one of them is |
//! | `attacks/` | the attacks |
//! | `trial` | one attack on one model: before, during, after, verdict |
//! | `others` | what other programs take of the processors meanwhile |
//! | `server`, `target` | the server that suffers, from inside and from outside |
//! | `probe` | the well-behaved client |
//! | `wire` | sockets and bytes of clients, good and bad |

#[path = "../common/arguments.rs"]
mod arguments;
mod attacks;
mod options;
mod others;
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
use pushlab::IoModel;
use scenario::Scenario;
use terminal::{end, say, version};
use trial::{Trial, Verdict};

/// The exit code when no promise was broken, and at least one was not shown: 1 says broken, and 2 a wrong command line.
const EXIT_NOT_SHOWN: u8 = 4;
/// Of an attack on one model, at the most.
const TRIALS: usize = 3;
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
            Ok(Outcome::Broken) => ExitCode::FAILURE,
            Ok(Outcome::NotShown) => ExitCode::from(EXIT_NOT_SHOWN),
            done => end(done.map(drop)),
        },
        Err(message) => refuse(&message),
    }
}

/// From the best to the worst.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Held,
    NotShown,
    Broken,
}

/// The worst of all verdicts.
fn abuse(options: &options::Options) -> Result<Outcome> {
    let mut table = Table::new();
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH).load_preset(UTF8_HORIZONTAL_ONLY).set_header([
        "attack",
        "model",
        "what happened",
        "probe's half, 99 %, slowest",
        "left behind",
        "verdict",
    ]);
    let mut outcome = Outcome::Held;
    for scenario in scenario::ALL.iter().filter(|scenario| options.wants(scenario.name)) {
        for &model in options.models.iter().filter(|model| scenario.models.contains(model)) {
            // Whoever cannot be told goes without.
            let _ = writeln!(io::stderr(), "{}, {model}: {}", scenario.name, scenario.what);
            let trial = run_until_shown(scenario, model, options)?;
            let (one, verdict) = match trial.verdict() {
                Verdict::Held => (Outcome::Held, "held".to_owned()),
                Verdict::NotShown(why) => (Outcome::NotShown, format!("not shown: {why}")),
                Verdict::Broken(why) => (Outcome::Broken, format!("BROKEN: {why}")),
            };
            outcome = outcome.max(one);
            table.add_row([scenario.name, &model.to_string(), &trial.observed, &trial.waits, &trial.left, &verdict]);
        }
    }
    say(&format!("{table}\n\n{}", trial::EXPLANATIONS))?;
    Ok(outcome)
}

/// Repeats a trial while other programs may be why it did not hold.
fn run_until_shown(scenario: &Scenario, model: IoModel, options: &options::Options) -> Result<Trial> {
    let mut trial = trial::run(scenario, model, options)?;
    for _ in 1..TRIALS {
        let Verdict::NotShown(why) = trial.verdict() else { break };
        // Whoever cannot be told goes without.
        let _ = writeln!(io::stderr(), "{}, {model}: once more, because it is not shown: {why}", scenario.name);
        trial = trial::run(scenario, model, options)?;
    }
    Ok(trial)
}
