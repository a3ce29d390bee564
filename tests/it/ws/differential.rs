//! This library's WebSocket against another one, `tungstenite`, which shares no code with it.
//!
//! What one writes the other reads, in both directions and however it is fragmented, masked and cut. Streams that are broken at random are
//! refused by both at the same message, but for what [`Known`] lists.
//!
//! Covers: proto::ws::reader, proto::ws::writer, proto::ws::assembler, proto::ws::frame, proto::ws::mask

use std::io::{self, Read, Write};

use pushlab::proto::ws::{FrameHead, Opcode, Writer, mask};
use pushlab::proto::{Frame, Outbox, ProtocolLimits, RemoteError};
use tungstenite::protocol::frame::coding::{CloseCode, OpCode};
use tungstenite::protocol::frame::{Frame as TheirFrame, FrameHeader};
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

use super::peer::{Seen, Server};
use crate::support::splits::{Seeded, splits};

/// The largest message of both.
const MESSAGE_BYTES: usize = 70_000;

fn limits() -> ProtocolLimits {
    // There is no limit of fragments on the other side.
    ProtocolLimits { message_bytes: MESSAGE_BYTES, message_fragments: usize::MAX, ..ProtocolLimits::default() }
}

/// A transport that has what is given, and then nothing for now.
#[derive(Default)]
struct Pipe {
    input: Vec<u8>,
    at: usize,
    output: Vec<u8>,
}

impl Read for Pipe {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = buf.len().min(self.input.len() - self.at);
        if len == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        buf[..len].copy_from_slice(&self.input[self.at..self.at + len]);
        self.at += len;
        Ok(len)
    }
}

impl Write for Pipe {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.output.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn theirs(role: Role, input: &[u8]) -> WebSocket<Pipe> {
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES))
        .max_frame_size(Some(MESSAGE_BYTES))
        .read_buffer_size(4096)
        .write_buffer_size(0);
    WebSocket::from_raw_socket(Pipe { input: input.to_vec(), ..Pipe::default() }, role, Some(config))
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Everything was in order, and there may be more.
    Waiting,
    /// With a close frame.
    Closed,
    Refused(Option<RemoteError>),
}

/// What a side read, up to the end.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Reading {
    seen: Vec<Seen>,
    end: End,
}

fn read_by_us(input: &[u8], pieces: &[usize]) -> Reading {
    let (mut server, mut rest) = (Server::new(&limits()), input);
    for piece in pieces {
        let (now, later) = rest.split_at(*piece);
        server.feed(now);
        rest = later;
    }
    let mut seen = server.seen;
    let end = match seen.last() {
        Some(Seen::Close(..)) => End::Closed,
        Some(Seen::Error(error)) => End::Refused(Some(*error)),
        _ => End::Waiting,
    };
    seen.retain(|seen| !matches!(seen, Seen::Error(_)));
    Reading { seen, end }
}

fn read_by_them(role: Role, input: &[u8]) -> Reading {
    let (mut socket, mut seen) = (theirs(role, input), Vec::new());
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => seen.push(Seen::Text(text.as_str().into())),
            Ok(Message::Binary(bytes)) => seen.push(Seen::Binary(bytes.to_vec())),
            Ok(Message::Ping(payload)) => seen.push(Seen::Ping(payload.to_vec())),
            Ok(Message::Pong(payload)) => seen.push(Seen::Pong(payload.to_vec())),
            // That is what it makes of a code that must not be sent.
            Ok(Message::Close(Some(CloseFrame { code: CloseCode::Protocol, reason }))) if reason == "Protocol violation" => {
                return Reading { seen, end: End::Refused(None) };
            }
            Ok(Message::Close(close)) => {
                seen.push(
                    close.map_or(Seen::Close(1005, String::new()), |close| Seen::Close(close.code.into(), close.reason.as_str().into())),
                );
                return Reading { seen, end: End::Closed };
            }
            Ok(Message::Frame(_)) => unreachable!("only written, never read"),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return Reading { seen, end: End::Waiting },
            Err(_) => return Reading { seen, end: End::Refused(None) },
        }
    }
}

/// A frame before it is encoded.
#[derive(Clone, Debug)]
struct Plain {
    fin: bool,
    opcode: Opcode,
    payload: Vec<u8>,
}

fn text(numbers: &mut Seeded, len: usize) -> String {
    let characters =
        ['a', '\0', '\u{7f}', 'é', '\u{7ff}', '\u{800}', '€', '\u{d7ff}', '\u{e000}', '\u{ffff}', '\u{10000}', '😀', '\u{10ffff}'];
    (0..len).map(|_| characters[numbers.below(characters.len())]).collect()
}

fn bytes(numbers: &mut Seeded, len: usize) -> Vec<u8> {
    (0..len).map(|_| numbers.next() as u8).collect()
}

fn control(numbers: &mut Seeded) -> (Plain, Seen) {
    let len = [0, 1, 4, 125][numbers.below(4)];
    let payload = bytes(numbers, len);
    match numbers.below(2) {
        0 => (Plain { fin: true, opcode: Opcode::Ping, payload: payload.clone() }, Seen::Ping(payload)),
        _ => (Plain { fin: true, opcode: Opcode::Pong, payload: payload.clone() }, Seen::Pong(payload)),
    }
}

/// A conversation's one side: frames, and what they are for who reads them.
fn conversation(numbers: &mut Seeded, longest: usize) -> (Vec<Plain>, Vec<Seen>) {
    let (mut frames, mut seen) = (Vec::new(), Vec::new());
    for _ in 0..numbers.below(6) {
        let len = [0, 1, 5, 31, 125, 126, 127, 300, 65_535, 65_536][numbers.below(10)].min(longest);
        let (opcode, payload, event) = match numbers.below(3) {
            0 => {
                let (plain, event) = control(numbers);
                frames.push(plain);
                seen.push(event);
                continue;
            }
            1 => {
                let text = text(numbers, len / 4);
                (Opcode::Text, text.clone().into_bytes(), Seen::Text(text))
            }
            _ => {
                let bytes = bytes(numbers, len);
                (Opcode::Binary, bytes.clone(), Seen::Binary(bytes))
            }
        };
        let (mut rest, mut opcode) = (&payload[..], opcode);
        for _ in 0..[0, 0, 1, 2, 5][numbers.below(5)] {
            let (fragment, after) = rest.split_at(numbers.below(rest.len() + 1));
            frames.push(Plain { fin: false, opcode, payload: fragment.to_vec() });
            (rest, opcode) = (after, Opcode::Continuation);
            if numbers.below(3) == 0 {
                let (plain, event) = control(numbers);
                frames.push(plain);
                seen.push(event);
            }
        }
        frames.push(Plain { fin: true, opcode, payload: rest.to_vec() });
        seen.push(event);
    }
    if numbers.below(3) == 0 {
        let code = [1000, 1001, 1002, 1003, 1007, 1011, 1013, 3000, 4999][numbers.below(9)];
        let reason = text(numbers, 6);
        let payload = [&u16::to_be_bytes(code), reason.as_bytes()].concat();
        frames.push(Plain { fin: true, opcode: Opcode::Close, payload });
        seen.push(Seen::Close(code, reason));
    }
    (frames, seen)
}

/// As our own client would write them. Also says where the heads stand.
fn encode(numbers: &mut Seeded, frames: &[Plain]) -> (Vec<u8>, Vec<usize>) {
    let (mut wire, mut heads) = (Vec::new(), Vec::new());
    for frame in frames {
        let key = (numbers.next() as u32).to_be_bytes();
        heads.push(wire.len());
        wire.extend_from_slice(&FrameHead { fin: frame.fin, ..FrameHead::client(frame.opcode, frame.payload.len() as u64, key) }.encode());
        let start = wire.len();
        wire.extend_from_slice(&frame.payload);
        mask::apply(key, 0, &mut wire[start..]);
    }
    (wire, heads)
}

/// As the other library would write it. `send` knows no fragments, so that it gets frames.
fn to_theirs(frame: &Plain) -> Message {
    let head = FrameHeader { is_final: frame.fin, opcode: OpCode::from(frame.opcode as u8), ..FrameHeader::default() };
    Message::Frame(TheirFrame::from_payload(head, frame.payload.clone().into()))
}

fn end_of(seen: &[Seen]) -> End {
    if matches!(seen.last(), Some(Seen::Close(..))) { End::Closed } else { End::Waiting }
}

#[test]
fn what_either_client_writes_both_servers_read() {
    for seed in 1..=150 {
        let mut numbers = Seeded::new(seed);
        let (frames, seen) = conversation(&mut numbers, MESSAGE_BYTES);
        let expected = Reading { end: end_of(&seen), seen };
        let ours = encode(&mut numbers, &frames).0;
        let mut client = theirs(Role::Client, b"");
        for frame in &frames {
            client.send(to_theirs(frame)).unwrap();
        }
        for wire in [ours, std::mem::take(&mut client.get_mut().output)] {
            assert_eq!(read_by_them(Role::Server, &wire), expected, "seed {seed}");
            let cuts = splits(wire.len(), 5).filter(|cut| cut.len() < 30_000);
            for pieces in cuts {
                assert_eq!(read_by_us(&wire, &pieces), expected, "seed {seed}");
            }
        }
    }
}

#[test]
fn what_our_server_writes_their_client_reads() {
    for seed in 1..=100 {
        let mut numbers = Seeded::new(seed);
        let (mut writer, mut out) = (Writer::new(), Outbox::new());
        let seen = conversation(&mut numbers, MESSAGE_BYTES).1;
        for event in &seen {
            match event {
                Seen::Text(text) if numbers.below(2) == 0 => writer.send_frame(&Frame::text(text), &mut out),
                Seen::Text(text) => writer.send_text(text, &mut out),
                Seen::Binary(bytes) if numbers.below(2) == 0 => writer.send_frame(&Frame::binary(bytes), &mut out),
                Seen::Binary(bytes) => writer.send_binary(bytes, &mut out),
                Seen::Ping(payload) => writer.send_ping(payload, &mut out),
                // A server of this library sends pongs as answers only.
                Seen::Pong(_) => Ok(()),
                Seen::Close(code, reason) => writer.send_close(*code, reason, &mut out),
                Seen::Error(_) => unreachable!("a conversation is in order"),
            }
            .unwrap();
        }
        let seen: Vec<_> = seen.into_iter().filter(|seen| !matches!(seen, Seen::Pong(_))).collect();
        let wire: Vec<u8> = out.chunks().flatten().copied().collect();
        assert_eq!(read_by_them(Role::Client, &wire), Reading { end: end_of(&seen), seen }, "seed {seed}");
    }
}

#[test]
fn what_their_server_writes_our_decoder_reads() {
    for seed in 1..=100 {
        let mut numbers = Seeded::new(seed);
        let frames = conversation(&mut numbers, MESSAGE_BYTES).0;
        let mut server = theirs(Role::Server, b"");
        for frame in &frames {
            server.send(to_theirs(frame)).unwrap();
        }
        let mut rest = &server.get_ref().output[..];
        for Plain { fin, opcode, payload } in frames {
            let (head_len, head) = FrameHead::decode(rest).unwrap().unwrap();
            assert_eq!(head, FrameHead { fin, ..FrameHead::server(opcode, payload.len() as u64) }, "seed {seed}");
            assert_eq!(rest[head_len..head_len + payload.len()], payload, "seed {seed}");
            rest = &rest[head_len + payload.len()..];
        }
        assert!(rest.is_empty(), "seed {seed}");
    }
}

/// Where the two may differ, and what RFC 6455 says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// They take lengths that are not in their shortest form. Section 5.2: "the minimal number of bytes MUST be used to encode the length".
    LongerLength,
    /// They do not know 1014, which was registered with IANA later (section 11.7 has the registry).
    Code1014,
}

/// Whether they may have gone on where we have refused a length. Of a control frame the longer forms are refused at the second byte, whatever
/// the length is; then the next that they see is a control frame, and of at most 125 bytes.
fn takes_a_longer_length(ours: &Reading, theirs: &Reading) -> bool {
    let next = theirs.seen.get(ours.seen.len());
    theirs.seen.starts_with(&ours.seen)
        && match ours.end {
            End::Refused(Some(RemoteError::BadPayloadLength)) => true,
            End::Refused(Some(RemoteError::BadControlFrame)) => matches!(next, Some(Seen::Ping(_) | Seen::Pong(_) | Seen::Close(..))),
            _ => false,
        }
}

/// Compares two readings; `complete` is what the other side makes of the input with zeros behind it.
fn compare(ours: &Reading, theirs: &Reading, complete: impl FnOnce() -> Reading) -> Result<Option<Known>, &'static str> {
    if takes_a_longer_length(ours, theirs) {
        return Ok(Some(Known::LongerLength));
    }
    if let (Some((Seen::Close(1014, _), before)), End::Refused(None)) = (ours.seen.split_last(), theirs.end) {
        return if before == theirs.seen { Ok(Some(Known::Code1014)) } else { Err("other messages before 1014") };
    }
    if ours.seen != theirs.seen {
        return Err("other messages");
    }
    match (ours.end, theirs.end) {
        (End::Waiting, End::Waiting) | (End::Closed, End::Closed) | (End::Refused(_), End::Refused(_)) => Ok(None),
        // They look at a frame once it is whole, we at each byte (section 8.1 does not say when). Once it is whole, they must refuse it.
        (End::Refused(_), End::Waiting) => match complete() {
            Reading { seen, end: End::Refused(_) } if seen == ours.seen => Ok(None),
            theirs if takes_a_longer_length(ours, &theirs) => Ok(Some(Known::LongerLength)),
            _ => Err("they accept what we refuse"),
        },
        (End::Waiting | End::Closed, _) => Err("they refuse what we accept"),
        (End::Refused(_), End::Closed) => Err("they accept what we refuse"),
    }
}

fn compare_input(input: &[u8], pieces: &[usize]) -> Result<Option<Known>, &'static str> {
    let ours = read_by_us(input, pieces);
    compare(&ours, &read_by_them(Role::Server, input), || read_by_them(Role::Server, &[input, &vec![0; MESSAGE_BYTES + 14]].concat()))
}

#[test]
fn the_known_differences_are_differences() {
    let key = [1, 2, 3, 4];
    let frame = |head: &[u8], payload: &[u8]| {
        let mut payload = payload.to_vec();
        mask::apply(key, 0, &mut payload);
        [head, &key, &payload].concat()
    };
    for (input, known) in [
        (frame(&[0x81, 0xFE, 0, 5], b"Hello"), Known::LongerLength),
        (frame(&[0x81, 0xFF, 0, 0, 0, 0, 0, 0, 0, 5], b"Hello"), Known::LongerLength),
        (frame(&[0x89, 0xFE, 0, 5], b"Hello"), Known::LongerLength),
        (frame(&[0x88, 0x82], &1014_u16.to_be_bytes()), Known::Code1014),
    ] {
        assert_ne!(read_by_us(&input, &[input.len()]).seen, read_by_them(Role::Server, &input).seen, "{known:?}");
        assert_eq!(compare_input(&input, &[input.len()]), Ok(Some(known)));
    }
}

/// Streams that were in order, with a few bytes changed, taken away, added or doubled: mostly in heads.
#[test]
fn broken_streams_are_refused_by_both() {
    let (mut refused, mut accepted, mut known) = (0, 0, 0);
    for seed in 1..=6_000 {
        let mut numbers = Seeded::new(seed);
        let (frames, _) = conversation(&mut numbers, 300);
        let (mut wire, heads) = encode(&mut numbers, &frames);
        for _ in 0..=numbers.below(3) {
            if wire.is_empty() {
                break;
            }
            let head = heads[numbers.below(heads.len())] + numbers.below(4);
            let at = if numbers.below(4) == 0 { numbers.below(wire.len()) } else { head.min(wire.len() - 1) };
            match numbers.below(8) {
                0..4 => wire[at] ^= 1 << numbers.below(8),
                4 => wire[at] = numbers.next() as u8,
                5 => drop(wire.drain(at..(at + 1 + numbers.below(8)).min(wire.len()))),
                6 => wire.insert(at, numbers.next() as u8),
                _ => wire.truncate(at),
            }
        }
        let cuts = splits(wire.len(), 1).nth(numbers.below(3)).unwrap();
        match compare_input(&wire, &cuts) {
            Ok(Some(_)) => known += 1,
            Ok(None) if matches!(read_by_us(&wire, &[wire.len()]).end, End::Refused(_)) => refused += 1,
            Ok(None) => accepted += 1,
            Err(what) => {
                panic!("seed {seed}: {what}\n{wire:02X?}\n{:?}\n{:?}", read_by_us(&wire, &cuts), read_by_them(Role::Server, &wire))
            }
        }
    }
    assert!(refused > 1_000 && accepted > 1_000 && known > 10, "{refused} refused, {accepted} accepted, {known} known differences");
}
