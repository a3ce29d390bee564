//! What the table of frames cannot say: a close in the middle of a frame, borrowed messages, frames in no order at all.
//!
//! Covers: proto::ws::conn, proto::ws::event, proto::ws::reader, proto::ws::short

use pushlab::proto::ws::Opcode::{Binary, Close, Continuation, Ping, Pong, Text};
use pushlab::proto::ws::{Conn, Event, Message, Next};
use pushlab::proto::{Outbox, ProtocolLimits, RemoteError};

use super::peer::{Seen, Server, close, frame, run_with, text};
use crate::support::splits::Seeded;

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
            let mut server = Server::new(&ProtocolLimits::default());
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
    let mut server = Server::new(&ProtocolLimits::default());
    server.close();
    server.feed(&[0xFF, 0xFF]);
    assert_eq!(server.seen, [Seen::Error(RemoteError::ReservedBits)]);
    assert_eq!(server.output(), b"\x88\x02\x03\xe9", "a second close frame is never sent");
    assert!(!server.conn.writer.is_closed());
}

#[test]
fn a_message_is_borrowed_while_it_is_answered() {
    let (mut conn, mut out, limits) = (Conn::new(), Outbox::new(), ProtocolLimits::default());
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
        let limits = ProtocolLimits { message_bytes: 300, message_fragments: 6, ..ProtocolLimits::default() };
        run_with(&wire, &limits);
    }
}
