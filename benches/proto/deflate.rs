//! Benchmarks of permessage-deflate: a message that is compressed for the first WebSocket, one that
//! the next WebSocket shares, and a compressed message from a client.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use pushlab::Deflate;
use pushlab::proto::ws::{Conn, Event, FrameHead, Next, Opcode, Writer};
use pushlab::proto::{Frame, Outbox, ProtocolLimits};

const SIZES: [(&str, usize); 3] = [("256_bytes", 256), ("4_kib", 4 * 1024), ("64_kib", 64 * 1024)];

/// Envelopes of a hub, one after the other.
fn json(len: usize) -> String {
    let envelope =
        |n: u32| format!("{{\"id\":\"9f3a0c-{n}\",\"topic\":\"news\",\"data\":{{\"celsius\":{},\"station\":{}}}}}", n * 7919 % 431, n % 17);
    (0..).map(envelope).flat_map(String::into_bytes).take(len).map(char::from).collect()
}

fn conn() -> Conn {
    Conn::with_agreement(Deflate::default().agree([&b"permessage-deflate"[..]]))
}

/// The payload of a frame from a server.
fn payload(writer: &mut Writer, text: &str) -> Vec<u8> {
    let mut out = Outbox::new();
    writer.send_text(text, &mut out).expect("the socket is open");
    let mut wire: Vec<u8> = out.chunks().flatten().copied().collect();
    // Without its mark, the head is one of a plain frame.
    wire[0] &= !0x40;
    let (head_len, _) = FrameHead::decode(&wire).expect("a valid head").expect("a whole head");
    wire.split_off(head_len)
}

pub(super) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("proto/deflate");
    for (name, len) in SIZES {
        let text = json(len);
        group.throughput(Throughput::Bytes(len as u64));
        let (mut conn, mut out, limits) = (conn(), Outbox::new(), ProtocolLimits::default());
        group.bench_function(format!("compress_{name}"), |bencher| {
            bencher.iter(|| {
                let frame = Frame::text(black_box(&text));
                conn.writer.send_frame(&frame, &mut out).expect("the socket is open");
                out.clear();
            });
        });
        let frame = Frame::text(&text);
        group.bench_function(format!("shared_{name}"), |bencher| {
            bencher.iter(|| {
                conn.writer.send_frame(black_box(&frame), &mut out).expect("the socket is open");
                out.clear();
            });
        });
        let compressed = payload(&mut conn.writer, &text);
        let head = FrameHead { compressed: true, ..FrameHead::client(Opcode::Text, compressed.len() as u64, [0; 4]) };
        let mut wire = [&*head.encode(), &compressed].concat();
        group.bench_function(format!("inflate_{name}"), |bencher| {
            bencher.iter(|| {
                let next = conn.next_event(black_box(&mut wire), &mut out, &limits).expect("a frame in order");
                let (_, Next::Event(Event::Message(_))) = black_box(next) else { unreachable!("the frame is whole") };
            });
        });
    }
    group.finish();
}
