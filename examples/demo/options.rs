//! The options that the demo alone has.

use std::cell::Cell;
use std::str::FromStr;
use std::time::Duration;

use pushlab::{Config, Request};

use crate::bearer;
use crate::common::arguments::Arguments;

pub(crate) const HELP: &str = "\
pushlab's demo server: every way to push to a browser, and endpoints for any client.

Usage: demo [OPTIONS]

  --io MODEL                 event-loop (default) or threads
  --listen ADDR:PORT         where to listen; port 0 takes any free one   [127.0.0.1:8080]
  --heartbeat SECS           between heartbeats of streams and WebSockets; at most 3600; 0 sends none   [25]
  --slow-consumer POLICY     disconnect (default), drop-oldest or keep-latest
  --allow-origin ORIGIN      a page's origin that may act here beside the server's own: scheme://host[:port], null, file://, or * for any;
                             may be repeated   [none]
  --allow-host HOST          a host that this server answers for, host or host:port; may be repeated; others get 421   [any host]
  --publish-token TOKEN      publishing and changing the rate need `Authorization: Bearer TOKEN`
  --max-payload-bytes N      of one published message; more than the two limits below raises them, too   [262144]
  --max-message-bytes N      of one WebSocket message, all fragments together   [1048576]
  --max-fragments N          of one WebSocket message   [1024]
  --max-body-bytes N         of one request's body   [1048576]
  --max-connections N        at once   [16384]
  --max-threads N            at once, with --io threads; a held request, a stream and a WebSocket take two each   [4096]
  --help                     this text
  --version                  the name and the version

Ctrl-C shuts down gracefully, a second one at once. RUST_LOG=debug shows why each connection ended.";

/// Linux gives a process 1,048,576 descriptors at the most, unless its `fs.nr_open` was raised.
const COUNT_MAX: usize = 1_000_000;
const BYTES_MAX: usize = 1024 * 1024 * 1024;
/// Longer than any proxy lets a connection be silent.
const HEARTBEAT_MAX_SECONDS: u64 = 3_600;

/// Settings that the server does not have.
#[derive(Default)]
pub(crate) struct Own {
    pub(crate) publish_token: Cell<Option<Token>>,
    pub(crate) payload_bytes: Cell<Option<usize>>,
}

/// Takes an option, if it is one of the demo's own.
pub(crate) fn take(flag: &str, arguments: &mut Arguments, config: &mut Config, own: &Own) -> Result<bool, String> {
    let limits = &mut config.settings.limits;
    match flag {
        "--heartbeat" => {
            let seconds = arguments.number("a whole number of seconds", 0..=HEARTBEAT_MAX_SECONDS)?;
            limits.heartbeat = (seconds > 0).then(|| Duration::from_secs(seconds));
        }
        "--slow-consumer" => config.settings.slow_consumer = arguments.value("disconnect, drop-oldest or keep-latest")?,
        "--publish-token" => own.publish_token.set(Some(arguments.value("8 to 128 letters, digits, `-`, `_` and `.`")?)),
        "--max-payload-bytes" => own.payload_bytes.set(Some(arguments.number("a whole number of bytes", 1..=BYTES_MAX)?)),
        "--max-message-bytes" => limits.message_bytes = arguments.number("a whole number of bytes", 1..=BYTES_MAX)?,
        "--max-fragments" => limits.message_fragments = arguments.number("a whole number", 1..=COUNT_MAX)?,
        "--max-body-bytes" => limits.body_bytes = arguments.number("a whole number of bytes", 1..=BYTES_MAX)?,
        "--max-connections" => config.max_connections = arguments.number("a whole number", 1..=COUNT_MAX)?,
        "--max-threads" => config.max_threads = arguments.number("a whole number", 1..=COUNT_MAX)?,
        _ => return Ok(false),
    }
    // A payload comes as a body or as a message. The order of the options does not matter: each of
    // them ends here.
    let payload_bytes = own.payload_bytes.get().unwrap_or(0);
    limits.body_bytes = limits.body_bytes.max(payload_bytes);
    limits.message_bytes = limits.message_bytes.max(payload_bytes);
    Ok(true)
}

/// What a publisher has to know (RFC 6750, section 2.1).
pub(crate) struct Token(String);

impl Token {
    /// Whether a request knows it. It takes the same time for every wrong token of the right length.
    pub(crate) fn is_in(&self, request: &Request<'_>) -> bool {
        let given = bearer::token(request).unwrap_or_default();
        let differences = given.iter().zip(self.0.as_bytes()).fold(0, |differences, (one, other)| differences | (one ^ other));
        given.len() == self.0.len() && differences == 0
    }
}

impl FromStr for Token {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let is_token = (8..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if is_token { Ok(Self(text.to_owned())) } else { Err(()) }
    }
}
