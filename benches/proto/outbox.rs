//! Benchmarks of the outbox: copied and shared pieces are appended, and then removed after a short
//! write.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput};
use pushlab::proto::Outbox;

pub(super) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("proto/outbox");
    let (mut out, small) = (Outbox::new(), [7; 32]);
    group.throughput(Throughput::Bytes(16 * 32));
    group.bench_function("16_copied_of_32_bytes", |bencher| {
        bencher.iter(|| {
            for _ in 0..16 {
                out.extend(black_box(&small));
            }
            drain(&mut out);
        });
    });
    let large: Arc<[u8]> = vec![7; 64 * 1024].into();
    group.throughput(Throughput::Bytes(4 * (32 + 64 * 1024)));
    group.bench_function("4_shared_of_64_kib_between_copied", |bencher| {
        bencher.iter(|| {
            for _ in 0..4 {
                out.extend(black_box(&small));
                out.push_shared(black_box(&large), 0..large.len());
            }
            drain(&mut out);
        });
    });
    group.finish();
}

/// Takes the output like a transport that writes twice. The first write is short.
fn drain(out: &mut Outbox) {
    for sent in [out.len() / 3, out.len() - out.len() / 3] {
        for chunk in out.chunks() {
            black_box(chunk);
        }
        out.advance(sent);
    }
}
