//! One attack on one IO model.
//!
//! Owns the order of the steps (baseline, probe, attack, recovery) and the verdict. Leaves the
//! attack to `attacks/`. A promise about time that did not hold while other programs were busy is
//! neither held nor broken: it is not shown.

use std::error::Error;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use pushlab::IoModel;

use crate::options::Options;
use crate::others::Others;
use crate::probe::{Findings, Probe};
use crate::scenario::{Arena, Late, Patience, Scenario};
use crate::target::{Figures, Target};
use crate::{Result, wire};

pub(crate) const EXPLANATIONS: &str = "\
probe            a client that requests 13 bytes every 20 ms, in turn on a kept connection and on a new one. The column shows the time
                 within which half of its requests and 99 % of them ended, and the slowest. Each must be answered within a second, and
                 in the attacks deaf-pipeline and greedy nine of ten within 100 ms. A time in parentheses has no promise; the reason follows.
left behind      descriptors, threads and resident memory of the server, before and after. Within 20 s, descriptors and threads must
                 return to at most 8 more than before, and memory to at most 3 times as much plus 32 MiB.
verdict          what did not hold. Each attack also has promises of its own, such as that every message is accounted for. `not shown` means
                 that a promise about time held in none of three trials, while other programs kept a tenth of a processor or more
                 busy: close them and try again.";

const PROBE_PROMISE: Duration = Duration::from_secs(1);
/// For nine requests of ten. Other work on the machine may delay the rest.
const PROMPT_PROMISE: Duration = Duration::from_millis(100);
const RECOVERY: Duration = Duration::from_secs(20);

/// From this number of busy processors on, other programs may be the reason for a delay. `compare`
/// warns at the same number.
const OTHERS_BUSY: f64 = 0.1;

pub(crate) struct Trial {
    pub(crate) observed: String,
    pub(crate) waits: String,
    pub(crate) left: String,
    faults: Faults,
    /// Processors that other programs kept busy.
    others_busy: Option<f64>,
}

/// What did not hold.
#[derive(Default)]
struct Faults {
    /// Faults that other programs cannot cause.
    wrong: Vec<String>,
    /// Something took too long. Other programs may be the reason.
    late: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Held,
    NotShown(String),
    Broken(String),
}

impl Trial {
    pub(crate) fn verdict(&self) -> Verdict {
        let Faults { wrong, late } = &self.faults;
        let all = [&wrong[..], &late[..]].concat().join("; ");
        match self.others_busy {
            _ if all.is_empty() => Verdict::Held,
            Some(busy) if wrong.is_empty() && busy >= OTHERS_BUSY => {
                Verdict::NotShown(format!("{all}, while other programs kept {busy:.1} processors busy"))
            }
            _ => Verdict::Broken(all),
        }
    }
}

pub(crate) fn run(scenario: &Scenario, model: IoModel, options: &Options) -> Result<Trial> {
    let mut target = Target::start(model, scenario.strain)?;
    // The first answers allocate memory that the server keeps. The baseline must contain it.
    for _ in 0..50 {
        target.counters()?;
    }
    settle(&target, |figures| figures.descriptors < 20);
    let before = target.figures()?;
    let others = Others::watch(target.id());
    let probe = Probe::start(target.address);
    let arena = Arena { target: &target, model, ends: Instant::now() + options.time, connections: options.connections };
    let attacked = (scenario.attack)(&arena);
    let findings = probe.finish();
    let busy_meanwhile = others.busy();

    let mut faults = Faults::default();
    let observed = attacked.unwrap_or_else(|error| {
        let faults = if is_late(&*error) { &mut faults.late } else { &mut faults.wrong };
        faults.push(error.to_string());
        "the attack did not finish".to_owned()
    });
    if let Some(end) = target.has_ended() {
        faults.wrong.push(end);
        return Ok(Trial { observed, waits: "-".to_owned(), left: "-".to_owned(), faults, others_busy: None });
    }
    let waits = judge_probe(&findings, scenario.patience, &mut faults.late);
    let others = Others::watch(target.id());
    let is_back = |after: &Figures| {
        after.descriptors <= before.descriptors + 8
            && after.threads <= before.threads + 8
            && after.memory_bytes <= 3 * before.memory_bytes + 32 * 1024 * 1024
    };
    settle(&target, is_back);
    let after = target.figures()?;
    if !is_back(&after) {
        faults.late.push("the server keeps too many descriptors, threads or too much memory".to_owned());
    }
    if let Err(error) = target.counters() {
        faults.wrong.push(format!("the server does not answer after the attack: {error}"));
    }
    // Something may have been late during the attack or during the recovery. The busier one of the
    // two counts.
    let others_busy = busy_meanwhile.zip(others.busy()).map(|(meanwhile, afterwards)| meanwhile.max(afterwards));
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
    Ok(Trial { observed, waits, left, faults, others_busy })
}

/// Returns the probe's waiting times as text, and adds to `late` what took too long.
fn judge_probe(findings: &Findings, patience: Patience, late: &mut Vec<String>) -> String {
    let [half, most, slowest] = [50.0, 99.0, 100.0].map(|percent| findings.wait_of(percent).as_secs_f64() * 1_000.0);
    let waits = format!("{half:.1}, {most:.0}, {slowest:.0} ms");
    match patience {
        Patience::Not(reason) => return format!("({waits}: {reason})"),
        _ if findings.failures > 0 => late.push(format!("{} of the probe's requests failed", findings.failures)),
        _ if findings.wait_of(100.0) > PROBE_PROMISE => late.push("the probe waited for more than a second".to_owned()),
        Patience::Prompt if findings.wait_of(90.0) > PROMPT_PROMISE => {
            late.push("a tenth of the probe's requests waited for more than 100 ms".to_owned());
        }
        Patience::Prompt | Patience::Promised => {}
    }
    waits
}

/// Whether an attack failed because something took too long: a promise about time, or a timeout of
/// a socket.
fn is_late(error: &(dyn Error + Send + Sync + 'static)) -> bool {
    error.is::<Late>() || error.downcast_ref::<io::Error>().is_some_and(wire::is_later)
}

/// Waits until the figures are well, at most for [`RECOVERY`].
fn settle(target: &Target, is_well: impl Fn(&Figures) -> bool) {
    let begun = Instant::now();
    while begun.elapsed() < RECOVERY && !target.figures().is_ok_and(|figures| is_well(&figures)) {
        thread::sleep(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(wrong: &[&str], late: &[&str], others_busy: Option<f64>) -> Verdict {
        let [wrong, late] = [wrong, late].map(|faults| faults.iter().map(|&fault| fault.to_owned()).collect());
        let [observed, waits, left] = [const { String::new() }; 3];
        Trial { observed, waits, left, faults: Faults { wrong, late }, others_busy }.verdict()
    }

    #[test]
    fn what_other_programs_may_have_delayed_is_not_shown() {
        assert_eq!(verdict(&[], &[], None), Verdict::Held);
        assert_eq!(verdict(&[], &[], Some(2.0)), Verdict::Held);
        let why = "late, while other programs kept 0.1 processors busy";
        assert_eq!(verdict(&[], &["late"], Some(OTHERS_BUSY)), Verdict::NotShown(why.to_owned()));
        for quiet in [None, Some(0.0), Some(OTHERS_BUSY - 0.001)] {
            assert_eq!(verdict(&[], &["late"], quiet), Verdict::Broken("late".to_owned()));
        }
    }

    #[test]
    fn what_is_wrong_is_broken_on_every_machine() {
        for busy in [None, Some(0.0), Some(2.0)] {
            assert_eq!(verdict(&["wrong"], &["late"], busy), Verdict::Broken("wrong; late".to_owned()));
        }
    }

    #[test]
    fn only_what_took_long_is_late() {
        for kind in [io::ErrorKind::TimedOut, io::ErrorKind::WouldBlock] {
            assert!(is_late(&io::Error::from(kind)), "{kind}");
        }
        assert!(is_late(&Late("not yet".to_owned())));
        assert!(!is_late(&io::Error::from(io::ErrorKind::ConnectionReset)));
        assert!(!is_late(&*Box::<dyn Error + Send + Sync>::from("a gap")));
    }
}
