//! An application that does everything that an application can do, good or bad.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pushlab::proto::http1::Method;
use pushlab::proto::ws::Message;
use pushlab::proto::{CloseReason, Frame, sse};
use pushlab::session::{
    Feed, Handler, Held, LastWord, Notices, Outcome, Pusher, Reply, Request, Response, Socket, Stream, StreamSource, Upgrade,
    WebSocketHandler,
};

use super::super::server::Asked;

/// What the application has given away and not got back.
#[derive(Default)]
pub(super) struct Shelf {
    pub(super) held: Vec<Held>,
    pub(super) pushers: Vec<Pusher>,
    /// The requests that reached the application, in order.
    pub(super) asked: Vec<Asked>,
}

/// The application.
#[derive(Clone, Default)]
pub(super) struct App {
    shelf: Arc<Mutex<Shelf>>,
    /// Values that connections carry.
    pub(super) carried: Arc<AtomicI64>,
    /// WebSockets that were opened and not closed.
    pub(super) sockets: Arc<AtomicI64>,
}

/// A carried value.
struct Token(Arc<AtomicI64>);

impl Drop for Token {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl App {
    pub(super) fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn token(&self) -> Token {
        self.carried.fetch_add(1, Relaxed);
        Token(Arc::clone(&self.carried))
    }

    fn supply(&self, reply: Reply<'_>, last: Feed) {
        let mut stream = reply.stream(Response::text(""));
        self.shelf().pushers.push(stream.pusher());
        let calls_left = self.shelf().asked.len() as u32 % 4;
        stream.feed(Supply { calls_left, last, gives_up: calls_left == 3, _token: self.token() });
    }

    fn hold(&self, mut reply: Reply<'_>) -> Held {
        reply.carry(self.token());
        reply.hold(Duration::from_secs(3), Response::text("too late\n"))
    }
}

/// The last word in a form of its own, or a panic instead.
struct Words;

impl Notices for Words {
    fn last_word(&mut self, word: &LastWord) -> Option<Frame> {
        match word.code() {
            1001 => give_up(),
            code => Some(Frame::text(&format!("{code}"))),
        }
    }
}

/// Not an ordinary panic: a hook would report that one.
fn give_up() -> ! {
    resume_unwind(Box::new("made up"))
}

impl Handler for App {
    fn handle(&self, request: &Request<'_>, mut reply: Reply<'_>) {
        self.shelf().asked.push(if request.method() == Method::Head { Asked::Head } else { Asked::Body });
        match request.path() {
            "/b" => reply.send(Response::new("text/plain", request.body().to_vec())),
            "/c" => {
                reply.carry(self.token());
                reply.send(Response::text("carried\n"));
            }
            "/d" => drop(reply),
            "/e" => {
                let mut events = reply.event_stream();
                events.carry(self.token());
                events.notices(Words);
                events.send_event(&sse::Event::data("one\ntwo").id("1")).expect("an event in order");
                self.shelf().pushers.push(events.pusher());
            }
            "/f" => reply.send(Response::text("x").field("X-Split", "a\r\nb")),
            "/g" => give_up(),
            "/h" => {
                let held = self.hold(reply);
                self.shelf().held.push(held);
            }
            "/i" => drop(self.hold(reply)),
            "/j" => self.hold(reply).release(Response::text("at once\n")),
            "/k" => {
                let _held = self.hold(reply);
                give_up();
            }
            "/l" => reply.send(Response::new("application/octet-stream", vec![b'l'; 3_000])),
            "/m" => reply.send(Response::new("application/octet-stream", Arc::<[u8]>::from(vec![b'm'; 3_000]))),
            "/n" => reply.send(Response::no_content()),
            "/o" => reply.send(Response::text("x").with_status(304)),
            "/p" => drop(reply.stream(Response::text("p").with_status(204)).pusher()),
            "/q" => reply.event_stream().end(),
            "/r" => {
                let mut stream = reply.stream(Response::text("first "));
                stream.send(b"second");
                stream.end();
            }
            "/s" => {
                reply.carry(self.token());
                let mut stream = reply.stream(Response::text(""));
                self.shelf().pushers.push(stream.pusher());
                stream.send(b"piece");
                stream.notices(Words);
            }
            "/t" => {
                let mut stream = reply.stream(Response::text("t"));
                stream.carry(self.token());
                give_up();
            }
            "/u" => {
                let mut stream = reply.stream(Response::text(""));
                stream.heartbeat(b"beat\n");
                stream.send_frame(&Frame::chunk(b"shared"));
                stream.send_frame(&Frame::text(&"u".repeat(3_000)));
                assert_eq!(stream.is_live(), request.method() != Method::Head);
                self.shelf().pushers.push(stream.pusher());
            }
            "/v" => {
                reply.carry(self.token());
                reply.upgrade_with(Upgrade { protocols: &["one", "two"], ..Upgrade::default() }, Chat::new(self));
            }
            "/w" => reply.upgrade(Chat::new(self)),
            "/x" => {
                reply.upgrade(Chat::new(self));
                give_up();
            }
            "/y" => self.supply(reply, Feed::Done),
            "/z" => self.supply(reply, Feed::End),
            _ => reply.send(Response::text("hello\n")),
        }
    }
}

/// Feeds a stream, and gives up behind the longest row of calls.
struct Supply {
    calls_left: u32,
    last: Feed,
    gives_up: bool,
    _token: Token,
}

impl StreamSource for Supply {
    fn feed(&mut self, stream: &mut Stream<'_>) -> Feed {
        let Some(calls_left) = self.calls_left.checked_sub(1) else {
            return if self.gives_up { give_up() } else { self.last };
        };
        self.calls_left = calls_left;
        while calls_left % 2 == 0 && stream.send(b"piece after piece\n") == Outcome::Sent {}
        Feed::Continue
    }
}

/// A WebSocket's handler: does what the first byte of a message says.
struct Chat {
    app: App,
    is_open: bool,
}

impl Chat {
    fn new(app: &App) -> Self {
        Self { app: app.clone(), is_open: false }
    }
}

impl WebSocketHandler for Chat {
    fn open(&mut self, socket: &mut Socket<'_>) {
        assert!(!self.is_open, "opened once");
        self.is_open = true;
        self.app.sockets.fetch_add(1, Relaxed);
        socket.carry(self.app.token());
        self.app.shelf().pushers.push(socket.pusher());
    }

    fn message(&mut self, message: Message<'_>, socket: &mut Socket<'_>) {
        assert!(self.is_open, "no message before open or after closed");
        match message.as_bytes().first().map_or(0, |byte| byte % 16) {
            1 => drop(socket.close(1000, "bye")),
            2 => drop(socket.close(1005, "")),
            3 => give_up(),
            4 => _ = socket.send_binary(&[4; 3_000]),
            5 => socket.carry(self.app.token()),
            6 => self.app.shelf().pushers.push(socket.pusher()),
            7 => _ = socket.send_frame(&Frame::chunk(b"\xFFchunk")),
            8 => (0..40).for_each(|_| _ = socket.send_text("again and again and again")),
            9 => self.app.shelf().pushers.iter().for_each(|pusher| pusher.push(&Frame::text("from inside"))),
            10 => assert!(socket.waiting_bytes() < 1 << 20 && socket.protocol().is_none_or(|name| name == "two")),
            11 => socket.notices(Words),
            _ => _ = socket.send(message),
        }
    }

    fn drained(&mut self, socket: &mut Socket<'_>) {
        assert!(self.is_open);
        let _ = socket.send_text("drained");
    }

    fn closed(&mut self, _: CloseReason) {
        assert!(std::mem::take(&mut self.is_open), "closed once");
        self.app.sockets.fetch_sub(1, Relaxed);
    }
}
