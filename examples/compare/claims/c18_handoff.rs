//! C18: workers for handlers that block, and their price.

use std::time::Duration;

use super::{Chart, Claim, c08_blocking};
use crate::Result;
use crate::findings::{Findings, Noise, Quantity, Ruling, Verdict};
use crate::lab::Lab;
use crate::lab::load::Load;
use crate::lab::model::Model;
use crate::lab::samples::{Side, median, short, spread};
use crate::lab::wire::Exchange;

const P99: Quantity = Quantity { name: "99th percentile of the others' latency", unit: "ms" };
const CPU: Quantity = Quantity { name: "server CPU per request", unit: "µs" };
const P50: Quantity = Quantity { name: "median latency of a request", unit: "µs" };
const SWITCHES: Quantity = Quantity { name: "context switches per request", unit: "" };

const BLOCKED: &str = "a handler blocks for 50 ms";
const ONE: &str = "1 connection";
const MANY: &str = "64 connections";
/// The numbers of connections for the price.
const SETTINGS: [(&str, usize); 2] = [(ONE, 1), (MANY, 64)];

pub(crate) const CLAIM: Claim = Claim {
    id: "C18",
    sentence: "Workers cure an event loop of handlers that block, and each hand-off has a price.",
    source: "Schmidt, Cranor, \"Half-Sync/Half-Async\" (Pattern Languages of Program Design 2, 1996); Node.js guide \"Don't Block the Event \
             Loop\", on the communication costs of a worker pool.",
    setup: "The load of C8: one client asks for answers whose handler sleeps for 50 ms, while others ask for 13 bytes 200 times a second. Then, \
            for the price, requests for 13 bytes whose handler does not block, over 1 and over 64 connections.",
    measured: "The 99th percentile of the others' latency; server CPU, median latency and context switches of a request.",
    rule: "It holds if the others' 99th percentile is at most 10 ms on `workers` and at least 25 ms on `event-loop`, and if a request on \
           one connection takes more CPU on `workers`. It does not hold if the others wait for at least 25 ms on `workers`, or less than 10 ms on \
           `event-loop`, or if a request takes less CPU on `workers`. At least 4 of 5 rounds must agree; CPU must differ by more than the noise.",
    needs: &[Model::EventLoop, Model::Workers],
    takes: &[],
    is_timed: true,
    chart: Chart::bars(CPU, ""),
    explanation: "The event loop queues the request and wakes a worker. The worker answers, and wakes the event loop to send the answer. These \
                  are two switches between threads, and a lock for each queue. Many requests at once share them.",
    file: "examples/workers.rs",
    seconds: [4.0, 39.0],
    measure,
    judge,
};

fn measure(lab: &mut Lab<'_>) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut servers = lab.models().into_iter().map(|model| lab.start(model)).collect::<Result<Vec<_>>>()?;
    let time = Duration::from_millis(lab.effort().pick(200, 1_500));
    let rounds = lab.in_turn(lab.effort().rounds(), &mut servers, |lab, server, round| {
        lab.step(&format!("{BLOCKED}, {}, round {}", server.model, round + 1))?;
        Ok(c08_blocking::others(server.address, true, time)?.value_at_quantile(0.99) as f64 / 1e6)
    })?;
    for (server, rounds) in servers.iter().zip(rounds) {
        findings.add(P99, server.model, BLOCKED, 0.0, rounds);
    }
    let (warm_up, time) = (lab.effort().warm_up(), lab.effort().round_time());
    for (at, connections) in SETTINGS {
        let mut subjects = Vec::new();
        for server in &servers {
            subjects.push((server, Load::connect(Exchange::Requests, server.address, connections)?));
        }
        let rounds = lab.in_turn(lab.effort().rounds(), &mut subjects, |lab, (server, load), round| {
            lab.step(&format!("{at}, {}, round {}", server.model, round + 1))?;
            load.round(server, warm_up, time)
        })?;
        for ((server, _), rounds) in subjects.iter().zip(rounds) {
            let x = connections as f64;
            findings.add(CPU, server.model, at, x, rounds.iter().map(|round| round.server_cpu_us).collect());
            findings.add(P50, server.model, at, x, rounds.iter().map(|round| round.p50_us).collect());
            findings.add(SWITCHES, server.model, at, x, rounds.iter().map(|round| round.switches).collect());
        }
    }
    Ok(findings)
}

fn judge(findings: &Findings, noise: &Noise) -> Ruling {
    const STOPPED_MS: f64 = 25.0;
    const FREE_MS: f64 = 10.0;
    let blocked = |model| findings.rounds(P99, model, BLOCKED);
    let (event_loop, workers) = (blocked(Model::EventLoop), blocked(Model::Workers));
    let Some(price) = findings.ratio(CPU, ONE, Model::Workers, Model::EventLoop) else {
        return Ruling::missing("the CPU of both models");
    };
    if event_loop.is_empty() || workers.is_empty() {
        return Ruling::missing("both models with a blocking handler");
    }
    let ((loop_low, loop_high), (workers_low, workers_high)) = (spread(event_loop), spread(workers));
    let price = price.side(1.0, noise.cpu);
    let verdict = if workers_low >= STOPPED_MS || loop_high < FREE_MS || price == Side::Below {
        Verdict::DoesNotHold
    } else if workers_high <= FREE_MS && loop_low >= STOPPED_MS && price == Side::Above {
        Verdict::Holds
    } else {
        Verdict::NotShown
    };
    let more = |quantity, at| {
        let of = |model| findings.median(quantity, model, at).unwrap_or(f64::NAN);
        short(of(Model::Workers) - of(Model::EventLoop))
    };
    let because = format!(
        "The others' 99th percentile is {} ms on `workers` and {} ms on `event-loop`. A hand-off costs {} µs of CPU and {} µs of latency on one \
         connection, and {} µs of CPU on 64.",
        short(median(workers)),
        short(median(event_loop)),
        more(CPU, ONE),
        more(P50, ONE),
        more(CPU, MANY)
    );
    Ruling::new(verdict, because)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_follows_the_figures() {
        let verdict = |workers: [f64; 2], event_loop: [f64; 2], cpu: [f64; 2]| {
            let mut findings = Findings::default();
            findings.add(P99, Model::Workers, BLOCKED, 0.0, workers.to_vec());
            findings.add(P99, Model::EventLoop, BLOCKED, 0.0, event_loop.to_vec());
            findings.add(CPU, Model::Workers, ONE, 1.0, cpu.to_vec());
            findings.add(CPU, Model::EventLoop, ONE, 1.0, vec![10.0, 10.0]);
            judge(&findings, &Noise { cpu: 1.05, ..Noise::NONE }).verdict
        };
        let (free, stopped, dear) = ([0.5, 10.0], [25.0, 49.0], [11.0, 20.0]);
        assert_eq!(verdict(free, stopped, dear), Verdict::Holds);
        assert_eq!(verdict([0.5, 10.1], stopped, dear), Verdict::NotShown, "a round disagrees");
        assert_eq!(verdict(free, [24.0, 49.0], dear), Verdict::NotShown);
        assert_eq!(verdict(free, stopped, [10.4, 20.0]), Verdict::NotShown, "a price within the noise");
        assert_eq!(verdict([25.0, 26.0], stopped, dear), Verdict::DoesNotHold, "no cure");
        assert_eq!(verdict(free, [0.5, 0.6], dear), Verdict::DoesNotHold, "nothing to cure");
        assert_eq!(verdict(free, stopped, [9.0, 9.1]), Verdict::DoesNotHold, "no price");
    }
}
