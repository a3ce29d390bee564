//! The command line.
//!
//! Owns the options of `abuse`, their bounds and the help. Leaves reading options and values to
//! `common/arguments.rs`.

use std::time::Duration;

use pushlab::IoModel;

use crate::arguments::Arguments;
use crate::scenario;

pub(crate) const HELP: &str = "\
Attacks a server with hostile, broken and greedy peers, and checks what the server still promises.
It connects only to servers that it starts itself.

Usage: abuse [OPTIONS]

  --io MODEL           the IO model: event-loop or threads   [both]
  --only NAME,NAME     run only these attacks   [all; --list names them]
  --seconds S          how long each attack lasts, 1 to 600   [5]
  --connections N      how many connections an attack opens, if it opens many, 10 to 9000   [1000]
                       (the attack `crowd` opens 5 times as many, up to the limit of descriptors)
  --list               print the attacks
  --help               print this text
  --version            print the name and the version

Exit code 1: a promise did not hold. Exit code 4: no promise was broken, but one about time
is not shown, because other programs kept the machine busy in each of three trials. Close them
and try again.";

pub(crate) enum Command {
    Abuse(Options),
    /// Run as the attacked server. The help does not list it: this program starts that process
    /// itself.
    Serve {
        model: IoModel,
        max_threads: usize,
    },
    List,
    Help,
    Version,
}

pub(crate) struct Options {
    pub(crate) models: Vec<IoModel>,
    pub(crate) time: Duration,
    pub(crate) connections: usize,
    only: Vec<String>,
}

impl Options {
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|wanted| wanted == name)
    }
}

/// The error is a sentence for the person at the terminal.
pub(crate) fn parse(mut arguments: Arguments) -> Result<Command, String> {
    let mut options = Options { models: IoModel::ALL.to_vec(), time: Duration::from_secs(5), connections: 1_000, only: Vec::new() };
    while let Some(flag) = arguments.next_flag()? {
        match &*flag {
            "--io" => options.models = vec![arguments.value("event-loop or threads")?],
            "--only" => options.only = only(&arguments.value::<String>("attacks, with commas between; `--list` names them")?)?,
            "--seconds" => options.time = Duration::from_secs(arguments.number("a whole number of seconds", 1..=600)?),
            "--connections" => options.connections = arguments.number("a whole number", 10..=9_000)?,
            "--list" => return Ok(Command::List),
            "--help" => return Ok(Command::Help),
            "--version" => return Ok(Command::Version),
            "--serve" => {
                let model = arguments.value("event-loop or threads")?;
                return Ok(Command::Serve { model, max_threads: arguments.value("a whole number of threads")? });
            }
            _ => return Err(arguments.unknown()),
        }
    }
    Ok(Command::Abuse(options))
}

fn only(text: &str) -> Result<Vec<String>, String> {
    let names: Vec<_> = text.split(',').map(str::to_owned).collect();
    match names.iter().find(|name| !scenario::ALL.iter().any(|scenario| scenario.name == **name)) {
        Some(unknown) => Err(format!("--only `{unknown}` is not an attack; `--list` names them")),
        None => Ok(names),
    }
}
