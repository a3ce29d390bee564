//! The options that every example with a page has.
//!
//! Owns them. Refuses defaults that differ between examples.

use std::str::FromStr;

use pushlab::{Config, IoModel};

use super::address::{Address, EXPECTED};
use super::arguments::Arguments;

pub(crate) struct Options {
    pub(crate) io: IoModel,
    pub(crate) listen: String,
    pub(crate) config: Config,
}

/// What a command line asks for.
pub(crate) enum Wish {
    Serve(Box<Options>),
    Help,
    Version,
}

/// The error is a sentence.
pub(crate) fn parse(
    mut arguments: Arguments,
    mut option: impl FnMut(&str, &mut Arguments, &mut Config) -> Result<bool, String>,
) -> Result<Wish, String> {
    let mut options = Options { io: IoModel::EventLoop, listen: Address::default().0, config: Config::default() };
    while let Some(flag) = arguments.next_flag()? {
        match &*flag {
            "--help" => return Ok(Wish::Help),
            "--version" => return Ok(Wish::Version),
            "--io" => options.io = arguments.value("event-loop or threads")?,
            "--listen" => options.listen = arguments.value::<Address>(EXPECTED)?.0,
            "--allow-origin" => {
                let origin: Origin = arguments.value("an origin as in https://example.org, or *")?;
                options.config.settings.allow_origins.push(origin.0);
            }
            _ if option(&flag, &mut arguments, &mut options.config)? => {}
            _ => return Err(arguments.unknown()),
        }
    }
    Ok(Wish::Serve(Box::new(options)))
}

struct Origin(String);

impl FromStr for Origin {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let is_origin = text.split_once("://").is_some_and(|(scheme, host)| !scheme.is_empty() && !host.is_empty() && !host.contains('/'));
        if is_origin || matches!(text, "*" | "null") { Ok(Self(text.to_owned())) } else { Err(()) }
    }
}
