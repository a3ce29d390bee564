//! C20: what a held request costs while it waits.

use std::thread;
use std::time::{Duration, Instant};

use super::{Chart, Claim};
use crate::Result;
use crate::findings::{Findings, Noise, Quantity, Ruling, Verdict};
use crate::lab::Lab;
use crate::lab::crowd::{Crowd, Kind};
use crate::lab::model::Model;
use crate::lab::samples::{inner_spread, median, short};
use crate::server::Setup;

const SWITCHES: Quantity = Quantity { name: "context switches per second of a held request", unit: "/s" };
const CPU: Quantity = Quantity { name: "server CPU per second of a held request", unit: "µs" };

const HELD: usize = 1_000;
/// The pool has 200 threads, and the one that counts what is held takes one of them.
const HELD_BY_POOL: usize = 199;
const AT: &str = "held requests";

pub(crate) const CLAIM: Claim = Claim {
    id: "C20",
    sentence: "A held request costs its thread nothing but memory.",
    source: "Textbook sentence on process states: a blocked thread cannot run, so the scheduler does not look at it; for example Tanenbaum, Bos, \
             \"Modern Operating Systems\" (4th edition, 2015), section 2.1.5.",
    setup: "1,000 held requests (199 on `pool`, which has 200 threads) that nobody answers. No client sends anything.",
    measured: "Context switches and CPU of the server, per held request and second. A thread that wakes up counts with at least one switch.",
    rule: "It holds if a held request takes less than 0.01 context switches and less than 1 µs of CPU per second on `threads`, in at least 4 of 5 rounds. It does not hold if it takes more than 0.1 context switches or more than 10 µs in at least 4 of 5 rounds. Otherwise nothing is shown.",
    needs: &[Model::EventLoop, Model::Threads, Model::Pool],
    takes: &[Model::Loops, Model::Workers, Model::Poll],
    is_timed: false,
    chart: Chart::bars(SWITCHES, ""),
    explanation: "The thread of a connection sleeps in the kernel until a handler answers, the client sends or ends, or a time-out ends. The \
                  threads of `pool` cannot be woken by a handler: each of them looks for an answer 50 times a second.",
    file: "src/driver/thread_per_conn/reader.rs",
    seconds: [2.3, 26.0],
    measure,
    judge,
};

fn measure(lab: &mut Lab<'_>) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut subjects = Vec::new();
    for model in lab.models() {
        lab.step(&format!("held requests on {model}"))?;
        let server = lab.start_with(&Setup { threads: HELD_BY_POOL + 1, ..lab.setup(model) })?;
        let mut crowd = Crowd::new(Kind::Held, server.address)?;
        let held = if model == Model::Pool { HELD_BY_POOL } else { HELD };
        crowd.grow(held.min((lab.connections_max() / lab.models().len()).saturating_sub(1)))?;
        server.settled_threads();
        subjects.push((server, crowd));
    }
    let time = Duration::from_millis(lab.effort().pick(250, 5_000));
    let mut rounds: Vec<Vec<[f64; 2]>> = subjects.iter().map(|_| Vec::new()).collect();
    for round in 0..lab.effort().rounds() {
        // Nothing is sent, so all servers can be observed at the same time.
        let before: Vec<_> = subjects.iter().map(|(server, _)| server.usage()).collect();
        let end = Instant::now() + time;
        while Instant::now() < end {
            lab.step(&format!("waiting, round {}", round + 1))?;
            thread::sleep(Duration::from_millis(100).min(end.saturating_duration_since(Instant::now())));
        }
        for (((server, crowd), before), rounds) in subjects.iter().zip(before).zip(&mut rounds) {
            let used = before.until(server.usage());
            let each = |sum: f64| sum / used.seconds / crowd.len() as f64;
            rounds.push([each(used.switches), each(used.cpu_seconds * 1e6)]);
        }
    }
    for ((server, crowd), rounds) in subjects.iter_mut().zip(rounds) {
        server.check()?;
        findings.add(SWITCHES, server.model, AT, 0.0, rounds.iter().map(|[switches, _]| *switches).collect());
        findings.add(CPU, server.model, AT, 0.0, rounds.iter().map(|[_, cpu]| *cpu).collect());
        if crowd.len() < HELD {
            findings.notes.push(format!("`{}` held {} requests.", server.model, crowd.len()));
        }
    }
    Ok(findings)
}

fn judge(findings: &Findings, _: &Noise) -> Ruling {
    let of = |model| (findings.rounds(SWITCHES, model, AT), findings.rounds(CPU, model, AT));
    let (switches, cpu) = of(Model::Threads);
    if switches.is_empty() || cpu.is_empty() || switches.iter().chain(cpu).any(|figure| !figure.is_finite()) {
        return Ruling::missing("`threads` with held requests");
    }
    let ((switches_low, switches_high), (cpu_low, cpu_high)) = (inner_spread(switches), inner_spread(cpu));
    let verdict = if switches_low > 0.1 || cpu_low > 10.0 {
        Verdict::DoesNotHold
    } else if switches_high < 0.01 && cpu_high < 1.0 {
        Verdict::Holds
    } else {
        Verdict::NotShown
    };
    let told = |model| {
        let (switches, cpu) = of(model);
        format!("{} context switches and {} µs of CPU", short(median(switches)), short(median(cpu)))
    };
    let because = format!(
        "In a second, a held request takes {} on `threads`, {} on `event-loop`, and {} on `pool`.",
        told(Model::Threads),
        told(Model::EventLoop),
        told(Model::Pool)
    );
    Ruling::new(verdict, because)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_follows_the_figures() {
        let verdict = |switches: [f64; 2], cpu: [f64; 2]| {
            let mut findings = Findings::default();
            findings.add(SWITCHES, Model::Threads, AT, 0.0, switches.to_vec());
            findings.add(CPU, Model::Threads, AT, 0.0, cpu.to_vec());
            judge(&findings, &Noise::NONE).verdict
        };
        assert_eq!(verdict([0.0, 0.009], [0.0, 0.9]), Verdict::Holds);
        assert_eq!(verdict([0.0, 0.02], [0.0, 0.9]), Verdict::NotShown, "a round disagrees");
        assert_eq!(verdict([0.0, 0.0], [0.0, 2.0]), Verdict::NotShown);
        assert_eq!(verdict([50.0, 50.0], [0.0, 0.0]), Verdict::DoesNotHold, "threads wake up");
        assert_eq!(verdict([0.0, 0.0], [11.0, 12.0]), Verdict::DoesNotHold);
        assert_eq!(verdict([f64::NAN, 0.0], [0.0, 0.0]), Verdict::NotShown);
    }
}
