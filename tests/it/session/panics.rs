//! Panics cost one connection: a 500 and a close, or 1011, and nothing beyond it.
//!
//! Covers: session::http, session::websocket, session::link

use std::sync::Arc;

use pushlab::proto::{CloseReason, Frame, ws::Message};
use pushlab::session::{Ending, Limits, Reply, Request, Response, Settings, Socket, WebSocketHandler};

use super::app::{HOLD, Shelf};
use super::rig::Rig;
use super::wire::{close, get, text_frame, upgrade};

/// Panics where its name says.
struct Clumsy {
    place: &'static str,
    shelf: Arc<Shelf>,
}

impl Clumsy {
    fn pass(&self, place: &str) {
        self.shelf.note(place);
        assert_ne!(self.place, place, "as the test wants it");
    }
}

impl WebSocketHandler for Clumsy {
    fn open(&mut self, socket: &mut Socket<'_>) {
        self.shelf.keep_pusher(socket.pusher());
        self.pass("open");
    }

    fn message(&mut self, _: Message<'_>, _: &mut Socket<'_>) {
        self.pass("message");
    }

    fn drained(&mut self, _: &mut Socket<'_>) {
        self.pass("drained");
    }

    fn closed(&mut self, reason: CloseReason) {
        self.shelf.note(format!("{reason:?}"));
        self.pass("closed");
    }
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("as the test wants it");
    }
}

fn clumsy(place: &'static str) -> Rig {
    let shelf = Arc::new(Shelf::default());
    let inner = Arc::clone(&shelf);
    let settings = Settings { limits: Limits { output_bytes: 300, ..Limits::default() }, ..Settings::default() };
    Rig::serving_with(settings, shelf, move |request: &Request<'_>, mut reply: Reply<'_>| {
        reply.carry(inner.token());
        match request.path() {
            "/panic" => panic!("as the test wants it"),
            "/ws" => reply.upgrade(Clumsy { place, shelf: Arc::clone(&inner) }),
            "/ws-panic" => {
                reply.upgrade(Clumsy { place, shelf: Arc::clone(&inner) });
                panic!("as the test wants it");
            }
            "/send-panic" => {
                reply.send(Response::text("sent"));
                panic!("as the test wants it");
            }
            "/hold-panic" => {
                inner.keep_held(reply.hold(HOLD, Response::no_content()));
                panic!("as the test wants it");
            }
            "/hold-unwound" => {
                let _held = reply.hold(HOLD, Response::no_content());
                panic!("as the test wants it");
            }
            "/stream-panic" => {
                let mut stream = reply.stream(Response::text("begun"));
                inner.keep_pusher(stream.pusher());
                panic!("as the test wants it");
            }
            _ => reply.send(Response::text("next")),
        }
    })
}

#[test]
fn in_the_request_handler() {
    for (path, status, text) in [
        ("/panic", 500, "500 Internal Server Error\n"),
        ("/send-panic", 200, "sent"),
        ("/hold-panic", 500, "500 Internal Server Error\n"),
        ("/hold-unwound", 500, "500 Internal Server Error\n"),
    ] {
        let mut rig = clumsy("");
        rig.send([get(path), get("/next")].concat());
        let answer = rig.answer();
        assert_eq!((answer.status, answer.text()), (status, text), "{path}");
        assert_eq!((rig.ending(), rig.stats().panics, rig.shelf.alive()), (Some(Ending::Linger), 1, 0), "{path}");
        assert_eq!(answer.announces_close(), status == 500, "{path}");
        rig.deliver();
        assert_eq!((rig.text().as_str(), rig.stats().held), ("", 0), "{path}: a release comes too late");
    }
}

#[test]
fn in_a_stream_the_client_sees_no_end() {
    let mut rig = clumsy("");
    rig.send([get("/stream-panic"), get("/next")].concat());
    let answer = rig.answer();
    assert_eq!((answer.text(), answer.is_whole), ("begun", false));
    assert_eq!((rig.ending(), rig.stats().panics, rig.stats().streams), (Some(Ending::Linger), 1, 0));
    rig.shelf.push("late");
    rig.deliver();
    assert_eq!(rig.text(), "");
}

#[test]
fn after_an_upgrade() {
    let mut rig = clumsy("");
    rig.send(upgrade("/ws-panic"));
    let bytes = rig.bytes();
    assert!(bytes.starts_with(b"HTTP/1.1 101 ") && bytes.ends_with(b"\r\n\r\n\x88\x02\x03\xf3"), "{:?}", String::from_utf8_lossy(&bytes));
    assert_eq!((rig.ending(), rig.stats().panics, rig.stats().websockets), (Some(Ending::Linger), 1, 0));
}

#[test]
fn in_open() {
    let mut rig = clumsy("open");
    rig.send(upgrade("/ws"));
    assert!(rig.bytes().ends_with(b"\x88\x02\x03\xf3"));
    assert_eq!((rig.ending(), rig.stats().panics), (Some(Ending::Linger), 1));
    assert_eq!(rig.shelf.calls(), ["open", "HandlerPanicked", "closed"]);
}

#[test]
fn in_message() {
    let mut rig = clumsy("message");
    rig.open();
    rig.send([text_frame("x"), text_frame("y")].concat());
    assert_eq!((rig.frames(), rig.ending()), (vec![close(1011)], Some(Ending::Linger)));
    assert_eq!(rig.shelf.calls(), ["open", "message", "HandlerPanicked", "closed"]);
    assert_eq!((rig.stats().panics, rig.shelf.alive()), (1, 0));
}

#[test]
fn in_drained() {
    let mut rig = clumsy("drained");
    rig.open();
    rig.block();
    for _ in 0..2 {
        rig.shelf.pusher().push(&Frame::binary(&[0; 400]));
    }
    rig.deliver();
    rig.unblock();
    assert_eq!(rig.frames().last(), Some(&close(1011)));
    assert_eq!(rig.shelf.calls(), ["open", "drained", "HandlerPanicked", "closed"]);
}

#[test]
fn in_closed() {
    let mut rig = clumsy("closed");
    rig.open();
    rig.eof();
    assert_eq!(rig.shelf.calls(), ["open", "Peer(1006)", "closed"]);
    assert_eq!((rig.stats().panics, rig.stats().websockets, rig.shelf.alive()), (1, 0, 0));
}

#[test]
fn in_dropping_what_is_carried() {
    for path in ["/send", "/hold", "/stream", "/ws"] {
        for end in ["release", "eof", "close", "shutdown"] {
            let shelf = Arc::new(Shelf::default());
            let inner = Arc::clone(&shelf);
            let mut rig = Rig::serving_with(Settings::default(), shelf, move |request: &Request<'_>, mut reply: Reply<'_>| {
                reply.carry(inner.token());
                reply.carry(Bomb);
                reply.carry(inner.token());
                match request.path() {
                    "/send" => reply.send(Response::text("sent")),
                    "/hold" => inner.keep_held(reply.hold(HOLD, Response::text("late"))),
                    "/stream" => inner.keep_pusher(reply.stream(Response::text("x")).pusher()),
                    _ => reply.upgrade(Clumsy { place: "", shelf: Arc::clone(&inner) }),
                }
            });
            rig.send(if path == "/ws" { upgrade(path) } else { get(path) });
            match (end, path) {
                ("release", "/hold") => rig.shelf.held().release(Response::text("released")),
                ("release", "/stream" | "/ws") => rig.shelf.pusher().close(1000),
                ("eof", _) => rig.eof(),
                ("close", _) => rig.close(CloseReason::Transport),
                _ => rig.shut_down(),
            }
            rig.deliver();
            rig.close(CloseReason::Transport);
            assert_eq!((rig.stats().panics, rig.shelf.alive()), (1, 0), "{path}, {end}: it is counted, and the others are dropped");
        }
    }
}
