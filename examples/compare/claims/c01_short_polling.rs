//! C1: short polling asks in vain.

use std::time::Duration;

use super::agreement::{Agreement, verdict};
use super::{Chart, Claim};
use crate::Result;
use crate::findings::{Findings, Noise, Quantity, Ruling};
use crate::lab::Lab;
use crate::lab::model::Model;
use crate::lab::plan::{Pace, Plan};
use crate::lab::publisher::Publisher;
use crate::lab::samples::{median, short, spread};
use crate::lab::subscribers::Subscribers;
use crate::lab::technique::Technique;

const EMPTY: Quantity = Quantity { name: "share of answers that are empty", unit: "" };
const REQUESTS: Quantity = Quantity { name: "requests per message", unit: "" };
const BYTES: Quantity = Quantity { name: "bytes per message, both directions", unit: "B" };
const LATENCY: Quantity = Quantity { name: "mean latency, in intervals", unit: "" };
const CPU: Quantity = Quantity { name: "server CPU per message", unit: "µs" };

const PAYLOAD_BYTES: usize = 100;
const SUBSCRIBERS: usize = 40;
/// The interval between the polls of one client, in milliseconds, and the intervals per message.
const SETTINGS: [(u64, f64); 4] = [(40, 5.0), (80, 5.0), (40, 1.0), (40, 0.25)];

pub(crate) const CLAIM: Claim = Claim {
    id: "C1",
    sentence: "When data changes more rarely than clients ask, most answers to short polling are empty, and a message is late by half of the \
               interval.",
    source: "Lubbers, Greco, \"HTML5 Web Sockets: A Quantum Leap in Scalability for the Web\" (2010): with polling, unnecessary requests are \
             inevitable where messages are rare. The half of the interval is a textbook sentence.",
    setup: "40 clients ask every 40 ms, or every 80 ms, at times that are spread evenly, with their cursor in If-None-Match and the fields of \
            Chrome. A message of 100 bytes is published every 5 intervals, every interval, and four times per interval. Real clients ask every \
            few seconds; what counts is the number of intervals per message, not their length.",
    measured: "The share of empty answers, requests and bytes per delivered message, the mean latency from publishing to receiving, and server \
               CPU per delivered message.",
    rule: "It holds if more than half of the answers are empty with a message every 5 intervals, and the mean latency is 0.4 to 0.6 \
           intervals everywhere. It does not hold if at most half of the answers are empty, or a mean latency is below 0.4 or above 0.6 \
           intervals, in at least 4 of 5 rounds. Otherwise nothing is shown.",
    needs: &[Model::EventLoop, Model::Threads],
    takes: &[Model::Pool, Model::Loops, Model::Workers, Model::Poll],
    is_timed: false,
    chart: Chart::bars(EMPTY, ""),
    explanation: "A client that asks n times per message gets n - 1 empty answers. The message waits for the next request, which comes after \
                  half an interval on average. If several messages come in one interval, no answer is empty, and one answer brings all of \
                  them: then polling needs fewer requests than messages.",
    file: "src/push/techniques/short_poll.rs",
    seconds: [4.0, 60.0],
    measure,
    judge,
};

fn at(interval_ms: u64, every: f64) -> String {
    let messages = match every {
        every if every < 1.0 => format!("{} messages per interval", 1.0 / every),
        1.0 => "a message per interval".to_owned(),
        every => format!("a message every {every} intervals"),
    };
    format!("every {interval_ms} ms, {messages}")
}

fn measure(lab: &mut Lab<'_>) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut servers = lab.models().into_iter().map(|model| lab.start(model)).collect::<Result<Vec<_>>>()?;
    let mut x = 0.0;
    for (interval_ms, every) in SETTINGS {
        let interval = Duration::from_millis(interval_ms);
        // The run has whole intervals, so that the share of empty answers is that of a long run.
        let intervals = lab.effort().pick(3.0, 30.0);
        let messages = (intervals / every).ceil() as u64;
        let plan = Plan { interval, ..Plan::new(Technique::Poll) };
        let mut subjects = Vec::new();
        for server in &mut servers {
            let publisher = Publisher::connect(server.address, format!("c1-{x}"), PAYLOAD_BYTES)?;
            let subscribers = Subscribers::connect(server.address, plan, SUBSCRIBERS, &publisher)?;
            subjects.push((server, publisher, subscribers));
        }
        let rounds = lab.in_turn(lab.effort().pick(2, 5), &mut subjects, |lab, (server, publisher, subscribers), round| {
            lab.step(&format!("{}, {}, round {}", at(interval_ms, every), server.model, round + 1))?;
            let before = server.usage();
            let run = subscribers.run(publisher, Pace::steady(messages, interval.mul_f64(every)))?.whole()?;
            let (tally, used) = (run.tally, before.until(server.usage()));
            Ok([
                (EMPTY, tally.empty_share()),
                (REQUESTS, tally.requests_per_message()),
                (BYTES, tally.bytes_per_message()),
                (LATENCY, tally.mean_latency_ms() / interval_ms as f64),
                (CPU, used.cpu_seconds * 1e6 / tally.messages as f64),
            ])
        })?;
        for ((server, ..), rounds) in subjects.iter().zip(rounds) {
            findings.add_rounds(server.model, &at(interval_ms, every), x, &rounds);
        }
        x += 1.0;
    }
    Ok(findings)
}

fn judge(findings: &Findings, _: &Noise) -> Ruling {
    let (mut conditions, mut empty, mut latencies) = (Vec::new(), Vec::new(), Vec::new());
    for model in [Model::EventLoop, Model::Threads] {
        for (interval_ms, every) in SETTINGS {
            let at = at(interval_ms, every);
            let rounds = findings.rounds(LATENCY, model, &at);
            if rounds.is_empty() {
                return Ruling::missing("both models with each interval and rate");
            }
            conditions.push(Agreement::of(rounds, |latency| (0.4..=0.6).contains(&latency)));
            latencies.push(median(rounds));
            if every > 1.0 {
                let rounds = findings.rounds(EMPTY, model, &at);
                conditions.push(Agreement::of(rounds, |share| share > 0.5));
                empty.push(median(rounds));
            }
        }
    }
    let ((low, _), (early, late)) = (spread(&empty), spread(&latencies));
    Ruling::new(
        verdict(conditions),
        format!(
            "With a message every 5 intervals, at least {:.0} % of the answers are empty. The mean latency is {} to {} intervals.",
            low * 100.0,
            short(early),
            short(late)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Verdict;

    fn figures(empty: [f64; 2], latency: [f64; 2]) -> Verdict {
        let mut findings = Findings::default();
        for model in [Model::EventLoop, Model::Threads] {
            for (interval_ms, every) in SETTINGS {
                findings.add(EMPTY, model, &at(interval_ms, every), 0.0, if every > 1.0 { empty.to_vec() } else { vec![0.0; 2] });
                findings.add(LATENCY, model, &at(interval_ms, every), 0.0, latency.to_vec());
            }
        }
        judge(&findings, &Noise::NONE).verdict
    }

    #[test]
    fn the_rule_follows_the_figures() {
        assert_eq!(figures([0.8, 0.8], [0.45, 0.55]), Verdict::Holds);
        assert_eq!(figures([0.8, 0.5], [0.5, 0.5]), Verdict::NotShown, "a round disagrees");
        assert_eq!(figures([0.4, 0.5], [0.5, 0.5]), Verdict::DoesNotHold, "most answers have a message");
        assert_eq!(figures([0.8, 0.8], [0.61, 0.7]), Verdict::DoesNotHold, "messages are too late");
        assert_eq!(figures([0.8, 0.8], [0.1, 0.2]), Verdict::DoesNotHold, "messages are too early");
        assert_eq!(figures([0.8, 0.8], [0.5, 0.7]), Verdict::NotShown);
    }
}
