//! C6: held requests use up a bounded pool.

use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::{Chart, Claim};
use crate::Result;
use crate::findings::{Findings, Noise, Quantity, Ruling, Verdict};
use crate::lab::Lab;
use crate::lab::model::Model;
use crate::lab::samples::{inner_spread, median, short};
use crate::lab::wire::{self, ANSWER_TIMEOUT};
use crate::server::Setup;

const ANSWER: Quantity = Quantity { name: "time to an ordinary answer", unit: "ms" };

const NONE: &str = "no thread is held";
const BUT_ONE: &str = "all threads but one are held";
const ALL: &str = "all threads are held";
const LEFT: &str = "the held ones leave";
/// The threads of the pool, and the requests that are held.
const THREADS: usize = 8;
/// An ordinary answer that takes longer counts as blocked.
const WAIT: Duration = Duration::from_millis(500);

pub(crate) const CLAIM: Claim = Claim {
    id: "C6",
    sentence: "Held requests use up a bounded pool of threads, which then answers nobody.",
    source: "JSR 315, \"Java Servlet 3.0 Specification\" (2009), section 2.3.3.3: threads that wait \"can cause thread starvation and poor \
             quality of service for an entire web container\".",
    setup: "A pool of 8 threads gets 7 and then 8 requests that the server holds. Each time, one client connects and asks for 13 bytes. It \
            waits for 500 ms. Then the held clients leave, and it waits again. The other models get the same requests.",
    measured: "The time from the ordinary request to its answer. A client that got no answer counts with 500 ms.",
    rule: "It holds if `pool` does not answer within 500 ms when all threads are held, and `event-loop` answers within 100 ms, in at least 4 of 5 rounds. It does not hold if `pool` answers within 100 ms in at least 4 of 5 rounds, or `event-loop` does not answer within 500 ms in at least 4 of 5 rounds. Otherwise nothing is shown.",
    needs: &[Model::EventLoop, Model::Threads, Model::Pool, Model::Workers],
    takes: &[Model::Loops, Model::Poll],
    is_timed: false,
    chart: Chart::bars(ANSWER, "").log(),
    explanation: "A thread of the pool belongs to its connection until the connection ends. The ninth connection waits in the accept queue, \
                  which is first in, first out. When a held client leaves, its thread takes the next connection.",
    file: "examples/third_driver.rs",
    seconds: [1.7, 2.8],
    measure,
    judge,
};

fn measure(lab: &mut Lab<'_>) -> Result<Findings> {
    let mut findings = Findings::default();
    for model in lab.models() {
        let mut rounds = Vec::new();
        for round in 0..lab.effort().rounds() {
            lab.step(&format!("{model}, round {}", round + 1))?;
            // Each round has a server of its own, so that no connection of the round before has a
            // thread.
            let server = lab.start_with(&Setup { threads: THREADS, ..lab.setup(model) })?;
            rounds.push(one_round(server.address).map_err(|error| format!("the {model} server: {error}"))?);
        }
        for (x, at) in [NONE, BUT_ONE, ALL, LEFT].into_iter().enumerate() {
            findings.add(ANSWER, model, at, x as f64, rounds.iter().map(|round| round[x]).collect());
        }
    }
    Ok(findings)
}

fn one_round(address: SocketAddr) -> Result<[f64; 4]> {
    let none = Ordinary::ask(address)?.within(WAIT)?;
    let mut held = Vec::new();
    while held.len() < THREADS - 1 {
        held.push(hold(address)?);
    }
    wait_until_held(address, held.len())?;
    let but_one = Ordinary::ask(address)?.within(WAIT)?;
    held.push(hold(address)?);
    // The pool takes connections in their order: the ordinary one comes after the held one.
    let mut ordinary = Ordinary::ask(address)?;
    let all = ordinary.within(WAIT)?;
    drop(held);
    let is_blocked = all >= WAIT;
    let left = if is_blocked { ordinary.again(ANSWER_TIMEOUT)? } else { Ordinary::ask(address)?.within(ANSWER_TIMEOUT)? };
    if left >= ANSWER_TIMEOUT {
        return Err(format!("an ordinary request got no answer within {ANSWER_TIMEOUT:?} after the held ones had left").into());
    }
    Ok([none, but_one, all, left].map(|time| time.as_secs_f64() * 1e3))
}

fn hold(address: SocketAddr) -> std::io::Result<TcpStream> {
    let mut socket = wire::connect(address)?;
    socket.write_all(&wire::get("/hold", ""))?;
    Ok(socket)
}

/// Asks on a new connection each time, which leaves at once: it would keep a thread of the pool.
fn wait_until_held(address: SocketAddr, count: usize) -> Result<()> {
    let begin = Instant::now();
    while begin.elapsed() < ANSWER_TIMEOUT {
        let answer = wire::ask(&mut wire::connect(address)?, &wire::get("/held", ""))?;
        if answer.body == count.to_string().as_bytes() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(1));
    }
    Err(format!("{count} requests were not held within {ANSWER_TIMEOUT:?}").into())
}

/// An ordinary request on a connection of its own.
struct Ordinary {
    socket: TcpStream,
    begin: Instant,
}

impl Ordinary {
    fn ask(address: SocketAddr) -> std::io::Result<Self> {
        let begin = Instant::now();
        let mut socket = wire::connect(address)?;
        socket.write_all(&wire::get("/plaintext", ""))?;
        Ok(Self { socket, begin })
    }

    /// The time from the request to its answer. A request without an answer counts with `most`.
    fn within(&mut self, most: Duration) -> Result<Duration> {
        self.socket.set_read_timeout(Some(most))?;
        match self.socket.peek(&mut [0]) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(most),
            other => other?,
        };
        let time = self.begin.elapsed();
        let answer = wire::read_answer(&mut self.socket)?;
        if answer.status == 200 { Ok(time.min(most)) } else { Err(wire::unexpected(&answer.bytes).into()) }
    }

    /// Waits again for the same answer. The time counts from now.
    fn again(&mut self, most: Duration) -> Result<Duration> {
        self.begin = Instant::now();
        self.within(most)
    }
}

fn judge(findings: &Findings, _: &Noise) -> Ruling {
    const FREE_MS: f64 = 100.0;
    let blocked_ms = WAIT.as_secs_f64() * 1e3;
    let (pool, event_loop) = (findings.rounds(ANSWER, Model::Pool, ALL), findings.rounds(ANSWER, Model::EventLoop, ALL));
    if pool.is_empty() || event_loop.is_empty() {
        return Ruling::missing("`pool` and `event-loop` with all threads held");
    }
    let ((pool_low, pool_high), (loop_low, loop_high)) = (inner_spread(pool), inner_spread(event_loop));
    let verdict = if pool_low >= blocked_ms && loop_high <= FREE_MS {
        Verdict::Holds
    } else if pool_high <= FREE_MS || loop_low >= blocked_ms {
        Verdict::DoesNotHold
    } else {
        Verdict::NotShown
    };
    let told = |rounds: &[f64]| match median(rounds) {
        ms if ms >= blocked_ms => format!("does not answer within {} ms", short(blocked_ms)),
        ms => format!("answers after {} ms", short(ms)),
    };
    let left = findings.median(ANSWER, Model::Pool, LEFT).map_or_else(|| "n/a".to_owned(), short);
    let because = format!(
        "With {THREADS} of {THREADS} threads held, `pool` {}, and `event-loop` {}. `pool` answers {left} ms after the held clients \
         have left.",
        told(pool),
        told(event_loop)
    );
    Ruling::new(verdict, because)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_follows_the_figures() {
        let verdict = |pool: [f64; 2], event_loop: [f64; 2]| {
            let mut findings = Findings::default();
            findings.add(ANSWER, Model::Pool, ALL, 0.0, pool.to_vec());
            findings.add(ANSWER, Model::EventLoop, ALL, 0.0, event_loop.to_vec());
            judge(&findings, &Noise::NONE).verdict
        };
        assert_eq!(verdict([500.0, 500.0], [0.2, 100.0]), Verdict::Holds);
        assert_eq!(verdict([500.0, 400.0], [0.2, 0.2]), Verdict::NotShown, "a round was answered");
        assert_eq!(verdict([500.0, 500.0], [0.2, 101.0]), Verdict::NotShown);
        assert_eq!(verdict([0.3, 100.0], [0.2, 0.2]), Verdict::DoesNotHold, "the pool is not exhausted");
        assert_eq!(verdict([500.0, 500.0], [500.0, 500.0]), Verdict::DoesNotHold, "the event loop is blocked, too");
    }
}
