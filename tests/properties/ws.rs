//! WebSockets: promises after every step, cuts, and messages from a client that fragments and interleaves as it likes.

use pushlab::proto::ws::{Conn, Event, FrameHead, Message, Next, Opcode, close, mask};
use pushlab::proto::{Outbox, ProtocolLimits, RemoteError};

use super::input::{Cuts, Input};
use super::server::frames;

/// ProtocolLimits that a short input meets.
fn tiny() -> ProtocolLimits {
    ProtocolLimits { message_bytes: 200, message_fragments: 4, ..ProtocolLimits::default() }
}

/// An event that outlives its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(u16, String),
    Error(RemoteError),
}

impl Seen {
    fn new(event: Event<'_>) -> Self {
        match event {
            Event::Message(Message::Text(text)) => Self::Text(text.into()),
            Event::Message(Message::Binary(bytes)) => Self::Binary(bytes.into()),
            Event::Ping(payload) => Self::Ping(payload.into()),
            Event::Pong(payload) => Self::Pong(payload.into()),
            Event::Close { code, reason } => Self::Close(code, reason.into()),
        }
    }
}

/// What a server does beside listening.
#[derive(Clone, Copy, Debug)]
struct Manner {
    echoes: bool,
    /// It closes at this event.
    closes_at: usize,
}

impl Manner {
    fn read(input: &mut Input<'_>) -> Self {
        let how = input.byte();
        Self { echoes: how & 1 == 1, closes_at: if how & 2 == 0 { usize::MAX } else { usize::from(how >> 2) } }
    }
}

/// What came of an input.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    seen: Vec<Seen>,
    output: Vec<u8>,
}

fn run(mut input: &[u8], mut cuts: Cuts<'_>, manner: Manner, limits: &ProtocolLimits) -> Run {
    let (mut conn, mut out, mut seen, mut waiting) = (Conn::new(), Outbox::new(), Vec::new(), Vec::new());
    // Memory grows with what has arrived, not with what is announced.
    let mut arrived = 0;
    close_when_due(&mut conn, &mut out, 0, manner);
    while let Some(piece) = cuts.take(&mut input) {
        waiting.extend_from_slice(piece);
        arrived += piece.len();
        let used = digest(&mut conn, &mut waiting, &mut out, &mut seen, manner, limits);
        waiting.drain(..used);
        assert!(waiting.len() < 14, "no more than an incomplete head is left over");
        assert!(conn.reader.capacity() <= 512 + 2 * limits.message_bytes.min(arrived), "{} bytes", conn.reader.capacity());
    }
    Run { seen, output: out.chunks().flatten().copied().collect() }
}

fn close_when_due(conn: &mut Conn, out: &mut Outbox, events: usize, manner: Manner) {
    if events == manner.closes_at && !conn.writer.is_closing() {
        conn.writer.send_close(1001, "", out).expect("the code can be sent");
    }
}

fn digest(conn: &mut Conn, input: &mut [u8], out: &mut Outbox, seen: &mut Vec<Seen>, manner: Manner, limits: &ProtocolLimits) -> usize {
    let mut at = 0;
    loop {
        let was_over = matches!(seen.last(), Some(Seen::Error(_) | Seen::Close(..)));
        let was_closing = conn.writer.is_closing();
        let len = input.len() - at;
        let (reader, writer) = conn.split();
        match reader.next_event(&mut input[at..], writer, out, limits) {
            Ok((used, Next::Event(event))) => {
                assert!(0 < used && used <= len);
                assert!(!was_over, "nothing comes after the end");
                check(event, limits);
                assert!(!was_closing || matches!(event, Event::Close { .. }), "only the peer's close frame matters now");
                if let (Event::Message(message), true) = (event, manner.echoes) {
                    match message {
                        Message::Text(text) => writer.send_text(text, out),
                        Message::Binary(bytes) => writer.send_binary(bytes, out),
                    }
                    .expect("the socket is open");
                }
                seen.push(Seen::new(event));
                at += used;
                close_when_due(conn, out, seen.len(), manner);
            }
            Ok((used, Next::NeedData)) => {
                assert!(used <= len);
                assert!(!was_over || used == len, "everything is discarded");
                return at + used;
            }
            Err(error) => {
                assert!(!was_over, "an error is reported once");
                seen.push(Seen::Error(error));
                writer.fail(error, out);
            }
        }
    }
}

fn check(event: Event<'_>, limits: &ProtocolLimits) {
    match event {
        Event::Message(message) => assert!(message.as_bytes().len() <= limits.message_bytes),
        Event::Ping(payload) | Event::Pong(payload) => assert!(payload.len() <= 125),
        Event::Close { code, reason } => {
            assert!(reason.len() <= close::REASON_BYTES);
            assert!(close::is_sendable(code) || code == close::NO_CODE && reason.is_empty());
        }
    }
}

/// What the server must have sent, in order: echoes, pongs, one close frame.
fn check_output(run: &Run, manner: Manner) {
    let mut expected = Vec::new();
    let mut is_closing = false;
    let our_close = |count: usize| count == manner.closes_at;
    for (count, seen) in run.seen.iter().enumerate() {
        if our_close(count) {
            expected.push((0x88, Some(1001_u16.to_be_bytes().to_vec())));
            is_closing = true;
        }
        match seen {
            _ if is_closing => {}
            Seen::Text(text) if manner.echoes => expected.push((0x81, Some(text.clone().into_bytes()))),
            Seen::Binary(bytes) if manner.echoes => expected.push((0x82, Some(bytes.clone()))),
            Seen::Ping(payload) => expected.push((0x8A, Some(payload.clone()))),
            Seen::Close(close::NO_CODE, _) => expected.push((0x88, Some(Vec::new()))),
            Seen::Close(code, _) => expected.push((0x88, Some(code.to_be_bytes().to_vec()))),
            Seen::Error(_) => expected.push((0x88, None)),
            _ => {}
        }
        is_closing |= matches!(seen, Seen::Close(..) | Seen::Error(_));
    }
    if our_close(run.seen.len()) && !is_closing {
        expected.push((0x88, Some(1001_u16.to_be_bytes().to_vec())));
    }
    let sent = frames(&run.output);
    assert_eq!(sent.len(), expected.len(), "{expected:?} {sent:?}");
    for ((first, payload), (expected_first, expected_payload)) in sent.iter().zip(&expected) {
        assert_eq!(first, expected_first);
        assert!(expected_payload.as_ref().is_none_or(|expected| expected == payload));
    }
}

/// Bytes of any kind: what holds after every step, and an output that a client understands.
pub(super) fn keeps_its_promises(data: &[u8]) {
    let mut input = Input::new(data);
    let limits = if input.flag() { tiny() } else { ProtocolLimits::default() };
    let manner = Manner::read(&mut input);
    check_output(&run(input.rest(), Cuts::WHOLE, manner, &limits), manner);
}

/// Bytes of any kind, cut in any way, and whole.
pub(super) fn does_not_depend_on_cuts(data: &[u8]) {
    let mut input = Input::new(data);
    let limits = if input.flag() { tiny() } else { ProtocolLimits::default() };
    let (manner, cuts) = (Manner::read(&mut input), input.cuts());
    let bytes = input.rest();
    assert_eq!(run(bytes, cuts, manner, &limits), run(bytes, Cuts::WHOLE, manner, &limits));
}

/// Puts a masked frame out.
pub(super) fn client_frame(fin: bool, opcode: Opcode, payload: &[u8], key: [u8; 4], wire: &mut Vec<u8>) {
    let head = FrameHead { fin, ..FrameHead::client(opcode, payload.len() as u64, key) };
    wire.extend_from_slice(&head.encode());
    let start = wire.len();
    wire.extend_from_slice(payload);
    mask::apply(key, 0, &mut wire[start..]);
}

/// Messages in fragments of any length, with control frames between them: received as they were sent.
pub(super) fn arrives_as_it_was_sent(data: &[u8]) {
    let mut input = Input::new(data);
    let cuts = input.cuts();
    let (mut wire, mut expected) = (Vec::new(), Vec::new());
    while !input.is_empty() {
        let how = input.byte();
        let payload = if how & 1 == 0 { input.text().into_bytes() } else { input.some_bytes().to_vec() };
        // Beyond the borders between the forms of a length.
        let times = if how & 0x1E == 0x1E { 70_000 / payload.len().max(1) } else { 1 + usize::from(how >> 1 & 1) };
        let payload = payload.repeat(times);
        let opcode = if how & 1 == 0 { Opcode::Text } else { Opcode::Binary };
        send_in_fragments(&mut input, opcode, &payload, &mut wire, &mut expected);
        expected.push(match String::from_utf8(payload) {
            Ok(text) if opcode == Opcode::Text => Seen::Text(text),
            Ok(text) => Seen::Binary(text.into_bytes()),
            Err(error) => Seen::Binary(error.into_bytes()),
        });
        if how & 0xF8 == 0xF8 {
            let code = [1000_u16, 1001, 3000, 4999][input.below(4)];
            let reason: String = input.text().chars().take(30).collect();
            client_frame(true, Opcode::Close, &[&code.to_be_bytes(), reason.as_bytes()].concat(), [9; 4], &mut wire);
            expected.push(Seen::Close(code, reason));
            break;
        }
    }
    let limits = ProtocolLimits { message_bytes: usize::MAX / 4, ..ProtocolLimits::default() };
    let manner = Manner { echoes: true, closes_at: usize::MAX };
    for cuts in [Cuts::WHOLE, cuts.for_len(wire.len())] {
        let run = run(&wire, cuts, manner, &limits);
        assert_eq!(run.seen, expected);
        check_output(&run, manner);
    }
}

fn send_in_fragments(input: &mut Input<'_>, opcode: Opcode, payload: &[u8], wire: &mut Vec<u8>, expected: &mut Vec<Seen>) {
    let (mut opcode, mut rest) = (opcode, payload);
    for _ in 0..input.below(6) {
        let key = [input.byte(), input.byte(), 7, input.byte()];
        let (fragment, after) = rest.split_at(input.size().min(rest.len()));
        client_frame(false, opcode, fragment, key, wire);
        (opcode, rest) = (Opcode::Continuation, after);
        match input.below(4) {
            0 => {
                let payload = input.bytes(125);
                client_frame(true, Opcode::Ping, payload, key, wire);
                expected.push(Seen::Ping(payload.to_vec()));
            }
            1 => {
                let payload = input.some_bytes();
                let payload = &payload[..payload.len().min(125)];
                client_frame(true, Opcode::Pong, payload, key, wire);
                expected.push(Seen::Pong(payload.to_vec()));
            }
            _ => {}
        }
    }
    client_frame(true, opcode, rest, [1, 2, 3, 4], wire);
}
