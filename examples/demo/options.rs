//! The command line.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Duration;

use pushlab::{Config, IoModel};

pub(crate) const HELP: &str = "\
pushlab's demo server: four ways to push to a browser, and endpoints for any client

Usage: demo [OPTIONS]

  --io MODEL                 event-loop (default) or threads
  --listen ADDR:PORT         where to listen; port 0 takes any free one   [127.0.0.1:8080]
  --heartbeat SECS           between heartbeats of streams and WebSockets; 0 sends none   [25]
  --slow-consumer POLICY     disconnect (default), drop-oldest or keep-latest
  --allow-origin ORIGIN      a page's origin, scheme://host[:port], that may open WebSockets and change the rate;
                             * allows any; may be repeated   [the server's own origin]
  --max-message-bytes N      of one WebSocket message, all fragments together   [1048576]
  --max-fragments N          of one WebSocket message   [1024]
  --max-body-bytes N         of one request's body   [1048576]
  --max-connections N        at once   [16384]
  --max-threads N            at once, with --io threads   [4096]
  --help                     this text

Ctrl-C shuts down gracefully, a second one at once. RUST_LOG=debug shows why each connection ended.
";

pub(crate) struct Options {
    pub(crate) io: IoModel,
    pub(crate) listen: String,
    pub(crate) config: Config,
}

/// Reads the arguments, the program's name first; `None` is the wish for help. The error is a sentence that names the argument and what was expected.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Option<Options>, String> {
    let mut parser = lexopt::Parser::from_iter(arguments);
    let mut options = Options { io: IoModel::EventLoop, listen: "127.0.0.1:8080".to_owned(), config: Config::default() };
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        let flag = match argument {
            lexopt::Arg::Long(name) => format!("--{name}"),
            lexopt::Arg::Short(name) => format!("-{name}"),
            lexopt::Arg::Value(value) => return Err(format!("`{}` was not expected: every option begins with --", value.display())),
        };
        let (config, parser) = (&mut options.config, &mut parser);
        match &*flag {
            "--help" | "-h" => return Ok(None),
            "--io" => options.io = value(parser, &flag, "event-loop or threads")?,
            "--listen" => options.listen = value::<Listen>(parser, &flag, "an address and a port, as in 127.0.0.1:8080")?.0,
            "--heartbeat" => config.settings.limits.heartbeat = heartbeat(value(parser, &flag, "a whole number of seconds, 0 for none")?),
            "--slow-consumer" => {
                config.settings.slow_consumer = value(parser, &flag, "disconnect, drop-oldest or keep-latest")?;
            }
            "--allow-origin" => {
                let origin: Origin = value(parser, &flag, "an origin as in https://example.org, or *")?;
                config.settings.allow_origins.push(origin.0);
            }
            "--max-message-bytes" => config.settings.limits.message_bytes = count(parser, &flag)?,
            "--max-fragments" => config.settings.limits.message_fragments = count(parser, &flag)?,
            "--max-body-bytes" => config.settings.limits.body_bytes = count(parser, &flag)?,
            "--max-connections" => config.max_connections = count(parser, &flag)?,
            "--max-threads" => config.max_threads = count(parser, &flag)?,
            _ => return Err(format!("`{flag}` is not an option")),
        }
    }
    Ok(Some(options))
}

fn value<T: FromStr>(parser: &mut lexopt::Parser, flag: &str, expected: &str) -> Result<T, String> {
    let text = parser.value().map_err(|_| format!("{flag} needs a value: {expected}"))?;
    let parsed = text.to_str().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| format!("{flag} `{}` is not understood; expected {expected}", text.display()))
}

fn count(parser: &mut lexopt::Parser, flag: &str) -> Result<usize, String> {
    value::<NonZeroUsize>(parser, flag, "a whole number, at least 1").map(NonZeroUsize::get)
}

const fn heartbeat(seconds: u32) -> Option<Duration> {
    if seconds == 0 { None } else { Some(Duration::from_secs(seconds as u64)) }
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
