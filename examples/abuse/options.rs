//! The command line.

use std::time::Duration;

use lexopt::prelude::{Long, Short, Value, ValueExt};
use pushlab::IoModel;

use crate::{Result, scenario};

pub(crate) const HELP: &str = "\
What hostile, broken and greedy peers do to a server, and what is left of it. It only ever talks to servers that it starts itself.

Usage: cargo run --release --example abuse -- [OPTIONS]

  --io MODEL           event-loop or threads   [both]
  --only NAME,NAME     these attacks   [all; --list names them]
  --seconds S          how long each attack lasts, 1 to 600   [5]
  --connections N      of attacks that open many, 10 to 9000   [1000; the attack `crowd` opens 5 times as many, up to the descriptors]
  --list               the attacks
  --help               this text

Exit code 1 says that a promise did not hold.
";

pub(crate) enum Command {
    Abuse(Options),
    /// The process that suffers. Not in the help: this program starts it.
    Serve {
        model: IoModel,
        max_threads: usize,
    },
    List,
    Help,
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

pub(crate) fn parse() -> Result<Command> {
    let mut parser = lexopt::Parser::from_env();
    let mut options = Options { models: IoModel::ALL.to_vec(), time: Duration::from_secs(5), connections: 1_000, only: Vec::new() };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("io") => {
                let text = parser.value()?.string()?;
                options.models =
                    vec![text.parse().map_err(|_| format!("--io `{text}` is not understood; expected event-loop or threads"))?];
            }
            Long("only") => options.only = only(&parser.value()?.string()?)?,
            Long("seconds") => options.time = Duration::from_secs(number(&mut parser, "--seconds", 1, 600)?),
            Long("connections") => options.connections = number(&mut parser, "--connections", 10, 9_000)? as usize,
            Long("list") => return Ok(Command::List),
            Long("help") | Short('h') => return Ok(Command::Help),
            Value(word) if word == "serve" => {
                let model = parser.value()?.string()?.parse().map_err(|_| "serve: which model?")?;
                return Ok(Command::Serve { model, max_threads: parser.value()?.parse()? });
            }
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Command::Abuse(options))
}

fn number(parser: &mut lexopt::Parser, flag: &str, least: u64, most: u64) -> Result<u64> {
    let text = parser.value()?.string()?;
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("{flag} `{text}` is not understood; expected a whole number from {least} to {most}").into())
}

fn only(text: &str) -> Result<Vec<String>> {
    let names: Vec<_> = text.split(',').map(str::to_owned).collect();
    match names.iter().find(|name| !scenario::ALL.iter().any(|scenario| scenario.name == **name)) {
        Some(unknown) => Err(format!("--only: there is no attack `{unknown}`; --list names them").into()),
        None => Ok(names),
    }
}
