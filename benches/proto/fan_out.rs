//! Benchmarks of the fan-out: one message is encoded once, and then appended to the outbox of each
//! subscriber.

use std::hint::black_box;
use std::time::{Instant, SystemTime};

use criterion::{Criterion, Throughput};
use pushlab::proto::http1::{BodySize, Conn, ResponseHead};
use pushlab::proto::ws::Writer;
use pushlab::proto::{Frame, Now, Outbox, ProtocolLimits, sse};

const SUBSCRIBERS: usize = 1_000;
const PAYLOAD: &str = "{\"topic\":\"ticks\",\"sequence\":104711,\"value\":21.5,\"unit\":\"C\"}";

pub(super) fn bench(criterion: &mut Criterion) {
    let (now, limits) = (Now::new(Instant::now(), SystemTime::UNIX_EPOCH), ProtocolLimits::default());
    let mut sockets: Vec<_> = (0..SUBSCRIBERS).map(|_| (Writer::new(), Outbox::new())).collect();
    let mut streams: Vec<_> = (0..SUBSCRIBERS).map(|_| (Conn::new(now.instant(), &limits), Outbox::new())).collect();
    for (conn, out) in &mut streams {
        conn.next_event(now.instant(), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", out, &limits).expect("a request in order");
        conn.send_head(&now, &ResponseHead::new(200, "text/event-stream"), BodySize::Stream, out).expect("a response is owed");
        out.clear();
    }
    let mut group = criterion.benchmark_group("proto/fan_out");
    for (name, frames) in [("1_frame", 1), ("16_frames", 16)] {
        group.throughput(Throughput::Elements((SUBSCRIBERS * frames) as u64));
        group.bench_function(format!("ws_{name}_to_1000"), |bencher| {
            bencher.iter(|| {
                for _ in 0..frames {
                    let frame = Frame::text(black_box(PAYLOAD));
                    for (writer, out) in &mut sockets {
                        writer.send_frame(&frame, out).expect("the socket is open");
                    }
                }
                for (_, out) in &mut sockets {
                    out.clear();
                }
            });
        });
        group.bench_function(format!("sse_{name}_to_1000"), |bencher| {
            bencher.iter(|| {
                for _ in 0..frames {
                    let frame = Frame::event(&sse::Event::data(black_box(PAYLOAD)).id("7f3a-104711")).expect("an event in order");
                    for (conn, out) in &mut streams {
                        conn.send_frame(&frame, out).expect("the stream is live");
                    }
                }
                for (_, out) in &mut streams {
                    out.clear();
                }
            });
        });
    }
    group.finish();
}
