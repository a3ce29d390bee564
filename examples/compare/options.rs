//! The command line.
//!
//! Owns the options, their bounds and the help. Leaves reading options and values to
//! `common/arguments.rs`. The defaults are the same on every machine.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use pushlab::IoModel;

use crate::arguments::Arguments;

pub(crate) const HELP: &str = "\
Compares pushlab's two IO models on this machine: the cost of an idle connection, and the speed
of requests and echoes.

Usage: compare [OPTIONS]

  --seconds S      how long each load point is measured on each IO model, 0.1 to 600   [5]
  --idle N,N,N     numbers of idle connections; `ulimit -n` limits them   [100,1000,5000]
  --json FILE      also write every figure to FILE as JSON
  --quick          a short run with rough figures: `--seconds 0.3 --idle 100`, one round
  --help           print this text
  --version        print the name and the version

A run takes 60 to 90 seconds. Without --release the figures mean nothing. Ctrl-C prints the
finished figures, writes them to FILE, and ends with exit code 130; a second Ctrl-C ends at once.";

/// The upper bound catches a slip of the finger.
const SECONDS: std::ops::RangeInclusive<f64> = 0.1..=600.0;
/// About as many ports as one client address has towards one server port.
const IDLE_MAX: usize = 60_000;

/// What the command line asks for.
pub(crate) enum Command {
    Compare(Options),
    /// Run as the measured server. The help does not list it: this program starts that process
    /// itself.
    Serve(IoModel),
    Help,
    Version,
}

/// The amount of measurement.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// The time of measured load, for each load point and IO model.
    pub(crate) seconds: f64,
    /// The number of rounds into which `seconds` is divided.
    pub(crate) rounds: usize,
    pub(crate) warm_up: Duration,
    /// Ascending, without repetitions.
    pub(crate) idle: Vec<usize>,
    pub(crate) json: Option<PathBuf>,
}

/// The error is a sentence for the person at the terminal.
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
