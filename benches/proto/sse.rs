//! Benchmarks of server-sent events in both directions.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use pushlab::proto::sse::{Decoder, Event};

pub(super) fn bench(criterion: &mut Criterion) {
    let payloads = [("64_bytes", "x".repeat(64)), ("10_lines", "a line of a log, say\n".repeat(10)), ("4_kib", "x".repeat(4096))];
    let mut group = criterion.benchmark_group("proto/sse/encode");
    for (name, payload) in &payloads {
        let mut out = Vec::new();
        group.throughput(Throughput::Bytes(payload.len() as u64));
        group.bench_function(*name, |bencher| {
            bencher.iter(|| {
                out.clear();
                Event::data(black_box(payload)).id("7f3a-104711").encode(&mut out).expect("an event in order");
            });
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("proto/sse/decode");
    for (name, payload) in &payloads {
        let (mut decoder, mut wire) = (Decoder::new(64 * 1024), Vec::new());
        Event::data(payload).id("7f3a-104711").encode(&mut wire).expect("an event in order");
        group.throughput(Throughput::Bytes(payload.len() as u64));
        group.bench_function(*name, |bencher| {
            bencher.iter(|| {
                let (used, event) = decoder.next_event(black_box(&wire)).expect("an event within the limit");
                assert!(used == wire.len() && black_box(event).is_some());
            });
        });
    }
    group.finish();
}
