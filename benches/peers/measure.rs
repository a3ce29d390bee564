//! The figures of a scenario: processor time of the server for an operation, or memory of a connection.
//!
//! Owns the rounds. The peers take turns, so that whatever else the machine does meets all of them.

use std::error::Error;
use std::io;
use std::time::Duration;

use crate::load::{Bounds, Load};
use crate::process::{Cores, ServerProcess};
use crate::scenarios::{Scenario, Work};
use crate::server::Peer;

/// Buffers, tables and the allocator's lists get their size in it.
const WARM_UP: Bounds = Bounds { operations: 1_000_000, time: Duration::from_millis(100) };
const ROUND: Bounds = Bounds { operations: 5_000_000, time: Duration::from_millis(300) };
const ROUNDS: usize = 7;

/// A round of few operations.
const REHEARSAL: Bounds = Bounds { operations: 100, time: Duration::from_secs(5) };

/// The connections that come before the first reading of memory. They pay for what all share.
const FIRST_CONNECTIONS: usize = 100;

/// What was measured of a peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    pub(crate) median: f64,
    /// The difference between the largest and the smallest round, as a part of the median. `None` for
    /// memory, which is read once.
    pub(crate) spread: Option<f64>,
}

struct Running {
    peer: Peer,
    server: ServerProcess,
    load: Load,
    figures: Vec<f64>,
}

/// Measures all peers that can do a scenario.
pub(crate) fn measure(scenario: &Scenario, cores: Option<Cores>) -> io::Result<Vec<(Peer, Figure)>> {
    let peers = peers(scenario);
    if matches!(scenario.work, Work::Idle) {
        return peers.map(|peer| Ok((peer, memory(scenario, peer, cores).map_err(|error| of_peer(peer, &error))?))).collect();
    }
    let mut all = peers.map(|peer| start(scenario, peer, cores)).collect::<io::Result<Vec<_>>>()?;
    for running in &mut all {
        running.round(WARM_UP)?;
    }
    for _ in 0..ROUNDS {
        for running in &mut all {
            let figure = running.round(ROUND)?;
            running.figures.push(figure);
        }
    }
    Ok(all.into_iter().map(|running| (running.peer, figure(running.figures))).collect())
}

/// Does a scenario once with each peer.
pub(crate) fn rehearse(scenario: &Scenario, cores: Option<Cores>) -> io::Result<Vec<Peer>> {
    let rehearse = |peer| {
        if matches!(scenario.work, Work::Idle) {
            memory(scenario, peer, cores).map_err(|error| of_peer(peer, &error))?;
        } else {
            start(scenario, peer, cores)?.round(REHEARSAL)?;
        }
        Ok(peer)
    };
    peers(scenario).map(rehearse).collect()
}

fn peers(scenario: &Scenario) -> impl Iterator<Item = Peer> {
    let service = scenario.service;
    Peer::ALL.into_iter().filter(move |peer| peer.offers(service))
}

fn start(scenario: &Scenario, peer: Peer, cores: Option<Cores>) -> io::Result<Running> {
    let begun = ServerProcess::start(peer, cores).and_then(|server| Ok((scenario.begin(server.address())?, server)));
    let (load, server) = begun.map_err(|error| of_peer(peer, &error))?;
    Ok(Running { peer, server, load, figures: Vec::new() })
}

impl Running {
    /// Returns the microseconds of the server for an operation.
    fn round(&mut self, bounds: Bounds) -> io::Result<f64> {
        let mut round = || {
            let before = self.server.processor_time()?;
            let operations = self.load.run(bounds)?;
            let used = self.server.processor_time()?.saturating_sub(before);
            Ok(used.as_secs_f64() * 1e6 / number(operations)?)
        };
        round().map_err(|error| of_peer(self.peer, &error))
    }
}

/// The bytes of a server's memory for an idle connection.
fn memory(scenario: &Scenario, peer: Peer, cores: Option<Cores>) -> io::Result<Figure> {
    let server = ServerProcess::start(peer, cores)?;
    let first = scenario.open_idle(server.address(), FIRST_CONNECTIONS)?;
    let before = server.settled_memory()?;
    let more = scenario.open_idle(server.address(), scenario.connections())?;
    let bytes = server.settled_memory()?.saturating_sub(before);
    drop((first, more));
    Ok(Figure { median: number(bytes)? / number(scenario.connections())?, spread: None })
}

fn figure(mut rounds: Vec<f64>) -> Figure {
    rounds.sort_by(f64::total_cmp);
    let median = rounds[rounds.len() / 2];
    Figure { median, spread: Some((rounds[rounds.len() - 1] - rounds[0]) / median) }
}

/// A count, which is far below the numbers that `f64` cannot express.
fn number(count: impl TryInto<u32, Error: Into<Box<dyn Error + Send + Sync>>>) -> io::Result<f64> {
    count.try_into().map(f64::from).map_err(io::Error::other)
}

fn of_peer(peer: Peer, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{peer}: {error}"))
}

#[test]
fn a_figure_is_the_median_of_its_rounds() {
    let figure = figure(vec![3.0, 1.0, 2.0, 2.5, 2.0]);
    assert_eq!(format!("{figure:?}"), "Figure { median: 2.0, spread: Some(1.0) }");
}
