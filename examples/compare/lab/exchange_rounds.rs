//! One load on several models, in turn.
//!
//! Owns the rounds that claims about throughput share, and what a busy load hides. Leaves a round
//! itself to `load`.

use super::Lab;
use super::load::{Load, Round};
use super::model::Model;
use super::process::ServerProcess;
use super::samples::{Ratio, Side};
use super::wire::Exchange;
use crate::Result;
use crate::findings::{Findings, Quantity};

/// From this share of its core on, the load may be what limits the throughput.
const BUSY_MAX: f64 = 0.95;

pub(crate) const LOAD_BUSY: Quantity = Quantity { name: "share of the load's core that is busy", unit: "" };
pub(crate) const SERVER_BUSY: Quantity = Quantity { name: "share of the server's core that is busy", unit: "" };

/// The name of a load.
pub(crate) fn name(exchange: Exchange, connections: usize) -> String {
    let plural = if connections == 1 { "" } else { "s" };
    format!("{}, {connections} connection{plural}", exchange.name())
}

/// Measures one load on each server in turn. Returns the rounds of each server.
pub(crate) fn measure(lab: &mut Lab<'_>, servers: &mut [ServerProcess], exchange: Exchange, connections: usize) -> Result<Vec<Vec<Round>>> {
    let (warm_up, time) = (lab.effort().warm_up(), lab.effort().round_time());
    let mut subjects = Vec::new();
    for server in servers {
        let load = Load::connect(exchange, server.address, connections);
        let load = load.map_err(|error| format!("the {} server: {error}", server.model))?;
        subjects.push((server, load));
    }
    lab.in_turn(lab.effort().rounds(), &mut subjects, |lab, (server, load), round| {
        lab.step(&format!("{}, {}, round {}", name(exchange, connections), server.model, round + 1))?;
        load.round(server, warm_up, time)
    })
}

/// Adds how busy the cores of the load and of the server were.
pub(crate) fn add_busy(findings: &mut Findings, model: Model, at: &str, x: f64, rounds: &[Round]) {
    let figures = |figure: fn(&Round) -> f64| rounds.iter().map(figure).collect();
    findings.add(LOAD_BUSY, model, at, x, figures(|round| round.client_busy));
    findings.add(SERVER_BUSY, model, at, x, figures(|round| round.per_second * round.server_cpu_us / 1e6));
}

/// The factor by which a server may be faster than was seen. A load that uses its whole core may be
/// the limit. A server that is busy for 98 % of the time then is at most 1 / 0.98 times as fast.
fn hidden(findings: &Findings, model: Model, at: &str) -> f64 {
    let [load, server] = [LOAD_BUSY, SERVER_BUSY].map(|quantity| findings.median(quantity, model, at));
    match load {
        Some(busy) if busy <= BUSY_MAX => 1.0,
        _ => server.map_or(f64::INFINITY, |busy| (1.0 / busy).max(1.0)),
    }
}

/// The side of the ratio of the rates of two models under one load. A ratio that says that a model
/// is the slower one must say so even if that model is as fast as the load may have hidden.
pub(crate) fn side(findings: &Findings, ratio: &Ratio, models: [Model; 2], at: &str, threshold: f64, noise: f64) -> Side {
    let [of_a, of_b] = models.map(|model| hidden(findings, model, at));
    match [ratio.side(threshold, noise * of_b), ratio.side(threshold, noise * of_a)] {
        [Side::Above, _] => Side::Above,
        [_, Side::Below] => Side::Below,
        _ => Side::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_at_its_limit_hides_only_that_its_server_is_faster() {
        const A: Model = Model::EventLoop;
        const B: Model = Model::Threads;
        // How busy are the load of A, the server A, the load of B, and the server B?
        let side = |ratio: f64, busy: [Option<f64>; 4]| {
            let mut findings = Findings::default();
            for ((model, quantity), busy) in [(A, LOAD_BUSY), (A, SERVER_BUSY), (B, LOAD_BUSY), (B, SERVER_BUSY)].into_iter().zip(busy) {
                findings.add(quantity, model, "", 0.0, busy.into_iter().collect());
            }
            side(&findings, &Ratio { median: ratio, low: ratio, high: ratio }, [A, B], "", 1.0, 1.1)
        };
        let (free, half, full) = (Some(0.5), Some(0.5), Some(0.99));
        assert_eq!([side(2.0, [full, half, free, half]), side(0.47, [full, half, free, half])], [Side::Above, Side::Unclear]);
        assert_eq!([side(1.9, [free, half, full, half]), side(0.5, [free, half, full, half])], [Side::Unclear, Side::Below]);
        assert_eq!(
            [side(2.0, [free, half, full, full]), side(1.1, [free, half, full, full])],
            [Side::Above, Side::Unclear],
            "the server is at its limit, too"
        );
        assert_eq!(side(2.0, [free, half, None, half]), Side::Unclear, "the share of the load is not known");
    }
}
