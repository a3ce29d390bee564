//! Carried values are dropped once, at the end of what carries them, whichever end that is.
//!
//! Covers: session::link, session::exchange, session::carried

use std::sync::Arc;

use pushlab::proto::{CloseReason, Frame};
use pushlab::session::{Command, Limits, Notices, Reply, Request, Response, Settings, SlowConsumer, Stream};
use pushlab::{LastWord, Message, Socket, WebSocketHandler};

use super::app::Shelf;
use super::rig::Rig;
use super::wire::{close_frame, close_with, frames, get, text, text_frame, upgrade};

type End = (&'static str, fn(&mut Rig));

/// Ends of anything that is not answered at once.
const ANY: [End; 5] = [
    ("end of file", Rig::eof),
    ("transport", |rig| rig.close(CloseReason::Transport)),
    ("stalled", |rig| rig.close(CloseReason::WriteStalled)),
    ("shutdown", |rig| {
        rig.shut_down();
        rig.pass_secs(5);
    }),
    ("let go in a shutdown", |rig| {
        rig.shut_down();
        rig.close(CloseReason::Shutdown);
    }),
];

/// Ends of what can be pushed to.
const PUSHED: [End; 2] = [
    ("closed by its pusher", |rig| {
        rig.shelf.pusher().close(1000);
        rig.deliver();
        rig.send(close_frame(1000));
    }),
    ("slow", |rig| {
        rig.block();
        for _ in 0..3 {
            rig.shelf.pusher().push(&Frame::binary(&[0; 1_000]));
        }
        rig.deliver();
    }),
];

fn settings() -> Settings {
    let limits = Limits { output_bytes: 500, queue_bytes: 500, ..Limits::default() };
    Settings { limits, slow_consumer: SlowConsumer::Disconnect, ..Settings::default() }
}

fn check(path: &str, carried: usize, ends: &[&[End]]) {
    for (name, end) in ends.iter().flat_map(|ends| ends.iter()) {
        let mut rig = Rig::with(settings());
        rig.send(if path == "/ws" { upgrade(path) } else { get(path) });
        assert_eq!(rig.shelf.alive(), carried, "{path}, {name}: alive as long as its carrier");
        end(&mut rig);
        assert_eq!(rig.shelf.alive(), 0, "{path}, {name}");
    }
}

#[test]
fn of_a_hold() {
    let own: [End; 3] = [
        ("released", |rig| {
            rig.shelf.held().release(Response::text("x"));
            rig.deliver();
        }),
        ("dropped", |rig| {
            drop(rig.shelf.held());
            rig.deliver();
        }),
        ("timed out", |rig| rig.pass_secs(25)),
    ];
    check("/hold", 1, &[&ANY, &own]);
}

#[test]
fn of_streams() {
    check("/stream", 2, &[&ANY, &PUSHED]);
    check("/events", 2, &[&ANY, &PUSHED]);
}

#[test]
fn of_a_websocket() {
    let own: [End; 4] = [
        ("closed by the peer", |rig| rig.send(close_frame(1000))),
        ("closed by the handler", |rig| rig.send([text_frame("close 1000"), close_frame(1000)].concat())),
        ("error", |rig| rig.send([0xff, 0xff])),
        ("silent", |rig| rig.pass_secs(45)),
    ];
    check("/ws", 3, &[&ANY, &PUSHED, &own]);
}

#[test]
fn of_what_is_over_in_the_call() {
    for path in ["/hello", "/dropped", "/bad", "/short-stream", "/nothing", "/ws"] {
        let mut rig = Rig::new();
        rig.send([get(path), get("/hold")].concat());
        assert_eq!(rig.shelf.alive(), 1, "{path}: only the hold's");
    }
}

#[test]
fn the_response_comes_before_the_drop() {
    let mut rig = Rig::new();
    rig.block();
    rig.send(get("/hold"));
    rig.pass_secs(25);
    assert!(rig.out_len() > 0);
    assert_eq!(rig.shelf.alive(), 0, "what is dropped is told by the answer's end, not by its arrival");
}

/// Notes its name when it is dropped, and says it in the place of dropped messages.
struct Named(&'static str, Arc<Shelf>);

impl Drop for Named {
    fn drop(&mut self) {
        self.1.note(format!("{} is dropped", self.0));
    }
}

impl Notices for Named {
    fn dropped(&mut self, count: usize) -> Option<Frame> {
        Some(Frame::chunk(format!("{count} for {}\n", self.0).as_bytes()))
    }
}

fn streaming(begin: impl Fn(Stream<'_>, &Arc<Shelf>) + Send + Sync + 'static) -> Rig {
    let shelf = Arc::new(Shelf::default());
    let inner = Arc::clone(&shelf);
    Rig::serving_with(Settings::default(), shelf, move |_: &Request<'_>, mut reply: Reply<'_>| {
        reply.carry(Named("first", Arc::clone(&inner)));
        begin(reply.stream(Response::text("begun\n")), &inner);
    })
}

#[test]
fn the_oldest_goes_first() {
    let mut rig = streaming(|mut stream, shelf| {
        for name in ["second", "third"] {
            stream.carry(Named(name, Arc::clone(shelf)));
        }
    });
    rig.send(get("/"));
    assert_eq!(rig.shelf.calls(), ["first is dropped", "second is dropped", "third is dropped"]);
}

/// Later notices replace earlier ones, except those that are carried.
#[test]
fn notices_are_values_too() {
    let mut rig = streaming(|mut stream, shelf| {
        let named = |name| Named(name, Arc::clone(shelf));
        stream.notices(named("replaced"));
        stream.carry(named("silent"));
        stream.carry_notices(named("carried"));
        assert_eq!(shelf.calls(), ["replaced is dropped"]);
        stream.carry_notices(named("also carried"));
        stream.notices(named("last"));
        shelf.keep_pusher(stream.pusher());
    });
    rig.send(get("/"));
    rig.apply(rig.last_serial(), Command::Lost(3));
    assert!(rig.answer().text().ends_with("3 for last\n"));
    assert!(rig.shelf.calls().is_empty(), "all are there");
    rig.shelf.take_pushers();
    while rig.deliver() > 0 {}
    let names = ["first", "silent", "carried", "also carried", "last"];
    assert_eq!(rig.shelf.calls(), names.map(|name| format!("{name} is dropped")));
}

/// Says what it is in the place of dropped messages and before the end.
struct Spoken(&'static str);

impl Notices for Spoken {
    fn dropped(&mut self, count: usize) -> Option<Frame> {
        Some(Frame::text(&format!("{count} for {}", self.0)))
    }

    fn last_word(&mut self, word: &LastWord) -> Option<Frame> {
        Some(Frame::text(&format!("{} for {}", word.code(), self.0)))
    }
}

/// A handler that speaks, beside notices of the connection or without them.
struct Speaker(Spoken, bool, Arc<Shelf>);

impl WebSocketHandler for Speaker {
    fn open(&mut self, socket: &mut Socket<'_>) {
        socket.carry(self.2.token());
        if self.1 {
            socket.notices(Spoken("the connection"));
        }
        self.2.keep_pusher(socket.pusher());
    }

    fn message(&mut self, _: Message<'_>, _: &mut Socket<'_>) {}

    fn notices(&mut self) -> Option<&mut dyn Notices> {
        Some(&mut self.0)
    }
}

/// A WebSocket's handler speaks, unless the connection has notices: for messages that were dropped
/// before the session, for those that the policy drops, and before the end.
#[test]
fn a_handler_speaks_for_itself() {
    for (has_notices, name) in [(false, "the handler"), (true, "the connection")] {
        let shelf = Arc::<Shelf>::default();
        let kept = Arc::clone(&shelf);
        let limits = Limits { output_bytes: 10, queue_bytes: 40, ..Limits::default() };
        let settings = Settings { limits, slow_consumer: SlowConsumer::DropOldest, ..Settings::default() };
        let mut rig = Rig::serving_with(settings, shelf, move |_: &Request<'_>, reply: Reply<'_>| {
            reply.upgrade(Speaker(Spoken("the handler"), has_notices, Arc::clone(&kept)));
        });
        rig.send(upgrade("/"));
        rig.bytes();
        rig.apply(rig.last_serial(), Command::Lost(3));
        assert_eq!(frames(&rig.bytes()), [text(&format!("3 for {name}"))]);
        rig.block();
        for number in 0..6 {
            rig.shelf.pusher().push(&Frame::text(&format!("message {number} 4567")));
        }
        rig.deliver();
        rig.unblock();
        let lost = text(&format!("3 for {name}"));
        assert_eq!(frames(&rig.bytes()), [text("message 0 4567"), lost, text("message 4 4567"), text("message 5 4567")]);
        rig.shelf.pusher().end_with(LastWord::new(4_001, "enough"));
        rig.deliver();
        assert_eq!(frames(&rig.bytes()), [text(&format!("4001 for {name}")), close_with(4_001, "enough")]);
        rig.eof();
        assert_eq!(rig.shelf.alive(), 0);
    }
}

/// So many values would overflow the stack if each of them dropped the one before it.
#[test]
fn very_many() {
    let mut rig = streaming(|mut stream, shelf| {
        for _ in 0..200_000 {
            stream.carry(shelf.token());
        }
        shelf.keep_pusher(stream.pusher());
    });
    rig.send(get("/"));
    assert_eq!(rig.shelf.alive(), 200_000);
    rig.eof();
    assert_eq!(rig.shelf.alive(), 0);
}
