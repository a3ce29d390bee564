//! Messages in pieces: order, limits, and memory that follows what arrived.
//!
//! Covers: proto::ws::assembler

use pushlab::proto::ws::assembler::Assembler;
use pushlab::proto::ws::{Conn, Event, FrameHead, Message, Next, Opcode};
use pushlab::proto::{Limits, Outbox, RemoteError};

use super::peer::{Seen, Server, frame, run_with, text};

#[test]
fn fragments_are_one_message() {
    let (mut assembler, limits) = (Assembler::new(), Limits::default());
    assert!(!assembler.is_open() && assembler.is_empty());
    for (opcode, payload) in [(Opcode::Binary, &b"ab"[..]), (Opcode::Continuation, b""), (Opcode::Continuation, b"c")] {
        assembler.admit(opcode, payload.len() as u64, &limits).unwrap();
        assembler.push(payload, None).unwrap();
        assert!(assembler.is_open());
    }
    assembler.finish().unwrap();
    assert_eq!((assembler.is_open(), assembler.len(), assembler.message()), (false, 3, Message::Binary(b"abc")));
}

#[test]
fn order_of_fragments() {
    let limits = Limits::default();
    assert_eq!(Assembler::new().admit(Opcode::Continuation, 0, &limits), Err(RemoteError::BadFragment));
    for opcode in [Opcode::Text, Opcode::Binary] {
        let mut assembler = Assembler::new();
        assembler.admit(opcode, 0, &limits).unwrap();
        assert_eq!(assembler.admit(opcode, 0, &limits), Err(RemoteError::BadFragment));
    }
}

#[test]
fn message_bytes_at_the_limit_and_one_past_it() {
    let limits = Limits { message_bytes: 300, ..Limits::default() };
    let (most, more) = ("x".repeat(300), "x".repeat(301));
    assert_eq!(run_with(&text(&most), &limits).0, [Seen::Text(most.clone())]);
    assert_eq!(run_with(&text(&more), &limits).0, [Seen::Error(RemoteError::MessageTooLarge)]);
    // The head is enough to know.
    let head = FrameHead::client(Opcode::Binary, 301, *b"mask").encode();
    assert_eq!(run_with(&head, &limits).0, [Seen::Error(RemoteError::MessageTooLarge)]);
    // All fragments together.
    let first = frame(false, Opcode::Binary, &[7; 200]);
    let at = [first.clone(), frame(true, Opcode::Continuation, &[7; 100])].concat();
    assert_eq!(run_with(&at, &limits).0, [Seen::Binary(vec![7; 300])]);
    let past = [first, FrameHead::client(Opcode::Continuation, 101, *b"mask").encode().to_vec()].concat();
    let (seen, output) = run_with(&past, &limits);
    assert_eq!(seen, [Seen::Error(RemoteError::MessageTooLarge)]);
    assert_eq!(output[2..4], 1009_u16.to_be_bytes());
    // A short one, of the form that most have.
    let limits = Limits { message_bytes: 2, ..Limits::default() };
    assert_eq!(run_with(&text("ab"), &limits).0, [Seen::Text("ab".into())]);
    assert_eq!(run_with(&text("abc"), &limits).0, [Seen::Error(RemoteError::MessageTooLarge)]);
}

#[test]
fn carried_bytes_of_a_character_count() {
    let limits = Limits { message_bytes: 4, ..Limits::default() };
    let fragments = |last: &[u8]| [frame(false, Opcode::Text, b"\xf0\x9f\x98"), frame(true, Opcode::Continuation, last)].concat();
    assert_eq!(run_with(&fragments(b"\x80"), &limits).0, [Seen::Text("😀".into())]);
    assert_eq!(run_with(&fragments(b"\x80!"), &limits).0, [Seen::Error(RemoteError::MessageTooLarge)]);
}

#[test]
fn message_fragments_at_the_limit_and_one_past_it() {
    let limits = Limits { message_fragments: 3, ..Limits::default() };
    let message = |middle: usize| {
        let mut wire = frame(false, Opcode::Text, b"a");
        wire.extend(frame(false, Opcode::Continuation, b"").repeat(middle));
        wire.extend(frame(true, Opcode::Continuation, b"z"));
        wire
    };
    assert_eq!(run_with(&message(1), &limits).0, [Seen::Text("az".into())]);
    let (seen, output) = run_with(&message(2), &limits);
    assert_eq!(seen, [Seen::Error(RemoteError::TooManyFragments)]);
    assert_eq!(output[2..4], 1008_u16.to_be_bytes());
}

#[test]
fn an_announced_length_is_never_allocated() {
    let limits = Limits { message_bytes: usize::MAX, ..Limits::default() };
    for opcode in [Opcode::Text, Opcode::Binary] {
        let mut server = Server::new(&limits);
        server.feed(&FrameHead::client(opcode, u64::MAX >> 1, [0; 4]).encode());
        for arrived in 1..=5000 {
            server.feed(b"x");
            let capacity = server.conn.reader.capacity();
            assert!(capacity < 1000 + 2 * arrived, "{capacity} bytes for {arrived}");
        }
        assert_eq!(server.seen, []);
    }
    // Fragments cannot overflow the sum either.
    let mut server = Server::new(&limits);
    server.feed(&frame(false, Opcode::Binary, b"x"));
    server.feed(&FrameHead::client(Opcode::Continuation, u64::MAX >> 1, [0; 4]).encode());
    assert!(server.conn.reader.capacity() < 1000);
}

#[test]
fn lengths_past_the_limit_cost_nothing() {
    for len in [1 << 20 | 1, 1 << 32, 1 << 62, u64::MAX >> 1] {
        let mut server = Server::new(&Limits::default());
        server.feed(&FrameHead::client(Opcode::Binary, len, [0; 4]).encode());
        assert_eq!(server.seen, [Seen::Error(RemoteError::MessageTooLarge)]);
        assert_eq!(server.conn.reader.capacity(), 0);
    }
    let mut server = Server::new(&Limits::default());
    server.feed(&FrameHead::client(Opcode::Binary, 1 << 63, [0; 4]).encode());
    assert_eq!((server.seen, server.conn.reader.capacity()), (vec![Seen::Error(RemoteError::BadPayloadLength)], 0));
}

#[test]
fn memory_stops_at_what_the_last_frame_brings() {
    let mut assembler = Assembler::new();
    assembler.admit(Opcode::Binary, 1000, &Limits::default()).unwrap();
    for n in 0..10 {
        assembler.push(&[0; 100], Some(1000 - n * 100)).unwrap();
    }
    assert_eq!((assembler.len(), assembler.capacity()), (1000, 1000));
}

#[test]
fn an_idle_connection_owns_no_memory() {
    assert!(size_of::<Conn>() <= 24, "{} bytes", size_of::<Conn>());
    let mut server = Server::new(&Limits::default());
    let message = "x".repeat(5000);
    for wire in [text(&message), frame(true, Opcode::Ping, &[1; 125])] {
        let (part, rest) = wire.split_at(100);
        server.feed(part);
        assert!(server.conn.reader.capacity() > 0);
        server.feed(rest);
        assert_eq!(server.conn.reader.capacity(), 0, "given back once the event has been seen");
    }
    assert_eq!(server.seen, [Seen::Text(message), Seen::Ping(vec![1; 125])]);
}

#[test]
fn memory_can_be_given_back_without_another_call() {
    let (mut conn, mut out, limits) = (Conn::new(), Outbox::new(), Limits::default());
    let (mut part, mut rest) = (frame(false, Opcode::Binary, b"a"), frame(true, Opcode::Continuation, b"b"));
    assert_eq!(conn.next_event(&mut part, &mut out, &limits), Ok((7, Next::NeedData)));
    conn.reader.release();
    assert!(conn.reader.capacity() > 0, "an unfinished message stays");
    assert_eq!(conn.next_event(&mut rest, &mut out, &limits), Ok((7, Next::Event(Event::Message(Message::Binary(b"ab"))))));
    conn.reader.release();
    assert_eq!(conn.reader.capacity(), 0);
}
