//! The speed of requests and echoes, and their cost for the server. It tests the claim that
//! event-driven servers are faster, but that blocking sends sometimes win.
//!
//! Owns the load points and the rounds. Leaves sending the load to `client`. Both servers run all
//! the time and are measured in turn, so that other work on the machine affects both. Figures are
//! medians of the rounds.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use pushlab::IoModel;

use crate::Result;
use crate::client::Client;
use crate::idle::DESCRIPTORS_RESERVED;
use crate::interrupt;
use crate::options::Options;
use crate::proc::{self, DescriptorLimits};
use crate::process::ServerProcess;
use crate::progress::Progress;
use crate::wire::Use;

const FEW: usize = 8;
const MANY: usize = 256;
/// The descriptors that this process needs for full load: it is connected to both servers at once.
pub(crate) const DESCRIPTORS: usize = DESCRIPTORS_RESERVED + 2 * MANY;
/// Longer latencies are recorded as this one.
const LATENCY_MAX_NS: u64 = 60_000_000_000;
/// Significant digits of recorded latencies.
const DIGITS: u8 = 3;
/// The kernel reports processor time in hundredths of a second. A sum below this value is too
/// coarse to compute a cost from.
const CPU_SECONDS_MIN: f64 = 0.05;

/// One kind of load.
#[derive(Clone, Copy)]
pub(crate) struct Point {
    purpose: Use,
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) connections: usize,
}

pub(crate) struct Figures {
    pub(crate) per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) server_cpu_us: Option<f64>,
    pub(crate) context_switches: Option<f64>,
    /// The share of one processor that the load generator used.
    pub(crate) client_busy: Option<f64>,
}

/// All results about load.
pub(crate) struct Load {
    pub(crate) points: Vec<Measured>,
    /// The mean number of processors that other programs kept busy meanwhile.
    pub(crate) others_busy: Option<f64>,
}

pub(crate) struct Measured {
    pub(crate) point: Point,
    /// In the order of [`IoModel::ALL`].
    pub(crate) models: [Figures; 2],
}

/// # Errors
/// When there are not enough descriptors for even a few connections.
pub(crate) fn points(limits: DescriptorLimits) -> Result<Vec<Point>> {
    let most = limits.soft.saturating_sub(DESCRIPTORS_RESERVED) / 2;
    if most < FEW {
        let least = DESCRIPTORS_RESERVED + 2 * FEW;
        return Err(
            format!("a process may have only {} descriptors here, and {least} are needed: try `ulimit -n {least}`", limits.soft).into()
        );
    }
    let kinds = [(Use::Requests, "HTTP keep-alive", "requests"), (Use::Echo, "WebSocket echo, 16 B", "echoes")];
    let mut counts = vec![FEW, MANY.min(most)];
    counts.dedup();
    let point = |(purpose, name, unit), connections| Point { purpose, name, unit, connections };
    Ok(kinds.into_iter().flat_map(|kind| counts.iter().map(move |count| point(kind, *count))).collect())
}

pub(crate) fn steps(options: &Options, points: &[Point]) -> u64 {
    (points.len() * options.rounds * IoModel::ALL.len()) as u64
}

pub(crate) fn measure(options: &Options, points: Vec<Point>, progress: &mut Progress) -> Result<Load> {
    if interrupt::is_asked() {
        return Ok(Load { points: Vec::new(), others_busy: None });
    }
    let mut servers = ServerProcess::start_both()?;
    let (begin, others_before) = (Instant::now(), others_cpu_seconds(&servers));
    let mut measured = Vec::new();
    for point in points {
        match measure_point(point, &mut servers, options, progress) {
            // The point that was being measured is incomplete, and is not reported.
            _ if interrupt::is_asked() => break,
            models => measured.push(Measured { point, models: models? }),
        }
    }
    let others = others_cpu_seconds(&servers).zip(others_before).map(|(after, before)| after - before);
    // The kernel counts the system's and a process's time in different ways: the difference may be
    // slightly negative.
    let others_busy = others.map(|seconds| (seconds / begin.elapsed().as_secs_f64()).max(0.0));
    Ok(Load { points: measured, others_busy })
}

/// The processor time of the whole system, without this process and the servers.
fn others_cpu_seconds(servers: &[ServerProcess; 2]) -> Option<f64> {
    let ours = [servers[0].id(), servers[1].id(), std::process::id()].map(|id| proc::process(id).map(|process| process.cpu_seconds));
    Some(proc::system_cpu_seconds()? - ours.into_iter().sum::<Option<f64>>()?)
}

fn measure_point(point: Point, servers: &mut [ServerProcess; 2], options: &Options, progress: &mut Progress) -> Result<[Figures; 2]> {
    let connect = |server: &ServerProcess| {
        Client::connect(point.purpose, server.address, point.connections).map_err(|error| format!("the {} server: {error}", server.model))
    };
    let mut clients = [connect(&servers[0])?, connect(&servers[1])?];
    let mut rounds = [Vec::new(), Vec::new()];
    let time = Duration::from_secs_f64(options.seconds / options.rounds as f64);
    for round in 0..options.rounds {
        for turn in 0..2 {
            if interrupt::is_asked() {
                return Err("interrupted".into());
            }
            // The order changes in each round, so that neither model is always measured first.
            let at = (round + turn) % 2;
            let (server, client) = (&mut servers[at], &mut clients[at]);
            progress.step(&format!("{}, {} connections, {}, round {}", point.name, point.connections, server.model, round + 1));
            match measure_round(client, server.id(), options.warm_up, time) {
                Ok(measured) => rounds[at].push(measured),
                Err(error) => {
                    server.check()?;
                    return Err(format!("the {} server under load: {error}", server.model).into());
                }
            }
        }
    }
    let [first, second] = rounds;
    Ok([summary(&first), summary(&second)])
}

/// The raw figures of one round.
struct Round {
    operations: f64,
    seconds: f64,
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
    server_cpu_seconds: Option<f64>,
    client_cpu_seconds: Option<f64>,
    context_switches: Option<f64>,
}

fn measure_round(client: &mut Client, server_id: u32, warm_up: Duration, time: Duration) -> Result<Round> {
    let mut latencies = Histogram::new_with_bounds(1, LATENCY_MAX_NS, DIGITS)?;
    client.run(warm_up, &mut latencies)?;
    latencies.reset();

    let cpu_seconds = |id| proc::process(id).map(|process| process.cpu_seconds);
    let switches = proc::context_switches(server_id);
    let (server_cpu, client_cpu) = (cpu_seconds(server_id), cpu_seconds(std::process::id()));
    let run = client.run(time, &mut latencies)?;
    let (server_cpu_after, client_cpu_after) = (cpu_seconds(server_id), cpu_seconds(std::process::id()));
    let switches_after = proc::context_switches(server_id);

    let quantile_us = |quantile| latencies.value_at_quantile(quantile) as f64 / 1e3;
    Ok(Round {
        operations: run.operations as f64,
        seconds: run.elapsed.as_secs_f64(),
        p50_us: quantile_us(0.5),
        p99_us: quantile_us(0.99),
        p999_us: quantile_us(0.999),
        server_cpu_seconds: server_cpu_after.zip(server_cpu).map(|(after, before)| after - before),
        client_cpu_seconds: client_cpu_after.zip(client_cpu).map(|(after, before)| after - before),
        context_switches: switches_after.zip(switches).map(|(after, before)| after.saturating_sub(before) as f64),
    })
}

/// The figures of all rounds. Throughput and latency are medians. Costs are sums: the kernel
/// reports processor time in hundredths of a second, which is too coarse for one round.
fn summary(rounds: &[Round]) -> Figures {
    let typical = |figure: fn(&Round) -> f64| median(rounds.iter().map(figure).collect());
    let total = |figure: fn(&Round) -> f64| rounds.iter().map(figure).sum::<f64>();
    let known = |figure: fn(&Round) -> Option<f64>| rounds.iter().map(figure).sum::<Option<f64>>();
    let operations = total(|round| round.operations);
    let server_cpu = known(|round| round.server_cpu_seconds).filter(|seconds| *seconds >= CPU_SECONDS_MIN);
    Figures {
        per_second: typical(|round| round.operations / round.seconds),
        p50_us: typical(|round| round.p50_us),
        p99_us: typical(|round| round.p99_us),
        p999_us: typical(|round| round.p999_us),
        server_cpu_us: server_cpu.map(|seconds| seconds * 1e6 / operations),
        context_switches: known(|round| round.context_switches).map(|switches| switches / operations),
        client_busy: known(|round| round.client_cpu_seconds).map(|seconds| seconds / total(|round| round.seconds)),
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) { f64::midpoint(values[middle - 1], values[middle]) } else { values[middle] }
}
