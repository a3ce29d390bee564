//! C17: one event loop per core, and the lock that all of them share.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use super::{Chart, Claim};
use crate::Result;
use crate::findings::{Findings, Noise, Quantity, Ruling, Verdict};
use crate::lab::Lab;
use crate::lab::cores;
use crate::lab::deliveries::Deliveries;
use crate::lab::load::{Load, latencies};
use crate::lab::model::Model;
use crate::lab::process::{ServerProcess, own_usage};
use crate::lab::samples::{Ratio, Side, short};
use crate::lab::wire::Exchange;
use crate::server::Setup;

const RATE: Quantity = Quantity { name: "operations per second", unit: "/s" };
const CPU: Quantity = Quantity { name: "server CPU per operation", unit: "µs" };
const SWITCHES: Quantity = Quantity { name: "context switches per operation", unit: "" };
const BUSY: Quantity = Quantity { name: "share of the load's cores that is busy", unit: "" };
/// The cores of the server on which no load runs. It decides what the figures can show.
const OWN: Quantity = Quantity { name: "cores without load", unit: "" };

const REQUESTS: &str = "requests";
const DELIVERIES: &str = "deliveries through one hub";
/// The connections of each thread of the load.
const CONNECTIONS: usize = 64;
const SUBSCRIBERS: usize = 64;
const PUBLISHERS: usize = 4;
/// From this share on, the load may be what limits the throughput.
const BUSY_MAX: f64 = 0.95;
/// The part of its cores that a server must turn into throughput.
const SCALES: f64 = 0.7;

pub(crate) const CLAIM: Claim = Claim {
    id: "C17",
    sentence: "One event loop per core scales with the cores, until the loops share a lock.",
    source: "Zeldovich, Yip, Dabek, Morris, Mazieres, Kaashoek, \"Multiprocessor Support for Event-Driven Programs\" (USENIX 2003); for the lock, \
             Amdahl, \"Validity of the single processor approach to achieving large scale computing capabilities\" (AFIPS 1967).",
    setup: "Requests for 13 bytes, which share nothing, and messages of 16 bytes that 4 clients publish to 64 WebSockets through one hub, which \
            has one lock. One event loop, against one per core of the server. Half of the cores run the load. With 2 cores, the second loop \
            shares its core with the load. With more cores, each thread of the load has its own connections and its own topic.",
    measured: "Requests and deliveries per second, and server CPU and context switches for each. A loop that waits for the lock is switched \
               away and woken again.",
    rule: "With at least 2 cores without load: it holds if requests per second grow by at least 0.7 times the number of these cores, and \
           deliveries per second by less. It does not hold if requests grow by less, or deliveries by as much. A load that uses more than 95 % of \
           its cores can hide growth. With fewer cores it can only fail: if a request takes more than twice the CPU on `loops`, two loops \
           cannot do more than one. At least 4 of 5 rounds must agree, by more than the noise.",
    needs: &[Model::EventLoop, Model::Loops],
    takes: &[],
    is_timed: true,
    chart: Chart::bars(CPU, ""),
    explanation: "The loops share no connection: each has its own listening socket, and the system spreads the clients over them. A published \
                  message goes through the hub's lock, and then into the inbox of each loop, which is woken for it.",
    file: "examples/cores/main.rs",
    seconds: [2.0, 24.0],
    measure,
    judge,
};

#[derive(Clone, Copy)]
enum Work {
    Requests,
    Deliveries,
}

/// What one thread of the load works with.
enum Worker {
    Requests(Load),
    Deliveries(Deliveries),
}

impl Worker {
    fn connect(work: Work, address: SocketAddr, number: usize) -> Result<Self> {
        Ok(match work {
            Work::Requests => Self::Requests(Load::connect(Exchange::Requests, address, CONNECTIONS)?),
            Work::Deliveries => Self::Deliveries(Deliveries::connect(address, &format!("t{number}"), SUBSCRIBERS, PUBLISHERS)?),
        })
    }

    fn run(&mut self, time: Duration) -> Result<(u64, Duration)> {
        match self {
            Self::Requests(load) => load.run(time, &mut latencies()),
            Self::Deliveries(deliveries) => deliveries.run(time),
        }
    }
}

/// Which cores the loops and the load have.
struct Division {
    loops: Vec<usize>,
    load: Vec<usize>,
    own: usize,
}

fn divide(all: &[usize]) -> Division {
    match all {
        [_, second] => Division { loops: all.to_vec(), load: vec![*second], own: 1 },
        [_, _, _, ..] => {
            let (loops, load) = all.split_at(all.len().div_ceil(2));
            Division { loops: loops.to_vec(), load: load.to_vec(), own: loops.len() }
        }
        _ => Division { loops: all.to_vec(), load: all.to_vec(), own: 0 },
    }
}

fn measure(lab: &mut Lab<'_>) -> Result<Findings> {
    let mut findings = Findings::default();
    let division = divide(&lab.conditions.cores.all);
    if division.own == 0 {
        findings.obstacles.push("This machine has one core, or its threads cannot be pinned to cores.".to_owned());
        return Ok(findings);
    }
    let (warm_up, time) = (lab.effort().warm_up(), lab.effort().round_time());
    for (x, (at, work)) in [(REQUESTS, Work::Requests), (DELIVERIES, Work::Deliveries)].into_iter().enumerate() {
        let mut subjects = Vec::new();
        for model in lab.models() {
            let loops = if model == Model::Loops { &division.loops[..] } else { &division.loops[..1] };
            let server = lab.start_with(&Setup { cores: loops.to_vec(), loops: loops.len(), ..Setup::new(model) })?;
            let workers = (0..division.load.len()).map(|number| Worker::connect(work, server.address, number));
            let workers = workers.collect::<Result<Vec<_>>>()?;
            subjects.push((server, workers));
        }
        let rounds = lab.in_turn(lab.effort().rounds(), &mut subjects, |lab, (server, workers), round| {
            lab.step(&format!("{at}, {}, round {}", server.model, round + 1))?;
            run(&division.load, workers, warm_up)?;
            one_round(server, &division.load, workers, time)
        })?;
        for ((server, _), rounds) in subjects.iter().zip(rounds) {
            for (quantity, part) in [RATE, CPU, SWITCHES, BUSY].into_iter().zip(0..) {
                findings.add(quantity, server.model, at, x as f64, rounds.iter().map(|round: &[f64; 4]| round[part]).collect());
            }
        }
    }
    findings.add(OWN, Model::Loops, "", 0.0, vec![division.own as f64]);
    if division.own < 2 {
        findings.notes.push("The second loop shares its core with the load, so throughput shows nothing.".to_owned());
    }
    Ok(findings)
}

/// Operations per second, server CPU in µs and context switches per operation, and the busy share
/// of the load's cores.
fn one_round(server: &ServerProcess, load: &[usize], workers: &mut [Worker], time: Duration) -> Result<[f64; 4]> {
    let (server_before, load_before) = (server.usage(), own_usage());
    let (operations, per_second) = run(load, workers, time)?;
    let (used, own) = (server_before.until(server.usage()), load_before.until(own_usage()));
    let busy = own.cpu_seconds / own.seconds / load.len() as f64;
    Ok([per_second, used.cpu_seconds * 1e6 / operations, used.switches / operations, busy])
}

/// Runs all workers at the same time, each on a core. Returns the operations, and those per second.
fn run(load: &[usize], workers: &mut [Worker], time: Duration) -> Result<(f64, f64)> {
    thread::scope(|scope| {
        let run = |(worker, core): (&mut Worker, usize)| {
            cores::pin(&[core]);
            // The error is told as text: it leaves this thread.
            worker.run(time).map_err(|error| error.to_string())
        };
        let threads: Vec<_> = workers.iter_mut().zip(load.iter().copied()).map(|one| scope.spawn(move || run(one))).collect();
        let mut sums = (0.0, 0.0);
        for thread in threads {
            let (operations, elapsed) = thread.join().map_err(|_| "a thread of the load panicked")??;
            sums = (sums.0 + operations as f64, sums.1 + operations as f64 / elapsed.as_secs_f64());
        }
        Ok(sums)
    })
}

fn judge(findings: &Findings, noise: &Noise) -> Ruling {
    let ratio = |quantity, at| findings.ratio(quantity, at, Model::Loops, Model::EventLoop);
    let all = [REQUESTS, DELIVERIES].map(|at| ratio(RATE, at).zip(ratio(CPU, at)));
    let ([Some((requests, requests_cpu)), Some((deliveries, deliveries_cpu))], Some(own)) = (all, findings.median(OWN, Model::Loops, ""))
    else {
        return Ruling::missing("both models under both loads");
    };
    let switches = |model| findings.median(SWITCHES, model, DELIVERIES).unwrap_or(f64::NAN);
    let costs = format!(
        "On `loops`, a request takes {:.2} times the CPU of `event-loop`, and a delivery {:.2} times, with {} context switches instead of {}.",
        requests_cpu.median,
        deliveries_cpu.median,
        short(switches(Model::Loops)),
        short(switches(Model::EventLoop))
    );
    if own < 2.0 {
        let verdict = if requests_cpu.side(2.0, noise.cpu) == Side::Above { Verdict::DoesNotHold } else { Verdict::NotShown };
        return Ruling::new(verdict, format!("{costs} Only {own} core is without load, so throughput shows nothing."));
    }
    let hidden = |at| findings.median(BUSY, Model::Loops, at).is_none_or(|busy| busy > BUSY_MAX);
    let side = |ratio: &Ratio, at| match ratio.side(SCALES * own, noise.rate) {
        Side::Below if hidden(at) => Side::Unclear,
        side => side,
    };
    let verdict = match (side(&requests, REQUESTS), side(&deliveries, DELIVERIES)) {
        (Side::Below, _) | (_, Side::Above) => Verdict::DoesNotHold,
        (Side::Above, Side::Below) => Verdict::Holds,
        _ => Verdict::NotShown,
    };
    let grown = format!(
        "With {own} loops, there are {:.2} times the requests per second, and {:.2} times the deliveries.",
        requests.median, deliveries.median
    );
    Ruling::new(verdict, format!("{grown} {costs}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ratios of `loops` to `event-loop`.
    fn verdict(own: f64, [requests, deliveries]: [[f64; 2]; 2], cpu: f64, busy: f64) -> Verdict {
        let mut findings = Findings::default();
        for (at, rates) in [(REQUESTS, requests), (DELIVERIES, deliveries)] {
            findings.add(RATE, Model::EventLoop, at, 0.0, vec![1.0, 1.0]);
            findings.add(RATE, Model::Loops, at, 0.0, rates.to_vec());
            findings.add(CPU, Model::EventLoop, at, 0.0, vec![1.0, 1.0]);
            findings.add(CPU, Model::Loops, at, 0.0, vec![cpu, cpu]);
            findings.add(BUSY, Model::Loops, at, 0.0, vec![busy]);
        }
        findings.add(OWN, Model::Loops, "", 0.0, vec![own]);
        judge(&findings, &Noise { rate: 1.05, cpu: 1.05, ..Noise::NONE }).verdict
    }

    #[test]
    fn with_enough_cores_the_throughput_decides() {
        let verdict = |requests, deliveries| verdict(4.0, [requests, deliveries], 1.0, 0.5);
        assert_eq!(verdict([3.0, 3.9], [1.0, 1.1]), Verdict::Holds);
        assert_eq!(verdict([2.7, 3.9], [1.0, 1.1]), Verdict::NotShown, "a round disagrees");
        assert_eq!(verdict([3.0, 3.9], [1.0, 3.0]), Verdict::NotShown);
        assert_eq!(verdict([2.0, 2.1], [1.0, 1.1]), Verdict::DoesNotHold, "requests do not scale");
        assert_eq!(verdict([3.0, 3.9], [3.0, 3.1]), Verdict::DoesNotHold, "the lock does not matter");
    }

    #[test]
    fn a_busy_load_hides_growth() {
        assert_eq!(verdict(4.0, [[2.0, 2.1], [1.0, 1.1]], 1.0, 0.99), Verdict::NotShown);
        assert_eq!(verdict(4.0, [[3.0, 3.9], [3.0, 3.1]], 1.0, 0.99), Verdict::DoesNotHold);
    }

    #[test]
    fn with_two_cores_only_the_cpu_decides() {
        assert_eq!(verdict(1.0, [[2.0, 2.0], [1.0, 1.0]], 1.1, 0.5), Verdict::NotShown, "it cannot hold");
        assert_eq!(verdict(1.0, [[0.5, 0.5], [0.5, 0.5]], 2.0, 0.5), Verdict::NotShown, "within the noise");
        assert_eq!(verdict(1.0, [[1.0, 1.0], [1.0, 1.0]], 2.2, 0.5), Verdict::DoesNotHold);
    }

    #[test]
    fn the_load_gets_half_of_the_cores() {
        let told = |all: &[usize]| {
            let Division { loops, load, own } = divide(all);
            (loops, load, own)
        };
        assert_eq!(told(&[0, 1]), (vec![0, 1], vec![1], 1));
        assert_eq!(told(&[0, 1, 2]), (vec![0, 1], vec![2], 2));
        assert_eq!(told(&[0, 1, 2, 3]), (vec![0, 1], vec![2, 3], 2));
        assert_eq!([told(&[0]).2, told(&[]).2], [0, 0]);
    }
}
