//! C2: long polling, from rare to frequent updates.

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

const REQUESTS: Quantity = Quantity { name: "requests per message", unit: "" };
const PER_TRIP: Quantity = Quantity { name: "requests per round trip and client", unit: "" };
const EMPTY: Quantity = Quantity { name: "share of answers that are empty", unit: "" };
const BYTES: Quantity = Quantity { name: "bytes per message, both directions", unit: "B" };
const MEAN: Quantity = Quantity { name: "mean latency, in transits", unit: "" };
const P99: Quantity = Quantity { name: "99th percentile of the latency, in transits", unit: "" };

const PAYLOAD_BYTES: usize = 100;
const SUBSCRIBERS: usize = 20;
const TRANSIT: Duration = Duration::from_millis(10);
/// The time between two messages, in round trips of the link.
const UPDATES: [(&str, f64); 4] = [
    ("a message every 8 round trips", 8.0),
    ("a message every 2 round trips", 2.0),
    ("2 messages per round trip", 0.5),
    ("8 messages per round trip", 0.125),
];

pub(crate) const CLAIM: Claim = Claim {
    id: "C2",
    sentence: "Long polling has no empty answers; a message takes about one network transit while updates are rare, and about three at most; \
               with frequent updates it becomes a loop of polls.",
    source: "RFC 6202 (2011), section 2.2: the average latency is close to one network transit, and the maximum is over three. Lubbers, Greco, \
             \"HTML5 Web Sockets: A Quantum Leap in Scalability for the Web\" (2010): with a high message volume, long polling is an \
             unthrottled loop of immediate polls.",
    setup: "20 clients behind an emulated link, which delays all bytes by 10 ms in each direction. Messages of 100 bytes come every 160 ms, 40 \
            ms, 10 ms and 2.5 ms. What counts is the number of messages per round trip (20 ms). A poll asks to be held for 60 s.",
    measured: "Requests and bytes per delivered message, empty answers, requests per round trip and client, and the mean and the 99th \
               percentile of the latency from publishing to receiving, in transits of the link.",
    rule: "It holds if at every rate at most 1 % of the answers are empty, there are at most 1.05 requests per message, and the 99th percentile \
           is at most 3.5 transits; if the mean is at most 1.25 transits with a message every 8 round trips; and if each client sends at least \
           0.8 requests per round trip with 8 messages per round trip. It does not hold if one of these is false in at least 4 of 5 rounds. Otherwise \
           nothing is shown.",
    needs: &[Model::EventLoop, Model::Threads],
    takes: &[Model::Pool, Model::Loops, Model::Workers, Model::Poll],
    is_timed: true,
    chart: Chart::bars(MEAN, ""),
    explanation: "While a request is held, a message takes one transit. A message that comes just after an answer left waits until the answer \
                  has arrived (one transit) and the next request is back (two), and then travels (three). With frequent messages most of them \
                  wait, so that the mean is about two transits; but one answer brings all that have waited.",
    file: "src/push/techniques/long_poll.rs",
    seconds: [3.5, 48.0],
    measure,
    judge,
};

fn measure(lab: &mut Lab<'_>) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut servers = lab.models().into_iter().map(|model| lab.start(model)).collect::<Result<Vec<_>>>()?;
    let plan = Plan { transit: TRANSIT, ..Plan::new(Technique::LongPoll) };
    for (x, (at, trips)) in UPDATES.into_iter().enumerate() {
        let interval = (2 * TRANSIT).mul_f64(trips);
        let messages = lab.effort().pick((6.0 / trips).max(2.0), 60.0 / trips) as u64;
        let mut subjects = Vec::new();
        for server in &mut servers {
            let publisher = Publisher::connect(server.address, format!("c2-{x}"), PAYLOAD_BYTES)?;
            let subscribers = Subscribers::connect(server.address, plan, SUBSCRIBERS, &publisher)?;
            subjects.push((server, publisher, subscribers));
        }
        let rounds = lab.in_turn(lab.effort().pick(2, 5), &mut subjects, |lab, (server, publisher, subscribers), round| {
            lab.step(&format!("{at}, {}, round {}", server.model, round + 1))?;
            let run = subscribers.run(publisher, Pace::steady(messages, interval))?.whole()?;
            let (tally, transit_ms) = (run.tally, TRANSIT.as_secs_f64() * 1e3);
            let trips = run.elapsed.as_secs_f64() / (2.0 * TRANSIT.as_secs_f64()) * SUBSCRIBERS as f64;
            Ok([
                (REQUESTS, tally.requests_per_message()),
                (PER_TRIP, tally.requests as f64 / trips),
                (EMPTY, tally.empty_share()),
                (BYTES, tally.bytes_per_message()),
                (MEAN, tally.mean_latency_ms() / transit_ms),
                (P99, tally.latency_ms(0.99) / transit_ms),
            ])
        })?;
        for ((server, ..), rounds) in subjects.iter().zip(rounds) {
            findings.add_rounds(server.model, at, x as f64, &rounds);
        }
    }
    Ok(findings)
}

fn judge(findings: &Findings, _: &Noise) -> Ruling {
    let (rare, frequent) = (UPDATES[0].0, UPDATES[UPDATES.len() - 1].0);
    let (mut conditions, mut maxima) = (Vec::new(), Vec::new());
    let [mut rarely, mut often, mut requests] = [const { Vec::new() }; 3];
    for model in [Model::EventLoop, Model::Threads] {
        for (at, _) in UPDATES {
            let rounds = |quantity| findings.rounds(quantity, model, at);
            if rounds(MEAN).is_empty() {
                return Ruling::missing("both models at each rate");
            }
            conditions.push(Agreement::of(rounds(EMPTY), |share| share <= 0.01));
            conditions.push(Agreement::of(rounds(REQUESTS), |requests| requests <= 1.05));
            conditions.push(Agreement::of(rounds(P99), |latency| latency <= 3.5));
            maxima.push(median(rounds(P99)));
        }
        conditions.push(Agreement::of(findings.rounds(MEAN, model, rare), |latency| latency <= 1.25));
        conditions.push(Agreement::of(findings.rounds(PER_TRIP, model, frequent), |requests| requests >= 0.8));
        rarely.push(median(findings.rounds(MEAN, model, rare)));
        often.push(median(findings.rounds(MEAN, model, frequent)));
        requests.push(median(findings.rounds(REQUESTS, model, frequent)));
    }
    let high = |values: &[f64]| short(spread(values).1);
    let because = format!(
        "The mean latency is {} transits while updates are rare, and {} while they are frequent; the 99th percentile is at most {}. With \
         frequent updates there are {} requests per message.",
        high(&rarely),
        high(&often),
        high(&maxima),
        high(&requests)
    );
    Ruling::new(verdict(conditions), because)
        .beside("RFC 6202: about 1 transit on average", format!("{} to {}", high(&rarely), high(&often)))
        .beside("RFC 6202: over 3 transits at most", format!("99th percentile: {}", high(&maxima)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Verdict;

    /// The mean latency while updates are rare, the highest one, requests per message, the share of
    /// empty answers, and requests per round trip.
    fn verdict(rare: [f64; 2], p99: f64, requests: f64, empty: f64, per_trip: f64) -> Verdict {
        let mut findings = Findings::default();
        for model in [Model::EventLoop, Model::Threads] {
            for (x, (at, _)) in UPDATES.into_iter().enumerate() {
                findings.add(MEAN, model, at, x as f64, if x == 0 { rare.to_vec() } else { vec![2.0, 2.0] });
                findings.add(P99, model, at, x as f64, vec![p99; 2]);
                findings.add(REQUESTS, model, at, x as f64, vec![requests; 2]);
                findings.add(EMPTY, model, at, x as f64, vec![empty; 2]);
                findings.add(PER_TRIP, model, at, x as f64, vec![per_trip; 2]);
            }
        }
        judge(&findings, &Noise::NONE).verdict
    }

    #[test]
    fn the_rule_follows_the_figures() {
        assert_eq!(verdict([1.1, 1.25], 3.1, 1.0, 0.0, 0.95), Verdict::Holds);
        assert_eq!(verdict([1.1, 1.3], 3.1, 1.0, 0.0, 0.95), Verdict::NotShown, "a round disagrees");
        assert_eq!(verdict([1.3, 2.0], 3.1, 1.0, 0.0, 0.95), Verdict::DoesNotHold, "a held request is late");
        assert_eq!(verdict([1.1, 1.2], 3.6, 1.0, 0.0, 0.95), Verdict::DoesNotHold, "some messages are later");
        assert_eq!(verdict([1.1, 1.2], 3.1, 1.2, 0.0, 0.95), Verdict::DoesNotHold, "too many requests");
        assert_eq!(verdict([1.1, 1.2], 3.1, 1.0, 0.1, 0.95), Verdict::DoesNotHold, "empty answers");
        assert_eq!(verdict([1.1, 1.2], 3.1, 1.0, 0.0, 0.5), Verdict::DoesNotHold, "requests are held at the highest rate, too");
    }
}
