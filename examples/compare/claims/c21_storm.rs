//! C21: all clients come back after a restart.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use super::{Chart, Claim, agreement};
use crate::Result;
use crate::findings::{Findings, Noise, Quantity, Ruling, Verdict};
use crate::lab::model::Model;
use crate::lab::returning::{Return, Returning};
use crate::lab::samples::Side;
use crate::lab::{Lab, wire};
use crate::server::Setup;

const SLOWEST: Quantity = Quantity { name: "longest wait of a client for its stream", unit: "ms" };
const OTHERS: Quantity = Quantity { name: "slowest answer to others meanwhile", unit: "ms" };
const BACK: Quantity = Quantity { name: "time until all are back", unit: "s" };
const PEAK: Quantity = Quantity { name: "most connections within 100 ms", unit: "" };
const FAILED: Quantity = Quantity { name: "connection attempts that failed", unit: "" };

const TOGETHER: &str = "all at one time";
const SPREAD: &str = "spread by retry";
const TARGET: &str = "/topics/c21/events";

pub(crate) const CLAIM: Claim = Claim {
    id: "C21",
    sentence: "A restart brings a storm: all clients come back at one time, and nobody gets an answer meanwhile.",
    source: "The \"thundering herd\" of reconnecting clients. AWS Architecture Blog, Brooker, \"Exponential Backoff and Jitter\" (2015); \
             WHATWG HTML, section 9.2.3, for `retry` and the user agent's own back-off.",
    setup: "A server with 500 (quick) or 5,000 (full) event streams shuts down and starts again on the same port. The old server tells each \
            client when to come back (`retry`): all after 300 ms, or spread over 0.5 s (quick) or 5 s (full) more. Another client opens a \
            connection and asks for 13 bytes every 5 ms, from the start of the new server on.",
    measured: "The longest time from a client's first attempt to its open stream, the slowest answer to the other client, the most connections \
               within 100 ms, and the time until all streams are open again.",
    rule: "It holds if, on each model and in at least 4 of 5 rounds, the longest wait is more than twice as long when all clients come at one time as \
           when they are spread, by more than the noise. It does not hold if it is less than twice as long in at least 4 of 5 rounds. Otherwise, and \
           in a quick run with its one round, nothing is shown. The other client decides nothing: whether it comes just behind the crowd is a \
           matter of luck.",
    needs: &[Model::EventLoop, Model::Threads],
    takes: &[Model::Loops, Model::Poll],
    is_timed: true,
    chart: Chart::bars(SLOWEST, "return").log(),
    explanation: "Clients that come at one time wait for each other. Those that do not fit into the queue of the listening socket try again \
                  after 1 s (TCP's first retransmission), and so does a client that comes behind them. A server that shuts down knows its clients, so it can give each of them another time.",
    file: "src/driver/config.rs",
    seconds: [7.5, 60.0],
    measure,
    judge,
};

fn measure(lab: &mut Lab<'_>) -> Result<Findings> {
    let mut findings = Findings::default();
    let wanted = lab.effort().pick(500, 5_000);
    let clients = wanted.min(lab.connections_max() / 2);
    if clients < wanted {
        findings.notes.push(format!("Only {clients} clients: this process may have only {} descriptors.", lab.conditions.limits.soft));
    }
    let spread_ms = lab.effort().pick(500, 5_000);
    let mut ways: Vec<(Model, &str, u64)> = Vec::new();
    for model in lab.models() {
        ways.extend([(model, TOGETHER, 0), (model, SPREAD, spread_ms)]);
    }
    let rounds = lab.in_turn(lab.effort().pick(1, 3), &mut ways, |lab, (model, way, spread_ms), round| {
        lab.step(&format!("{clients} clients, {way}, {model}, round {}", round + 1))?;
        restart(lab, &Setup { spread_ms: *spread_ms, ..lab.setup(*model) }, clients)
    })?;
    for ((model, way, _), rounds) in ways.iter().zip(&rounds) {
        let x = f64::from(u8::from(*way == SPREAD));
        findings.add(SLOWEST, model, way, x, rounds.iter().map(|(back, _)| back.slowest.as_secs_f64() * 1e3).collect());
        findings.add(OTHERS, model, way, x, rounds.iter().map(|(_, worst_ms)| *worst_ms).collect());
        findings.add(BACK, model, way, x, rounds.iter().map(|(back, _)| back.seconds).collect());
        findings.add(PEAK, model, way, x, rounds.iter().map(|(back, _)| back.most_within_100_ms as f64).collect());
        findings.add(FAILED, model, way, x, rounds.iter().map(|(back, _)| back.failed as f64).collect());
    }
    Ok(findings)
}

/// Restarts a server under its clients. Returns how they came back, and the slowest answer to
/// another client meanwhile, in milliseconds.
fn restart(lab: &Lab<'_>, setup: &Setup, clients: usize) -> Result<(Return, f64)> {
    let mut old = lab.start_with(setup)?;
    let mut returning = Returning::connect(old.address, TARGET, clients)?;
    let mut control = wire::connect(old.address)?;
    wire::ask(&mut control, &wire::get("/shutdown", ""))?;
    drop(control);
    let setup = Setup { port: old.address.port(), ..setup.clone() };
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let back = scope.spawn(|| {
            // An error type of its own, because the usual one cannot leave its thread.
            let back = returning.come_back(Duration::from_secs(60)).map_err(|error| error.to_string());
            is_over.store(true, Relaxed);
            back
        });
        let asked = (|| {
            if !old.wait(Duration::from_secs(10))? {
                return Err("the old server did not end within 10 s".into());
            }
            let new = lab.start_with(&setup)?;
            let worst = ask_until(new.address, &is_over);
            // The new server ends after its clients have come back.
            while !is_over.load(Relaxed) {
                thread::sleep(Duration::from_millis(5));
            }
            worst
        })();
        let back = back.join().map_err(|_| "the returning clients panicked")?;
        Ok((back?, asked?))
    })
}

/// Opens a connection and asks, every 5 ms. Returns the longest time from when an answer was due to
/// be asked for to the answer, in milliseconds.
fn ask_until(address: SocketAddr, is_over: &AtomicBool) -> Result<f64> {
    let interval = Duration::from_millis(5);
    let (mut due, mut worst) = (Instant::now(), Duration::ZERO);
    while !is_over.load(Relaxed) {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let mut socket = wire::connect(address)?;
        wire::ask(&mut socket, &wire::get("/plaintext", "Connection: close\r\n"))?;
        let now = Instant::now();
        worst = worst.max(now.duration_since(due));
        due = now.max(due + interval);
    }
    Ok(worst.as_secs_f64() * 1e3)
}

fn judge(findings: &Findings, noise: &Noise) -> Ruling {
    const TIMES: f64 = 2.0;
    // What the system does with a full queue of connections depends on single packets.
    const ROUNDS_MIN: usize = 2;
    let models = findings.models();
    let ratio = |model: &Model| {
        let [together, spread] = [TOGETHER, SPREAD].map(|way| findings.rounds(SLOWEST, model, way));
        crate::lab::samples::Ratio::of(together, spread)
    };
    let Some(ratios) = models.iter().map(ratio).collect::<Option<Vec<_>>>().filter(|ratios| !ratios.is_empty()) else {
        return Ruling::missing("both ways to come back");
    };
    let rounds = models.iter().map(|model| findings.rounds(SLOWEST, model, TOGETHER).len()).min().unwrap_or(0);
    let sides: Vec<Side> = ratios.iter().map(|ratio| ratio.side(TIMES, noise.latency)).collect();
    let verdict = if rounds < ROUNDS_MIN { Verdict::NotShown } else { agreement::all_above(&sides) };
    let each = models.iter().zip(&ratios).map(|(model, ratio)| format!("{:.1} times on `{model}`", ratio.median));
    Ruling::new(verdict, format!("The longest wait is {} as long as with a spread return.", each.collect::<Vec<_>>().join(" and ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_follows_the_figures() {
        let verdict = |together: &[f64], spread: &[f64]| {
            let mut findings = Findings::default();
            for model in [Model::EventLoop, Model::Threads] {
                findings.add(SLOWEST, model, TOGETHER, 0.0, together.to_vec());
                findings.add(SLOWEST, model, SPREAD, 1.0, spread.to_vec());
            }
            judge(&findings, &Noise { latency: 1.1, ..Noise::NONE }).verdict
        };
        assert_eq!(verdict(&[100.0, 90.0], &[10.0, 11.0]), Verdict::Holds);
        assert_eq!(verdict(&[100.0, 21.0], &[10.0, 10.0]), Verdict::NotShown, "a round is within the noise");
        assert_eq!(verdict(&[12.0, 9.0], &[10.0, 10.0]), Verdict::DoesNotHold);
        assert_eq!(verdict(&[19.0, 19.0], &[10.0, 10.0]), Verdict::NotShown, "1.9 is within the noise of 2");
        assert_eq!(verdict(&[100.0], &[10.0]), Verdict::NotShown, "one round");
    }
}
