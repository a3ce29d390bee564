//! C16: what idle connections cost a request, with epoll and with poll(2).

use super::{Chart, Claim};
use crate::Result;
use crate::findings::{Findings, Noise, Point, Quantity, Ruling, Verdict};
use crate::lab::Lab;
use crate::lab::crowd::{Crowd, Kind};
use crate::lab::load::Load;
use crate::lab::model::Model;
use crate::lab::samples::{Ratio, Side, grouped};
use crate::lab::wire::Exchange;

const CPU: Quantity = Quantity { name: "server CPU per request", unit: "µs" };
const RATE: Quantity = Quantity { name: "requests per second", unit: "/s" };

const NONE: &str = "no idle connections";
const QUICK: &[usize] = &[0, 1_000, 5_000];
const FULL: &[usize] = &[0, 100, 1_000, 5_000, 10_000];
/// With more of them, one call of poll(2) finds more that are ready, so that each pays less.
const BUSY_CONNECTIONS: usize = 8;

pub(crate) const CLAIM: Claim = Claim {
    id: "C16",
    sentence: "poll(2) pays for every idle connection, and epoll only for the busy ones.",
    source: "Gammo, Brecht, Shukla, Pariag, \"Comparing and Evaluating epoll, select, and poll Event Mechanisms\" (Linux Symposium 2004).",
    setup: "8 busy connections ask for 13 bytes, with one request in flight each. Beside them, 0, 1,000 and 5,000 connections (in a full run \
            also 100 and 10,000) have been answered once and are idle. The event loop is the same, over epoll and over poll(2).",
    measured: "Server CPU per request, and requests per second.",
    rule: "It holds if the most idle connections make a request at least twice as expensive on `poll`, and less than 1.25 times as \
           expensive on `event-loop`. It does not hold if they make it less than 1.25 times as expensive on `poll`, or at least twice as \
           expensive on `event-loop`. At least 4 of 5 rounds must agree, by more than the noise. Otherwise, and with fewer than 1,000 idle connections, \
           nothing is shown.",
    needs: &[Model::EventLoop, Model::Poll],
    takes: &[Model::Foreign],
    is_timed: true,
    chart: Chart::lines(CPU, "idle connections").log(),
    explanation: "Each call of poll(2) gives the kernel the list of all sockets, and the kernel asks each of them. epoll keeps the list, and each \
                  socket adds itself to a list of those that are ready.",
    file: "src/driver/event_loop/mod.rs",
    seconds: [4.0, 65.0],
    measure,
    judge,
};

fn name(idle: usize) -> String {
    if idle == 0 { NONE.to_owned() } else { format!("{} idle", grouped(idle as f64)) }
}

fn measure(lab: &mut Lab<'_>) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut subjects = Vec::new();
    for model in lab.models() {
        let server = lab.start(model)?;
        let load = Load::connect(Exchange::Requests, server.address, BUSY_CONNECTIONS)?;
        let crowd = Crowd::new(Kind::KeepAlive, server.address)?;
        subjects.push((server, load, crowd));
    }
    let (warm_up, time) = (lab.effort().warm_up(), lab.effort().round_time());
    // The idle connections of all servers are open in this process at the same time.
    let most = (lab.connections_max() / subjects.len().max(1)).saturating_sub(2 * BUSY_CONNECTIONS);
    let mut counts: Vec<usize> = lab.effort().pick(QUICK, FULL).iter().map(|count| (*count).min(most)).collect();
    counts.dedup();
    for count in counts {
        let at = name(count);
        for (server, _, crowd) in &mut subjects {
            lab.step(&format!("{at}, {}", server.model))?;
            crowd.grow(count).map_err(|error| format!("the {} server: {error}", server.model))?;
        }
        let rounds = lab.in_turn(lab.effort().rounds(), &mut subjects, |lab, (server, load, _), round| {
            lab.step(&format!("{at}, {}, round {}", server.model, round + 1))?;
            load.round(server, warm_up, time)
        })?;
        for ((server, ..), rounds) in subjects.iter().zip(rounds) {
            // A logarithmic axis has no 0.
            let x = count.max(1) as f64;
            findings.add(CPU, server.model, &at, x, rounds.iter().map(|round| round.server_cpu_us).collect());
            findings.add(RATE, server.model, &at, x, rounds.iter().map(|round| round.per_second).collect());
        }
    }
    Ok(findings)
}

/// How many times as expensive a request is with the most idle connections, and the setting with
/// them.
fn growth(findings: &Findings, model: Model) -> Option<(Ratio, &Point)> {
    let series = findings.series.iter().find(|series| series.quantity == CPU.name && series.column == model.name())?;
    let last = series.points.last().filter(|point| point.at != NONE)?;
    Some((Ratio::of(&last.rounds, findings.rounds(CPU, model, NONE))?, last))
}

fn judge(findings: &Findings, noise: &Noise) -> Ruling {
    const DEARER: f64 = 2.0;
    const ALIKE: f64 = 1.25;
    const IDLE_MIN: f64 = 1_000.0;
    let Some((epoll, _)) = growth(findings, Model::EventLoop) else { return Ruling::missing("`event-loop` beside idle connections") };
    let Some((poll, most)) = growth(findings, Model::Poll) else {
        return Ruling::missing("the model `poll`, which needs a build of its own");
    };
    let is = |ratio: &Ratio, threshold, side| ratio.side(threshold, noise.cpu) == side;
    let verdict = if most.x < IDLE_MIN {
        Verdict::NotShown
    } else if is(&poll, ALIKE, Side::Below) || is(&epoll, DEARER, Side::Above) {
        Verdict::DoesNotHold
    } else if is(&poll, DEARER, Side::Above) && is(&epoll, ALIKE, Side::Below) {
        Verdict::Holds
    } else {
        Verdict::NotShown
    };
    let because = format!(
        "Beside {} connections, a request costs {:.2} times the CPU on `poll`, and {:.2} times on `event-loop`.",
        most.at, poll.median, epoll.median
    );
    Ruling::new(verdict, because)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_follows_the_figures() {
        let ruling = |idle: f64, poll: &[f64], epoll: &[f64]| {
            let mut findings = Findings::default();
            for (model, rounds) in [(Model::Poll, poll), (Model::EventLoop, epoll)] {
                findings.add(CPU, model, NONE, 1.0, rounds.iter().map(|_| 4.0).collect());
                findings.add(CPU, model, "the most idle", idle, rounds.to_vec());
            }
            judge(&findings, &Noise { cpu: 1.02, ..Noise::NONE })
        };
        let verdict = |poll: [f64; 2], epoll: [f64; 2]| ruling(5_000.0, &poll, &epoll).verdict;
        assert_eq!(verdict([9.0, 99.0], [4.0, 4.8]), Verdict::Holds);
        assert_eq!(verdict([8.1, 99.0], [4.0, 4.1]), Verdict::NotShown, "a round is within the noise");
        assert_eq!(verdict([9.0, 9.0], [4.0, 5.1]), Verdict::NotShown);
        assert_eq!(verdict([4.0, 4.8], [4.0, 4.0]), Verdict::DoesNotHold, "poll(2) does not pay");
        assert_eq!(verdict([9.0, 9.0], [8.5, 9.0]), Verdict::DoesNotHold, "epoll pays, too");
        assert_eq!(ruling(464.0, &[4.0, 4.1], &[4.0, 4.0]).verdict, Verdict::NotShown, "too few idle connections");
        assert!(ruling(5_000.0, &[], &[4.0]).because.contains("a build of its own"));
    }
}
