//! C7: an event loop against a thread per connection, under every load.

use super::{Chart, Claim};
use crate::Result;
use crate::findings::{Findings, Noise, Quantity, Ruling, Verdict};
use crate::lab::Lab;
use crate::lab::exchange_rounds;
use crate::lab::load::Round;
use crate::lab::model::Model;
use crate::lab::samples::{Ratio, Side};
use crate::lab::wire::Exchange;

const RATE: Quantity = Quantity { name: "operations per second", unit: "/s" };
const P50: Quantity = Quantity { name: "median latency", unit: "µs" };
const P99: Quantity = Quantity { name: "99th percentile of the latency", unit: "µs" };
const P999: Quantity = Quantity { name: "99.9th percentile of the latency", unit: "µs" };

const LOADS: [Exchange; 2] = [Exchange::Requests, Exchange::Echo];
/// One client that waits for each answer, and almost as many as the 200 threads of `pool`.
const CONNECTIONS: [usize; 2] = [1, 192];

pub(crate) const CLAIM: Claim = Claim {
    id: "C7",
    sentence: "An event-driven server is faster than a thread per connection, whatever the load.",
    source: "Pariag, Brecht, Harji, Buhr, Shukla, Cheriton, \"Comparing the Performance of Web Server Architectures\" (EuroSys 2007): the \
             event-driven server has up to 18 % more throughput than the one with threads.",
    setup: "Requests for 13 bytes, and WebSocket echoes of 16 bytes, over 1 and 192 connections with one operation in flight each. The \
            server has one core, and the load another one.",
    measured: "Operations per second, and the median, the 99th and the 99.9th percentile of the latency.",
    rule: "It holds if `event-loop` has more operations per second than `threads` for each load. It does not hold if it has fewer for at \
           least one load. At least 4 of 5 rounds must agree, by more than the noise. If the load uses more than 95 % of its core, it may have hidden that a \
           server is faster. That server must then be the slower one even with the rate that it would have with its own core always busy.",
    needs: &[Model::EventLoop, Model::Threads],
    takes: &[Model::Pool, Model::Loops, Model::Workers, Model::Poll, Model::Foreign],
    is_timed: true,
    chart: Chart::bars(RATE, "load"),
    explanation: "With one connection, a blocking server waits and reads in one system call, and the event loop in two. With many \
                  connections, the event loop takes all that are ready in one turn, and threads are switched for each operation.",
    file: "src/driver/drive.rs",
    seconds: [4.2, 49.0],
    measure,
    judge,
};

fn measure(lab: &mut Lab<'_>) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut servers = lab.models().into_iter().map(|model| lab.start(model)).collect::<Result<Vec<_>>>()?;
    for (x, (exchange, connections)) in settings().enumerate() {
        let rounds = exchange_rounds::measure(lab, &mut servers, exchange, connections)?;
        let at = exchange_rounds::name(exchange, connections);
        for (server, rounds) in servers.iter().zip(rounds) {
            let mut add = |quantity, figure: fn(&Round) -> f64| {
                findings.add(quantity, server.model, &at, x as f64, rounds.iter().map(figure).collect());
            };
            add(RATE, |round| round.per_second);
            add(P50, |round| round.p50_us);
            add(P99, |round| round.p99_us);
            add(P999, |round| round.p999_us);
            exchange_rounds::add_busy(&mut findings, server.model, &at, x as f64, &rounds);
        }
    }
    Ok(findings)
}

fn settings() -> impl Iterator<Item = (Exchange, usize)> {
    LOADS.into_iter().flat_map(|exchange| CONNECTIONS.map(|connections| (exchange, connections)))
}

fn judge(findings: &Findings, noise: &Noise) -> Ruling {
    let loads: Vec<String> = settings().map(|(exchange, connections)| exchange_rounds::name(exchange, connections)).collect();
    let ratio = |at: &String| findings.ratio(RATE, at, Model::EventLoop, Model::Threads);
    let Some(ratios) = loads.iter().map(ratio).collect::<Option<Vec<Ratio>>>() else {
        return Ruling::missing("both models under each load");
    };
    let side =
        |(at, ratio): (&String, &Ratio)| exchange_rounds::side(findings, ratio, [Model::EventLoop, Model::Threads], at, 1.0, noise.rate);
    let sides: Vec<Side> = loads.iter().zip(&ratios).map(side).collect();
    let verdict = if sides.contains(&Side::Below) {
        Verdict::DoesNotHold
    } else if sides.iter().all(|side| *side == Side::Above) {
        Verdict::Holds
    } else {
        Verdict::NotShown
    };
    let low = ratios.iter().map(|ratio| ratio.median).fold(f64::INFINITY, f64::min);
    let high = ratios.iter().map(|ratio| ratio.median).fold(0.0, f64::max);
    let slower: Vec<&str> = loads.iter().zip(&sides).filter(|(_, side)| **side == Side::Below).map(|(at, _)| &**at).collect();
    let where_slower = if slower.is_empty() { String::new() } else { format!(" It has fewer for: {}.", slower.join("; ")) };
    let because = format!("`event-loop` has {low:.2} to {high:.2} times the operations per second of `threads`.{where_slower}");
    Ruling::new(verdict, because).beside("Pariag 2007: events / threads up to 1.18", format!("events / threads: {low:.2} to {high:.2}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::exchange_rounds::LOAD_BUSY;

    /// `event_loop` for one load, and 120 and 121 for the others. `threads` has 100.
    fn verdict(event_loop: [f64; 2], busy: [f64; 2], noise: f64) -> Verdict {
        let mut findings = Findings::default();
        for (x, (exchange, connections)) in settings().enumerate() {
            let at = exchange_rounds::name(exchange, connections);
            let rates = if x == 0 { event_loop.to_vec() } else { vec![120.0, 121.0] };
            findings.add(RATE, Model::EventLoop, &at, x as f64, rates);
            findings.add(RATE, Model::Threads, &at, x as f64, vec![100.0, 100.0]);
            findings.add(LOAD_BUSY, Model::EventLoop, &at, x as f64, vec![busy[0]]);
            findings.add(LOAD_BUSY, Model::Threads, &at, x as f64, vec![busy[1]]);
        }
        judge(&findings, &Noise { rate: noise, ..Noise::NONE }).verdict
    }

    #[test]
    fn the_rule_follows_the_figures() {
        let free = [0.5, 0.5];
        assert_eq!(verdict([110.0, 111.0], free, 1.05), Verdict::Holds);
        assert_eq!(verdict([104.0, 111.0], free, 1.05), Verdict::NotShown, "a round is within the noise");
        assert_eq!(verdict([94.0, 111.0], free, 1.05), Verdict::NotShown, "the rounds disagree");
        assert_eq!(verdict([94.0, 95.0], free, 1.05), Verdict::DoesNotHold, "threads win under one load");
    }

    #[test]
    fn a_load_at_its_limit_hides_a_faster_server() {
        assert_eq!(verdict([110.0, 111.0], [0.5, 1.0], 1.05), Verdict::NotShown, "threads may be faster than was seen");
        assert_eq!(verdict([110.0, 111.0], [1.0, 0.5], 1.05), Verdict::Holds);
        assert_eq!(verdict([50.0, 51.0], [1.0, 0.5], 1.05), Verdict::NotShown, "the event loop may be faster than was seen");
    }
}
