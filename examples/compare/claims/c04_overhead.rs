//! C4: the bytes and the latency that WebSocket saves.

use std::time::Duration;

use super::agreement::{Agreement, verdict};
use super::{Chart, Claim};
use crate::Result;
use crate::findings::{Findings, Noise, Quantity, Ruling};
use crate::lab::Lab;
use crate::lab::model::Model;
use crate::lab::plan::{Pace, Plan};
use crate::lab::process::ServerProcess;
use crate::lab::publisher::Publisher;
use crate::lab::samples::{Ratio, short, spread};
use crate::lab::subscribers::Subscribers;
use crate::lab::technique::{Form, Technique};

const OVERHEAD: Quantity = Quantity { name: "bytes per message beside its payload", unit: "B" };
const BYTES: Quantity = Quantity { name: "bytes per message, both directions", unit: "B" };
const LATENCY: Quantity = Quantity { name: "mean latency over a link, in transits", unit: "" };

const PAYLOAD_BYTES: usize = 100;
const SUBSCRIBERS: usize = 20;
const TRANSIT: Duration = Duration::from_millis(10);
const TECHNIQUES: [Technique; 5] = [Technique::Poll, Technique::LongPoll, Technique::Stream, Technique::Events, Technique::WebSocket];
const HALF_DUPLEX: Technique = Technique::LongPoll;
const FULL_DUPLEX: Technique = Technique::WebSocket;

pub(crate) const CLAIM: Claim = Claim {
    id: "C4",
    sentence: "WebSocket has the least overhead of all techniques: a 500th of polling's bytes, and a third of its latency.",
    source: "Lubbers, Greco, \"HTML5 Web Sockets: A Quantum Leap in Scalability for the Web\" (Kaazing, SOA World Magazine 2010): a 500:1 \
             reduction of header traffic, from 871 bytes to 2, and a 3:1 reduction of latency. They quote Ian Hickson: from 150 ms to 50 ms.",
    setup: "20 clients of each technique receive messages of 100 bytes in the barest form (`format=raw`). Requests have the fields that Chrome \
            140 sends for a script, with a cookie of 40 bytes. Short polling asks as often as messages come. For the latency, all bytes are \
            delayed by 10 ms in each direction, and a message comes every 5 ms, so that long polling always has the next one.",
    measured: "Bytes at the clients' sockets in both directions per delivered message, with and without the payload, and the mean latency from \
               publishing to receiving, in transits of the link.",
    rule: "It holds if short polling has at least 500 times the overhead of WebSocket, no technique has less overhead than WebSocket, and the \
           mean latency of long polling is at least 3 times that of WebSocket. It does not hold if one of these is false in at least 4 of 5 rounds. \
           Otherwise nothing is shown.",
    needs: &[Model::EventLoop, Model::Threads],
    takes: &[Model::Pool, Model::Loops, Model::Workers, Model::Poll],
    is_timed: false,
    chart: Chart::bars(OVERHEAD, "").log(),
    explanation: "A short frame of a server has a head of 2 bytes. A poll has two heads, whose size is what the browser and the server put into \
                  them: with about 100 bytes more, the ratio of the overheads would be 500. TCP and IP add at least 40 bytes to each segment of every technique, which no socket sees, so the bytes on a wire differ by less. \
                  A message that finds no held request waits for up to two transits; but on average it waits for one of them.",
    file: "src/proto/ws/frame.rs",
    seconds: [4.6, 62.0],
    measure,
    judge,
};

fn measure(lab: &mut Lab<'_>) -> Result<Findings> {
    let mut findings = Findings::default();
    let servers = lab.models().into_iter().map(|model| lab.start(model)).collect::<Result<Vec<_>>>()?;
    measure_bytes(lab, &servers, &mut findings)?;
    measure_latency(lab, &servers, &mut findings)?;
    Ok(findings)
}

fn measure_bytes(lab: &mut Lab<'_>, servers: &[ServerProcess], findings: &mut Findings) -> Result<()> {
    let mut subjects = Vec::new();
    for server in servers {
        for (x, technique) in TECHNIQUES.into_iter().enumerate() {
            let every = Duration::from_millis(if technique == Technique::Poll { 20 } else { 5 });
            let plan = Plan { form: Form::Raw, interval: every, ..Plan::new(technique) };
            let publisher = Publisher::connect(server.address, technique.counted_as(), PAYLOAD_BYTES)?;
            let subscribers = Subscribers::connect(server.address, plan, SUBSCRIBERS, &publisher)?;
            subjects.push((server, technique, x as f64, every, publisher, subscribers));
        }
    }
    let messages = lab.effort().pick(16, 80);
    let rounds =
        lab.in_turn(lab.effort().pick(2, 5), &mut subjects, |lab, (server, technique, _, every, publisher, subscribers), round| {
            lab.step(&format!("bytes, {technique}, {}, round {}", server.model, round + 1))?;
            let bytes = subscribers.run(publisher, Pace::steady(messages, *every))?.whole()?.tally.bytes_per_message();
            Ok([(OVERHEAD, bytes - PAYLOAD_BYTES as f64), (BYTES, bytes)])
        })?;
    for ((server, technique, x, ..), rounds) in subjects.iter().zip(rounds) {
        findings.add_rounds(server.model, technique.name(), *x, &rounds);
    }
    Ok(())
}

fn measure_latency(lab: &mut Lab<'_>, servers: &[ServerProcess], findings: &mut Findings) -> Result<()> {
    let mut subjects = Vec::new();
    for server in servers {
        for technique in [HALF_DUPLEX, FULL_DUPLEX] {
            let plan = Plan { transit: TRANSIT, ..Plan::new(technique) };
            let publisher = Publisher::connect(server.address, format!("{}-link", technique.counted_as()), PAYLOAD_BYTES)?;
            let subscribers = Subscribers::connect(server.address, plan, SUBSCRIBERS, &publisher)?;
            subjects.push((server, technique, publisher, subscribers));
        }
    }
    let messages = lab.effort().pick(24, 300);
    let rounds = lab.in_turn(lab.effort().pick(2, 5), &mut subjects, |lab, (server, technique, publisher, subscribers), round| {
        lab.step(&format!("latency, {technique}, {}, round {}", server.model, round + 1))?;
        let run = subscribers.run(publisher, Pace::steady(messages, TRANSIT / 2))?.whole()?;
        Ok([(LATENCY, run.tally.mean_latency_ms() / (TRANSIT.as_secs_f64() * 1e3))])
    })?;
    for (x, ((server, technique, ..), rounds)) in subjects.iter().zip(rounds).enumerate() {
        findings.add_rounds(server.model, technique.name(), (x % 2) as f64, &rounds);
    }
    Ok(())
}

fn judge(findings: &Findings, _: &Noise) -> Ruling {
    let models = [Model::EventLoop, Model::Threads];
    let ratio = |quantity, model, technique: Technique| {
        Ratio::of(findings.rounds(quantity, model, technique.name()), findings.rounds(quantity, model, FULL_DUPLEX.name()))
    };
    let each = |ratio: Ratio, is_true: fn(f64) -> bool| Agreement::of(&[ratio.low, ratio.high], is_true);
    let (mut conditions, mut headers, mut totals, mut latencies) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for model in models {
        for technique in TECHNIQUES {
            let (Some(overhead), Some(total)) = (ratio(OVERHEAD, model, technique), ratio(BYTES, model, technique)) else {
                return Ruling::missing("both models with each technique");
            };
            conditions.push(each(overhead, |ratio| ratio >= 1.0));
            if technique == Technique::Poll {
                conditions.push(each(overhead, |ratio| ratio >= 500.0));
                headers.push(overhead.median);
                totals.push(total.median);
            }
        }
        let Some(latency) = ratio(LATENCY, model, HALF_DUPLEX) else {
            return Ruling::missing("both models over the link");
        };
        conditions.push(each(latency, |ratio| ratio >= 3.0));
        latencies.push(latency.median);
    }
    let low = |values: &[f64]| short(spread(values).0);
    let overhead = |technique: Technique| short(findings.median(OVERHEAD, Model::EventLoop, technique.name()).unwrap_or(f64::NAN));
    Ruling::new(
        verdict(conditions),
        format!(
            "Short polling has {} times the overhead of WebSocket, and {} times its bytes with the payload. Long polling has {} times its \
             mean latency.",
            low(&headers),
            low(&totals),
            low(&latencies)
        ),
    )
    .beside(
        "Lubbers, Greco 2010: 871 B of heads against 2 B",
        format!("{} B against {} B", overhead(Technique::Poll), overhead(FULL_DUPLEX)),
    )
    .beside("Hickson in Lubbers, Greco 2010: 150 ms against 50 ms", format!("{} to 1", low(&latencies)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Verdict;

    /// The overhead of polling and of SSE, where WebSocket has 2 bytes, and the latency of long
    /// polling, where WebSocket has 1 transit.
    fn verdict(poll: [f64; 2], events: f64, latency: f64) -> Verdict {
        let mut findings = Findings::default();
        for model in [Model::EventLoop, Model::Threads] {
            for technique in TECHNIQUES {
                let overhead = match technique {
                    Technique::Poll => poll.to_vec(),
                    Technique::WebSocket => vec![2.0; 2],
                    Technique::Events => vec![events; 2],
                    _ => vec![50.0; 2],
                };
                findings.add(BYTES, model, technique.name(), 0.0, overhead.iter().map(|bytes| bytes + 100.0).collect());
                findings.add(OVERHEAD, model, technique.name(), 0.0, overhead);
            }
            findings.add(LATENCY, model, HALF_DUPLEX.name(), 0.0, vec![latency; 2]);
            findings.add(LATENCY, model, FULL_DUPLEX.name(), 0.0, vec![1.0; 2]);
        }
        judge(&findings, &Noise::NONE).verdict
    }

    #[test]
    fn the_rule_follows_the_figures() {
        assert_eq!(verdict([1_000.0, 1_100.0], 40.0, 3.0), Verdict::Holds);
        assert_eq!(verdict([990.0, 1_100.0], 40.0, 3.0), Verdict::NotShown, "a round disagrees");
        assert_eq!(verdict([900.0, 990.0], 40.0, 3.0), Verdict::DoesNotHold, "fewer header bytes are saved");
        assert_eq!(verdict([1_000.0, 1_100.0], 1.0, 3.0), Verdict::DoesNotHold, "another technique has less");
        assert_eq!(verdict([1_000.0, 1_100.0], 40.0, 2.0), Verdict::DoesNotHold, "less latency is saved");
    }
}
