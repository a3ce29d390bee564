//! C13: what one more subscriber costs.

use std::time::Instant;

use super::agreement::{Agreement, verdict};
use super::{Chart, Claim};
use crate::Result;
use crate::findings::{Findings, Noise, Quantity, Ruling};
use crate::lab::Lab;
use crate::lab::model::Model;
use crate::lab::plan::{Pace, Plan};
use crate::lab::proc;
use crate::lab::publisher::Publisher;
use crate::lab::samples::{grouped, median, short, spread};
use crate::lab::subscribers::Subscribers;
use crate::lab::technique::{Kind, Technique};

const LAST: Quantity = Quantity { name: "from publishing to the last delivery", unit: "ms" };
const CPU: Quantity = Quantity { name: "server CPU per delivery", unit: "µs" };

const PAYLOAD_BYTES: usize = 100;
const TECHNIQUES: [Technique; 3] = [Technique::LongPoll, Technique::Events, Technique::WebSocket];
/// Below this number, the cost of the publishing itself shows.
const BASE: usize = 100;
/// Costs that differ by less than this factor grow in proportion. From 100 to 1,000 subscribers, a
/// cost in proportion to their square would grow by ten times more.
const FACTOR: f64 = 3.0;
const QUICK: [usize; 2] = [BASE, 1_000];
const FULL: [usize; 4] = [10, BASE, 1_000, 5_000];

pub(crate) const CLAIM: Claim = Claim {
    id: "C13",
    sentence: "The cost of a broadcast grows in proportion to the number of subscribers.",
    source: "Textbook sentence about publish/subscribe and fan-out, for example Kleppmann, \"Designing Data-Intensive Applications\" (2017), \
             chapter 1, on the fan-out of messages to followers.",
    setup: "One message of 100 bytes is published after the other, to 100 and 1,000 subscribers of one topic, and in a full run also to 10 and 5,000, if the \
            limits of descriptors and threads allow. The next message follows when all subscribers have the last one and, with long polling, are held again.",
    measured: "The time from publishing to the last delivery, and server CPU per delivery, with the publishing and the next poll.",
    rule: "It holds if the CPU per delivery with the most subscribers is a third to 3 times that with 100, for each technique, on both models, in \
           at least 4 of 5 rounds. It does not hold if it is outside of this range in at least 4 of 5 rounds for one of them. Otherwise nothing is \
           shown. A cost that grows with the square of the subscribers would make it 10 times as high with 1,000, and 50 times with 5,000.",
    needs: &[Model::EventLoop, Model::Threads],
    takes: &[Model::Pool, Model::Loops, Model::Workers, Model::Poll],
    is_timed: true,
    chart: Chart::lines(LAST, "subscribers").log(),
    explanation: "A message is encoded once, and each subscriber gets a system call of its own. With few subscribers, the request \
                  that publishes is a large part of the cost. That a delivery to a larger set costs more may come from the processor's caches; \
                  this claim does not show it.",
    file: "src/push/hub/publish.rs",
    seconds: [5.0, 70.0],
    measure,
    judge,
};

fn column(technique: Technique, model: Model) -> String {
    format!("{technique}, {model}")
}

fn at(subscribers: usize) -> String {
    format!("{} subscribers", grouped(subscribers as f64))
}

fn measure(lab: &mut Lab<'_>) -> Result<Findings> {
    let mut findings = Findings::default();
    let counts = lab.effort().pick(&QUICK[..], &FULL[..]);
    // The subscribers of all models are connected at the same time, and each of them takes two
    // threads of the model `threads`.
    let (threads_max, limit) = proc::threads_max();
    let count_max = (lab.connections_max() / lab.models().len() - 1).min(threads_max / 2);
    let too_many = counts.iter().filter(|count| **count > count_max);
    findings.notes.extend(too_many.map(|count| format!("{} need more descriptors or threads than allowed ({limit}).", at(*count))));
    for technique in TECHNIQUES {
        // New servers: one that still closes the connections of the technique before would spend
        // CPU on them.
        let servers = lab.models().into_iter().map(|model| lab.start(model)).collect::<Result<Vec<_>>>()?;
        for count in counts.iter().filter(|count| **count <= count_max) {
            let mut subjects = Vec::new();
            for server in &servers {
                lab.step(&format!("connecting {}, {technique}, {}", at(*count), server.model))?;
                let mut publisher = Publisher::connect(server.address, format!("{}-{count}", technique.counted_as()), PAYLOAD_BYTES)?;
                let mut subscribers = Subscribers::connect(server.address, Plan::new(technique), *count, &publisher)?;
                subscribers.run(&mut publisher, Pace::warm_up())?.whole()?;
                subjects.push((server, publisher, subscribers));
            }
            // Few deliveries take little time: they are repeated more often.
            let messages = (lab.effort().pick(2_000, 25_000) / count).clamp(4, 100);
            let rounds = lab.in_turn(lab.effort().pick(2, 5), &mut subjects, |lab, (server, publisher, subscribers), round| {
                lab.step(&format!("{}, {technique}, {}, round {}", at(*count), server.model, round + 1))?;
                let before = server.usage();
                let times = broadcast(publisher, subscribers, technique, messages)?;
                let used = before.until(server.usage());
                Ok([(LAST, median(&times)), (CPU, used.cpu_seconds * 1e6 / (messages * count) as f64)])
            })?;
            for ((server, ..), rounds) in subjects.iter().zip(rounds) {
                findings.add_rounds(column(technique, server.model), &at(*count), *count as f64, &rounds);
            }
        }
    }
    Ok(findings)
}

/// Publishes messages one after the other. Returns the time from each one to its last delivery, in
/// milliseconds.
fn broadcast(publisher: &mut Publisher, subscribers: &mut Subscribers, technique: Technique, messages: usize) -> Result<Vec<f64>> {
    let mut times = Vec::with_capacity(messages);
    for _ in 0..messages {
        if technique.kind() == Kind::Long {
            publisher.await_subscribers(technique.counted_as(), subscribers.len())?;
        }
        let begin = Instant::now();
        subscribers.run(publisher, Pace::single())?.whole()?;
        times.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    Ok(times)
}

fn judge(findings: &Findings, _: &Noise) -> Ruling {
    let (mut conditions, mut factors, mut most) = (Vec::new(), Vec::new(), 0.0_f64);
    for model in [Model::EventLoop, Model::Threads] {
        for technique in TECHNIQUES {
            let column = column(technique, model);
            let points = findings.series.iter().find(|series| series.quantity == CPU.name && series.column == column);
            let largest = points.and_then(|series| series.points.iter().max_by(|a, b| a.x.total_cmp(&b.x)));
            let base = findings.rounds(CPU, &column, &at(BASE));
            let Some(largest) = largest.filter(|point| point.x > BASE as f64 && point.rounds.len() == base.len()) else {
                return Ruling::missing("each technique on both models with more than 100 subscribers");
            };
            let ratios: Vec<f64> = largest.rounds.iter().zip(base).map(|(most, base)| most / base).collect();
            conditions.push(Agreement::of(&ratios, |ratio| (1.0 / FACTOR..=FACTOR).contains(&ratio)));
            factors.push(median(&ratios));
            most = most.max(largest.x);
        }
    }
    let (low, high) = spread(&factors);
    Ruling::new(
        verdict(conditions),
        format!("With {}, a delivery costs {} to {} times the CPU of one with 100.", at(most as usize), short(low), short(high)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Verdict;

    /// The CPU per delivery of SSE with 1,000 subscribers, where all else costs 10.
    fn verdict(events: [f64; 2]) -> Verdict {
        let mut findings = Findings::default();
        for model in [Model::EventLoop, Model::Threads] {
            for technique in TECHNIQUES {
                let most = if technique == Technique::Events { events.to_vec() } else { vec![10.0; 2] };
                findings.add(CPU, column(technique, model), &at(1_000), 1_000.0, most);
                findings.add(CPU, column(technique, model), &at(BASE), 100.0, vec![10.0; 2]);
                findings.add(CPU, column(technique, model), &at(10), 10.0, vec![90.0; 2]);
            }
        }
        judge(&findings, &Noise::NONE).verdict
    }

    #[test]
    fn the_rule_follows_the_figures() {
        assert_eq!([verdict([5.0, 20.0]), verdict([10.0, 11.0])], [Verdict::Holds; 2]);
        assert_eq!(verdict([29.0, 31.0]), Verdict::NotShown, "a round disagrees");
        assert_eq!(verdict([31.0, 40.0]), Verdict::DoesNotHold, "it grows faster");
        assert_eq!(verdict([1.0, 3.0]), Verdict::DoesNotHold, "it grows more slowly");
    }
}
