//! The `main` of an example that is one file.
//!
//! Owns its help, its version, its one argument and its end. Refuses options.

#[path = "address.rs"]
mod address;
#[path = "terminal.rs"]
mod terminal;

use std::io;
use std::process::ExitCode;

use address::{Address, EXPECTED};
pub(crate) use terminal::say;
use terminal::{NAME, end, fail, version};

/// Serves at the address that was given, or else at the usual one. `what` says in a sentence what is served.
pub(crate) fn run(what: &str, serve: impl FnOnce(&str) -> io::Result<()>) -> ExitCode {
    let mut address = Address::default();
    for (index, argument) in std::env::args_os().skip(1).enumerate() {
        if argument == "--help" || argument == "-h" {
            return end(say(&format!(
                "{what}\n\nUsage: {NAME} [ADDR:PORT]   where to listen; port 0 takes any free one   [{}]\n       \
                 {NAME} --version     the name and the version",
                address.0
            )));
        }
        if argument == "--version" || argument == "-V" {
            return end(say(&version()));
        }
        match argument.to_str().and_then(|text| text.parse().ok()) {
            Some(given) if index == 0 => address = given,
            _ => return fail(&format!("`{}` was not expected: the only argument is {EXPECTED}", argument.display()), 2),
        }
    }
    end(serve(&address.0))
}
