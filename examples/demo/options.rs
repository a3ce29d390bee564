//! The options that only the demo has.
//!
//! Owns these options, their bounds, the help, and the publish token. Leaves the options that all
//! examples share to `common/options.rs`.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use pushlab::push::SharedLog;
use pushlab::{Config, Deflate, Request};

use crate::bearer;
use crate::common::arguments::Arguments;
use crate::secure::Secure;

pub(crate) const HELP: &str = "\
pushlab's demo server: every push technique on one page, and endpoints for any client.

Usage: demo [OPTIONS]

  --io MODEL                 the IO model: event-loop (default) or threads
  --listen ADDR:PORT         the address to listen on; port 0 takes any free port   [127.0.0.1:8080]
                             unix:PATH listens on a Unix socket, for a proxy on this machine
  --heartbeat SECS           time between two heartbeats of a stream or WebSocket, at most 3600;
                             0 sends none   [25]
  --slow-consumer POLICY     what happens when the queue of a slow reader is full:
                             disconnect (default), drop-oldest or keep-latest
  --allow-origin ORIGIN      let pages of this origin act here, beside the server's own pages:
                             scheme://host[:port], null, file://, or * for any; may be repeated   [none]
  --allow-host HOST          a name of this server, host or host:port; may be repeated;
                             requests for other hosts get 421   [any host]
  --trusted-proxy PROXY      believe this proxy about its clients: an address, a network
                             such as 10.0.0.0/8, or unix; may be repeated   [none]
  --forwarded-field NAME     a field that every trusted proxy writes: Forwarded, X-Forwarded-For,
                             X-Forwarded-Proto or X-Forwarded-Host; may be repeated   [none]
  --publish-token TOKEN      require `Authorization: Bearer TOKEN` to publish and to change the pace,
                             and `passcode:TOKEN` of a STOMP client that sends
  --log ADDRESS              share topics with other servers by a log outside the process:
                             stomp+stream://USER:PASSWORD@HOST:PORT/NAME, a stream of RabbitMQ, or
                             stomp://USER:PASSWORD@HOST:PORT/NAME, a topic of any STOMP broker   [none]
  --tls-cert FILE            speak TLS (https, wss) with this certificate in PEM; may be repeated with a
                             key for each, and a client gets the one for the name that it asks for   [no TLS]
  --tls-key FILE             the key of the certificate; both files are read again when they change
  --tls-self-signed          speak TLS with a certificate that nobody certifies, to try it
  --deflate                  compress messages of WebSockets and STOMP for clients that offer it
                             (permessage-deflate); needs a build with `--features deflate`
  --max-payload-bytes N      size of a published message; a larger value also raises
                             --max-message-bytes and --max-body-bytes   [262144]
  --max-message-bytes N      size of a WebSocket message, all fragments together   [1048576]
  --max-fragments N          number of fragments of a WebSocket message   [1024]
  --max-body-bytes N         size of a request's body   [1048576]
  --max-connections N        number of open connections   [16384]
  --max-threads N            number of threads, with --io threads; a connection takes one,
                             and a stream or a WebSocket takes two   [4096]
  --help                     print this text
  --version                  print the name and the version

Ctrl-C shuts down gracefully; a second Ctrl-C shuts down at once.
RUST_LOG=debug logs why each connection ended.";

/// Linux gives a process at most 1,048,576 descriptors, unless `fs.nr_open` was raised.
const COUNT_MAX: usize = 1_000_000;
const BYTES_MAX: usize = 1024 * 1024 * 1024;
/// Proxies close a silent connection long before this time.
const HEARTBEAT_MAX_SECONDS: u64 = 3_600;

/// The demo's settings that are not a part of the server's `Config`.
#[derive(Default)]
pub(crate) struct Own {
    pub(crate) publish_token: Cell<Option<Token>>,
    pub(crate) payload_bytes: Cell<Option<usize>>,
    pub(crate) log: RefCell<Option<SharedLog>>,
    pub(crate) secure: RefCell<Secure>,
    pub(crate) deflate: Cell<Option<Deflate>>,
}

/// Takes an option. Returns whether the demo has it.
pub(crate) fn take(flag: &str, arguments: &mut Arguments, config: &mut Config, own: &Own) -> Result<bool, String> {
    let limits = &mut config.settings.limits;
    match flag {
        "--heartbeat" => {
            let seconds = arguments.number("a whole number of seconds", 0..=HEARTBEAT_MAX_SECONDS)?;
            limits.heartbeat = (seconds > 0).then(|| Duration::from_secs(seconds));
        }
        "--slow-consumer" => config.settings.slow_consumer = arguments.value("disconnect, drop-oldest or keep-latest")?,
        "--publish-token" => own.publish_token.set(Some(arguments.value("8 to 128 letters, digits, `-`, `_` and `.`")?)),
        "--log" => {
            let address: String = arguments.value("an address as in stomp+stream://guest:guest@127.0.0.1:61613/hub")?;
            *own.log.borrow_mut() = Some(address.parse().map_err(|error| format!("--log: {error}"))?);
        }
        "--tls-cert" => own.secure.borrow_mut().certificates.push(arguments.value::<PathBuf>("a file in PEM")?),
        "--tls-key" => own.secure.borrow_mut().keys.push(arguments.value::<PathBuf>("a file in PEM")?),
        "--tls-self-signed" => own.secure.borrow_mut().is_self_signed = true,
        "--deflate" => own.deflate.set(Some(deflate()?)),
        "--max-payload-bytes" => own.payload_bytes.set(Some(arguments.number("a whole number of bytes", 1..=BYTES_MAX)?)),
        "--max-message-bytes" => limits.protocol.message_bytes = arguments.number("a whole number of bytes", 1..=BYTES_MAX)?,
        "--max-fragments" => limits.protocol.message_fragments = arguments.number("a whole number", 1..=COUNT_MAX)?,
        "--max-body-bytes" => limits.protocol.body_bytes = arguments.number("a whole number of bytes", 1..=BYTES_MAX)?,
        "--max-connections" => config.max_connections = arguments.number("a whole number", 1..=COUNT_MAX)?,
        "--max-threads" => config.max_threads = arguments.number("a whole number", 1..=COUNT_MAX)?,
        _ => return Ok(false),
    }
    // A payload arrives as a request body or as a WebSocket message, so these limits must not be
    // smaller. Every option runs this code, so that the order of the options does not matter.
    let payload_bytes = own.payload_bytes.get().unwrap_or(0);
    limits.protocol.body_bytes = limits.protocol.body_bytes.max(payload_bytes);
    limits.protocol.message_bytes = limits.protocol.message_bytes.max(payload_bytes);
    Ok(true)
}

#[cfg(feature = "deflate")]
#[expect(clippy::unnecessary_wraps, reason = "the other build has no value")]
fn deflate() -> Result<Deflate, String> {
    Ok(Deflate::default())
}

#[cfg(not(feature = "deflate"))]
fn deflate() -> Result<Deflate, String> {
    Err("--deflate: this build cannot compress; build the demo with `--features deflate`".to_owned())
}

/// The token that a publisher must send (RFC 6750, section 2.1).
pub(crate) struct Token(String);

impl Token {
    /// Whether a request has the token. Compares in a time that does not depend on where the tokens
    /// differ, so that the time of an answer does not help to guess the token.
    pub(crate) fn is_in(&self, request: &Request<'_>) -> bool {
        self.is(bearer::token(request).unwrap_or_default())
    }

    /// Whether these bytes are the token, as [`is_in`](Self::is_in).
    pub(crate) fn is(&self, given: &[u8]) -> bool {
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
