//! One attack on one model.
//!
//! Owns the order of things (a baseline, the probe, the attack, the time to recover) and the verdict.

use std::thread;
use std::time::{Duration, Instant};

use pushlab::IoModel;

use crate::Result;
use crate::options::Options;
use crate::probe::Probe;
use crate::scenario::{Arena, Patience, Scenario};
use crate::target::{Figures, Target};

pub(crate) const EXPLANATIONS: &str = "\
probe            a client that asks for 13 bytes every 20 ms, by turns on a connection that it keeps and on a new one: how long half of
                 its requests, 99 of a hundred and the slowest took; each is to be answered within a second, under greed nine of
                 ten within 100 ms, unless the attack is one that the model cannot take (the table says so then)
left behind      descriptors, threads and resident memory of the server, before and after; they are to come back within 20 s: descriptors and
                 threads to at most 8 more than before, memory to at most 3 times as much and 32 MiB
verdict          what did not hold; an attack has promises of its own besides, such as that every message is accounted for";

const PROBE_PROMISE: Duration = Duration::from_secs(1);
/// Of nine requests in ten; what else runs on the machine delays the rest.
const PROMPT_PROMISE: Duration = Duration::from_millis(100);
const RECOVERY: Duration = Duration::from_secs(20);

pub(crate) struct Trial {
    pub(crate) observed: String,
    pub(crate) waits: String,
    pub(crate) left: String,
    pub(crate) broken: Vec<String>,
}

pub(crate) fn run(scenario: &Scenario, model: IoModel, options: &Options) -> Result<Trial> {
    let mut target = Target::start(model, scenario.strain)?;
    // The first answers touch what stays in memory from then on.
    for _ in 0..50 {
        target.counters()?;
    }
    settle(&target, |figures| figures.descriptors < 20);
    let before = target.figures()?;
    let probe = Probe::start(target.address);
    let arena = Arena { target: &target, model, ends: Instant::now() + options.time, connections: options.connections };
    let attacked = (scenario.attack)(&arena);
    let findings = probe.finish();

    let mut broken = Vec::new();
    let observed = attacked.unwrap_or_else(|error| {
        broken.push(error.to_string());
        "it did not come to its end".to_owned()
    });
    if let Some(end) = target.has_ended() {
        broken.push(end);
        return Ok(Trial { observed, waits: "-".to_owned(), left: "-".to_owned(), broken });
    }
    let [half, most, slowest] = [50.0, 99.0, 100.0].map(|percent| findings.wait_of(percent).as_secs_f64() * 1_000.0);
    let mut waits = format!("{half:.1}, {most:.0}, {slowest:.0} ms");
    match scenario.patience {
        Patience::Not(reason) => waits = format!("({waits}: {reason})"),
        _ if findings.failures > 0 => broken.push(format!("{} of the probe's requests failed", findings.failures)),
        _ if findings.wait_of(100.0) > PROBE_PROMISE => broken.push("the probe waited for more than a second".to_owned()),
        Patience::Prompt if findings.wait_of(90.0) > PROMPT_PROMISE => {
            broken.push("a tenth of the probe's requests waited for more than 100 ms".to_owned());
        }
        Patience::Prompt | Patience::Promised => {}
    }
    let is_back = |after: &Figures| {
        after.descriptors <= before.descriptors + 8
            && after.threads <= before.threads + 8
            && after.memory_bytes <= 3 * before.memory_bytes + 32 * 1024 * 1024
    };
    settle(&target, is_back);
    let after = target.figures()?;
    if !is_back(&after) {
        broken.push("not everything came back".to_owned());
    }
    if let Err(error) = target.counters() {
        broken.push(format!("afterwards it does not answer: {error}"));
    }
    let mib = |bytes: u64| format!("{} MiB", bytes.div_ceil(1024 * 1024));
    let left = format!(
        "{} -> {} fds, {} -> {} threads, {} -> {}",
        before.descriptors,
        after.descriptors,
        before.threads,
        after.threads,
        mib(before.memory_bytes),
        mib(after.memory_bytes)
    );
    Ok(Trial { observed, waits, left, broken })
}

/// Waits until the figures are as wanted, or for as long as recovering may take.
fn settle(target: &Target, is_well: impl Fn(&Figures) -> bool) {
    let begun = Instant::now();
    while begun.elapsed() < RECOVERY && !target.figures().is_ok_and(|figures| is_well(&figures)) {
        thread::sleep(Duration::from_millis(50));
    }
}
