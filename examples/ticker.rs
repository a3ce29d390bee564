//! One thread ticks; everybody who listens hears it, by server-sent events, WebSocket or long polling. Each tick is encoded once per wire
//! form, however many listen.
//!
//! Try: `curl -N http://127.0.0.1:8080/events`, `curl http://127.0.0.1:8080/poll`, or a WebSocket at `ws://127.0.0.1:8080/ws`.

#[path = "common/small.rs"]
mod small;

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use pushlab::proto::http1::Method;
use pushlab::proto::sse::Event;
use pushlab::{Config, Frame, Held, Message, Pusher, Reply, Request, Response, Server, Socket, WebSocketHandler};

/// Everybody who listens. Each has a number, by which they leave.
#[derive(Default)]
struct Audience {
    next: u64,
    events: HashMap<u64, Pusher>,
    sockets: HashMap<u64, Pusher>,
    polls: HashMap<u64, Held>,
}

#[derive(Clone, Default)]
struct Ticker(Arc<Mutex<Audience>>);

impl Ticker {
    /// Never held while anything waits: pushing only posts to the connection's driver.
    fn audience(&self) -> MutexGuard<'_, Audience> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number for somebody new, and the guard that takes their place away. The connection carries it, and drops it at its end.
    fn seat(&self) -> (u64, Seat) {
        let mut audience = self.audience();
        audience.next += 1;
        (audience.next, Seat { ticker: self.clone(), number: audience.next })
    }

    fn tick(&self, count: u64) {
        let text = format!("tick {count}");
        let event = Frame::event(&Event::data(&text)).expect("there is no name or id to be wrong");
        let mut audience = self.audience();
        Pusher::push_all(audience.events.values(), &event);
        Pusher::push_all(audience.sockets.values(), &Frame::text(&text));
        let polls = std::mem::take(&mut audience.polls);
        drop(audience);
        let answer = Arc::new(Response::text(text).no_store());
        for held in polls.into_values() {
            held.release(Arc::clone(&answer));
        }
    }
}

struct Seat {
    ticker: Ticker,
    number: u64,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut audience = self.ticker.audience();
        audience.events.remove(&self.number);
        audience.sockets.remove(&self.number);
        audience.polls.remove(&self.number);
    }
}

/// A WebSocket that only listens.
struct Listener(Ticker);

impl WebSocketHandler for Listener {
    fn open(&mut self, socket: &mut Socket<'_>) {
        let (number, seat) = self.0.seat();
        socket.carry(seat);
        self.0.audience().sockets.insert(number, socket.pusher());
    }

    fn message(&mut self, _: Message<'_>, _: &mut Socket<'_>) {}
}

/// Of every path.
const METHODS: &str = "GET, HEAD, OPTIONS";

fn app(ticker: &Ticker, request: &Request<'_>, mut reply: Reply<'_>) {
    match (request.path(), request.method()) {
        ("/events", Method::Get) => {
            let (number, seat) = ticker.seat();
            reply.carry(seat);
            let pusher = reply.event_stream().pusher();
            ticker.audience().events.insert(number, pusher);
        }
        // The head of the stream, and nobody to push to.
        ("/events", Method::Head) => drop(reply.event_stream()),
        ("/poll", Method::Get | Method::Head) => {
            let (number, seat) = ticker.seat();
            reply.carry(seat);
            let held = reply.hold(Duration::from_secs(25), Response::no_content());
            ticker.audience().polls.insert(number, held);
        }
        ("/ws", Method::Get | Method::Head) => reply.upgrade(Listener(ticker.clone())),
        ("/events" | "/poll" | "/ws", Method::Options) => reply.send(request.options(METHODS)),
        ("/events" | "/poll" | "/ws", _) => reply.send(Response::method_not_allowed(METHODS)),
        _ => reply.send(Response::status(404)),
    }
}

fn main() -> ExitCode {
    let program = small::Program { what: "A tick each second, for everybody who listens at /events, /ws or /poll.", takes_io: true };
    small::run(&program, |address, io| {
        let server = Server::bind(address, Config::default())?;
        small::say(&format!("listening on http://{}/ (events, ws, poll)", server.local_addr()))?;
        let ticker = Ticker::default();
        let ticking = ticker.clone();
        thread::spawn(move || {
            for count in 1.. {
                thread::sleep(Duration::from_secs(1));
                ticking.tick(count);
            }
        });
        server.run(io, move |request: &Request<'_>, reply: Reply<'_>| app(&ticker, request, reply))
    })
}
