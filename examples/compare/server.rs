//! The measured server, in a process of its own.
//!
//! Owns the application: a fixed text, an event stream, and two kinds of `WebSocket`. The handler
//! is the same for both IO models. Leaves starting and ending the process to `process`.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use pushlab::{Config, IoModel, Limits, Message, Pusher, Reply, Request, Response, Server, Settings, Socket, WebSocketHandler, proto};

use crate::Result;
use crate::interrupt;
use crate::terminal::say;

/// The body of every measured answer: the usual text of "plaintext" benchmarks.
pub(crate) const PLAINTEXT: &str = "Hello, World!";

/// Serves on a port that the system chooses, and prints the address.
pub(crate) fn serve(model: IoModel) -> Result<()> {
    interrupt::ignore()?;
    let server = Server::bind("127.0.0.1:0", config())?;
    say(&server.local_addr().to_string())?;
    // The process ends with its standard input: the kernel closes that pipe when the parent ends,
    // in whatever way, so that no server outlives its parent.
    thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        // No graceful shutdown: the only client was the parent.
        std::process::exit(0);
    });
    let subscribers = Subscribers::default();
    server.run(model, move |request: &Request<'_>, reply: Reply<'_>| match request.path() {
        "/plaintext" => reply.send(Response::text(PLAINTEXT)),
        "/events" => subscribers.add(reply.event_stream().pusher()),
        "/subscribe" => reply.upgrade(Subscribe(subscribers.clone())),
        "/echo" => reply.upgrade(Echo),
        _ => reply.send(Response::status(404)),
    })?;
    Ok(())
}

fn config() -> Config {
    // Connections must stay open while the other IO model is measured.
    let protocol = proto::ProtocolLimits { keep_alive_timeout: Duration::from_secs(3_600), ..proto::ProtocolLimits::default() };
    let limits = Limits { protocol, ..Limits::default() };
    Config {
        settings: Settings { limits, ..Settings::default() },
        max_connections: 65_536,
        // Two threads for each subscriber.
        max_threads: 131_072,
        ..Config::default()
    }
}

/// The handles of all subscribers. A server that publishes keeps such a list.
#[derive(Clone, Default)]
struct Subscribers(Arc<Mutex<Vec<Pusher>>>);

impl Subscribers {
    fn add(&self, pusher: Pusher) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(pusher);
    }
}

struct Subscribe(Subscribers);

impl WebSocketHandler for Subscribe {
    fn open(&mut self, socket: &mut Socket<'_>) {
        self.0.add(socket.pusher());
    }

    fn message(&mut self, _: Message<'_>, _: &mut Socket<'_>) {}
}

struct Echo;

impl WebSocketHandler for Echo {
    fn message(&mut self, message: Message<'_>, socket: &mut Socket<'_>) {
        socket.send(message);
    }
}
