//! A chat room: a list of the people online, messages to all, and private messages to one person.
//!
//! The page receives messages by WebSocket. If that does not work, it falls back to server-sent
//! events, and then to long polling.
//!
//! Run `cargo run --release --example chat`, then open the address that it prints in two tabs. To
//! watch the fallback, add `-- --without ws`, which switches off WebSocket, or
//! `-- --without ws,events`, which also switches off server-sent events.
//!
//! - A page sends each message as a `POST`, whatever the technique by which it receives. The answer
//!   to the `POST` says why a message was rejected, and the server has one way in to guard instead
//!   of three.
//! - Only the server publishes to the topics, so that nobody can write in another person's name.
//! - An address that sends too many messages gets 429 with `Retry-After` and a sentence, which the page
//!   shows. The text stays in the box.
//! - Each person has a topic for private messages. The token that opens it is in a cookie that
//!   scripts cannot read. It is a cookie because a browser cannot set a request field for a
//!   WebSocket or an `EventSource`.
//!
//! ```sh
//! URL=http://127.0.0.1:8080
//! curl -i -d '{"name":"Ada"}' $URL/join                       # id, token, topics, and the cookie
//! curl -d '{"token":"TOKEN","text":"hello"}' $URL/say         # to all
//! curl -d '{"token":"TOKEN","text":"hush","to":"Bob"}' $URL/say
//! curl -N -H 'Cookie: chat-ID=TOKEN' "$URL/topics/room,private-ID/stream?after=earliest&client=ID"
//! curl $URL/people                                            # who is online, and by which technique
//! ```
//!
//! | file | owns |
//! |---|---|
//! | `app` | the endpoints: paths, requests, cookies, answers |
//! | `room` | the people, the rights to read topics, and the messages |
//! | `page/` | the page: plain files, no build |

mod app;
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/limiter.rs"]
mod limiter;
mod room;

use std::cell::Cell;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use app::App;
use limiter::{Rate, RateOption};

/// How many messages and joins one address may send.
const RATE: Rate = Rate { count: 20, per: Duration::from_secs(10) };

const HELP: &str = "\
A chat room that falls back from WebSocket to server-sent events to long polling.

Usage: chat [OPTIONS]

  --io MODEL           the IO model: event-loop (default) or threads
  --listen ADDR:PORT   the address to listen on; port 0 takes any free port   [127.0.0.1:8080]
                       unix:PATH listens on a Unix socket, for a proxy on this machine
  --allow-origin ORIGIN
                       let pages of this origin act here, beside the server's own pages:
                       scheme://host[:port], null, file://, or * for any; may be repeated   [none]
  --allow-host HOST    a name of this server, host or host:port; may be repeated;
                       requests for other hosts get 421   [any host]
  --rate COUNT/SECONDS
                       how many messages and joins one address may send, or off for no limit.
                       Behind a proxy that is not trusted, all clients share one limit   [20/10]
  --trusted-proxy PROXY
                       believe this proxy about its clients: an address, a network
                       such as 10.0.0.0/8, or unix; may be repeated   [none]
  --forwarded-field NAME
                       a field that every trusted proxy writes: Forwarded, X-Forwarded-For,
                       X-Forwarded-Proto or X-Forwarded-Host; may be repeated   [none]
  --without LIST       techniques to switch off, to watch the fallback: ws, events, or ws,events
  --help               print this text
  --version            print the name and the version

Ctrl-C shuts down gracefully; a second Ctrl-C shuts down at once.
RUST_LOG=debug logs why each connection ended.";

fn main() -> ExitCode {
    let without = Cell::new(Without::default());
    let rate = Cell::new(Some(RATE));
    common::run(
        HELP,
        |flag, arguments, _| {
            match flag {
                "--without" => without.set(arguments.value("ws, events, or ws,events")?),
                "--rate" => rate.set(arguments.value::<RateOption>(RateOption::EXPECTED)?.0),
                _ => return Ok(false),
            }
            Ok(true)
        },
        |started| {
            let app = App::new(started, without.take(), rate.get());
            let room = Arc::clone(&app.room);
            common::keep_time(&room.hub);
            thread::spawn(move || room.watch());
            app
        },
    )
}

/// Techniques that are switched off, by the names of their endpoints. Long polling cannot be
/// switched off: the page needs one technique.
#[derive(Default)]
struct Without(Vec<String>);

impl FromStr for Without {
    type Err = ();

    fn from_str(list: &str) -> Result<Self, ()> {
        let names: Vec<_> = list.split(',').map(str::to_owned).collect();
        if names.iter().all(|name| matches!(&**name, "ws" | "events")) { Ok(Self(names)) } else { Err(()) }
    }
}

impl Without {
    /// Whether a path is the endpoint of a technique that is switched off.
    fn has(&self, path: &str) -> bool {
        path.starts_with("/topics/") && path.rsplit('/').next().is_some_and(|name| self.0.iter().any(|refused| refused == name))
    }
}
