//! Messages in pieces: order, limits, and memory that follows what arrived.
//!
//! Covers: proto::ws::assembler

use pushlab::proto::ws::assembler::Assembler;
use pushlab::proto::ws::{Conn, Event, FrameHead, Message, Next, Opcode};
use pushlab::proto::{Outbox, ProtocolLimits, RemoteError};

use super::peer::{Seen, Server, frame, text};

#[test]
fn fragments_are_one_message() {
    let (mut assembler, limits) = (Assembler::new(), ProtocolLimits::default());
    assert!(!assembler.is_open() && assembler.is_empty());
    for (opcode, payload) in [(Opcode::Binary, &b"ab"[..]), (Opcode::Continuation, b""), (Opcode::Continuation, b"c")] {
        assembler.admit(opcode, payload.len() as u64, &limits).unwrap();
        assembler.append(payload, None).unwrap();
        assert!(assembler.is_open());
    }
    assembler.finish().unwrap();
    assert_eq!((assembler.is_open(), assembler.len(), assembler.message()), (false, 3, Message::Binary(b"abc")));
}

#[test]
fn order_of_fragments() {
    let limits = ProtocolLimits::default();
    assert_eq!(Assembler::new().admit(Opcode::Continuation, 0, &limits), Err(RemoteError::BadFragment));
    for opcode in [Opcode::Text, Opcode::Binary] {
        let mut assembler = Assembler::new();
        assembler.admit(opcode, 0, &limits).unwrap();
        assert_eq!(assembler.admit(opcode, 0, &limits), Err(RemoteError::BadFragment));
    }
}

#[test]
fn an_announced_length_is_never_allocated() {
    let limits = ProtocolLimits { message_bytes: usize::MAX, ..ProtocolLimits::default() };
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
        let mut server = Server::new(&ProtocolLimits::default());
        server.feed(&FrameHead::client(Opcode::Binary, len, [0; 4]).encode());
        assert_eq!(server.seen, [Seen::Error(RemoteError::MessageTooLarge)]);
        assert_eq!(server.conn.reader.capacity(), 0);
    }
    let mut server = Server::new(&ProtocolLimits::default());
    server.feed(&FrameHead::client(Opcode::Binary, 1 << 63, [0; 4]).encode());
    assert_eq!((server.seen, server.conn.reader.capacity()), (vec![Seen::Error(RemoteError::BadPayloadLength)], 0));
}

#[test]
fn memory_stops_at_what_the_last_frame_brings() {
    let mut assembler = Assembler::new();
    assembler.admit(Opcode::Binary, 1000, &ProtocolLimits::default()).unwrap();
    for n in 0..10 {
        assembler.append(&[0; 100], Some(1000 - n * 100)).unwrap();
    }
    assert_eq!((assembler.len(), assembler.capacity()), (1000, 1000));
}

#[test]
fn an_idle_connection_owns_no_memory() {
    // The feature adds an agreement and a pointer, of which the agreement takes bytes that were unused.
    let most = if cfg!(feature = "deflate") { 32 } else { 24 };
    assert!(size_of::<Conn>() <= most, "{} bytes", size_of::<Conn>());
    let mut server = Server::new(&ProtocolLimits::default());
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
    let (mut conn, mut out, limits) = (Conn::new(), Outbox::new(), ProtocolLimits::default());
    let (mut part, mut rest) = (frame(false, Opcode::Binary, b"a"), frame(true, Opcode::Continuation, b"b"));
    assert_eq!(conn.next_event(&mut part, &mut out, &limits), Ok((7, Next::NeedData)));
    conn.reader.release();
    assert!(conn.reader.capacity() > 0, "an unfinished message stays");
    assert_eq!(conn.next_event(&mut rest, &mut out, &limits), Ok((7, Next::Event(Event::Message(Message::Binary(b"ab"))))));
    conn.reader.release();
    assert_eq!(conn.reader.capacity(), 0);
}
