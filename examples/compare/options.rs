//! The command line.
//!
//! Owns the flags, their bounds and the help. Refuses defaults that depend on the machine.

use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::{Long, Short, Value, ValueExt};
use pushlab::IoModel;

use crate::Result;

pub(crate) const HELP: &str = "\
Compares pushlab's two IO models on this machine: what an idle connection costs, and how fast requests and echoes go.

Usage: cargo run --release --example compare -- [FLAGS]

  --seconds S      measure each load point for S seconds per IO model, in alternating rounds (0.1 to 600; default 5)
  --idle N,N,N     numbers of idle connections (default 100,1000,5000; one process can hold as many as `ulimit -n` says)
  --json FILE      write every figure to FILE as JSON, too
  --quick          a smoke run of a few seconds: `--seconds 0.3 --idle 100`, one round; its figures are rough
  --help           this text

It takes a minute to a minute and a half. Without --release the figures mean nothing.
";

/// More seconds than this for one load point are a slip of the finger.
const SECONDS: std::ops::RangeInclusive<f64> = 0.1..=600.0;
/// Ports of one client address towards one server port.
const IDLE_MAX: usize = 60_000;

/// What was asked for.
pub(crate) enum Command {
    Compare(Options),
    /// The process that is measured. Not in the help: this program starts it.
    Serve(IoModel),
    Help,
}

/// How much is measured.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Of measured load, per load point and IO model.
    pub(crate) seconds: f64,
    /// Rounds into which the seconds are divided.
    pub(crate) rounds: usize,
    pub(crate) warm_up: Duration,
    /// Ascending, without repetitions.
    pub(crate) idle: Vec<usize>,
    pub(crate) json: Option<PathBuf>,
}

impl Command {
    pub(crate) fn from_args() -> Result<Self> {
        Self::parse(&mut lexopt::Parser::from_env())
    }

    fn parse(parser: &mut lexopt::Parser) -> Result<Self> {
        let (mut seconds, mut idle, mut json, mut quick) = (None, None, None, false);
        while let Some(argument) = parser.next()? {
            match argument {
                Long("seconds") => seconds = Some(seconds_from(&text("--seconds", parser)?)?),
                Long("idle") => idle = Some(idle_from(&text("--idle", parser)?)?),
                Long("json") => json = Some(PathBuf::from(parser.value()?)),
                Long("quick") => quick = true,
                Long("help") | Short('h') => return Ok(Self::Help),
                Value(word) if word == "serve" => return Self::parse_serve(parser),
                other => return Err(other.unexpected().into()),
            }
        }
        let options = if quick {
            Options { seconds: 0.3, rounds: 1, warm_up: Duration::from_millis(100), idle: vec![100], json }
        } else {
            Options { seconds: 5.0, rounds: 5, warm_up: Duration::from_millis(200), idle: vec![100, 1_000, 5_000], json }
        };
        Ok(Self::Compare(Options { seconds: seconds.unwrap_or(options.seconds), idle: idle.unwrap_or(options.idle), ..options }))
    }

    fn parse_serve(parser: &mut lexopt::Parser) -> Result<Self> {
        match parser.next()? {
            Some(Long("io")) => Ok(Self::Serve(text("--io", parser)?.parse().map_err(|error| format!("--io: {error}"))?)),
            Some(other) => Err(other.unexpected().into()),
            None => Err("serve: --io is missing".into()),
        }
    }
}

fn text(flag: &str, parser: &mut lexopt::Parser) -> Result<String> {
    parser.value()?.string().map_err(|error| format!("{flag}: {error}").into())
}

fn seconds_from(text: &str) -> Result<f64> {
    let seconds = text.parse().ok().filter(|seconds| SECONDS.contains(seconds));
    seconds.ok_or_else(|| format!("--seconds: {text:?} is not a number of {} to {}", SECONDS.start(), SECONDS.end()).into())
}

fn idle_from(text: &str) -> Result<Vec<usize>> {
    let one = |part: &str| {
        let count = part.trim().parse().ok().filter(|count| (1..=IDLE_MAX).contains(count));
        count.ok_or_else(|| format!("--idle: {part:?} is not a number of 1 to {IDLE_MAX}; write numbers as 100,1000,5000"))
    };
    let mut counts = text.split(',').map(one).collect::<std::result::Result<Vec<usize>, _>>()?;
    counts.sort_unstable();
    counts.dedup();
    Ok(counts)
}
