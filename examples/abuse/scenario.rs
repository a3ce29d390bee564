//! The list of attacks.
//!
//! Owns each attack's name, its server's limits and the promise to the probe. Leaves the attacks
//! themselves to `attacks/`.

use std::error::Error;
use std::fmt;
use std::time::Instant;

use pushlab::IoModel;

use crate::Result;
use crate::attacks::{crowds, faults, greed, slowness};
use crate::target::Target;

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) models: &'static [IoModel],
    pub(crate) strain: Strain,
    pub(crate) patience: Patience,
    /// Returns what the attack saw. An error names a promise that did not hold.
    pub(crate) attack: fn(&Arena<'_>) -> Result<String>,
}

/// A promise about time that did not hold. Other programs may be the reason. Every other error is
/// the server's own fault.
#[derive(Debug)]
pub(crate) struct Late(pub(crate) String);

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Late {}

/// The resources that the server may use.
#[derive(Clone, Copy)]
pub(crate) struct Strain {
    pub(crate) descriptors: Option<usize>,
    pub(crate) max_threads: usize,
}

/// How fast the probe must be answered during an attack.
#[derive(Clone, Copy)]
pub(crate) enum Patience {
    /// Within a second.
    Promised,
    /// Within a second, and nine times of ten within 100 ms: a greedy connection gets only its
    /// share of each turn.
    Prompt,
    /// There is no promise under this attack, for this reason.
    Not(&'static str),
}

/// What an attack gets: the server, and the bounds on time and connections.
pub(crate) struct Arena<'a> {
    pub(crate) target: &'a Target,
    pub(crate) model: IoModel,
    pub(crate) ends: Instant,
    pub(crate) connections: usize,
}

impl Arena<'_> {
    pub(crate) fn goes_on(&self) -> bool {
        Instant::now() < self.ends
    }
}

const BOTH: &[IoModel] = &IoModel::ALL;
const FREE: Strain = Strain { descriptors: None, max_threads: 12_000 };

const fn scenario(name: &'static str, what: &'static str, attack: fn(&Arena<'_>) -> Result<String>) -> Scenario {
    Scenario { name, what, models: BOTH, strain: FREE, patience: Patience::Promised, attack }
}

pub(crate) const ALL: &[Scenario] = &[
    scenario("slow-heads", "request heads, one byte at a time (Slowloris)", slowness::heads),
    scenario("slow-bodies", "request bodies, one byte at a time", slowness::bodies),
    scenario("silent", "connections that never send a byte", slowness::silent),
    scenario("deaf-streams", "subscribers that never read, while messages are published", greed::deaf_streams),
    Scenario {
        patience: Patience::Prompt,
        ..scenario("deaf-pipeline", "pipelined requests for large answers, none of which is read", greed::deaf_pipeline)
    },
    scenario("flood", "a publisher that is faster than every reader", greed::flood),
    Scenario { patience: Patience::Prompt, ..scenario("greedy", "16 connections that send requests without a pause", greed::greedy) },
    scenario("crowd", "thousands of connections at once, each with a request", crowds::crowd),
    scenario("resets", "connections that are reset at every stage", crowds::resets),
    scenario("reconnects", "subscribers that reconnect all the time, and count their messages", crowds::reconnects),
    Scenario {
        strain: Strain { descriptors: Some(128), max_threads: 12_000 },
        patience: Patience::Not("there are no descriptors"),
        ..scenario("descriptors", "more connections than there are descriptors", faults::descriptors)
    },
    Scenario {
        models: &[IoModel::ThreadPerConnection],
        strain: Strain { descriptors: None, max_threads: 32 },
        patience: Patience::Not("there are no threads"),
        ..scenario("threads", "held requests on every thread", faults::threads)
    },
    scenario("panics", "handlers that panic", faults::panics),
    scenario("blocking", "a handler that blocks for 100 ms, one request at a time", faults::blocking),
    scenario("garbage", "random bytes instead of requests, and after valid handshakes", faults::garbage),
];
