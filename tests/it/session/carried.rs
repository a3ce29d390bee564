//! Carried values are dropped once, at the end of what carries them, whichever end that is.
//!
//! Covers: session::link, session::exchange

use pushlab::proto::{CloseReason, Frame};
use pushlab::session::{Limits, Response, Settings, SlowConsumer};

use super::rig::Rig;
use super::wire::{close_frame, get, text_frame, upgrade};

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
