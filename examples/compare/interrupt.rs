//! Ctrl-C ends the measurement early; the program still prints the finished figures.
//!
//! Owns the flag that the first Ctrl-C sets. Leaves to the measuring code to read the flag between
//! two steps and to stop. A second Ctrl-C ends the program at once.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use crate::Result;
use crate::terminal::NAME;

/// The exit code of an interrupted program: 128 plus the number of SIGINT, as in shells.
pub(crate) const EXIT_INTERRUPTED: u8 = 130;

static IS_ASKED: AtomicBool = AtomicBool::new(false);

/// From now on, the first Ctrl-C only sets the flag.
pub(crate) fn catch() -> Result<()> {
    ctrlc::set_handler(|| {
        if IS_ASKED.swap(true, SeqCst) {
            std::process::exit(EXIT_INTERRUPTED.into());
        }
        // Without a standard error, the table alone says that the run was interrupted.
        let _ = writeln!(io::stderr(), "{NAME}: interrupted; the finished figures follow; press Ctrl-C once more to stop at once");
    })
    .map_err(|error| format!("cannot wait for Ctrl-C: {error}").into())
}

/// Ignores Ctrl-C, in a server process. A terminal sends SIGINT to the servers as well, and they
/// must live until their last figures are read.
pub(crate) fn ignore() -> Result<()> {
    ctrlc::set_handler(|| {}).map_err(|error| format!("cannot wait for Ctrl-C: {error}").into())
}

pub(crate) fn is_asked() -> bool {
    IS_ASKED.load(SeqCst)
}
