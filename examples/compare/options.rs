//! The command line.
//!
//! Owns the options, their bounds and the help. Refuses defaults that depend on the machine.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use pushlab::IoModel;

use crate::arguments::Arguments;

pub(crate) const HELP: &str = "\
Compares pushlab's two IO models on this machine: what an idle connection costs, and how fast requests and echoes go.

Usage: compare [OPTIONS]

  --seconds S      of each load point per IO model, in alternating rounds, 0.1 to 600   [5]
  --idle N,N,N     numbers of idle connections, as many as `ulimit -n` lets one process hold   [100,1000,5000]
  --json FILE      write every figure to FILE as JSON, too
  --quick          a smoke run of a few seconds: `--seconds 0.3 --idle 100`, one round; its figures are rough
  --help           this text
  --version        the name and the version

It takes a minute to a minute and a half. Without --release the figures mean nothing. Ctrl-C prints what is finished, writes it to FILE, and
ends with exit code 130; a second one ends at once.";

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
    Version,
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

/// The error is a sentence.
pub(crate) fn parse(mut arguments: Arguments) -> Result<Command, String> {
    let (mut seconds, mut idle, mut json, mut quick) = (None, None, None, false);
    while let Some(flag) = arguments.next_flag()? {
        match &*flag {
            "--seconds" => seconds = Some(arguments.number("a number", SECONDS)?),
            "--idle" => idle = Some(arguments.value::<Counts>(&format!("whole numbers from 1 to {IDLE_MAX}, as in 100,1000,5000"))?.0),
            "--json" => json = Some(arguments.value("a file")?),
            "--quick" => quick = true,
            "--help" => return Ok(Command::Help),
            "--version" => return Ok(Command::Version),
            "--serve" => return Ok(Command::Serve(arguments.value("event-loop or threads")?)),
            _ => return Err(arguments.unknown()),
        }
    }
    let options = if quick {
        Options { seconds: 0.3, rounds: 1, warm_up: Duration::from_millis(100), idle: vec![100], json }
    } else {
        Options { seconds: 5.0, rounds: 5, warm_up: Duration::from_millis(200), idle: vec![100, 1_000, 5_000], json }
    };
    Ok(Command::Compare(Options { seconds: seconds.unwrap_or(options.seconds), idle: idle.unwrap_or(options.idle), ..options }))
}

/// Ascending, without repetitions.
struct Counts(Vec<usize>);

impl FromStr for Counts {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let one = |part: &str| part.trim().parse().ok().filter(|count| (1..=IDLE_MAX).contains(count)).ok_or(());
        let mut counts = text.split(',').map(one).collect::<Result<Vec<usize>, _>>()?;
        counts.sort_unstable();
        counts.dedup();
        Ok(Self(counts))
    }
}
