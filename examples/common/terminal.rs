//! Standard output, standard error, and the exit code.
//!
//! Owns printing and the exit codes: 1 for an error, 2 for a wrong command line. Leaves the texts
//! to the examples. Printing returns errors: `println!` would panic if standard output cannot be
//! written to.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

/// The example's name.
pub(crate) const NAME: &str = env!("CARGO_CRATE_NAME");

/// What `--version` prints: the example's name and the version of its package.
pub(crate) fn version() -> String {
    format!("{NAME} {}", env!("CARGO_PKG_VERSION"))
}

/// Prints lines and flushes them. A reader that closes the pipe early (`| head`) is no error.
pub(crate) fn say(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(format!("{text}\n").as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(io::Error::new(error.kind(), format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// The end of `main`.
pub(crate) fn end<E: Display>(done: Result<(), E>) -> ExitCode {
    done.map_or_else(|error| fail(&error, 1), |()| ExitCode::SUCCESS)
}

/// Prints the reason for an exit code, and returns the code.
pub(crate) fn fail(why: &dyn Display, code: u8) -> ExitCode {
    // Without a standard error, the exit code alone reports the failure.
    let _ = writeln!(io::stderr(), "{NAME}: {why}");
    ExitCode::from(code)
}
