//! The application of these tests: one path for each way to dispose of a request, and a shelf on which its handles wait for the test.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use pushlab::proto::{CloseReason, Frame, sse, ws::Message};
use pushlab::session::{Handler, Held, Outcome, Pusher, Reply, Request, Response, Socket, Upgrade, WebSocketHandler};

/// What the application leaves for the test.
#[derive(Default)]
pub struct Shelf {
    held: Mutex<Vec<Held>>,
    pushers: Mutex<Vec<Pusher>>,
    /// Calls of handlers, as text.
    calls: Mutex<Vec<String>>,
    carried: AtomicUsize,
    dropped: AtomicUsize,
}

impl Shelf {
    /// The oldest held request.
    pub fn held(&self) -> Held {
        self.held.lock().unwrap().remove(0)
    }

    pub fn take_held(&self) -> Vec<Held> {
        std::mem::take(&mut self.held.lock().unwrap())
    }

    pub fn take_pushers(&self) -> Vec<Pusher> {
        std::mem::take(&mut self.pushers.lock().unwrap())
    }

    pub fn keep_held(&self, held: Held) {
        self.held.lock().unwrap().push(held);
    }

    /// The latest pusher.
    pub fn pusher(&self) -> Pusher {
        self.pushers.lock().unwrap().last().unwrap().clone()
    }

    pub fn keep_pusher(&self, pusher: Pusher) {
        self.pushers.lock().unwrap().push(pusher);
    }

    pub fn push(&self, text: &str) {
        self.pusher().push(&Frame::chunk(text.as_bytes()));
    }

    pub fn note(&self, call: impl Into<String>) {
        self.calls.lock().unwrap().push(call.into());
    }

    /// The calls since the last look.
    pub fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    /// A value to be carried.
    pub fn token(self: &Arc<Self>) -> Token {
        self.carried.fetch_add(1, SeqCst);
        Token(Arc::clone(self))
    }

    /// Tokens that live.
    pub fn alive(&self) -> usize {
        self.carried.load(SeqCst) - self.dropped.load(SeqCst)
    }

    pub fn expect_all_dropped(&self) {
        assert_eq!(self.alive(), 0, "carried values that were never dropped");
    }
}

/// A carried value that says when it is dropped.
pub struct Token(Arc<Shelf>);

impl Drop for Token {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, SeqCst);
    }
}

/// 25 s, the usual hold.
pub const HOLD: Duration = Duration::from_secs(25);

pub fn app(shelf: &Arc<Shelf>) -> impl Handler + use<> {
    let shelf = Arc::clone(shelf);
    move |request: &Request<'_>, reply: Reply<'_>| answer(&shelf, request, reply)
}

fn answer(shelf: &Arc<Shelf>, request: &Request<'_>, mut reply: Reply<'_>) {
    shelf.note(format!("{} {} {}", request.method(), request.path(), String::from_utf8_lossy(request.body())));
    reply.carry(shelf.token());
    match request.path() {
        "/hello" => reply.send(Response::text("hello\n")),
        "/echo" => reply.send(Response::new("application/octet-stream", request.body().to_vec())),
        "/large" => reply.send(Response::text("x".repeat(request.query_value("bytes").unwrap().parse().unwrap()))),
        "/bad" => reply.send(Response::text("x").field("X-Name", "a\r\nSet-Cookie: b=c")),
        "/dropped" => drop(reply),
        "/hold" => shelf.keep_held(reply.hold(HOLD, Response::no_content())),
        "/forget" => drop(reply.hold(HOLD, Response::no_content())),
        "/stream" => {
            let mut stream = reply.stream(Response::text("first\n"));
            stream.send(b"second\n");
            stream.carry(shelf.token());
            shelf.keep_pusher(stream.pusher());
        }
        "/beating-stream" => {
            let mut stream = reply.stream(Response::text(""));
            stream.heartbeat(b"\n");
            stream.send_frame(&Frame::chunk(b"replayed"));
            shelf.keep_pusher(stream.pusher());
        }
        "/short-stream" => {
            let mut stream = reply.stream(Response::text(""));
            stream.send(b"all\n");
            stream.end();
        }
        "/events" => {
            let mut events = reply.event_stream();
            events.send_event(&sse::Event::data("welcome")).unwrap();
            events.carry(shelf.token());
            shelf.keep_pusher(events.pusher());
        }
        "/ws" => {
            let talker = Talker { shelf: Arc::clone(shelf), _token: shelf.token() };
            reply.upgrade_with(Upgrade { protocols: &["chat", "superchat"], ..Upgrade::default() }, talker);
        }
        #[cfg(feature = "deflate")]
        "/deflate" | "/takeover" => {
            let keeps = request.path() == "/takeover";
            let deflate =
                pushlab::Deflate { server_context_takeover: keeps, client_context_takeover: keeps, ..pushlab::Deflate::default() };
            let talker = Talker { shelf: Arc::clone(shelf), _token: shelf.token() };
            reply.upgrade_with(Upgrade { deflate: Some(deflate), ..Upgrade::default() }, talker);
        }
        _ => reply.send(Response::status(404)),
    }
}

/// Answers every text message with itself, but for some that are commands.
struct Talker {
    shelf: Arc<Shelf>,
    _token: Token,
}

impl WebSocketHandler for Talker {
    fn open(&mut self, socket: &mut Socket<'_>) {
        self.shelf.note(format!("open {}", socket.protocol().unwrap_or("-")));
        socket.carry(self.shelf.token());
        self.shelf.keep_pusher(socket.pusher());
    }

    fn message(&mut self, message: Message<'_>, socket: &mut Socket<'_>) {
        let Message::Text(text) = message else {
            self.shelf.note(format!("binary {}", message.as_bytes().len()));
            socket.send(message);
            return;
        };
        self.shelf.note(format!("message {text}"));
        match text.split_once(' ') {
            Some(("close", code)) => self.shelf.note(format!("{:?}", socket.close(code.parse().unwrap(), "bye"))),
            Some(("flood", count)) => {
                for number in 0..count.parse::<u32>().unwrap() {
                    if socket.send_text(&format!("{number:09}")) == Outcome::Refused {
                        return self.shelf.note("dropped");
                    }
                }
                self.shelf.note(format!("waiting {}", socket.waiting_bytes()));
            }
            _ => drop(socket.send(message)),
        }
    }

    fn drained(&mut self, socket: &mut Socket<'_>) {
        self.shelf.note("drained");
        socket.send_text("drained");
    }

    fn closed(&mut self, reason: CloseReason) {
        self.shelf.note(format!("closed {reason:?}"));
    }
}
