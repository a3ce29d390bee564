//! C8: the price of one thread.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::{Chart, Claim};
use crate::Result;
use crate::findings::{Findings, Noise, Quantity, Ruling, Verdict};
use crate::lab::Lab;
use crate::lab::model::Model;
use crate::lab::open_loop::OpenLoop;
use crate::lab::samples::{inner_spread, median, short};
use crate::lab::wire::{self, Exchange};

const P50: Quantity = Quantity { name: "median latency of the others", unit: "ms" };
const P99: Quantity = Quantity { name: "99th percentile of the others' latency", unit: "ms" };

const QUIET: &str = "no handler blocks";
const BLOCKED: &str = "a handler blocks for 50 ms";
const SLEEP_MS: u64 = 50;
const PER_SECOND: f64 = 200.0;
const CONNECTIONS: usize = 8;

pub(crate) const CLAIM: Claim = Claim {
    id: "C8",
    sentence: "A handler that blocks stops everybody on an event loop, and nobody with a thread per connection.",
    source: "The usual warning of event-driven servers: Pai, Druschel, Zwaenepoel, \"Flash: An Efficient and Portable Web Server\" (USENIX \
             1999), section 3.3; Node.js guide \"Don't Block the Event Loop\".",
    setup: "One client asks again and again for an answer whose handler sleeps for 50 ms, with pauses of 50 ms. Meanwhile, others ask for 13 \
            bytes 200 times a second over 8 connections. A request is due at its time, even if the answer before it is late.",
    measured: "The median and the 99th percentile of the others' latency, with and without the blocking handler.",
    rule: "It holds if the others' 99th percentile is at least 25 ms (half of the sleep) on `event-loop`, and at most 10 ms on `threads`, in at least 4 of 5 rounds. It does not hold if `event-loop` stays below 10 ms, or `threads` reaches 25 ms, in at least 4 of 5 rounds. Otherwise nothing is \
           shown.",
    needs: &[Model::EventLoop, Model::Threads, Model::Workers],
    takes: &[Model::Pool, Model::Loops, Model::Poll],
    is_timed: true,
    chart: Chart::bars(P99, "").log(),
    explanation: "The event loop calls the handler in its turn, so that all other connections wait until the handler returns. `workers` is an \
                  event loop, too: it holds the request, and a thread of a pool answers it.",
    file: "src/session/handles.rs",
    seconds: [4.0, 40.0],
    measure,
    judge,
};

fn measure(lab: &mut Lab<'_>) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut servers = lab.models().into_iter().map(|model| lab.start(model)).collect::<Result<Vec<_>>>()?;
    let time = Duration::from_millis(lab.effort().pick(200, 1_500));
    for (x, (at, is_blocked)) in [(QUIET, false), (BLOCKED, true)].into_iter().enumerate() {
        let rounds = lab.in_turn(lab.effort().rounds(), &mut servers, |lab, server, round| {
            lab.step(&format!("{at}, {}, round {}", server.model, round + 1))?;
            let latencies = others(server.address, is_blocked, time)?;
            Ok([0.5, 0.99].map(|quantile| latencies.value_at_quantile(quantile) as f64 / 1e6))
        })?;
        for (server, rounds) in servers.iter().zip(rounds) {
            findings.add(P50, server.model, at, x as f64, rounds.iter().map(|[p50, _]| *p50).collect());
            findings.add(P99, server.model, at, x as f64, rounds.iter().map(|[_, p99]| *p99).collect());
        }
    }
    Ok(findings)
}

/// The latencies of the others in nanoseconds, with or without a client whose handler blocks.
pub(super) fn others(address: SocketAddr, is_blocked: bool, time: Duration) -> Result<Histogram<u64>> {
    let mut others = OpenLoop::connect(Exchange::Requests, address, CONNECTIONS)?;
    let is_over = AtomicBool::new(!is_blocked);
    thread::scope(|scope| {
        let blocker = scope.spawn(|| block(address, &is_over));
        let latencies = others.run(PER_SECOND, time);
        is_over.store(true, Relaxed);
        blocker.join().map_err(|_| "the blocking client panicked")??;
        latencies
    })
}

/// Asks for answers whose handler sleeps, until the others are done.
fn block(address: SocketAddr, is_over: &AtomicBool) -> std::io::Result<()> {
    let mut socket = wire::connect(address)?;
    while !is_over.load(Relaxed) {
        wire::ask(&mut socket, &wire::get(&format!("/sleep?ms={SLEEP_MS}"), ""))?;
        thread::sleep(Duration::from_millis(SLEEP_MS));
    }
    Ok(())
}

fn judge(findings: &Findings, _: &Noise) -> Ruling {
    const STOPPED_MS: f64 = 25.0;
    const FREE_MS: f64 = 10.0;
    let rounds = |model| findings.rounds(P99, model, BLOCKED);
    let (event_loop, threads, workers) = (rounds(Model::EventLoop), rounds(Model::Threads), rounds(Model::Workers));
    if event_loop.is_empty() || threads.is_empty() {
        return Ruling::missing("both models with a blocking handler");
    }
    let ((loop_low, loop_high), (threads_low, threads_high)) = (inner_spread(event_loop), inner_spread(threads));
    let verdict = if loop_low >= STOPPED_MS && threads_high <= FREE_MS {
        Verdict::Holds
    } else if loop_high < FREE_MS || threads_low >= STOPPED_MS {
        Verdict::DoesNotHold
    } else {
        Verdict::NotShown
    };
    let ms = |rounds: &[f64]| short(median(rounds));
    Ruling::new(
        verdict,
        format!(
            "The others' 99th percentile is {} ms on `event-loop`, {} ms on `threads`, and {} ms on `workers`.",
            ms(event_loop),
            ms(threads),
            ms(workers)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_follows_the_figures() {
        let verdict = |event_loop: [f64; 2], threads: [f64; 2]| {
            let mut findings = Findings::default();
            findings.add(P99, Model::EventLoop, BLOCKED, 0.0, event_loop.to_vec());
            findings.add(P99, Model::Threads, BLOCKED, 0.0, threads.to_vec());
            judge(&findings, &Noise::NONE).verdict
        };
        assert_eq!(verdict([25.0, 49.0], [0.3, 10.0]), Verdict::Holds);
        assert_eq!(verdict([24.9, 49.0], [0.3, 10.0]), Verdict::NotShown, "a round disagrees");
        assert_eq!(verdict([48.0, 49.0], [0.3, 10.1]), Verdict::NotShown);
        assert_eq!(verdict([1.0, 9.9], [0.3, 0.4]), Verdict::DoesNotHold, "the event loop is not stopped");
        assert_eq!(verdict([48.0, 49.0], [25.0, 30.0]), Verdict::DoesNotHold, "threads are stopped, too");
    }
}
