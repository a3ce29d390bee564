//! Benchmarks of WebSocket: frames from a client, UTF-8 validation, the hash of the handshake, and
//! frames to a client.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use pushlab::proto::ws::{Conn, Event, FrameHead, Message, Next, Opcode, Utf8Validator, Writer, accept_key, mask};
use pushlab::proto::{Outbox, ProtocolLimits};

const SIZES: [(&str, usize); 3] = [("16_bytes", 16), ("1_kib", 1024), ("64_kib", 64 * 1024)];

pub(super) fn bench(criterion: &mut Criterion) {
    decode(criterion);
    encode(criterion);
    utf8(criterion);
    criterion.bench_function("proto/ws/accept_key", |bencher| bencher.iter(|| accept_key(black_box("dGhlIHNhbXBsZSBub25jZQ=="))));
}

/// A whole client frame. The decoder unmasks the payload in place, so each second iteration masks
/// it again. Both cost the same. The key for text is zero, so the text stays text.
fn client_frame(opcode: Opcode, key: [u8; 4], payload: &[u8]) -> Vec<u8> {
    [&*FrameHead::client(opcode, payload.len() as u64, key).encode(), payload].concat()
}

/// Decodes the head, unmasks the payload, and returns the message.
fn decode(criterion: &mut Criterion) {
    let limits = ProtocolLimits::default();
    let mut group = criterion.benchmark_group("proto/ws/decode");
    let text = |len: usize| "push, and it shall be opened; ".bytes().cycle().take(len).collect::<Vec<_>>();
    let frames = SIZES.into_iter().flat_map(|(name, len)| {
        let text = client_frame(Opcode::Text, [0; 4], &text(len));
        [(format!("binary_{name}"), len, client_frame(Opcode::Binary, [1, 2, 3, 4], &vec![7; len])), (format!("text_{name}"), len, text)]
    });
    for (name, len, mut frame) in frames {
        let (mut conn, mut out) = (Conn::new(), Outbox::new());
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let next = conn.next_event(black_box(&mut frame), &mut out, &limits).expect("a frame in order");
                let (_, Next::Event(Event::Message(Message::Text(_) | Message::Binary(_)))) = black_box(next) else {
                    unreachable!("the frame is whole")
                };
            });
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("proto/ws/unmask");
    for (name, len) in SIZES {
        let mut payload = vec![7; len];
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(name, |bencher| bencher.iter(|| mask::apply(black_box([1, 2, 3, 4]), 0, black_box(&mut payload))));
    }
    group.finish();
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("proto/ws/encode");
    for (name, len) in SIZES {
        let (mut writer, mut out, payload) = (Writer::new(), Outbox::new(), vec![7; len]);
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                writer.send_binary(black_box(&payload), &mut out).expect("the socket is open");
                out.clear();
            });
        });
    }
    group.finish();
}

/// Validates text in parts. Some parts end inside a character.
fn utf8(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("proto/ws/utf8");
    for (name, text) in [("ascii_1_kib", "x".repeat(1024)), ("greek_1_kib", "κόσμε ".repeat(94)), ("emoji_1_kib", "\u{1F600}".repeat(256))]
    {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut validator = Utf8Validator::new();
                for piece in black_box(text.as_bytes()).chunks(333) {
                    validator.check(piece).expect("text");
                }
                validator.finish().expect("the text is whole");
            });
        });
    }
    group.finish();
}
