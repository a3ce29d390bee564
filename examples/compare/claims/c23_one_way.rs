//! C23: SSE and WebSocket in one direction.

use std::time::Duration;

use super::agreement::{Agreement, verdict};
use super::{Chart, Claim};
use crate::Result;
use crate::findings::{Findings, Noise, Quantity, Ruling};
use crate::lab::Lab;
use crate::lab::model::Model;
use crate::lab::plan::{Pace, Plan};
use crate::lab::publisher::Publisher;
use crate::lab::samples::{Ratio, short};
use crate::lab::subscribers::Subscribers;
use crate::lab::technique::Technique;

const BYTES: Quantity = Quantity { name: "bytes per message, both directions", unit: "B" };
const CPU: Quantity = Quantity { name: "server CPU per message", unit: "µs" };
const MEMORY: Quantity = Quantity { name: "server memory per subscriber", unit: "B" };

const PAYLOAD_BYTES: usize = 100;
const SUBSCRIBERS: usize = 500;
/// Connections before the first look at the memory, so that what the server allocates once does not
/// count.
const FIRST: usize = 20;
const EVERY: Duration = Duration::from_millis(20);
const SSE: Technique = Technique::Events;
const WS: Technique = Technique::WebSocket;

pub(crate) const CLAIM: Claim = Claim {
    id: "C23",
    sentence: "From the server to the client alone, SSE costs the same as WebSocket.",
    source: "Textbook sentence, where the choice between SSE and WebSocket is said to be one of features and not of costs. Against it: Tangen, \
             \"Real-Time Web with WebSocket\" (master's thesis, University of Oslo 2015), where WebSocket outperforms SSE under moderate load.",
    setup: "500 subscribers receive 50 messages of 100 bytes a second, in the default form of each technique: an event with its id, and an \
            envelope with its id and topic in a frame. A new server for each technique and round.",
    measured: "Bytes at the clients' sockets and server CPU per delivered message, and the private memory of the server per subscriber, after \
               the messages. Buffers of the kernel do not count: they are the same.",
    rule: "It holds if SSE needs less than 1.5 times the bytes, the CPU and the memory of WebSocket, and WebSocket less than 1.5 times those of SSE, \
           in at least 4 of 5 rounds, on both models. It does not hold if one of them needs more than that in at least 4 of 5 rounds, for the \
           CPU by more than the noise. Otherwise nothing is shown.",
    needs: &[Model::EventLoop, Model::Threads],
    takes: &[Model::Pool, Model::Loops, Model::Workers, Model::Poll],
    is_timed: true,
    chart: Chart::bars(CPU, ""),
    explanation: "Both write bytes that are encoded once to a connection that is open, with one system call for each subscriber. An event has field \
                  names and the frame of a chunk; an envelope has more names, and a frame's head of 2 to 4 bytes.",
    file: "src/push/techniques/sse.rs",
    seconds: [3.0, 30.0],
    measure,
    judge,
};

fn measure(lab: &mut Lab<'_>) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut subjects: Vec<(Model, Technique)> = lab.models().into_iter().flat_map(|model| [(model, SSE), (model, WS)]).collect();
    let messages = lab.effort().pick(8, 60);
    let rounds = lab.in_turn(lab.effort().pick(2, 5), &mut subjects, |lab, (model, technique), round| {
        lab.step(&format!("{technique}, {model}, round {}", round + 1))?;
        let server = lab.start(*model)?;
        let mut first = Publisher::connect(server.address, "first", PAYLOAD_BYTES)?;
        let mut early = Subscribers::connect(server.address, Plan::new(*technique), FIRST, &first)?;
        early.run(&mut first, Pace::steady(2, EVERY))?.whole()?;
        let memory_before = server.memory();
        let mut publisher = Publisher::connect(server.address, "many", PAYLOAD_BYTES)?;
        let mut subscribers = Subscribers::connect(server.address, Plan::new(*technique), SUBSCRIBERS, &publisher)?;
        subscribers.run(&mut publisher, Pace::warm_up())?.whole()?;
        let before = server.usage();
        let run = subscribers.run(&mut publisher, Pace::steady(messages, EVERY))?.whole()?;
        let used = before.until(server.usage());
        let memory = memory_before.zip(server.memory());
        let memory = memory.map_or(f64::NAN, |(before, after)| after.private_dirty as f64 - before.private_dirty as f64);
        Ok([
            (BYTES, run.tally.bytes_per_message()),
            (CPU, used.cpu_seconds * 1e6 / run.tally.messages as f64),
            (MEMORY, memory / SUBSCRIBERS as f64),
        ])
    })?;
    for (at, ((model, technique), rounds)) in subjects.iter().zip(rounds).enumerate() {
        findings.add_rounds(*model, technique.name(), (at % 2) as f64, &rounds);
    }
    Ok(findings)
}

/// Whether two costs are the same: neither is 1.5 times the other. To differ, they must do so by more
/// than the noise, too.
fn is_same(ratio: Ratio, noise: f64) -> Agreement {
    const FACTOR: f64 = 1.5;
    if ratio.low > 1.0 / FACTOR && ratio.high < FACTOR {
        Agreement::True
    } else if ratio.low > FACTOR * noise || ratio.high < 1.0 / (FACTOR * noise) {
        Agreement::False
    } else {
        Agreement::Split
    }
}

fn judge(findings: &Findings, noise: &Noise) -> Ruling {
    let (mut conditions, mut words) = (Vec::new(), Vec::new());
    for model in [Model::EventLoop, Model::Threads] {
        let ratio = |quantity| Ratio::of(findings.rounds(quantity, model, SSE.name()), findings.rounds(quantity, model, WS.name()));
        let (Some(bytes), Some(cpu), Some(memory)) = (ratio(BYTES), ratio(CPU), ratio(MEMORY)) else {
            return Ruling::missing("bytes, CPU and memory of both techniques on both models");
        };
        conditions.extend([is_same(bytes, 1.0), is_same(cpu, noise.cpu), is_same(memory, 1.0)]);
        words.push(format!(
            "{} times the bytes, {} times the CPU and {} times the memory on `{model}`",
            short(bytes.median),
            short(cpu.median),
            short(memory.median)
        ));
    }
    Ruling::new(verdict(conditions), format!("SSE has {}, compared with WebSocket.", words.join(", and ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Verdict;

    /// Bytes, CPU and memory of SSE, where WebSocket has 100 of each.
    fn verdict(bytes: f64, cpu: [f64; 2], memory: f64) -> Verdict {
        let mut findings = Findings::default();
        for model in [Model::EventLoop, Model::Threads] {
            for (technique, bytes, cpu, memory) in [(SSE, bytes, cpu, memory), (WS, 100.0, [100.0; 2], 100.0)] {
                findings.add(BYTES, model, technique.name(), 0.0, vec![bytes; 2]);
                findings.add(CPU, model, technique.name(), 0.0, cpu.to_vec());
                findings.add(MEMORY, model, technique.name(), 0.0, vec![memory; 2]);
            }
        }
        judge(&findings, &Noise { cpu: 1.1, ..Noise::NONE }).verdict
    }

    #[test]
    fn the_rule_follows_the_figures() {
        assert_eq!(verdict(90.0, [70.0, 145.0], 110.0), Verdict::Holds);
        assert_eq!(verdict(90.0, [100.0, 155.0], 110.0), Verdict::NotShown, "a round disagrees");
        assert_eq!(verdict(90.0, [155.0, 160.0], 110.0), Verdict::NotShown, "155 is within the noise");
        assert_eq!(verdict(90.0, [166.0, 180.0], 110.0), Verdict::DoesNotHold, "SSE needs more CPU");
        assert_eq!(verdict(90.0, [50.0, 60.0], 110.0), Verdict::DoesNotHold, "WebSocket needs more CPU");
        assert_eq!(verdict(151.0, [100.0, 100.0], 110.0), Verdict::DoesNotHold, "SSE needs more bytes");
        assert_eq!(verdict(90.0, [100.0, 100.0], 66.0), Verdict::DoesNotHold, "WebSocket needs more memory");
    }
}
