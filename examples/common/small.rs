//! The `main` of an example that is one file.
//!
//! Owns its command line (`--io`, an address, `--help`, `--version`) and its exit code. Leaves the
//! server to the example. Reads the arguments itself: these examples need the library and nothing
//! else.

#[path = "address.rs"]
mod address;
#[path = "terminal.rs"]
mod terminal;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use pushlab::IoModel;

use address::{Address, EXPECTED};
pub(crate) use terminal::say;
use terminal::{NAME, end, fail, version};

const IO_MODELS: &str = "event-loop or threads";

/// What its help says of an example.
pub(crate) struct Program {
    /// What is served, in a sentence.
    pub(crate) what: &'static str,
    /// Whether `--io` chooses the IO model.
    pub(crate) takes_io: bool,
}

/// What a command line asks for.
enum Wish {
    Serve(Address, IoModel),
    Help,
    Version,
}

/// Serves at the given address with the given IO model. Both have defaults.
pub(crate) fn run(program: &Program, serve: impl FnOnce(&str, IoModel) -> io::Result<()>) -> ExitCode {
    match parse(program, std::env::args_os().skip(1)) {
        Ok(Wish::Serve(address, io)) => end(serve(&address.0, io)),
        Ok(Wish::Help) => end(say(&help(program))),
        Ok(Wish::Version) => end(say(&version())),
        Err(why) => fail(&why, 2),
    }
}

/// The error is a sentence.
fn parse(program: &Program, arguments: impl Iterator<Item = OsString>) -> Result<Wish, String> {
    let (mut address, mut io) = (None, IoModel::EventLoop);
    let mut arguments = arguments.map(|argument| argument.to_string_lossy().into_owned());
    while let Some(argument) = arguments.next() {
        match &*argument {
            "--help" | "-h" => return Ok(Wish::Help),
            "--version" | "-V" => return Ok(Wish::Version),
            "--io" if program.takes_io => {
                let model = arguments.next().ok_or_else(|| format!("--io needs a value: {IO_MODELS}"))?;
                io = io_model(&model)?;
            }
            text => match (text.strip_prefix("--io="), text.parse()) {
                (Some(model), _) if program.takes_io => io = io_model(model)?,
                (_, Ok(given)) if address.is_none() => address = Some(given),
                _ => return Err(unexpected(program, text)),
            },
        }
    }
    Ok(Wish::Serve(address.unwrap_or_default(), io))
}

fn io_model(text: &str) -> Result<IoModel, String> {
    text.parse().map_err(|_| format!("--io `{text}` is not understood; expected {IO_MODELS}"))
}

fn unexpected(program: &Program, argument: &str) -> String {
    let accepted = if program.takes_io { "the arguments are --io MODEL and" } else { "the only argument is" };
    format!("`{argument}` was not expected: {accepted} {EXPECTED}")
}

fn help(program: &Program) -> String {
    let (usage, io) = if program.takes_io {
        ("[--io MODEL] [ADDR:PORT]", "  --io MODEL    event-loop (default) or threads\n")
    } else {
        ("[ADDR:PORT]", "")
    };
    format!(
        "{}\n\nUsage: {NAME} {usage}\n\n{io}  ADDR:PORT     where to listen; port 0 takes any free one   [{}]\n  \
         --help        this text\n  --version     the name and the version",
        program.what,
        Address::default().0
    )
}
