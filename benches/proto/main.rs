//! The protocol core by itself: `cargo bench --bench proto`, or a part of it, `cargo bench --bench proto -- ws/decode`.
//!
//! Every number is of one core and no system call; throughput is in bytes of input or payload, and in elements where a delivery counts.

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
    sse::bench(&mut criterion);
    fan_out::bench(&mut criterion);
    outbox::bench(&mut criterion);
    criterion.final_summary();
}
