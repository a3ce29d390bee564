//! One load on several models, in turn.
//!
//! Owns the rounds that claims about throughput share, and what a busy load hides. Leaves a round
//! itself to `load`.

use super::Lab;
use super::load::{Load, Round};
use super::process::ServerProcess;
use super::samples::{Ratio, Side};
use super::wire::Exchange;
use crate::Result;

/// From this share of its core on, the load may be what limits the throughput.
const BUSY_MAX: f64 = 0.95;

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

/// The side of a ratio of two rates. A load that is at its limit hides how fast its server is: then
/// a ratio that says that the other server is faster is unclear. `busy` is the share of the load's
/// core for both.
pub(crate) fn side(ratio: &Ratio, threshold: f64, noise: f64, busy: [Option<f64>; 2]) -> Side {
    let [of_a, of_b] = busy.map(|busy| busy.is_none_or(|busy| busy > BUSY_MAX));
    match ratio.side(threshold, noise) {
        Side::Above if of_b => Side::Unclear,
        Side::Below if of_a => Side::Unclear,
        side => side,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_at_its_limit_hides_only_that_its_server_is_faster() {
        let [twice, half] = [2.0, 0.5].map(|ratio| Ratio { median: ratio, low: ratio, high: ratio });
        let (busy, free) = (Some(1.0), Some(0.5));
        assert_eq!([side(&twice, 1.0, 1.0, [busy, free]), side(&half, 1.0, 1.0, [busy, free])], [Side::Above, Side::Unclear]);
        assert_eq!([side(&twice, 1.0, 1.0, [free, busy]), side(&half, 1.0, 1.0, [free, busy])], [Side::Unclear, Side::Below]);
        assert_eq!(side(&twice, 1.0, 1.0, [free, None]), Side::Unclear, "the share of the load is not known");
    }
}
