//! C24: a client continues at another server.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use super::{Chart, Claim};
use crate::Result;
use crate::findings::{Findings, Noise, Quantity, Ruling, Verdict};
use crate::lab::Lab;
use crate::lab::broker::LogBroker;
use crate::lab::model::Model;
use crate::lab::plan::{AtEnd, Pace, Plan};
use crate::lab::process::ServerProcess;
use crate::lab::publisher::Publisher;
use crate::lab::samples::{grouped, median, short};
use crate::lab::subscribers::Subscribers;
use crate::lab::technique::Technique;
use crate::lab::wire;
use crate::server::Setup;

const CHANGES: Quantity = Quantity { name: "changes of the server", unit: "" };
const WRONG: Quantity = Quantity { name: "messages lost, repeated or in gaps", unit: "" };
const GAPS: Quantity = Quantity { name: "gaps that clients were told of", unit: "" };
const LATENCY: Quantity = Quantity { name: "latency of a publish", unit: "µs" };
const RATE: Quantity = Quantity { name: "publishes by 16 connections", unit: "1/s" };
const CPU: Quantity = Quantity { name: "server CPU per publish, by 16 connections", unit: "µs" };

const SHARED: &str = "shared log";
const ALONE: &str = "memory";
const COST: &str = "publishing";

const SUBSCRIBERS: usize = 4;
const PAYLOAD_BYTES: usize = 100;
const PUBLISHERS: usize = 16;
/// The technique that shows what servers without a shared log tell their clients.
const CONTRAST: Technique = Technique::Events;

pub(crate) const CLAIM: Claim = Claim {
    id: "C24",
    sentence: "With one log behind all servers, a client continues at any of them with the position that it has.",
    source: "Kleppmann, \"Designing Data-Intensive Applications\" (2017), chapter 11, on brokers that are logs: if a consumer fails, another \
             node continues at the last offset. Here each client of a web server has the offset.",
    setup: "Two servers share a stream of a broker: one is an event loop, the other has a thread for each connection. 4 subscribers of each \
            technique change the server with each new connection, while 60 (quick) or 300 (full) messages are published at the first server. \
            Beside them, two servers without a shared log, and one technique. The broker is a small one of this program, or that of --log.",
    measured: "Changes of the server; messages that were lost, repeated, or in a declared gap. Beside it, the cost of the log: the latency of \
               publishing one message after the other, and the rate and the server CPU with 16 connections, by the log and in memory, in 2 rounds (quick) or 5 (full).",
    rule: "It holds if, for each technique, in every round, each subscriber receives each message once and in order, without a gap, and has changed \
           the server. It does not hold if a single message is lost, repeated, or in a gap. Nothing is shown if a subscriber did not change the \
           server, or if the servers without a shared log have told of no gap, because this measurement would then see none. The cost decides \
           nothing.",
    needs: &[Model::EventLoop, Model::Threads],
    takes: &[],
    is_timed: false,
    chart: Chart::bars(LATENCY, ""),
    explanation: "A server gives no ids: it appends each message to the log, and the place in the log is the id. Each server applies the same \
                  records in the same order. A server that is behind a client's position lets the client wait. A publish is answered when its \
                  own record has come back, and that way is its cost.",
    file: "src/push/hub/apply.rs",
    seconds: [4.0, 40.0],
    measure,
    judge,
};

fn measure(lab: &mut Lab<'_>) -> Result<Findings> {
    let mut findings = Findings::default();
    let broker = LogBroker::start(lab.conditions)?;
    findings.notes.push(format!("The log is a stream of {}.", broker.name()));
    let start = |lab: &Lab<'_>, log: Option<&String>| -> Result<[ServerProcess; 2]> {
        let start = |model| lab.start_with(&Setup { log: log.cloned(), ..lab.setup(model) });
        Ok([start(Model::EventLoop)?, start(Model::Threads)?])
    };
    let log = broker.new_log("resume");
    let (shared, alone) = (start(lab, Some(&log))?, start(lab, None)?);
    let addresses = |servers: &[ServerProcess; 2]| servers.iter().map(|server| server.address).collect::<Vec<_>>();

    let ways = Technique::ALL.map(|technique| (SHARED, &shared, technique)).into_iter().chain([(ALONE, &alone, CONTRAST)]);
    for (x, (way, servers, technique)) in ways.enumerate() {
        let mut rounds = Vec::new();
        for round in 0..lab.effort().pick(1, 3) {
            lab.step(&format!("{technique}, {way}, round {}", round + 1))?;
            let messages = lab.effort().pick(60, 300);
            rounds.push(move_about(addresses(servers), technique, &format!("c24-{x}-{round}"), messages)?);
        }
        findings.add_rounds(way, &technique.to_string(), x as f64, &rounds);
    }

    let ways = [(ALONE, &alone), (SHARED, &shared)];
    let mut subjects: Vec<_> = ways.into_iter().flat_map(|(way, servers)| servers.iter().map(move |server| (way, server))).collect();
    let time = lab.effort().round_time();
    let rounds = lab.in_turn(lab.effort().pick(2, 5), &mut subjects, |lab, (way, server), round| {
        lab.step(&format!("{COST}, {}, {way}, round {}", server.model, round + 1))?;
        let latency = one_after_the_other(server.address, time)?;
        let (rate, cpu) = side_by_side(server, time)?;
        Ok([(LATENCY, latency), (RATE, rate), (CPU, cpu)])
    })?;
    for ((way, server), rounds) in subjects.iter().zip(rounds) {
        findings.add_rounds(column(server.model, way), COST, 0.0, &rounds);
    }
    Ok(findings)
}

fn column(model: Model, way: &str) -> String {
    format!("{model}, {way}")
}

/// Publishes at the first server, while the subscribers go from server to server.
fn move_about(addresses: Vec<SocketAddr>, technique: Technique, topic: &str, messages: u64) -> Result<[(Quantity, f64); 3]> {
    let every = Duration::from_millis(1);
    let mut plan = Plan::new(technique);
    plan.interval = Duration::from_millis(10);
    plan.at_end = AtEnd::Reconnect;
    plan.patience = Duration::from_secs(1);
    let mut publisher = Publisher::connect(addresses[0], topic, PAYLOAD_BYTES)?;
    let mut subscribers = Subscribers::connect(addresses[0], plan, SUBSCRIBERS, &publisher)?;
    subscribers.take_turns(addresses);
    // A WebSocket has no cursor before its first message.
    subscribers.run(&mut publisher, Pace::steady(5, every))?;
    subscribers.cut_every(Some(3 * every));
    let moved = subscribers.run(&mut publisher, Pace::steady(messages, every))?;
    subscribers.cut_every(None);
    // A client that has just changed the server still waits for its answer.
    subscribers.run(&mut publisher, Pace::steady(1, every))?;
    let (entries, due) = subscribers.close(publisher.sent());
    let changes = moved.tally.reconnects as f64;
    // Each subscriber must change, and they take turns.
    let changes = if moved.tally.reconnects >= SUBSCRIBERS as u64 { changes } else { 0.0 };
    let wrong = (due - entries.delivered.min(due)) + entries.repeated + entries.wrong_gaps;
    Ok([(CHANGES, changes), (WRONG, wrong as f64), (GAPS, entries.gaps as f64)])
}

/// Publishes on one connection. Returns the median of the latencies in microseconds.
fn one_after_the_other(address: SocketAddr, time: Duration) -> Result<f64> {
    let mut latencies = Vec::new();
    publish(address, time, |took| latencies.push(took.as_secs_f64() * 1e6))?;
    Ok(median(&latencies))
}

/// Publishes on several connections at once. Returns the publishes of a second, and the server's CPU
/// for each, in microseconds.
fn side_by_side(server: &ServerProcess, time: Duration) -> Result<(f64, f64)> {
    let (before, address) = (server.usage(), server.address);
    let counts = thread::scope(|scope| {
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|_| {
                scope.spawn(move || {
                    let mut count = 0_u64;
                    publish(address, time, |_| count += 1).map(|()| count).map_err(|error| error.to_string())
                })
            })
            .collect();
        publishers
            .into_iter()
            .map(|publisher| publisher.join().map_err(|_| "a publisher panicked")?)
            .collect::<std::result::Result<Vec<_>, _>>()
    })?;
    let used = before.until(server.usage());
    let count = counts.iter().sum::<u64>() as f64;
    Ok((count / used.seconds, used.cpu_seconds * 1e6 / count))
}

/// Publishes one message after the other on a connection. `each` gets the time of each.
fn publish(address: SocketAddr, time: Duration, mut each: impl FnMut(Duration)) -> Result<()> {
    let mut socket = wire::connect(address)?;
    let request = wire::post("/topics/c24-cost", &[b'x'; PAYLOAD_BYTES]);
    let begin = Instant::now();
    let mut last = begin;
    while last < begin + time {
        let answer = wire::ask(&mut socket, &request)?;
        if answer.status != 202 {
            return Err(wire::unexpected(&answer.bytes).into());
        }
        let now = Instant::now();
        each(now - last);
        last = now;
    }
    Ok(())
}

fn judge(findings: &Findings, _: &Noise) -> Ruling {
    let (mut changes, mut wrong, mut have_changed) = (0.0, 0.0, true);
    for technique in Technique::ALL {
        let at = technique.to_string();
        let [of_changes, of_wrong, gaps] = [CHANGES, WRONG, GAPS].map(|quantity| findings.rounds(quantity, SHARED, &at));
        if of_wrong.is_empty() {
            return Ruling::missing("each technique with a shared log");
        }
        have_changed &= of_changes.iter().all(|changes| *changes > 0.0);
        changes += of_changes.iter().sum::<f64>();
        wrong += of_wrong.iter().chain(gaps).sum::<f64>();
    }
    let told = findings.rounds(GAPS, ALONE, CONTRAST.name());
    let is_seen = !told.is_empty() && told.iter().all(|gaps| *gaps > 0.0);
    let verdict = match () {
        () if wrong > 0.0 => Verdict::DoesNotHold,
        () if have_changed && is_seen => Verdict::Holds,
        () => Verdict::NotShown,
    };
    let because = format!(
        "In {} changes of the server, {} messages were lost, repeated or in a gap. Servers without a shared log told of {} gaps.{}",
        grouped(changes),
        grouped(wrong),
        grouped(told.iter().sum()),
        cost(findings)
    );
    Ruling::new(verdict, because)
}

/// A sentence about the cost on the event loop, if it was measured.
fn cost(findings: &Findings) -> String {
    let [shared, alone] = [SHARED, ALONE].map(|way| column(Model::EventLoop, way));
    let median = |quantity, column: &str| findings.median(quantity, column, COST);
    let figures = median(LATENCY, &shared).zip(median(LATENCY, &alone)).zip(median(RATE, &shared));
    let (Some(((by_log, in_memory), rate)), Some(ratio)) = (figures, findings.ratio(RATE, COST, &shared, &alone)) else {
        return String::new();
    };
    format!(
        " On the event loop, a publish takes {} µs by the log and {} µs in memory. 16 connections publish {} messages a second by the log, \
         which is {} times as many as in memory.",
        short(by_log),
        short(in_memory),
        grouped(rate.round()),
        short(ratio.median)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The figures of one technique with the shared log, and the gaps without it.
    fn verdict([changes, wrong, gaps]: [f64; 3], told: f64) -> Verdict {
        let mut findings = Findings::default();
        for technique in Technique::ALL {
            let is_this = technique == Technique::LongPoll;
            let figures = if is_this { [changes, wrong, gaps] } else { [10.0, 0.0, 0.0] };
            for (quantity, figure) in [CHANGES, WRONG, GAPS].into_iter().zip(figures) {
                findings.add(quantity, SHARED, &technique.to_string(), 0.0, vec![figure]);
            }
        }
        findings.add(GAPS, ALONE, CONTRAST.name(), 0.0, vec![told]);
        judge(&findings, &Noise::NONE).verdict
    }

    #[test]
    fn the_rule_follows_the_figures() {
        assert_eq!(verdict([10.0, 0.0, 0.0], 4.0), Verdict::Holds);
        assert_eq!(verdict([10.0, 1.0, 0.0], 4.0), Verdict::DoesNotHold, "one is lost");
        assert_eq!(verdict([10.0, 0.0, 1.0], 4.0), Verdict::DoesNotHold, "a gap");
        assert_eq!(verdict([0.0, 0.0, 0.0], 4.0), Verdict::NotShown, "nobody has changed");
        assert_eq!(verdict([10.0, 0.0, 0.0], 0.0), Verdict::NotShown, "no gap without a shared log");
    }

    /// Two servers that do not share a log: each technique notices.
    #[test]
    fn servers_that_share_nothing_are_noticed() {
        let addresses = [Model::EventLoop, Model::Threads].map(|model| crate::server::start_here(&Setup::new(model)).unwrap());
        for (x, technique) in Technique::ALL.into_iter().enumerate() {
            let [_, (_, wrong), (_, gaps)] = move_about(addresses.to_vec(), technique, &format!("t{x}"), 20).unwrap();
            assert!(wrong > 0.0 && gaps > 0.0, "{technique}: {wrong} wrong, {gaps} gaps");
        }
    }
}
