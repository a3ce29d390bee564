//! Two styles of a WebSocket endpoint, and a few lines for queries, forms and cookies.
//!
//! The same chat room is served twice: by a type that implements
//! [`WebSocketHandler`](pushlab::WebSocketHandler), and by closures
//! ([`on_message`](pushlab::on_message)). Both know how many people are online, and send each message
//! to the whole group. Run `cargo run --release --example endpoints`, and open the address that it
//! prints in two tabs.
//!
//! The library reads no forms, and does not decode cookies. `values` has at most three lines for each
//! of queries, forms and cookies, by the crates `form_urlencoded` and `cookie`:
//!
//! ```sh
//! curl 'http://127.0.0.1:8080/greet?name=Ada+Lovelace&times=2'            # a query
//! curl -i -d name=J%C3%BCrgen http://127.0.0.1:8080/name                  # a form; the answer sets a cookie
//! curl -H 'Cookie: name=J%C3%BCrgen' http://127.0.0.1:8080/name           # a cookie
//! ```
//!
//! | file | owns |
//! |---|---|
//! | `by_trait` | the chat by a type that implements the trait |
//! | `by_closures` | the same chat by closures |
//! | `room` | the people, group send, and the limit on messages |
//! | `values` | queries, forms and cookies |
//! | `page.html` | the page, whose form works without JavaScript |

mod by_closures;
mod by_trait;
#[path = "../common/limiter.rs"]
mod limiter;
mod room;
#[path = "../common/small.rs"]
mod small;
mod values;

use std::process::ExitCode;
use std::sync::Arc;

use pushlab::{Config, Method, Reply, Request, Response, Server};

use room::Room;

const READ: &str = "GET, HEAD, OPTIONS";
const READ_AND_ACT: &str = "GET, HEAD, POST, OPTIONS";

fn app(room: &Arc<Room>, request: &Request<'_>, reply: Reply<'_>) {
    let methods = match request.path() {
        "/" | "/greet" | "/ws/trait" | "/ws/closures" => READ,
        "/name" => READ_AND_ACT,
        _ => return reply.send(Response::status(404)),
    };
    match (request.path(), request.method()) {
        (_, Method::Options) => reply.send(request.options(methods)),
        ("/name", Method::Post) if !request.origin().may_act() => {
            reply.send(Response::text("pages of this origin may not do this here\n").with_status(403));
        }
        ("/name", Method::Post) => reply.send(values::set_name(request)),
        (_, method) if !method.is_safe() => reply.send(Response::method_not_allowed(methods)),
        ("/name", _) => reply.send(values::name(request)),
        ("/greet", _) => reply.send(values::greet(request)),
        ("/ws/trait", _) => reply.upgrade(by_trait::endpoint(room, request)),
        ("/ws/closures", _) => reply.upgrade(by_closures::endpoint(room, request)),
        _ => reply.send(Response::html(include_str!("page.html")).field("Cache-Control", "no-cache")),
    }
}

fn main() -> ExitCode {
    let program = small::Program { what: "A chat room by two styles of WebSocket endpoints; queries, forms and cookies.", takes_io: true };
    small::run(&program, |address, io| {
        let server = Server::bind(address, Config::default())?;
        small::say(&format!("listening on http://{}/ (ws/trait, ws/closures, greet, name)", server.local_addr()))?;
        let room = Arc::new(Room::default());
        server.run(io, move |request: &Request<'_>, reply: Reply<'_>| app(&room, request, reply))
    })
}
