//! Ctrl-C: measuring ends early, and what is finished by then is still told.
//!
//! Owns the wish. Refuses to end anything: whoever measures looks at it between two steps. A second Ctrl-C ends the program at once.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use crate::Result;
use crate::terminal::NAME;

/// The exit code of a program that was interrupted: 128 and the number of SIGINT, as shells have it.
pub(crate) const EXIT_INTERRUPTED: u8 = 130;

static IS_ASKED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C is a wish.
pub(crate) fn catch() -> Result<()> {
    ctrlc::set_handler(|| {
        if IS_ASKED.swap(true, SeqCst) {
            std::process::exit(EXIT_INTERRUPTED.into());
        }
        // Without a standard error, the table is what tells.
        let _ = writeln!(io::stderr(), "{NAME}: interrupted; what is finished follows; once more to stop at once");
    })
    .map_err(|error| format!("cannot wait for Ctrl-C: {error}").into())
}

/// A terminal sends Ctrl-C to the servers as well, which are to live until their last figures are read.
pub(crate) fn ignore() -> Result<()> {
    ctrlc::set_handler(|| {}).map_err(|error| format!("cannot wait for Ctrl-C: {error}").into())
}

pub(crate) fn is_asked() -> bool {
    IS_ASKED.load(SeqCst)
}
