//! Sequences of frames: RFC 6455, sections 5.4, 5.5, 6.2 and 7.
//!
//! Covers: proto::ws::conn, proto::ws::event, proto::ws::reader

use pushlab::proto::ws::Opcode::{Binary, Close, Continuation, Ping, Pong, Text};
use pushlab::proto::ws::{Conn, Event, Message, Next};
use pushlab::proto::{Limits, Outbox, RemoteError};

use super::peer::{Seen, Server, close, frame, run, run_with, seen, text};
use crate::support::splits::Seeded;

fn binary(bytes: &[u8]) -> Seen {
    Seen::Binary(bytes.into())
}

#[test]
fn messages_of_all_sizes() {
    for len in [0, 1, 15, 125, 126, 127, 128, 0xFFFF, 0x1_0000, 200_000] {
        let payload: Vec<u8> = (0..len).map(|n: u32| (n % 251) as u8).collect();
        let mut server = Server::new(&Limits::default());
        let wire = frame(true, Binary, &payload);
        server.feed(&wire);
        for piece in wire.chunks(4099) {
            server.feed(piece);
        }
        assert_eq!(server.seen, [binary(&payload), binary(&payload)]);
    }
}

#[test]
fn pipelined_messages_stay_in_order() {
    let wire: Vec<u8> = (0..40).flat_map(|n| text(&n.to_string().repeat(n))).collect();
    let expected: Vec<_> = (0..40).map(|n| Seen::Text(n.to_string().repeat(n))).collect();
    assert_eq!(run(&wire), (expected, vec![]));
}

#[test]
fn control_frames_interleave() {
    let wire = [
        frame(false, Text, "κ".as_bytes()),
        frame(true, Ping, b"one"),
        frame(false, Continuation, b"\xcf"),
        frame(true, Pong, b"two"),
        frame(true, Ping, &[9; 125]),
        frame(true, Continuation, b"\x83"),
        frame(true, Ping, b""),
        text("next"),
    ]
    .concat();
    let (seen, output) = run(&wire);
    let expected = [
        Seen::Ping(b"one".into()),
        Seen::Pong(b"two".into()),
        Seen::Ping(vec![9; 125]),
        Seen::Text("κσ".into()),
        Seen::Ping(vec![]),
        Seen::Text("next".into()),
    ];
    assert_eq!(seen, expected);
    assert_eq!(output, [b"\x8a\x03one\x8a\x7d", &[9; 125][..], b"\x8a\x00"].concat());
}

#[test]
fn fragments_out_of_order() {
    let bad = Seen::Error(RemoteError::BadFragment);
    assert_eq!(seen(&frame(true, Continuation, b"")), std::slice::from_ref(&bad));
    assert_eq!(seen(&frame(false, Continuation, b"x")), std::slice::from_ref(&bad));
    for second in [Text, Binary] {
        for fin in [true, false] {
            assert_eq!(seen(&[frame(false, Text, b"a"), frame(fin, second, b"b")].concat()), std::slice::from_ref(&bad));
        }
    }
    let done = [frame(false, Binary, b"a"), frame(true, Continuation, b"b"), frame(true, Continuation, b"c")].concat();
    assert_eq!(seen(&done), [binary(b"ab"), bad]);
}

#[test]
fn empty_fragments_are_a_message() {
    let wire = [frame(false, Text, b""), frame(false, Continuation, b""), frame(true, Continuation, b"")].concat();
    assert_eq!(seen(&wire), [Seen::Text(String::new())]);
    assert_eq!(seen(&text("")), [Seen::Text(String::new())]);
}

#[test]
fn nothing_is_read_after_an_error() {
    let wire = [text("good"), frame(true, Text, b"\xff"), text("late"), frame(true, Ping, b"late"), close(1000, b"")].concat();
    let (seen, output) = run(&wire);
    assert_eq!(seen, [Seen::Text("good".into()), Seen::Error(RemoteError::InvalidUtf8)]);
    assert_eq!(output, b"\x88\x14\x03\xeftext must be UTF-8");
}

#[test]
fn nothing_is_read_after_the_peers_close() {
    let wire = [close(1000, b"bye"), text("late"), frame(true, Ping, b"late"), vec![0xFF; 30]].concat();
    let (seen, output) = run(&wire);
    assert_eq!(seen, [Seen::Close(1000, "bye".into())]);
    assert_eq!(output, b"\x88\x02\x03\xe8");
}

#[test]
fn a_close_ends_a_message_that_was_never_finished() {
    let wire = [frame(false, Text, b"never"), close(1001, b""), frame(true, Continuation, b"finished")].concat();
    let (seen, output) = run(&wire);
    assert_eq!(seen, [Seen::Close(1001, String::new())]);
    assert_eq!(output, b"\x88\x02\x03\xe9");
}

#[test]
fn after_our_close_only_the_peers_is_looked_at() {
    let sent = b"\x88\x02\x03\xe9";
    // What is wrong inside of ignored frames does not matter, not even fragments without a beginning.
    let ignored = [
        text("late"),
        frame(true, Continuation, b"late"),
        frame(true, Text, b"\xff"),
        frame(true, Ping, b"late"),
        frame(true, Binary, &[1; 3000]),
        frame(false, Text, b"late"),
    ]
    .concat();
    for cut in [1, 2, 7, 100, 5000] {
        for before in [vec![], frame(false, Text, b"early"), text("partial")[..9].to_vec(), frame(true, Ping, b"partial")[..8].to_vec()] {
            let mut server = Server::new(&Limits::default());
            server.feed(&before);
            server.close();
            let rest = match before.len() {
                9 => text("partial")[9..].to_vec(),
                8 => frame(true, Ping, b"partial")[8..].to_vec(),
                _ => vec![],
            };
            for piece in [rest, ignored.clone(), close(1000, b"same to you"), text("much too late")].concat().chunks(cut) {
                server.feed(piece);
            }
            assert_eq!(server.seen, [Seen::Close(1000, "same to you".into())]);
            assert_eq!(server.output(), sent);
            assert!(server.conn.writer.is_closed());
            assert_eq!(server.conn.reader.capacity(), 0);
        }
    }
}

#[test]
fn broken_frames_after_our_close_end_the_input() {
    let mut server = Server::new(&Limits::default());
    server.close();
    server.feed(&[0xFF, 0xFF]);
    assert_eq!(server.seen, [Seen::Error(RemoteError::ReservedBits)]);
    assert_eq!(server.output(), b"\x88\x02\x03\xe9", "a second close frame is never sent");
    assert!(!server.conn.writer.is_closed());
}

#[test]
fn a_message_is_borrowed_while_it_is_answered() {
    let (mut conn, mut out, limits) = (Conn::new(), Outbox::new(), Limits::default());
    let mut wire = [text("whole"), frame(false, Binary, b"in "), frame(true, Continuation, b"parts")].concat();
    let (reader, writer) = conn.split();
    let (mut at, mut answers) = (0, 0);
    while let Ok((used, Next::Event(event))) = reader.next_event(&mut wire[at..], writer, &mut out, &limits) {
        at += used;
        answers += 1;
        match event {
            Event::Message(Message::Text(text)) => writer.send_text(text, &mut out).unwrap(),
            Event::Message(Message::Binary(bytes)) => writer.send_binary(bytes, &mut out).unwrap(),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(answers, 2);
    assert_eq!(out.chunks().next().unwrap(), b"\x81\x05whole\x82\x08in parts");
}

#[test]
fn a_close_frame_in_parts_is_one() {
    let wire = close(4999, "ω".repeat(61).as_bytes());
    let (seen, output) = run(&[frame(false, Text, b"open"), wire].concat());
    assert_eq!(seen, [Seen::Close(4999, "ω".repeat(61))]);
    assert_eq!(output, b"\x88\x02\x13\x87");
    assert_eq!(run(&frame(true, Close, b"")), (vec![Seen::Close(1005, String::new())], b"\x88\x00".to_vec()));
}

/// Frames that are well and ill in every way, in no order: whatever comes of them, it is the same however they are cut.
#[test]
fn random_sequences_do_not_depend_on_cuts() {
    for seed in 1..=200 {
        let (mut numbers, mut wire) = (Seeded::new(seed), Vec::new());
        let payloads = [&b""[..], b"a", "κόσμε".as_bytes(), b"\xe2\x82", b"\xac", b"\xf0\x9f\x98\x80\xf0", &[b'x'; 126], &[0xA0; 3]];
        for _ in 0..=numbers.below(12) {
            let payload = payloads[numbers.below(payloads.len())];
            let opcode = [Text, Binary, Continuation, Continuation, Continuation, Ping, Pong, Close][numbers.below(8)];
            let fin = (opcode.is_control() && numbers.below(20) > 0) || numbers.below(3) == 0;
            wire.extend(frame(fin, opcode, payload));
        }
        if numbers.below(4) == 0 {
            let at = numbers.below(wire.len());
            wire[at] ^= 1 << numbers.below(8);
        }
        let limits = Limits { message_bytes: 300, message_fragments: 6, ..Limits::default() };
        run_with(&wire, &limits);
    }
}
