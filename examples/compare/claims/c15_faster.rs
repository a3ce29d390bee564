//! C15: two famous measurements that contradict each other.

use super::{Chart, Claim, agreement};
use crate::Result;
use crate::findings::{Findings, Noise, Quantity, Ruling};
use crate::lab::Lab;
use crate::lab::count;
use crate::lab::exchange_rounds;
use crate::lab::load::Round;
use crate::lab::model::Model;
use crate::lab::samples::{Ratio, Side};
use crate::lab::wire::Exchange;

const RATE: Quantity = Quantity { name: "operations per second", unit: "/s" };
const CPU: Quantity = Quantity { name: "server CPU per operation", unit: "µs" };
const P99: Quantity = Quantity { name: "99th percentile of the latency", unit: "µs" };

const INSTRUCTIONS: Quantity = Quantity { name: "instructions per operation", unit: "" };
const SYSTEM_CALLS: Quantity = Quantity { name: "system calls per operation", unit: "" };

const LOADS: [Exchange; 3] = [Exchange::Requests, Exchange::Echo, Exchange::Download];
const FEW: usize = 8;
/// Fewer than the 200 threads of `pool`.
const MANY: usize = 192;

pub(crate) const CLAIM: Claim = Claim {
    id: "C15",
    sentence: "Blocking IO has 25 to 35 % more throughput than non-blocking IO.",
    source: "Paul Tyma, \"Thousands of Threads and Blocking I/O\" (2008), slides 11 to 15. Against it: Pariag et al., \"Comparing the \
             Performance of Web Server Architectures\" (EuroSys 2007), where the event-driven server has up to 18 % more.",
    setup: "Requests for 13 bytes, WebSocket echoes of 16 bytes, and downloads of 64 KiB, over 8 and 192 connections with one operation in \
            flight each. The server has one core, and the load another one.",
    measured: "Operations per second, server CPU per operation, and the 99th percentile of the latency.",
    rule: "It holds if `threads` has at least 1.25 times the operations per second of `event-loop` for each load. It does not hold if it has \
           less than 1.25 times for each load. At least 4 of 5 rounds must agree, by more than the noise. If the load uses more than 95 % of its core, it may have hidden that a \
           server is faster. That server must then be the slower one even with the rate that it would have with its own core always busy.",
    needs: &[Model::EventLoop, Model::Threads],
    takes: &[Model::Pool, Model::Loops, Model::Workers, Model::Poll, Model::Foreign],
    is_timed: true,
    chart: Chart::bars(RATE, "load"),
    explanation: "A thread that blocks is woken for each operation: the system switches to it and away from it. The event loop takes all \
                  ready connections in one turn. With few connections there is less to take, so the difference is smaller.",
    file: "src/driver/event_loop/mod.rs",
    seconds: [7.0, 80.0],
    measure,
    judge,
};

fn measure(lab: &mut Lab<'_>) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut servers = lab.models().into_iter().map(|model| lab.start(model)).collect::<Result<Vec<_>>>()?;
    let mut x = 0.0;
    for exchange in LOADS {
        for connections in [FEW, MANY] {
            let rounds = exchange_rounds::measure(lab, &mut servers, exchange, connections)?;
            x += 1.0;
            for (server, rounds) in servers.iter().zip(rounds) {
                let at = exchange_rounds::name(exchange, connections);
                let figures = |figure: fn(&Round) -> f64| rounds.iter().map(figure).collect::<Vec<_>>();
                findings.add(RATE, server.model, &at, x, figures(|round| round.per_second));
                findings.add(CPU, server.model, &at, x, figures(|round| round.server_cpu_us));
                findings.add(P99, server.model, &at, x, figures(|round| round.p99_us));
                exchange_rounds::add_busy(&mut findings, server.model, &at, x, &rounds);
            }
        }
    }
    drop(servers);
    if lab.conditions.count {
        count(lab, &mut findings)?;
    }
    Ok(findings)
}

/// Counts for each model and load. They do not depend on the machine's speed.
fn count(lab: &mut Lab<'_>, findings: &mut Findings) -> Result<()> {
    for model in lab.models().into_iter().filter(|model| *model != Model::Foreign) {
        for (x, exchange) in LOADS.into_iter().enumerate() {
            let counts = count::count(lab, model, exchange)?;
            if let (Some(instructions), Some(system_calls)) = (counts.instructions, counts.system_calls) {
                findings.add(INSTRUCTIONS, model, exchange.name(), x as f64, vec![instructions]);
                findings.add(SYSTEM_CALLS, model, exchange.name(), x as f64, vec![system_calls]);
            } else {
                findings.notes.push(count::HOW_TO_GET.to_owned());
                return Ok(());
            }
        }
    }
    Ok(())
}

fn judge(findings: &Findings, noise: &Noise) -> Ruling {
    const THRESHOLD: f64 = 1.25;
    let points: Vec<String> =
        LOADS.into_iter().flat_map(|exchange| [FEW, MANY].map(|connections| exchange_rounds::name(exchange, connections))).collect();
    let ratio = |at: &String| findings.ratio(RATE, at, Model::Threads, Model::EventLoop);
    let Some(ratios) = points.iter().map(ratio).collect::<Option<Vec<Ratio>>>() else {
        return Ruling::missing("both models under each load");
    };
    let side = |(at, ratio): (&String, &Ratio)| {
        exchange_rounds::side(findings, ratio, [Model::Threads, Model::EventLoop], at, THRESHOLD, noise.rate)
    };
    let sides: Vec<Side> = points.iter().zip(&ratios).map(side).collect();
    let low = ratios.iter().map(|ratio| ratio.median).fold(f64::INFINITY, f64::min);
    let high = ratios.iter().map(|ratio| ratio.median).fold(0.0, f64::max);
    let because = format!("`threads` has {low:.2} to {high:.2} times the operations per second of `event-loop`.");
    let verdict = agreement::all_above(&sides);
    let inverse = format!("events / threads: {:.2} to {:.2}", 1.0 / high, 1.0 / low);
    Ruling::new(verdict, because)
        .beside("Tyma 2008: threads / events 1.25 to 1.35", format!("threads / events: {low:.2} to {high:.2}"))
        .beside("Pariag 2007: events / threads up to 1.18", inverse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Verdict;
    use crate::lab::exchange_rounds::LOAD_BUSY;

    fn figures(threads: f64, busy: [f64; 2]) -> Findings {
        let mut findings = Findings::default();
        for exchange in LOADS {
            for connections in [FEW, MANY] {
                findings.add(RATE, Model::EventLoop, &exchange_rounds::name(exchange, connections), 0.0, vec![100.0, 100.0]);
                findings.add(RATE, Model::Threads, &exchange_rounds::name(exchange, connections), 0.0, vec![threads, threads + 1.0]);
                findings.add(LOAD_BUSY, Model::EventLoop, &exchange_rounds::name(exchange, connections), 0.0, vec![busy[0]]);
                findings.add(LOAD_BUSY, Model::Threads, &exchange_rounds::name(exchange, connections), 0.0, vec![busy[1]]);
            }
        }
        findings
    }

    #[test]
    fn the_rule_follows_the_figures() {
        let verdict = |threads| judge(&figures(threads, [0.5, 0.5]), &Noise { rate: 1.05, ..Noise::NONE }).verdict;
        assert_eq!(verdict(50.0), Verdict::DoesNotHold);
        assert_eq!(verdict(118.0), Verdict::DoesNotHold, "119 is below 125 by more than the noise");
        assert_eq!(verdict(119.0), Verdict::NotShown);
        assert_eq!(verdict(131.0), Verdict::NotShown);
        assert_eq!(verdict(132.0), Verdict::Holds);
    }

    #[test]
    fn a_load_at_its_limit_hides_only_a_faster_server() {
        let verdict = |threads, busy| judge(&figures(threads, busy), &Noise::NONE).verdict;
        assert_eq!([verdict(50.0, [1.0, 0.5]), verdict(50.0, [0.5, 1.0])], [Verdict::DoesNotHold, Verdict::NotShown]);
        assert_eq!([verdict(200.0, [1.0, 0.5]), verdict(200.0, [0.5, 1.0])], [Verdict::NotShown, Verdict::Holds]);
    }
}
