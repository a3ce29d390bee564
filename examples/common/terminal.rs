//! What a program says, and how it ends.
//!
//! Owns standard output, standard error and the exit code: 1 for what went wrong, 2 for arguments that are not understood. Refuses to panic
//! because nobody can be told: the macros of the standard library do.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

/// The example's name.
pub(crate) const NAME: &str = env!("CARGO_CRATE_NAME");

/// What `--version` prints: the example's name and the version of its package.
pub(crate) fn version() -> String {
    format!("{NAME} {}", env!("CARGO_PKG_VERSION"))
}

/// Prints lines, at once. A reader that has seen enough (`| head`) is no error.
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

/// Says why it ends with this exit code.
pub(crate) fn fail(why: &dyn Display, code: u8) -> ExitCode {
    // The exit code is what is left to say it with.
    let _ = writeln!(io::stderr(), "{NAME}: {why}");
    ExitCode::from(code)
}
