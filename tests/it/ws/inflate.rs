//! Compressed messages of a client: what they inflate to, wherever they are cut, and what is wrong with them.
//!
//! Covers: proto::ws::inflate

use flate2::{Compress, Compression, FlushCompress};
use pushlab::Deflate;
use pushlab::proto::ws::Opcode::{self, Binary, Continuation, Ping, Text};
use pushlab::proto::ws::{Conn, FrameHead, mask};
use pushlab::proto::{ProtocolLimits, RemoteError};

use super::peer::{Seen, Server, close, frame, run_on, run_with, text};
use crate::support::deflate::{Codec, deflated, noise, repetitive};
use crate::support::splits::{Seeded, splits};

/// A frame that begins a compressed message.
fn compressed(fin: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let key = [0x37, 0xFA, 0x21, 0x3D];
    let mut bytes = FrameHead { fin, compressed: true, ..FrameHead::client(opcode, payload.len() as u64, key) }.encode().to_vec();
    let start = bytes.len();
    bytes.extend_from_slice(payload);
    mask::apply(key, 0, &mut bytes[start..]);
    bytes
}

/// A compressed message in fragments of these lengths.
fn fragments(opcode: Opcode, mut payload: &[u8], lens: &[usize]) -> Vec<u8> {
    let mut wire = Vec::new();
    for (nth, len) in lens.iter().enumerate() {
        let (now, later) = payload.split_at(*len);
        let fin = nth + 1 == lens.len();
        wire.extend(if nth == 0 { compressed(fin, opcode, now) } else { frame(fin, Continuation, now) });
        payload = later;
    }
    wire
}

fn server_with(config: Deflate, offer: &str, limits: &ProtocolLimits) -> Server {
    let agreement = config.agree([offer.as_bytes()]);
    assert!(agreement.is_some());
    let mut server = Server::new(limits);
    server.conn = Conn::with_agreement(agreement);
    server
}

fn server(limits: &ProtocolLimits) -> Server {
    server_with(Deflate::default(), "permessage-deflate", limits)
}

fn keeping(limits: &ProtocolLimits) -> Server {
    server_with(Deflate { client_context_takeover: true, ..Deflate::default() }, "permessage-deflate", limits)
}

fn seen(input: &[u8]) -> Vec<Seen> {
    run_on(input, || server(&ProtocolLimits::default())).0
}

fn hello() -> Seen {
    Seen::Text("Hello".into())
}

const HELLO: &[u8] = b"\xf2\x48\xcd\xc9\xc9\x07\x00";

/// RFC 7692, section 7.2.3.
#[test]
fn the_examples_of_the_rfc() {
    for (name, payload, expected) in [
        ("one block", HELLO, "Hello"),
        ("no compression", b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", "Hello"),
        ("a block that says that it is the last", b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "Hello"),
        ("two blocks", b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", "Hello"),
        ("empty", b"\x00", ""),
    ] {
        assert_eq!(seen(&compressed(true, Text, payload)), [Seen::Text(expected.into())], "{name}");
        for cut in 0..=payload.len() {
            let wire = fragments(Text, payload, &[cut, payload.len() - cut]);
            assert_eq!(seen(&wire), [Seen::Text(expected.into())], "{name}, cut at {cut}");
        }
    }
    let wire = b"\xc1\x87\0\0\0\0\xf2\x48\xcd\xc9\xc9\x07\x00".to_vec();
    assert_eq!(seen(&wire), [hello()]);
}

/// The second message of section 7.2.3.2 refers to the first one.
#[test]
fn a_window_is_kept_only_as_agreed() {
    let wire = [compressed(true, Text, HELLO), text("plain"), compressed(true, Text, b"\xf2\x00\x11\x00\x00")].concat();
    let limits = ProtocolLimits::default();
    let plain = Seen::Text("plain".into());
    assert_eq!(run_on(&wire, || keeping(&limits)).0, [hello(), plain.clone(), hello()]);
    assert_eq!(run_on(&wire, || server(&limits)).0, [hello(), plain, Seen::Error(RemoteError::BadCompression)]);
    let again = compressed(true, Text, HELLO).repeat(3);
    assert_eq!(run_on(&again, || keeping(&limits)).0, [hello(), hello(), hello()], "a client need not keep it");
}

#[test]
fn each_size_of_a_window() {
    let messages: Vec<_> = (0..6).map(|n| repetitive(100 + n * 1_000)).collect();
    for bits in 9..=15 {
        let config = Deflate { client_context_takeover: true, ..Deflate::default() };
        let offer = format!("permessage-deflate; client_max_window_bits={bits}");
        let mut codec = Codec::new(bits);
        let wire: Vec<u8> = messages.iter().flat_map(|message| compressed(true, Text, &codec.deflate(message.as_bytes()))).collect();
        let (seen, _) = run_on(&wire, || server_with(config, &offer, &ProtocolLimits::default()));
        assert_eq!(seen, messages.iter().cloned().map(Seen::Text).collect::<Vec<_>>(), "{bits} bits");
    }
    // zlib takes 9 bits if 8 are asked for. With 9 bits here, both kinds of clients are understood.
    let mut codec = Codec::new(9);
    let wire = compressed(true, Text, &codec.deflate(messages[5].as_bytes()));
    let (seen, _) =
        run_on(&wire, || server_with(Deflate::default(), "permessage-deflate; client_max_window_bits=8", &ProtocolLimits::default()));
    assert_eq!(seen, [Seen::Text(messages[5].clone())]);
}

/// Every way to put a short message into two or three fragments, with a ping between them.
#[test]
fn every_split_into_fragments() {
    let payload = deflated("Grüße, Grüße".as_bytes());
    let expected = Seen::Text("Grüße, Grüße".into());
    for first in 0..=payload.len() {
        for second in 0..=payload.len() - first {
            let lens = [first, second, payload.len() - first - second];
            assert_eq!(seen(&fragments(Text, &payload, &lens)), std::slice::from_ref(&expected), "{lens:?}");
        }
    }
    let (one, two) = payload.split_at(5);
    let wire = [compressed(false, Text, one), frame(true, Ping, b"p"), frame(true, Continuation, two), text("plain")].concat();
    assert_eq!(seen(&wire), [Seen::Ping(b"p".into()), expected, Seen::Text("plain".into())]);
}

#[test]
fn many_fragments() {
    let (message, mut numbers) = (noise(20_000), Seeded::new(3));
    let payload = deflated(&message);
    let limits = ProtocolLimits { message_fragments: 100_000, ..ProtocolLimits::default() };
    for lens in splits(payload.len(), 4).skip(1) {
        let mut server = server(&limits);
        for piece in fragments(Binary, &payload, &lens).chunks(1 + numbers.below(5_000)) {
            server.feed(piece);
        }
        assert!(server.seen == [Seen::Binary(message.clone())], "{} fragments", lens.len());
        assert_eq!(server.conn.reader.capacity(), 0);
    }
    let limits = ProtocolLimits { message_fragments: 3, ..limits };
    let lens = |count: usize| [&vec![1; count - 1][..], &[payload.len() - (count - 1)]].concat();
    let run = |count| run_on(&fragments(Binary, &payload, &lens(count)), || server(&limits)).0;
    assert!(run(3) == [Seen::Binary(message.clone())]);
    assert_eq!(run(4), [Seen::Error(RemoteError::TooManyFragments)]);
}

/// Where RSV1 has no meaning, it is an error at the first byte.
#[test]
fn a_bit_without_a_meaning() {
    let error = [Seen::Error(RemoteError::ReservedBits)];
    let with = |first: u8| vec![first, 0x80, 0, 0, 0, 0];
    for first in [0xC8, 0xC9, 0xCA, 0x91, 0xA1, 0xD1, 0xE1, 0xF2] {
        assert_eq!(seen(&with(first)), error, "{first:02X}");
        assert_eq!(seen(&[first]), error, "{first:02X}");
    }
    for begun in [compressed(false, Text, HELLO), frame(false, Text, b"plain")] {
        assert_eq!(seen(&[begun, with(0xC0)].concat()), error);
    }
    // A reserved opcode is not made valid by the bit.
    assert_eq!(seen(&with(0xC3)), error);
    // Without an agreement, no frame may have it.
    assert_eq!(run_with(&compressed(true, Text, HELLO), &ProtocolLimits::default()).0, error);
    // The order of fragments is a rule of its own.
    let wire = [compressed(false, Text, HELLO), compressed(true, Text, HELLO)].concat();
    assert_eq!(seen(&wire), [Seen::Error(RemoteError::BadFragment)]);
}

#[test]
fn corrupt_data() {
    let error = [Seen::Error(RemoteError::BadCompression)];
    for payload in [
        &b"\xff\xff\xff"[..],
        // A block of type 3, which is reserved.
        b"\x06\x00",
        // The length of a stored block and its complement do not fit.
        b"\x00\x05\x00\x00\x00hello\x00",
        // It refers to bytes before the message.
        b"\xf2\x00\x11\x00\x00",
        // The data ends inside a block, and inside a stored block.
        &HELLO[..4],
        b"\x00\x50\x00\xaf\xffhello",
        // The four bytes that end a message would be data.
        b"\x00\x09\x00\xf6\xffhello",
    ] {
        assert_eq!(seen(&compressed(true, Binary, payload)), error, "{payload:x?}");
        let lens = vec![1; payload.len()];
        assert_eq!(seen(&fragments(Binary, payload, &lens)), error, "{payload:x?}");
    }
    assert_eq!(seen(&compressed(true, Binary, b"")), [Seen::Binary(vec![])], "no bytes at all are taken for an empty message");
}

/// A stream that ends goes on as a new one in the same message, also if nothing stands between them or after them.
#[test]
fn streams_that_end_inside_a_message() {
    let finished = |payload: &[u8]| {
        let mut out = Vec::with_capacity(200);
        Compress::new(Compression::best(), false).compress_vec(payload, &mut out, FlushCompress::Finish).unwrap();
        out
    };
    let (one, two) = (finished(b"first, "), finished(b"second"));
    for end in [&b"\x00"[..], b""] {
        let payload = [&one[..], &two, end].concat();
        assert_eq!(seen(&fragments(Text, &payload, &[3, payload.len() - 3])), [Seen::Text("first, second".into())]);
        let wire = compressed(true, Text, &payload).repeat(2);
        let expected = [Seen::Text("first, second".into()), Seen::Text("first, second".into())];
        assert_eq!(run_on(&wire, || keeping(&ProtocolLimits::default())).0, expected);
    }
}

/// Text is checked as it inflates: the error does not wait for the end of the message.
#[test]
fn text_is_utf8() {
    let error = [Seen::Error(RemoteError::InvalidUtf8)];
    for bytes in [&b"\xff"[..], b"caf\xc3", b"caf\xc3(", b"\xed\xa0\x80", &[&b"a".repeat(10_000)[..], b"\xf0\x28"].concat()] {
        assert_eq!(seen(&compressed(true, Text, &deflated(bytes))), error, "{bytes:x?}");
        assert!(matches!(&seen(&compressed(true, Binary, &deflated(bytes)))[..], [Seen::Binary(_)]));
    }
    let payload = deflated(b"caf\xff");
    assert_eq!(seen(&compressed(false, Text, &payload)), error, "the message has not ended");
    let text = "é".repeat(6_000);
    let odd = format!("x{text}");
    for text in [text, odd] {
        assert!(seen(&compressed(true, Text, &deflated(text.as_bytes()))) == [Seen::Text(text)], "characters across steps");
    }
}

/// At the limit, one below and one above it; and a bomb, which ends when its inflated bytes pass the limit.
#[test]
fn a_bomb_costs_no_more_than_the_limit() {
    for limit in [1, 100, 4_095, 4_096, 4_097, 100_000] {
        let limits = ProtocolLimits { message_bytes: limit, ..ProtocolLimits::default() };
        for opcode in [Text, Binary] {
            for len in [limit - 1, limit, limit + 1] {
                let wire = compressed(true, opcode, &deflated(&vec![b'x'; len]));
                let (seen, _) = run_on(&wire, || server(&limits));
                let is_message = matches!(&seen[..], [Seen::Text(_) | Seen::Binary(_)]);
                assert_eq!((seen.len(), is_message), (1, len <= limit), "{len} of {limit}");
                assert!(is_message || seen == [Seen::Error(RemoteError::MessageTooLarge)]);
            }
        }
    }
    // 16 MiB in 16 KiB, byte by byte: `feed` looks at the memory after each.
    let limits = ProtocolLimits { message_bytes: 50_000, ..ProtocolLimits::default() };
    let bomb = deflated(&vec![0; 16 * 1024 * 1024]);
    assert!(bomb.len() < 20_000, "{} bytes", bomb.len());
    for size in [1, 7, 4_096, bomb.len() + 14] {
        let mut server = server(&limits);
        for piece in compressed(true, Binary, &bomb).chunks(size) {
            server.feed(piece);
        }
        assert_eq!(server.seen, [Seen::Error(RemoteError::MessageTooLarge)]);
        assert_eq!(server.conn.reader.capacity(), 0);
    }
}

/// What does not inflate to anything is bounded too: the compressed bytes may be twice the limit, and 1 KiB.
#[test]
fn compressed_bytes_that_inflate_to_nothing() {
    let limits = ProtocolLimits { message_bytes: 1_000, ..ProtocolLimits::default() };
    let empty_blocks = |len: usize| [&b"\x00\x00\x00\xff\xff".repeat(len / 5)[..], &vec![0; len % 5]].concat();
    let run = |wire: &[u8]| run_on(wire, || server(&limits)).0;
    assert!(matches!(&run(&compressed(true, Binary, &empty_blocks(3_021)))[..], [Seen::Binary(bytes)] if bytes.is_empty()));
    assert_eq!(run(&compressed(true, Binary, &empty_blocks(3_025))), [Seen::Error(RemoteError::MessageTooLarge)]);
    let halves = [compressed(false, Binary, &empty_blocks(1_500)), frame(true, Continuation, &empty_blocks(1_525))].concat();
    assert_eq!(run(&halves), [Seen::Error(RemoteError::MessageTooLarge)], "all frames count together");
    // The announced length alone is enough.
    let head = FrameHead { compressed: true, ..FrameHead::client(Binary, 3_025, [0; 4]) };
    assert_eq!(run(&head.encode()), [Seen::Error(RemoteError::MessageTooLarge)]);
    // A whole message that does not get smaller is not refused for its size.
    let random = noise(1_000);
    assert!(deflated(&random).len() > 1_000);
    assert_eq!(run(&compressed(true, Binary, &deflated(&random))), [Seen::Binary(random)]);
}

/// After this side's close frame, compressed frames are ignored like all others, whatever is in them.
#[test]
fn ignored_frames_are_not_inflated() {
    for before in [&b""[..], &compressed(false, Text, &HELLO[..3]), &compressed(true, Text, HELLO)[..8]] {
        let mut server = server(&ProtocolLimits::default());
        server.feed(before);
        server.close();
        let rest = if before.len() == 8 { compressed(true, Text, HELLO)[8..].to_vec() } else { vec![] };
        server.feed(&[rest, compressed(true, Binary, b"\xff\xff\xff"), close(1000, b"")].concat());
        assert_eq!(server.seen, [Seen::Close(1000, String::new())]);
        assert_eq!(server.conn.reader.capacity(), 0);
    }
}
