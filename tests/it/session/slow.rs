//! Slow readers: bounded output, one bounded queue, one policy.
//!
//! Covers: session::backlog, session::link, session::socket

use pushlab::proto::Frame;
use pushlab::session::{Ending, Limits, Settings, SlowConsumer};

use super::rig::Rig;
use super::wire::{get, text, text_frame, upgrade};

/// Ten bytes of payload: 15 bytes on the wire as a chunk, 12 as a WebSocket frame.
fn message(number: u32) -> Vec<u8> {
    format!("{number:010}").into()
}

/// A blocked rig whose output is full, and the size of a message on its wire.
fn full(path: &str, policy: SlowConsumer, messages: usize) -> (Rig, fn(u32) -> Frame) {
    let is_websocket = path == "/ws";
    let wire_len = if is_websocket { 12 } else { 15 };
    let limits = Limits { output_bytes: 10, queue_bytes: messages * wire_len, ..Limits::default() };
    let mut rig = Rig::with(Settings { limits, slow_consumer: policy, ..Settings::default() });
    if is_websocket {
        rig.open();
    } else {
        rig.send(get(path));
    }
    rig.bytes();
    rig.shelf.calls();
    rig.block();
    let encode: fn(u32) -> Frame = match path {
        "/ws" => |number| Frame::binary(&message(number)),
        _ => |number| Frame::chunk(&message(number)),
    };
    push(&mut rig, encode, 0..1);
    assert_eq!(rig.out_len(), wire_len, "the first one is on its way");
    (rig, encode)
}

fn push(rig: &mut Rig, encode: fn(u32) -> Frame, numbers: std::ops::Range<u32>) {
    for number in numbers {
        rig.shelf.pusher().push(&encode(number));
    }
    rig.deliver();
}

/// The messages that came in the end.
fn received(rig: &mut Rig) -> Vec<u32> {
    rig.unblock();
    let text = rig.text_lossy();
    text.match_indices("0000000").map(|(at, _)| text[at..at + 10].parse().unwrap()).collect()
}

const PATHS: [&str; 3] = ["/ws", "/stream", "/events"];

/// How a reader that is too slow loses its connection: a close frame is the last word of each WebSocket, and these streams have none.
fn ending(path: &str) -> Ending {
    if path == "/ws" { Ending::Linger } else { Ending::Abort }
}

#[test]
fn a_full_queue_is_in_order() {
    for path in PATHS {
        for policy in [SlowConsumer::Disconnect, SlowConsumer::DropOldest] {
            let (mut rig, encode) = full(path, policy, 4);
            push(&mut rig, encode, 1..5);
            assert_eq!((rig.ending(), rig.stats().dropped), (None, 0), "{path} {policy:?}");
            assert_eq!(received(&mut rig), [0, 1, 2, 3, 4], "{path} {policy:?}: exactly full");
        }
    }
}

#[test]
fn one_past_the_queue_disconnects() {
    for path in PATHS {
        let (mut rig, encode) = full(path, SlowConsumer::Disconnect, 4);
        push(&mut rig, encode, 1..6);
        assert_eq!((rig.ending(), rig.stats().slow_disconnects, rig.shelf.alive()), (Some(ending(path)), 1, 0), "{path}");
        push(&mut rig, encode, 6..9);
        assert_eq!(rig.stats().slow_disconnects, 1);
        if path == "/ws" {
            assert_eq!(rig.shelf.calls(), ["closed SlowConsumer"]);
        }
    }
}

#[test]
fn one_past_the_queue_drops_the_oldest() {
    for path in PATHS {
        let (mut rig, encode) = full(path, SlowConsumer::DropOldest, 4);
        push(&mut rig, encode, 1..8);
        assert_eq!((rig.ending(), rig.stats().dropped), (None, 3), "{path}");
        assert_eq!(received(&mut rig), [0, 4, 5, 6, 7], "{path}: what is on its way is not dropped");
    }
}

#[test]
fn only_the_latest_is_kept() {
    for path in PATHS {
        let (mut rig, encode) = full(path, SlowConsumer::KeepLatest, 4);
        push(&mut rig, encode, 1..8);
        assert_eq!((rig.ending(), rig.stats().dropped), (None, 6), "{path}");
        assert_eq!(received(&mut rig), [0, 7], "{path}");
    }
}

#[test]
fn the_output_takes_messages_up_to_its_limit_and_refills_when_it_is_empty() {
    let limits = Limits { output_bytes: 31, ..Limits::default() };
    let mut rig = Rig::with(Settings { limits, ..Settings::default() });
    rig.send(get("/stream"));
    rig.bytes();
    rig.block();
    push(&mut rig, |number| Frame::chunk(&message(number)), 0..6);
    assert_eq!(rig.out_len(), 45, "one is begun as long as there is a byte of room");
    rig.take_up_to(40);
    assert_eq!(rig.out_len(), 5, "what waits comes when all is taken");
    push(&mut rig, |number| Frame::chunk(&message(number)), 6..7);
    rig.take_up_to(5);
    assert_eq!(rig.out_len(), 45);
    assert_eq!(received(&mut rig), [0, 1, 2, 3, 4, 5, 6], "a new one does not overtake");
}

#[test]
fn output_at_the_limit_and_one_below_it() {
    for (output_bytes, out_len) in [(15, 15), (16, 30)] {
        let limits = Limits { output_bytes, ..Limits::default() };
        let mut rig = Rig::with(Settings { limits, ..Settings::default() });
        rig.send(get("/stream"));
        rig.bytes();
        rig.block();
        push(&mut rig, |number| Frame::chunk(&message(number)), 0..3);
        assert_eq!(rig.out_len(), out_len);
        assert_eq!(received(&mut rig), [0, 1, 2]);
    }
}

#[test]
fn direct_sends_do_not_overtake_and_drained_is_called_once() {
    let (mut rig, encode) = full("/ws", SlowConsumer::Disconnect, 10);
    push(&mut rig, encode, 1..3);
    rig.unblock();
    assert_eq!(rig.shelf.calls(), ["drained"]);
    rig.bytes();

    let limits = Limits { output_bytes: 100, ..Limits::default() };
    let mut rig = Rig::with(Settings { limits, ..Settings::default() });
    rig.open();
    rig.shelf.calls();
    rig.block();
    rig.send(text_frame("flood 20"));
    assert_eq!(rig.shelf.calls(), ["message flood 20", "waiting 220"]);
    assert!(!rig.wants_read(), "a peer that does not read is not read");
    rig.shelf.pusher().push(&Frame::text("pushed"));
    rig.deliver();
    rig.send(text_frame("echoed"));
    assert_eq!((rig.shelf.calls(), rig.input_len() > 0), (vec![], true));
    rig.unblock();
    let mut expected: Vec<_> = (0..20).map(|number| text(&format!("{number:09}"))).collect();
    expected.extend(["pushed", "drained", "echoed"].map(text));
    assert_eq!(rig.frames(), expected);
    assert_eq!(rig.shelf.calls(), ["drained", "message echoed"]);
}

#[test]
fn a_handler_that_floods_is_told_and_ended() {
    let limits = Limits { output_bytes: 100, queue_bytes: 100, ..Limits::default() };
    let mut rig = Rig::with(Settings { limits, ..Settings::default() });
    rig.open();
    rig.block();
    rig.send([text_frame("flood 1000"), text_frame("never seen")].concat());
    assert_eq!(rig.shelf.calls()[2..], ["message flood 1000", "dropped", "closed SlowConsumer"]);
    assert_eq!((rig.ending(), rig.stats().slow_disconnects), (Some(Ending::Linger), 1));
}

#[test]
fn an_end_that_was_asked_for_comes_after_what_waits() {
    for path in PATHS {
        let (mut rig, encode) = full(path, SlowConsumer::Disconnect, 4);
        push(&mut rig, encode, 1..4);
        rig.shelf.pusher().close(1000);
        push(&mut rig, encode, 4..5);
        assert_eq!(rig.ending(), None, "{path}");
        rig.unblock();
        let bytes = rig.bytes();
        let end = if path == "/ws" { &b"\x88\x02\x03\xe8"[..] } else { b"0\r\n\r\n" };
        assert!(bytes.ends_with(end), "{path}");
        assert!(String::from_utf8_lossy(&bytes).contains("0000000003"), "{path}");
        assert!(!String::from_utf8_lossy(&bytes).contains("0000000004"), "{path}: pushed after the end was asked for");
        assert_eq!(rig.stats().streams, 0);
    }
}

#[test]
fn answers_are_never_dropped() {
    let limits = Limits { output_bytes: 10, queue_bytes: 1, ..Limits::default() };
    let mut rig = Rig::with(Settings { limits, slow_consumer: SlowConsumer::KeepLatest, ..Settings::default() });
    rig.block();
    rig.send(get("/hello").repeat(3));
    rig.unblock();
    assert_eq!(rig.answers().len(), 3);
}

/// A driver whose own queue is full has refused a message, and the policy is to disconnect.
#[test]
fn a_refused_message_ends_the_connection() {
    for path in ["/stream", "/ws"] {
        let mut rig = Rig::new();
        rig.send(if path == "/ws" { upgrade(path) } else { get(path) });
        let serial = rig.last_serial();
        for other in [0, serial + 1] {
            rig.refuse(other);
        }
        assert_eq!(rig.ending(), None, "{path}: it was for another one");
        rig.refuse(serial);
        assert_eq!((rig.ending(), rig.stats().slow_disconnects), (Some(ending(path)), 1), "{path}");
    }
}
