//! The options that every example with a page has.
//!
//! Owns these options and their defaults. Leaves the options that one example alone has to that
//! example.

use std::str::FromStr;

use pushlab::session::{Forwarding, ForwardingField, Origin, TrustedProxy, is_host_entry};
use pushlab::{Config, IoModel};

use super::address::Address;
#[cfg(not(unix))]
use super::address::EXPECTED;
use super::arguments::Arguments;

pub(crate) struct Options {
    pub(crate) io: IoModel,
    pub(crate) listen: String,
    pub(crate) config: Config,
}

/// What the command line asks for.
pub(crate) enum Wish {
    Serve(Box<Options>),
    Help,
    Version,
}

/// The error is a sentence for the person at the terminal.
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
            "--listen" => options.listen = arguments.value::<Listen>(LISTEN_EXPECTED)?.0,
            "--allow-origin" => {
                let entry: OriginEntry = arguments.value("an origin as in https://example.org, or null, file:// or *")?;
                options.config.settings.allow_origins.push(entry.0);
            }
            "--allow-host" => {
                let entry: HostEntry = arguments.value("a host as in example.org, example.org:8080 or [::1]")?;
                options.config.settings.allow_hosts.push(entry.0);
            }
            "--trusted-proxy" => {
                let text: String = arguments.value("an address, a network such as 10.0.0.0/8, or unix")?;
                let proxy: TrustedProxy = text.parse().map_err(|error| format!("--trusted-proxy `{text}`: {error}"))?;
                options.config.settings.forwarding.proxies.push(proxy);
            }
            "--forwarded-field" => {
                let field: ForwardingField = arguments.value("Forwarded, X-Forwarded-For, X-Forwarded-Proto or X-Forwarded-Host")?;
                options.config.settings.forwarding.fields.push(field);
            }
            _ if option(&flag, &mut arguments, &mut options.config)? => {}
            _ => return Err(arguments.unknown()),
        }
    }
    let Forwarding { proxies, fields } = &options.config.settings.forwarding;
    if proxies.is_empty() != fields.is_empty() {
        return Err(
            "--trusted-proxy and --forwarded-field need each other: which proxies are believed, and which of their fields".to_owned()
        );
    }
    Ok(Wish::Serve(Box::new(options)))
}

#[cfg(unix)]
const LISTEN_EXPECTED: &str = "an address and a port, as in 127.0.0.1:8080, or unix:PATH";
#[cfg(not(unix))]
const LISTEN_EXPECTED: &str = EXPECTED;

/// An address and a port, or the path of a Unix socket.
struct Listen(String);

impl FromStr for Listen {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        #[cfg(unix)]
        if text.strip_prefix(super::socket_file::PREFIX).is_some_and(|path| !path.is_empty()) {
            return Ok(Self(text.to_owned()));
        }
        text.parse().map(|Address(address)| Self(address))
    }
}

struct OriginEntry(String);

impl FromStr for OriginEntry {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if Origin::is_entry(text) { Ok(Self(text.to_owned())) } else { Err(()) }
    }
}

struct HostEntry(String);

impl FromStr for HostEntry {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if is_host_entry(text) { Ok(Self(text.to_owned())) } else { Err(()) }
    }
}
