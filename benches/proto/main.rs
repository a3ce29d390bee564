//! Benchmarks of the protocol core: `cargo bench --bench proto`. A filter runs a part of them:
//! `cargo bench --bench proto -- ws/decode`.
//!
//! Each number is for one core and includes no system call. Throughput is in bytes of input or
//! payload. For deliveries, it is in elements.

#[cfg(feature = "deflate")]
mod deflate;
mod fan_out;
mod http1;
mod outbox;
mod sse;
mod ws;

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    http1::bench(&mut criterion);
    ws::bench(&mut criterion);
    #[cfg(feature = "deflate")]
    deflate::bench(&mut criterion);
    sse::bench(&mut criterion);
    fan_out::bench(&mut criterion);
    outbox::bench(&mut criterion);
    criterion.final_summary();
}
