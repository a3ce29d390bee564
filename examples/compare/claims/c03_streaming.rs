//! C3: a stream saves the request of every message.

use std::time::Duration;

use super::agreement::{Agreement, side, verdict};
use super::{Chart, Claim};
use crate::Result;
use crate::findings::{Findings, Noise, Quantity, Ruling};
use crate::lab::Lab;
use crate::lab::model::Model;
use crate::lab::plan::{Pace, Plan};
use crate::lab::publisher::Publisher;
use crate::lab::samples::{Side, short, spread};
use crate::lab::subscribers::Subscribers;
use crate::lab::technique::Technique;

const BYTES: Quantity = Quantity { name: "bytes per message, both directions", unit: "B" };
const REQUESTS: Quantity = Quantity { name: "requests per message", unit: "" };
const READS: Quantity = Quantity { name: "reads of the client per message", unit: "" };
const CPU: Quantity = Quantity { name: "server CPU per message", unit: "µs" };
const LATENCY: Quantity = Quantity { name: "median latency", unit: "ms" };

const PAYLOAD_BYTES: usize = 100;
const SUBSCRIBERS: usize = 50;
const EVERY: Duration = Duration::from_millis(10);
const LONG: Technique = Technique::LongPoll;
const STREAMS: [Technique; 2] = [Technique::Stream, Technique::Events];

pub(crate) const CLAIM: Claim = Claim {
    id: "C3",
    sentence: "Streaming and server-sent events need fewer bytes, fewer requests and less server CPU for a message than long polling.",
    source: "Textbook sentence. RFC 6202 (2011), section 2.2, names the overhead of the heads of each long poll; section 3.1 says that \
             streaming reduces the latency, because nothing is opened and closed for a message.",
    setup: "50 clients receive 100 messages of 100 bytes a second, over connections that stay open. Requests have the fields of Chrome. Each \
            technique has a topic and connections of its own.",
    measured: "Bytes in both directions, requests, reads of the client (about one per segment), server CPU per delivered message, and the median \
               latency. The CPU includes the publishing.",
    rule: "It holds if both streams need fewer bytes, at most a hundredth of the requests, and less CPU than long polling, in at least 4 of 5 rounds, on \
           both models, and for the CPU by more than the noise. It does not hold if one of them needs as many bytes, more requests, or more \
           CPU. Otherwise nothing is shown.",
    needs: &[Model::EventLoop, Model::Threads],
    takes: &[Model::Pool, Model::Loops, Model::Workers, Model::Poll],
    is_timed: true,
    chart: Chart::bars(CPU, ""),
    explanation: "A long poll parses a request of hundreds of bytes, looks for what the client has missed, and writes a head, for each message. \
                  A stream writes the message, whose bytes are the same for all clients and are encoded once.",
    file: "src/push/techniques/stream.rs",
    seconds: [4.5, 40.0],
    measure,
    judge,
};

fn measure(lab: &mut Lab<'_>) -> Result<Findings> {
    let mut findings = Findings::default();
    let servers = lab.models().into_iter().map(|model| lab.start(model)).collect::<Result<Vec<_>>>()?;
    let mut subjects = Vec::new();
    for server in &servers {
        for technique in [LONG].into_iter().chain(STREAMS) {
            let mut publisher = Publisher::connect(server.address, technique.counted_as(), PAYLOAD_BYTES)?;
            let mut subscribers = Subscribers::connect(server.address, Plan::new(technique), SUBSCRIBERS, &publisher)?;
            subscribers.run(&mut publisher, Pace::warm_up())?.whole()?;
            subjects.push((server, technique, publisher, subscribers));
        }
    }
    let messages = lab.effort().pick(12, 120);
    let rounds = lab.in_turn(lab.effort().rounds(), &mut subjects, |lab, (server, technique, publisher, subscribers), round| {
        lab.step(&format!("{technique}, {}, round {}", server.model, round + 1))?;
        let before = server.usage();
        let run = subscribers.run(publisher, Pace::steady(messages, EVERY))?.whole()?;
        let (tally, used) = (run.tally, before.until(server.usage()));
        Ok([
            (BYTES, tally.bytes_per_message()),
            (REQUESTS, tally.requests_per_message()),
            (READS, tally.reads_per_message()),
            (CPU, used.cpu_seconds * 1e6 / tally.messages as f64),
            (LATENCY, tally.latency_ms(0.5)),
        ])
    })?;
    for (at, ((server, technique, ..), rounds)) in subjects.iter().zip(rounds).enumerate() {
        findings.add_rounds(server.model, technique.name(), (at % 3) as f64, &rounds);
    }
    Ok(findings)
}

/// The figures of long polling divided by those of a stream, round by round.
fn ratios(findings: &Findings, quantity: Quantity, model: Model, stream: Technique) -> Vec<f64> {
    let (long, stream) = (findings.rounds(quantity, model, LONG.name()), findings.rounds(quantity, model, stream.name()));
    long.iter().zip(stream).map(|(long, stream)| long / stream).collect()
}

fn judge(findings: &Findings, noise: &Noise) -> Ruling {
    let (mut conditions, mut bytes, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    for model in [Model::EventLoop, Model::Threads] {
        for stream in STREAMS {
            let [of_bytes, of_requests, of_cpu] = [BYTES, REQUESTS, CPU].map(|quantity| ratios(findings, quantity, model, stream));
            if of_bytes.is_empty() {
                return Ruling::missing("both models with each technique");
            }
            conditions.push(Agreement::of(&of_bytes, |ratio| ratio > 1.0));
            // A stream without requests is infinitely better.
            conditions.push(Agreement::of(&of_requests, |ratio| ratio >= 100.0));
            conditions.push(Agreement::wants(Side::Above, side(&of_cpu, 1.0, noise.cpu)));
            bytes.extend(of_bytes);
            cpu.extend(of_cpu);
        }
    }
    let range = |values: &[f64]| format!("{} to {}", short(spread(values).0), short(spread(values).1));
    Ruling::new(
        verdict(conditions),
        format!("Long polling needs {} times the bytes and {} times the server CPU of a stream.", range(&bytes), range(&cpu)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Verdict;

    /// Bytes and CPU of a stream, where long polling has 100 of each, and the stream's requests.
    fn verdict(bytes: f64, cpu: [f64; 2], requests: f64) -> Verdict {
        let mut findings = Findings::default();
        for model in [Model::EventLoop, Model::Threads] {
            for (technique, bytes, cpu, requests) in
                [(LONG, 100.0, [100.0; 2], 1.0), (STREAMS[0], bytes, cpu, requests), (STREAMS[1], 20.0, [20.0; 2], 0.0)]
            {
                findings.add(BYTES, model, technique.name(), 0.0, vec![bytes; 2]);
                findings.add(CPU, model, technique.name(), 0.0, cpu.to_vec());
                findings.add(REQUESTS, model, technique.name(), 0.0, vec![requests; 2]);
            }
        }
        judge(&findings, &Noise { cpu: 1.1, ..Noise::NONE }).verdict
    }

    #[test]
    fn the_rule_follows_the_figures() {
        assert_eq!(verdict(30.0, [50.0, 90.0], 0.0), Verdict::Holds);
        assert_eq!(verdict(30.0, [50.0, 95.0], 0.0), Verdict::NotShown, "100 to 95 is within the noise");
        assert_eq!(verdict(30.0, [50.0, 150.0], 0.0), Verdict::NotShown, "a round disagrees");
        assert_eq!(verdict(30.0, [120.0, 150.0], 0.0), Verdict::DoesNotHold, "a stream needs more CPU");
        assert_eq!(verdict(100.0, [50.0, 60.0], 0.0), Verdict::DoesNotHold, "a stream needs as many bytes");
        assert_eq!(verdict(30.0, [50.0, 60.0], 0.5), Verdict::DoesNotHold, "a stream needs requests, too");
    }
}
