//! C26: all techniques side by side.

use std::time::Duration;

use super::agreement::{Agreement, verdict};
use super::{Chart, Claim};
use crate::Result;
use crate::findings::{Findings, Noise, Quantity, Ruling};
use crate::lab::model::Model;
use crate::lab::plan::{Pace, Plan};
use crate::lab::publisher::Publisher;
use crate::lab::samples::{Ratio, Side, short};
use crate::lab::subscribers::Subscribers;
use crate::lab::technique::Technique;
use crate::lab::{Effort, Lab};

pub(crate) const BYTES: Quantity = Quantity { name: "bytes per message, both directions", unit: "B" };
pub(crate) const LATENCY: Quantity = Quantity { name: "median latency", unit: "ms" };
pub(crate) const CPU: Quantity = Quantity { name: "server CPU per delivered message", unit: "µs" };
pub(crate) const MEMORY: Quantity = Quantity { name: "user memory per subscriber", unit: "KiB" };

/// From what came first to what came last. The others are measured in a full run.
const ORDER: [Technique; 4] = [Technique::Poll, Technique::LongPoll, Technique::Events, Technique::WebSocket];
const MODELS: [Model; 2] = [Model::EventLoop, Model::Threads];
const PAYLOAD_BYTES: usize = 100;
const EVERY: Duration = Duration::from_millis(50);
/// The subscribers before the counted ones. They use up memory that the server has already.
const CUSHION: usize = 10;

pub(crate) const CLAIM: Claim = Claim {
    id: "C26",
    sentence: "Each step from short polling over long polling and SSE to WebSocket makes a message cheaper, in bytes and in the server's CPU.",
    source: "The order in which textbooks tell of the techniques, such as Grigorik, \"High Performance Browser Networking\" (2013), chapters 15 \
             to 17: polling, long polling, SSE, WebSocket.",
    setup: "50 subscribers (quick) or 200 (full) of each technique receive a message of 100 bytes every 50 ms, in the technique's usual form. \
            Techniques that ask at intervals ask every 50 ms, too. Requests have the fields that Chrome 140 sends. A full run measures all ten \
            techniques, each on a server of its own.",
    measured: "Bytes at the clients' sockets in both directions and server CPU, each for a delivered message; the median of the latency from \
               publishing to receiving; and the growth of the server's user memory for each subscriber, before the first message.",
    rule: "It holds if each of the three steps lowers the bytes, and lowers the CPU by more than the noise, on both models, in at least 4 of 5 \
           rounds. It does not hold if one step raises one of them in at least 4 of 5 rounds (the CPU by more than the noise). Otherwise nothing is shown.",
    needs: &MODELS,
    takes: &[],
    is_timed: true,
    chart: Chart::bars(CPU, "technique"),
    explanation: "A poll costs a request and an answer, and both have heads. A long poll is held first, and each message ends it, so that it costs \
                  no less than a short poll that always finds a message. A stream has its heads once. The messages of SSE have names of fields, and \
                  those of WebSocket a head of 2 to 4 bytes. In its usual form WebSocket carries an envelope in JSON, because its frames have \
                  no place for an id. With polls at intervals, about half of an interval is latency.",
    file: "src/push/techniques/mod.rs",
    seconds: [3.0, 75.0],
    measure,
    judge,
};

fn measure(lab: &mut Lab<'_>) -> Result<Findings> {
    let mut findings = Findings::default();
    let techniques = if lab.effort() == Effort::Full { &Technique::ALL[..] } else { &ORDER };
    let count = lab.effort().pick(50, 200).min(lab.connections_max() / (MODELS.len() * techniques.len()) - CUSHION - 1);
    let mut subjects = Vec::new();
    for (x, technique) in techniques.iter().copied().enumerate() {
        for model in MODELS {
            lab.step(&format!("connecting, {technique}, {model}"))?;
            let server = lab.start(model)?;
            let mut publisher = Publisher::connect(server.address, "c26", PAYLOAD_BYTES)?;
            let plan = Plan { interval: EVERY, ..Plan::new(technique) };
            let cushion = Subscribers::connect(server.address, plan, CUSHION, &publisher)?;
            let before = server.memory();
            let mut subscribers = Subscribers::connect(server.address, plan, count, &publisher)?;
            // A held request or a second thread may still be on its way.
            server.settled_threads();
            let grown = before.zip(server.memory()).map(|(before, after)| after.private_dirty as f64 - before.private_dirty as f64);
            findings.add(MEMORY, model, technique.name(), x as f64, vec![grown.map_or(f64::NAN, |bytes| bytes / count as f64 / 1024.0)]);
            drop(cushion);
            subscribers.run(&mut publisher, Pace::warm_up())?.whole()?;
            subjects.push((server, technique, x, publisher, subscribers));
        }
    }
    let messages = lab.effort().pick(2, 10);
    let rounds = lab.in_turn(lab.effort().pick(2, 5), &mut subjects, |lab, (server, technique, _, publisher, subscribers), round| {
        lab.step(&format!("{technique}, {}, round {}", server.model, round + 1))?;
        let before = server.usage();
        let run = subscribers.run(publisher, Pace::steady(messages, EVERY))?.whole()?;
        let used = before.until(server.usage());
        let tally = run.tally;
        Ok([(BYTES, tally.bytes_per_message()), (LATENCY, tally.latency_ms(0.5)), (CPU, used.cpu_seconds * 1e6 / tally.messages as f64)])
    })?;
    for ((server, technique, x, ..), rounds) in subjects.iter().zip(rounds) {
        findings.add_rounds(server.model, technique.name(), *x as f64, &rounds);
    }
    Ok(findings)
}

fn judge(findings: &Findings, noise: &Noise) -> Ruling {
    let (mut conditions, mut steps) = (Vec::new(), Vec::new());
    for pair in ORDER.windows(2) {
        let ratio = |quantity, model| {
            let [before, after] = [pair[0], pair[1]].map(|technique| findings.rounds(quantity, model, technique.name()));
            Ratio::of(after, before)
        };
        let mut told = Vec::new();
        for model in MODELS {
            let (Some(bytes), Some(cpu)) = (ratio(BYTES, model), ratio(CPU, model)) else {
                return Ruling::missing("the four techniques on both models");
            };
            conditions.push(Agreement::wants(Side::Below, bytes.side(1.0, 1.0)));
            conditions.push(Agreement::wants(Side::Below, cpu.side(1.0, noise.cpu)));
            if model == Model::EventLoop {
                told.push(short(bytes.median));
            }
            told.push(short(cpu.median));
        }
        steps.push(format!(
            "{} costs {} times the bytes of {}, and {} (event loop) and {} times (threads) its CPU",
            pair[1], told[0], pair[0], told[1], told[2]
        ));
    }
    let mut because = format!("{}.", steps.join("; "));
    because[..1].make_ascii_uppercase();
    Ruling::new(verdict(conditions), because)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Verdict;

    /// The figures of long polling on threads, where short polling has 100 and SSE 50.
    fn verdict(bytes: [f64; 2], cpu: [f64; 2]) -> Verdict {
        let mut findings = Findings::default();
        for model in MODELS {
            for (technique, usual) in ORDER.into_iter().zip([100.0, 75.0, 50.0, 25.0]) {
                let is_this = model == Model::Threads && technique == Technique::LongPoll;
                findings.add(BYTES, model, technique.name(), 0.0, if is_this { bytes.to_vec() } else { vec![usual; 2] });
                findings.add(CPU, model, technique.name(), 0.0, if is_this { cpu.to_vec() } else { vec![usual; 2] });
            }
        }
        judge(&findings, &Noise { cpu: 1.05, ..Noise::NONE }).verdict
    }

    #[test]
    fn the_rule_follows_the_figures() {
        assert_eq!(verdict([75.0, 99.0], [60.0, 90.0]), Verdict::Holds);
        assert_eq!(verdict([75.0, 101.0], [75.0, 75.0]), Verdict::NotShown, "a round disagrees about the bytes");
        assert_eq!(verdict([75.0, 75.0], [98.0, 75.0]), Verdict::NotShown, "a round is within the noise");
        assert_eq!(verdict([101.0, 102.0], [75.0, 75.0]), Verdict::DoesNotHold, "more bytes than polling");
        assert_eq!(verdict([75.0, 75.0], [40.0, 45.0]), Verdict::DoesNotHold, "SSE then costs more CPU");
    }
}
