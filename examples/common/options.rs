//! The command line.
//!
//! Owns the options that every example has, and the sentences that say what was expected. Refuses defaults that differ between examples.

use std::ffi::OsString;
use std::str::FromStr;

use pushlab::{Config, IoModel};

pub(crate) struct Options {
    pub(crate) io: IoModel,
    pub(crate) listen: String,
    pub(crate) config: Config,
}

/// The value of the option at hand, and what it may change.
pub(crate) struct Values<'a> {
    flag: &'a str,
    parser: &'a mut lexopt::Parser,
    pub(crate) config: &'a mut Config,
}

impl Values<'_> {
    /// The option's value. The error names the option and what was expected.
    pub(crate) fn value<T: FromStr>(&mut self, expected: &str) -> Result<T, String> {
        let flag = self.flag;
        let text = self.parser.value().map_err(|_| format!("{flag} needs a value: {expected}"))?;
        let parsed = text.to_str().and_then(|text| text.parse().ok());
        parsed.ok_or_else(|| format!("{flag} `{}` is not understood; expected {expected}", text.display()))
    }
}

/// Reads the arguments, the program's name first; `None` is the wish for help. The error is a sentence that names the argument and what was
/// expected.
pub(crate) fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    mut option: impl FnMut(&str, &mut Values<'_>) -> Result<bool, String>,
) -> Result<Option<Options>, String> {
    let mut parser = lexopt::Parser::from_iter(arguments);
    let mut options = Options { io: IoModel::EventLoop, listen: "127.0.0.1:8080".to_owned(), config: Config::default() };
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        let flag = match argument {
            lexopt::Arg::Long(name) => format!("--{name}"),
            lexopt::Arg::Short(name) => format!("-{name}"),
            lexopt::Arg::Value(value) => return Err(format!("`{}` was not expected: every option begins with --", value.display())),
        };
        let mut values = Values { flag: &flag, parser: &mut parser, config: &mut options.config };
        match &*flag {
            "--help" | "-h" => return Ok(None),
            "--io" => options.io = values.value("event-loop or threads")?,
            "--listen" => options.listen = values.value::<Listen>("an address and a port, as in 127.0.0.1:8080")?.0,
            "--allow-origin" => {
                let origin: Origin = values.value("an origin as in https://example.org, or *")?;
                values.config.settings.allow_origins.push(origin.0);
            }
            _ if option(&flag, &mut values)? => {}
            _ => return Err(format!("`{flag}` is not an option")),
        }
    }
    Ok(Some(options))
}

/// `host:port`. Whether the host exists, and is this machine, is found out when listening.
struct Listen(String);

impl FromStr for Listen {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (host, port) = text.rsplit_once(':').ok_or(())?;
        let is_bare_ipv6 = host.contains(':') && !host.ends_with(']');
        if host.is_empty() || is_bare_ipv6 || port.parse::<u16>().is_err() { Err(()) } else { Ok(Self(text.to_owned())) }
    }
}

struct Origin(String);

impl FromStr for Origin {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let is_origin = text.split_once("://").is_some_and(|(scheme, host)| !scheme.is_empty() && !host.is_empty() && !host.contains('/'));
        if is_origin || matches!(text, "*" | "null") { Ok(Self(text.to_owned())) } else { Err(()) }
    }
}
