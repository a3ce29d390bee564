//! Attacks a server with hostile, broken and greedy peers, and checks what the server still
//! promises.
//!
//! `cargo run --release --example abuse` starts a server process for each attack and IO model. A
//! well-behaved client, the probe, sends requests during each attack. The program prints one table:
//! what the attack did, how long the probe waited for its answers, and whether descriptors, threads
//! and memory returned to their values from before.
//!
//! The exit code is 1 if a promise did not hold. A promise about time that did not hold while other
//! programs kept the machine busy is "not shown": the exit code is then 4. Every attack is bounded
//! and ends by itself. The program connects only to the servers that it starts on 127.0.0.1; it has
//! no option for another address.
//!
//! | file | owns |
//! |---|---|
//! | `options` | the command line |
//! | `scenario` | the list of attacks, and the promise that each one checks |
//! | `attacks/` | the attacks |
//! | `trial` | one attack on one IO model: before, during, after, verdict |
//! | `others` | the processor time that other programs use during a trial |
//! | `server` | the attacked server: its handlers and settings |
//! | `target` | the process of the attacked server, seen from outside |
//! | `probe` | the well-behaved client |
//! | `wire` | the sockets and bytes of all clients |

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

/// The exit code if no promise was broken and at least one was not shown. 1 means broken; 2 means a
/// wrong command line.
const EXIT_NOT_SHOWN: u8 = 4;
/// The maximum number of trials of one attack on one IO model.
const TRIALS: usize = 3;
/// The width of the table in characters.
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

/// Ordered from the best to the worst, so that `max` is the worst.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Held,
    NotShown,
    Broken,
}

/// Runs all chosen attacks and prints the table. Returns the worst of all verdicts.
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
            // Without a standard error, the progress is not shown; the table still is.
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

/// Repeats a trial while other programs may be the reason that a promise did not hold.
fn run_until_shown(scenario: &Scenario, model: IoModel, options: &options::Options) -> Result<Trial> {
    let mut trial = trial::run(scenario, model, options)?;
    for _ in 1..TRIALS {
        let Verdict::NotShown(why) = trial.verdict() else { break };
        let _ = writeln!(io::stderr(), "{}, {model}: once more, because it is not shown: {why}", scenario.name);
        trial = trial::run(scenario, model, options)?;
    }
    Ok(trial)
}
