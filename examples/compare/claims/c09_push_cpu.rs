//! C9: what push costs the server, compared with pull.

use std::time::Duration;

use super::agreement::{Agreement, side, verdict};
use super::{Chart, Claim};
use crate::Result;
use crate::findings::{Findings, Noise, Quantity, Ruling};
use crate::lab::Lab;
use crate::lab::model::Model;
use crate::lab::plan::{Pace, Plan};
use crate::lab::process::ServerProcess;
use crate::lab::publisher::Publisher;
use crate::lab::samples::{Side, grouped, median, short, spread};
use crate::lab::subscribers::Subscribers;
use crate::lab::technique::Technique;

const CPU: Quantity = Quantity { name: "server CPU per user and second", unit: "µs" };
const PER_MESSAGE: Quantity = Quantity { name: "server CPU per delivered message", unit: "µs" };
const BUSY: Quantity = Quantity { name: "share of the server's core that is busy", unit: "" };
const P99: Quantity = Quantity { name: "99th percentile of the latency, in intervals", unit: "" };

const PAYLOAD_BYTES: usize = 100;
const EVERY: Duration = Duration::from_millis(100);
const PULL: Technique = Technique::Poll;
/// The paper's push server used the long polls of Bayeux.
const PUSH: [Technique; 2] = [Technique::LongPoll, Technique::Events];
/// The users with which push and pull are compared: where the paper's server was saturated.
const USERS: usize = 500;
/// The users of which only push is measured: twice as many.
const MANY: usize = 1_000;
const FULL: [usize; 1] = [2_000];

pub(crate) const CLAIM: Claim = Claim {
    id: "C9",
    sentence: "Push needs 7 times the server CPU of pull, and a push server is saturated with 350 to 500 users.",
    source: "Bozdag, Mesbah, van Deursen, \"A Comparison of Push and Pull Techniques for AJAX\" (WSE 2007), conclusions. Their push server was \
             Jetty with CometD.",
    setup: "500 users receive a message of 100 bytes every 100 ms: by short polling every 100 ms (pull), by long polling and by SSE (push). \
            Then 1,000 users receive by SSE and by long polling, and 2,000 in a full run. The paper's shortest interval is 1 s, so \
            that each user here costs ten times as much.",
    measured: "Server CPU per user and second, and per delivered message; the share of the server's core that is busy; and the 99th percentile \
               of the latency from publishing to receiving.",
    rule: "A server is saturated if its core is busy for more than 90 % of the time, or the 99th percentile is above an interval. It holds if both \
           push techniques need at least 7 times the CPU of pull, and push is saturated with 500 users. It does not hold if both need less than 7 \
           times, or push is not saturated with 1,000 users. At least 4 of 5 rounds must agree, and the factor by more than the noise. Otherwise \
           nothing is shown.",
    needs: &[Model::EventLoop, Model::Threads],
    takes: &[Model::Pool, Model::Loops, Model::Workers, Model::Poll],
    is_timed: true,
    chart: Chart::bars(CPU, ""),
    explanation: "With one message per poll, pull parses a request and writes an answer for each message, and push by SSE only writes. The \
                  polls come spread over the interval, and the deliveries of push at once, so that the server wakes up less often. The paper \
                  measured a Java server of 2007; this claim does not show why its factor was another one.",
    file: "src/push/hub/state.rs",
    seconds: [7.5, 70.0],
    measure,
    judge,
};

fn at(technique: Technique, users: usize) -> String {
    format!("{technique}, {} users", grouped(users as f64))
}

fn measure(lab: &mut Lab<'_>) -> Result<Findings> {
    let mut findings = Findings::default();
    // Each technique of each model is connected at the same time.
    let sets = lab.models().len() * PUSH.len();
    let users_max = lab.connections_max() / sets;
    if users_max < MANY {
        let needed = grouped((MANY * sets) as f64);
        findings.obstacles.push(format!("{needed} users need more descriptors than this process may have."));
        return Ok(findings);
    }
    let servers = lab.models().into_iter().map(|model| lab.start(model)).collect::<Result<Vec<_>>>()?;
    measure_users(lab, &servers, &[PULL, PUSH[0], PUSH[1]], USERS, &mut findings)?;
    let more = lab.effort().pick(&[][..], &FULL[..]);
    for users in [MANY].iter().chain(more).copied().filter(|users| *users <= users_max) {
        measure_users(lab, &servers, &PUSH, users, &mut findings)?;
    }
    Ok(findings)
}

fn measure_users(
    lab: &mut Lab<'_>,
    servers: &[ServerProcess],
    techniques: &[Technique],
    users: usize,
    findings: &mut Findings,
) -> Result<()> {
    let mut subjects = Vec::new();
    for server in servers {
        for technique in techniques {
            let plan = Plan { interval: EVERY, ..Plan::new(*technique) };
            let mut publisher = Publisher::connect(server.address, format!("{}-{users}", technique.counted_as()), PAYLOAD_BYTES)?;
            let mut subscribers = Subscribers::connect(server.address, plan, users, &publisher)?;
            subscribers.run(&mut publisher, Pace::warm_up())?.whole()?;
            subjects.push((server, *technique, publisher, subscribers));
        }
    }
    let messages = lab.effort().pick(2, 8);
    let rounds = lab.in_turn(lab.effort().pick(2, 5), &mut subjects, |lab, (server, technique, publisher, subscribers), round| {
        lab.step(&format!("{}, {}, round {}", at(*technique, users), server.model, round + 1))?;
        let before = server.usage();
        let run = subscribers.run(publisher, Pace::steady(messages, EVERY))?.whole()?;
        let used = before.until(server.usage());
        // Short polling takes half an interval longer, in which half of its users ask again. The
        // time is part of the figure.
        Ok([
            (CPU, used.cpu_seconds * 1e6 / users as f64 / used.seconds),
            (PER_MESSAGE, used.cpu_seconds * 1e6 / run.tally.messages as f64),
            (BUSY, used.cpu_seconds / used.seconds),
            (P99, run.tally.latency_ms(0.99) / (EVERY.as_secs_f64() * 1e3)),
        ])
    })?;
    for ((server, technique, ..), rounds) in subjects.iter().zip(rounds) {
        findings.add_rounds(server.model, &at(*technique, users), users as f64, &rounds);
    }
    Ok(())
}

/// The CPU of a push technique divided by that of pull, round by round.
fn ratios(findings: &Findings, model: Model, push: Technique) -> Vec<f64> {
    let rounds = |technique| findings.rounds(CPU, model, &at(technique, USERS));
    rounds(push).iter().zip(rounds(PULL)).map(|(push, pull)| push / pull).collect()
}

/// For each round, whether push is saturated (1) or not (0).
fn saturated(findings: &Findings, model: Model, push: Technique, users: usize) -> Vec<f64> {
    let (busy, p99) = (findings.rounds(BUSY, model, &at(push, users)), findings.rounds(P99, model, &at(push, users)));
    busy.iter().zip(p99).map(|(busy, p99)| f64::from(u8::from(*busy > 0.9 || *p99 > 1.0))).collect()
}

fn judge(findings: &Findings, noise: &Noise) -> Ruling {
    const TIMES: f64 = 7.0;
    let (mut factors, mut full, mut free, mut busy, mut medians) = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for model in [Model::EventLoop, Model::Threads] {
        for push in PUSH {
            let ratios = ratios(findings, model, push);
            if ratios.is_empty() || findings.rounds(BUSY, model, &at(push, MANY)).is_empty() {
                return Ruling::missing("pull and push on both models with each number of users");
            }
            factors.push(side(&ratios, TIMES, noise.cpu));
            medians.push(median(&ratios));
            full.extend(saturated(findings, model, push, USERS));
            free.extend(saturated(findings, model, push, MANY));
            busy.push(median(findings.rounds(BUSY, model, &at(push, MANY))));
        }
    }
    let all = |side| factors.iter().all(|factor| *factor == side);
    let is_seven_times = match () {
        () if all(Side::Above) => Agreement::True,
        () if all(Side::Below) => Agreement::False,
        () => Agreement::Split,
    };
    let is_saturated = if Agreement::of(&full, |value| value > 0.0) == Agreement::True {
        Agreement::True
    } else if Agreement::of(&free, |value| value > 0.0) == Agreement::False {
        Agreement::False
    } else {
        Agreement::Split
    };
    let ((low, high), (_, busiest)) = (spread(&medians), spread(&busy));
    Ruling::new(
        verdict([is_seven_times, is_saturated]),
        format!(
            "Push needs {} to {} times the CPU of pull. With 1,000 users and ten messages a second for each, push keeps at most {:.0} % of a core busy.",
            short(low),
            short(high),
            busiest * 100.0
        ),
    )
    .beside("Bozdag 2007: push / pull 7", format!("push / pull: {} to {}", short(low), short(high)))
    .beside("Bozdag 2007: saturated with 350 to 500 users", format!("{:.0} % of a core with 1,000 users", busiest * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Verdict;

    /// The CPU of push, where pull has 10, and how busy the core is with 500 and with 1,000 users.
    fn verdict(push: [f64; 2], busy: [f64; 2], p99: f64) -> Verdict {
        let mut findings = Findings::default();
        for model in [Model::EventLoop, Model::Threads] {
            findings.add(CPU, model, &at(PULL, USERS), 0.0, vec![10.0; 2]);
            for technique in PUSH {
                findings.add(CPU, model, &at(technique, USERS), 0.0, push.to_vec());
                for (users, busy) in [USERS, MANY].into_iter().zip(busy) {
                    findings.add(BUSY, model, &at(technique, users), 0.0, vec![busy; 2]);
                    findings.add(P99, model, &at(technique, users), 0.0, vec![p99; 2]);
                }
            }
        }
        judge(&findings, &Noise { cpu: 1.1, ..Noise::NONE }).verdict
    }

    #[test]
    fn the_rule_follows_the_figures() {
        assert_eq!(verdict([78.0, 90.0], [0.95, 1.0], 0.5), Verdict::Holds);
        assert_eq!(verdict([78.0, 90.0], [0.2, 0.4], 1.5), Verdict::Holds, "messages are late, so the server is saturated");
        assert_eq!(verdict([72.0, 90.0], [0.95, 1.0], 0.5), Verdict::NotShown, "7.2 is within the noise");
        assert_eq!(verdict([78.0, 90.0], [0.5, 1.0], 0.5), Verdict::NotShown, "saturated with more than 500 users");
        assert_eq!(verdict([78.0, 90.0], [0.2, 0.4], 0.5), Verdict::DoesNotHold, "not saturated with 1,000 users");
        assert_eq!(verdict([5.0, 20.0], [0.95, 1.0], 0.5), Verdict::DoesNotHold, "not 7 times");
    }
}
