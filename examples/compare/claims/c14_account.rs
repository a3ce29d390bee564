//! C14: no message is lost in silence.
//!
//! A server with a defect shows that the account notices a loss. The tests run one in this process;
//! `lab.start_with(&Setup { defect: Defect::Loses, ..lab.setup(model) })` starts one as the measured
//! server.

use std::net::SocketAddr;
use std::time::Duration;

use pushlab::SlowConsumer;

use super::{Chart, Claim};
use crate::Result;
use crate::findings::{Findings, Noise, Quantity, Ruling, Verdict};
use crate::lab::Lab;
use crate::lab::account::Entries;
use crate::lab::model::Model;
use crate::lab::plan::{AtEnd, Pace, Plan};
use crate::lab::publisher::Publisher;
use crate::lab::samples::grouped;
use crate::lab::subscribers::Subscribers;
use crate::lab::technique::{Kind, Technique};
use crate::server::Setup;

const UNTOLD: Quantity = Quantity { name: "messages lost in silence, repeated, or in a wrong gap", unit: "" };
const SENT: Quantity = Quantity { name: "messages sent, over all subscribers", unit: "" };
const DELIVERED: Quantity = Quantity { name: "messages delivered", unit: "" };
const IN_GAPS: Quantity = Quantity { name: "messages in declared gaps", unit: "" };
const CUTS: Quantity = Quantity { name: "connections that ended and were opened again", unit: "" };

const SUBSCRIBERS: usize = 4;
/// These subscribers are away, or slow, in some steps. The others receive all the time.
const SOME: std::ops::Range<usize> = 0..2;
/// The messages that the server retains.
const HISTORY: usize = 100;
const SMALL_BYTES: usize = 100;
const LARGE_BYTES: usize = 16 * 1024;
/// So many large messages are more than the queue of a connection (1 MiB) and the buffers of its
/// sockets hold.
const LARGE: u64 = 400;
/// So many are more than the server retains of a topic (1 MiB). A poll has no queue.
const LARGE_FOR_POLLS: u64 = 100;
/// The receive buffer of a subscriber. The system's own would take megabytes before the server
/// notices a slow reader.
const RECEIVE_BYTES: usize = 16 * 1024;
const POLICIES: [SlowConsumer; 2] = [SlowConsumer::Disconnect, SlowConsumer::DropOldest];

pub(crate) const CLAIM: Claim = Claim {
    id: "C14",
    sentence: "No message is lost in silence: each subscriber receives each message once and in order, or is told of a gap.",
    source: "A promise of pushlab's own documentation, as that of Server-Sent Events in WHATWG HTML, section 9.2: a client that reconnects \
             continues after its last event.",
    setup: "4 subscribers of each technique; the server retains 100 messages. Connections are cut in turn while 100 messages are sent; two \
            subscribers are away for 50 messages, and for 200; then they stop reading while 400 messages of 16 KiB are sent (100 for polls). At the end, all \
            read again, and reconnect with their cursor where the server has ended their connection. Streams do so twice: once the server \
            disconnects slow readers, and once it drops their oldest messages.",
    measured: "For each subscriber, the messages that were sent, delivered, covered by a declared gap, lost in silence, and repeated.",
    rule: "It holds if for each technique, on both models, in every round, sent = delivered + declared gap for each subscriber, and no message is \
           repeated, late, or in a gap that ends in the wrong place. It does not hold if a single account is wrong. Nothing is shown if no \
           connection was cut or no gap was declared.",
    needs: &[Model::EventLoop, Model::Threads],
    takes: &[Model::Pool, Model::Loops, Model::Workers, Model::Poll],
    is_timed: false,
    chart: Chart::bars(UNTOLD, ""),
    explanation: "All ids are of one sequence. A cursor that is older than what the hub retains gets a gap, and so does a stream whose queue has \
                  dropped messages. The step from the retained messages to new ones is made under the lock of the hub.",
    file: "src/push/hub/subscription.rs",
    seconds: [6.5, 26.0],
    measure,
    judge,
};

/// The account of one technique.
#[derive(Clone, Copy, Debug)]
struct Outcome {
    entries: Entries,
    sent: u64,
    reconnects: u64,
}

fn at(technique: Technique, policy: SlowConsumer) -> String {
    if technique.kind() == Kind::Stream { format!("{technique}, {policy}") } else { technique.to_string() }
}

/// The techniques with the policies under which they differ. A poll has no queue.
fn settings() -> impl Iterator<Item = (Technique, SlowConsumer)> {
    let differs = |technique: Technique, policy| policy == SlowConsumer::Disconnect || technique.kind() == Kind::Stream;
    POLICIES.into_iter().flat_map(move |policy| {
        Technique::ALL.into_iter().filter(move |technique| differs(*technique, policy)).map(move |technique| (technique, policy))
    })
}

fn measure(lab: &mut Lab<'_>) -> Result<Findings> {
    let mut findings = Findings::default();
    for model in lab.models() {
        let mut servers = Vec::new();
        for policy in POLICIES {
            servers.push((policy, lab.start_with(&Setup { history: HISTORY, slow_consumer: policy, ..lab.setup(model) })?));
        }
        for (x, (technique, policy)) in settings().enumerate() {
            let mut rounds = Vec::new();
            for round in 0..lab.effort().pick(1, 3) {
                lab.step(&format!("{}, {model}, round {}", at(technique, policy), round + 1))?;
                let server = servers.iter().find(|(of, _)| *of == policy).map(|(_, server)| server.address);
                let outcome = disturb(server.ok_or("no server has this policy")?, technique, &format!("t{x}-{round}"))?;
                let Entries { delivered, in_gaps, .. } = outcome.entries;
                rounds.push([
                    (SENT, outcome.sent as f64),
                    (DELIVERED, delivered as f64),
                    (IN_GAPS, in_gaps as f64),
                    (UNTOLD, outcome.entries.faults() as f64),
                    (CUTS, outcome.reconnects as f64),
                ]);
            }
            findings.add_rounds(model, &at(technique, policy), x as f64, &rounds);
        }
    }
    Ok(findings)
}

/// Sends messages to subscribers that are cut off, away and slow. Returns their account.
fn disturb(address: SocketAddr, technique: Technique, topic: &str) -> Result<Outcome> {
    let every = Duration::from_millis(1);
    let mut plan = Plan::new(technique);
    plan.interval = Duration::from_millis(10);
    plan.receive_bytes = Some(RECEIVE_BYTES);
    plan.at_end = AtEnd::Reconnect;
    plan.patience = Duration::from_secs(1);
    let mut publisher = Publisher::connect(address, topic, SMALL_BYTES)?;
    let mut subscribers = Subscribers::connect(address, plan, SUBSCRIBERS, &publisher)?;
    let mut reconnects = 0;
    // A WebSocket has no cursor before its first message.
    subscribers.run(&mut publisher, Pace::steady(5, every))?;
    subscribers.cut_every(Some(4 * every));
    reconnects += subscribers.run(&mut publisher, Pace::steady(100, every / 2))?.tally.reconnects;
    subscribers.cut_every(None);
    for away in [50, 200] {
        SOME.for_each(|slot| subscribers.leave(slot));
        subscribers.run(&mut publisher, Pace::steady(away, every / 10))?;
        SOME.into_iter().try_for_each(|slot| subscribers.resume(slot))?;
        reconnects += subscribers.run(&mut publisher, Pace::steady(1, every))?.tally.reconnects;
    }
    SOME.for_each(|slot| subscribers.pause(slot));
    publisher.set_payload_bytes(LARGE_BYTES);
    let large = if technique.kind() == Kind::Stream { LARGE } else { LARGE_FOR_POLLS };
    subscribers.run(&mut publisher, Pace::steady(large, every / 10))?;
    publisher.set_payload_bytes(SMALL_BYTES);
    SOME.into_iter().try_for_each(|slot| subscribers.resume(slot))?;
    reconnects += subscribers.run(&mut publisher, Pace::steady(5, every))?.tally.reconnects;
    let (entries, sent) = subscribers.close(publisher.sent());
    Ok(Outcome { entries, sent, reconnects })
}

fn judge(findings: &Findings, _: &Noise) -> Ruling {
    let (mut sent, mut in_gaps, mut faults, mut is_disturbed) = (0.0, 0.0, 0.0, true);
    for model in [Model::EventLoop, Model::Threads] {
        for (technique, policy) in settings() {
            let at = at(technique, policy);
            let [of_sent, delivered, gaps, untold, cuts] =
                [SENT, DELIVERED, IN_GAPS, UNTOLD, CUTS].map(|quantity| findings.rounds(quantity, model, &at));
            if untold.is_empty() {
                return Ruling::missing("each technique on both models");
            }
            is_disturbed &= gaps.iter().chain(cuts).all(|count| *count > 0.0);
            for (round, untold) in untold.iter().enumerate() {
                // What does not add up counts, even if no account says why.
                faults += untold.max((of_sent[round] - delivered[round] - gaps[round]).abs());
                sent += of_sent[round];
                in_gaps += gaps[round];
            }
        }
    }
    let verdict = match () {
        () if faults > 0.0 => Verdict::DoesNotHold,
        () if is_disturbed => Verdict::Holds,
        () => Verdict::NotShown,
    };
    let because = format!(
        "Of {} messages to all subscribers, {} are in declared gaps, and {} are lost in silence, repeated, or in a wrong gap.",
        grouped(sent),
        grouped(in_gaps),
        grouped(faults)
    );
    Ruling::new(verdict, because)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::{Defect, start_here};

    /// One technique's account: sent, delivered, in gaps, faults, cuts. All others are right.
    fn verdict(figures: [f64; 5]) -> Verdict {
        let mut findings = Findings::default();
        for model in [Model::EventLoop, Model::Threads] {
            for (technique, policy) in settings() {
                let is_this = (model, technique) == (Model::Threads, Technique::WebSocket);
                let figures = if is_this { figures } else { [100.0, 90.0, 10.0, 0.0, 2.0] };
                for (quantity, figure) in [SENT, DELIVERED, IN_GAPS, UNTOLD, CUTS].into_iter().zip(figures) {
                    findings.add(quantity, model, &at(technique, policy), 0.0, vec![figure]);
                }
            }
        }
        judge(&findings, &Noise::NONE).verdict
    }

    #[test]
    fn the_rule_follows_the_figures() {
        assert_eq!(verdict([100.0, 90.0, 10.0, 0.0, 2.0]), Verdict::Holds);
        assert_eq!(verdict([100.0, 89.0, 10.0, 1.0, 2.0]), Verdict::DoesNotHold, "one is lost");
        assert_eq!(verdict([100.0, 89.0, 10.0, 0.0, 2.0]), Verdict::DoesNotHold, "the sum is wrong");
        assert_eq!(verdict([100.0, 100.0, 0.0, 0.0, 2.0]), Verdict::NotShown, "no gap was declared");
        assert_eq!(verdict([100.0, 90.0, 10.0, 0.0, 0.0]), Verdict::NotShown, "no connection was cut");
    }

    /// The whole measurement, against a server that loses every tenth message, and one that does
    /// not.
    #[test]
    fn a_server_that_loses_messages_is_noticed_by_each_technique() {
        for model in [Model::EventLoop, Model::Threads] {
            for defect in [Defect::None, Defect::Loses] {
                let address = start_here(&Setup { history: HISTORY, defect, ..Setup::new(model) }).unwrap();
                for (x, technique) in Technique::ALL.into_iter().enumerate() {
                    let outcome = disturb(address, technique, &format!("t{x}")).unwrap();
                    let is_exact = outcome.entries.is_exact(outcome.sent);
                    assert_eq!(is_exact, defect == Defect::None, "{technique} on {model}, {defect:?}: {outcome:?}");
                }
            }
        }
    }
}
