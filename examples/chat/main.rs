//! A chat room: who is there, what is said to all, and what is said to one person alone; by WebSocket, where that does not get through by
//! server-sent events, and where those do not by long polling.
//!
//! `cargo run --release --example chat`, then open the address that it prints, twice. `-- --without ws` refuses `WebSockets`, and
//! `-- --without ws,events` server-sent events, too, so that the way down can be watched.
//!
//! Messages come by whatever technique works, and go as a `POST` by all of them: a message that is refused then has an answer that says why,
//! and there is one way in to be guarded instead of three. Only the server publishes, so that nobody speaks in another's name. Each person
//! has a topic for what is private; the secret that opens it is in a cookie that scripts cannot read, because neither a WebSocket nor an
//! event source of a browser can be given a field of a request.
//!
//! ```sh
//! URL=http://127.0.0.1:8080
//! curl -i -d '{"name":"Ada"}' $URL/join                       # who she is: id, token, topics, and the cookie
//! curl -d '{"token":"TOKEN","text":"hello"}' $URL/say         # to all
//! curl -d '{"token":"TOKEN","text":"hush","to":"Bob"}' $URL/say
//! curl -N -H 'Cookie: chat-ID=TOKEN' "$URL/topics/room,private-ID/stream?after=earliest&client=ID"
//! curl $URL/people                                            # who is online, and by which technique
//! ```
//!
//! | file | owns |
//! |---|---|
//! | `app` | which path leads where; reading requests and saying what is wrong with them |
//! | `room` | who is there, who may hear what, and what is said |
//! | `page/` | what the browser gets; plain files, no build |

mod app;
#[path = "../common/mod.rs"]
mod common;
mod room;

use std::cell::Cell;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::thread;

use app::App;

const HELP: &str = "\
A chat room that falls back from WebSocket to server-sent events to long polling.

Usage: chat [OPTIONS]

  --io MODEL           event-loop (default) or threads
  --listen ADDR:PORT   where to listen; port 0 takes any free one   [127.0.0.1:8080]
  --allow-origin ORIGIN
                       a page's origin that may act here beside the server's own: scheme://host[:port], null, file://, or * for any;
                       may be repeated   [none]
  --allow-host HOST    a host that this server answers for, host or host:port; may be repeated; others get 421   [any host]
  --without LIST       techniques to refuse, to see how pages do without: ws, events, or ws,events
  --help               this text
  --version            the name and the version

Ctrl-C shuts down gracefully, a second one at once. RUST_LOG=debug shows why each connection ended.";

fn main() -> ExitCode {
    let without = Cell::new(Without::default());
    common::run(
        HELP,
        |flag, arguments, _| {
            let is_known = flag == "--without";
            if is_known {
                without.set(arguments.value("ws, events, or ws,events")?);
            }
            Ok(is_known)
        },
        |started| {
            let app = App::new(started, without.take());
            let room = Arc::clone(&app.room);
            common::keep_time(&room.hub);
            thread::spawn(move || room.watch());
            app
        },
    )
}

/// Techniques that are refused, by their endpoints' names. Long polling is what is left to everybody.
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
    /// Whether a path is that of a refused technique.
    fn has(&self, path: &str) -> bool {
        path.starts_with("/topics/") && path.rsplit('/').next().is_some_and(|name| self.0.iter().any(|refused| refused == name))
    }
}
