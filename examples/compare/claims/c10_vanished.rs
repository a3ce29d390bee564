//! C10: clients that vanish without a word.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{Chart, Claim};
use crate::Result;
use crate::findings::{Findings, Noise, Quantity, Ruling, Verdict};
use crate::lab::Lab;
use crate::lab::crowd::{Crowd, Kind};
use crate::lab::model::Model;
use crate::lab::process::ServerProcess;
use crate::lab::samples::{median, spread};
use crate::lab::wire;
use crate::server::Setup;

const LEFT: Quantity = Quantity { name: "share of vanished clients that still have a socket", unit: "" };
const THREADS: Quantity = Quantity { name: "threads still held per vanished client", unit: "" };
const MEMORY: Quantity = Quantity { name: "user memory still held per vanished client", unit: "KiB" };
const RELEASED: Quantity = Quantity { name: "time until all are released", unit: "s" };
const LIVING: Quantity = Quantity { name: "share of living clients that are still connected", unit: "" };

/// What the server does about silent clients.
struct Case {
    at: &'static str,
    kind: Kind,
    has_heartbeat: bool,
    /// Whether `TCP_USER_TIMEOUT` is set to two heartbeats.
    is_impatient: bool,
}

const OFF: &str = "WebSocket, no heartbeat";
const ON: &str = "WebSocket, heartbeat";
const SSE_ON: &str = "SSE, heartbeat";
const SSE_IMPATIENT: &str = "SSE, heartbeat and TCP_USER_TIMEOUT";
const CASES: [Case; 5] = [
    Case { at: OFF, kind: Kind::WebSocket, has_heartbeat: false, is_impatient: false },
    Case { at: ON, kind: Kind::WebSocket, has_heartbeat: true, is_impatient: false },
    Case { at: "SSE, no heartbeat", kind: Kind::EventStream, has_heartbeat: false, is_impatient: false },
    Case { at: SSE_ON, kind: Kind::EventStream, has_heartbeat: true, is_impatient: false },
    Case { at: SSE_IMPATIENT, kind: Kind::EventStream, has_heartbeat: true, is_impatient: true },
];
/// The clients of each server that stay, and answer pings.
const STAY: usize = 20;
/// The servers are observed for this many heartbeats, and for up to twice as long if one has not
/// yet released all that it should.
const HEARTBEATS: u32 = 5;
/// A living client has so many heartbeats of time for its pong, because it may have to wait for its
/// processor.
const PONG_INTERVALS: u64 = 3;

pub(crate) const CLAIM: Claim = Claim {
    id: "C10",
    sentence: "Without heartbeats, clients that vanish keep their sockets on the server.",
    source: "RFC 6455 (2011), section 5.5.2: a ping is \"a means to verify that the remote endpoint is still responsive\"; RFC 9293 (2022), \
             section 3.8.4: TCP's own keep-alive is off by default, and then waits for two hours.",
    setup: "Subscribers of a topic, and 20 more that stay and answer pings. The subscribers vanish: their sockets stay open, and a filter \
            drops every packet for them. So their system sends no end, no reset and no acknowledgement, as after a power cut or a lost \
            radio link. No message is published. A heartbeat is sent every 400 ms (1 s in a full run). A pong must come within three such \
            intervals.",
    measured: "How many vanished clients still have a socket after five heartbeats or more, the threads and memory that the server still \
               has for each, and whether the living clients are still connected.",
    rule: "It holds if at least 99 % of the vanished WebSockets keep their socket without heartbeats, at most 1 % with heartbeats, and all \
           living clients stay, on both models and in every round. It does not hold if at most 1 % keep their socket without heartbeats, or at \
           least 99 % with heartbeats, on both models and in every round. Otherwise nothing is shown. SSE is shown beside it.",
    needs: &[Model::EventLoop, Model::Threads],
    takes: &[Model::Loops, Model::Workers, Model::Poll],
    is_timed: false,
    chart: Chart::bars(LEFT, ""),
    explanation: "A server that sends nothing gets no error, and a peer that is quiet looks like one that is gone. A WebSocket's pong is an answer \
                  of the client. A comment of SSE has no answer: the system keeps it and sends it again, until TCP_USER_TIMEOUT ends the \
                  connection. Memory of ended connections may stay with the process, for later ones.",
    file: "src/session/websocket.rs",
    seconds: [3.8, 31.0],
    measure,
    judge,
};

fn measure(lab: &mut Lab<'_>) -> Result<Findings> {
    let mut findings = Findings::default();
    if !cfg!(target_os = "linux") {
        findings.obstacles.push("This system has no filter that drops the packets of a socket.".to_owned());
        return Ok(findings);
    }
    let models = lab.models();
    let mut rounds: Vec<Vec<Left>> = models.iter().flat_map(|_| &CASES).map(|_| Vec::new()).collect();
    for round in 0..lab.effort().pick(1, 3) {
        lab.step(&format!("round {}", round + 1))?;
        let subjects = models.iter().flat_map(|model| CASES.iter().map(|case| (*model, case)));
        let subjects = subjects.map(|(model, case)| Subject::start(lab, model, case)).collect::<Result<Vec<_>>>()?;
        for (rounds, left) in rounds.iter_mut().zip(observe(lab, subjects)?) {
            rounds.push(left);
        }
    }
    let settings = models.iter().flat_map(|model| CASES.iter().enumerate().map(move |(x, case)| (*model, x, case)));
    for ((model, x, case), rounds) in settings.zip(&rounds) {
        let mut add =
            |quantity, figure: fn(&Left) -> f64| findings.add(quantity, model, case.at, x as f64, rounds.iter().map(figure).collect());
        add(LEFT, |left| left.sockets);
        add(THREADS, |left| left.threads);
        add(MEMORY, |left| left.memory_kib);
        add(RELEASED, |left| left.released.map_or(f64::NAN, |time| time.as_secs_f64()));
        add(LIVING, |left| left.living);
    }
    Ok(findings)
}

/// A server with its clients.
struct Subject {
    server: ServerProcess,
    is_watched: bool,
    living: Living,
    /// The clients have vanished. Their sockets stay open until the end.
    vanished: Vec<TcpStream>,
    sockets: Option<u64>,
    threads: Option<u64>,
    memory: Option<u64>,
    vanished_at: Instant,
    released: Option<Duration>,
}

/// What a server still has of its vanished clients. NaN where the system does not tell.
struct Left {
    sockets: f64,
    threads: f64,
    memory_kib: f64,
    released: Option<Duration>,
    living: f64,
}

fn heartbeat(lab: &Lab<'_>) -> Duration {
    Duration::from_millis(lab.effort().pick(400, 1_000))
}

impl Subject {
    fn start(lab: &mut Lab<'_>, model: Model, case: &Case) -> Result<Self> {
        lab.step(&format!("{model}, {}", case.at))?;
        let every = heartbeat(lab).as_millis() as u64;
        // The clients of all servers are open in this process at the same time.
        let most = (lab.connections_max() / (lab.models().len() * CASES.len())).saturating_sub(STAY);
        let count = lab.effort().pick(100, 1_000).min(most);
        let server = lab.start_with(&Setup {
            heartbeat_ms: if case.has_heartbeat { every } else { 0 },
            pong_ms: PONG_INTERVALS * every,
            unacknowledged_ms: if case.is_impatient { 2 * every } else { 0 },
            ..lab.setup(model)
        })?;
        let mut crowd = Crowd::new(case.kind, server.address)?;
        crowd.grow(STAY)?;
        let living = Living::start(crowd.into_sockets())?;
        let (threads, sockets) = (server.settled_threads(), server.sockets());
        let memory = server.memory().map(|memory| memory.private_dirty);
        let mut crowd = Crowd::new(case.kind, server.address)?;
        crowd.grow(count)?;
        let vanished = crowd.into_sockets();
        vanished.iter().try_for_each(vanish)?;
        let is_watched = case.has_heartbeat && (case.kind == Kind::WebSocket || case.is_impatient);
        Ok(Self { server, is_watched, living, vanished, sockets, threads, memory, vanished_at: Instant::now(), released: None })
    }

    /// The sockets of vanished clients.
    fn sockets(&self) -> Option<f64> {
        Some(self.server.sockets()? as f64 - self.sockets? as f64)
    }

    fn end(self) -> Result<Left> {
        let each = |growth: Option<f64>| growth.map_or(f64::NAN, |growth| growth / self.vanished.len() as f64);
        let grown = |before: Option<u64>, after: Option<u64>| Some(after? as f64 - before? as f64);
        let memory = self.server.memory().map(|memory| memory.private_dirty);
        Ok(Left {
            sockets: each(self.sockets()),
            threads: each(grown(self.threads, self.server.settled_threads())),
            memory_kib: each(grown(self.memory, memory)) / 1024.0,
            released: self.released,
            living: self.living.end()? as f64 / STAY as f64,
        })
    }
}

/// Every packet for this socket is dropped from now on: the filter is the one instruction "return
/// 0", which keeps no byte of a packet (bpf(4)).
#[cfg(target_os = "linux")]
fn vanish(socket: &TcpStream) -> std::io::Result<()> {
    const RETURN: u16 = 0x06;
    socket2::SockRef::from(socket).attach_filter(&[socket2::SockFilter::new(RETURN, 0, 0, 0)])
}

#[cfg(not(target_os = "linux"))]
fn vanish(_: &TcpStream) -> std::io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

/// Observes all servers at the same time.
fn observe(lab: &mut Lab<'_>, mut subjects: Vec<Subject>) -> Result<Vec<Left>> {
    let (begin, least) = (Instant::now(), heartbeat(lab) * HEARTBEATS);
    let is_waiting = |subject: &Subject| subject.is_watched && subject.released.is_none();
    while begin.elapsed() < least || subjects.iter().any(is_waiting) && begin.elapsed() < 2 * least {
        lab.step("vanished clients")?;
        for subject in &mut subjects {
            if subject.released.is_none() && subject.sockets().is_some_and(|sockets| sockets <= 0.0) {
                subject.released = Some(subject.vanished_at.elapsed());
            }
        }
        thread::sleep(Duration::from_millis(50));
    }
    subjects.into_iter().map(Subject::end).collect()
}

/// Clients that read, and answer pings.
struct Living {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<usize>,
}

impl Living {
    fn start(mut sockets: Vec<TcpStream>) -> Result<Self> {
        sockets.iter().try_for_each(|socket| socket.set_nonblocking(true))?;
        let is_over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_over);
        let thread = thread::Builder::new().spawn(move || {
            while !flag.load(Relaxed) {
                sockets.retain_mut(|socket| listen(socket).is_ok());
                thread::sleep(Duration::from_millis(10));
            }
            sockets.len()
        })?;
        Ok(Self { is_over, thread })
    }

    /// The number of clients that are still connected.
    fn end(self) -> Result<usize> {
        self.is_over.store(true, Relaxed);
        self.thread.join().map_err(|_| "the living clients panicked".into())
    }
}

/// Reads what is there. Pings come alone, because nothing else is sent.
fn listen(socket: &mut TcpStream) -> std::io::Result<()> {
    const PING: u8 = 0x89;
    const PONG: u8 = 10;
    let mut buffer = [0; 1_024];
    match socket.read(&mut buffer) {
        Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
        Ok(len) if buffer[0] == PING && len >= 2 => {
            let end = (2 + usize::from(buffer[1])).min(len);
            socket.write_all(&wire::frame(PONG, &buffer[2..end]))
        }
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error),
    }
}

fn judge(findings: &Findings, _: &Noise) -> Ruling {
    const NEARLY_ALL: f64 = 0.99;
    const NEARLY_NONE: f64 = 0.01;
    let models = [Model::EventLoop, Model::Threads];
    let all = |quantity, at| -> Vec<f64> { models.into_iter().flat_map(|model| findings.rounds(quantity, model, at).to_vec()).collect() };
    let (off, on, living) = (all(LEFT, OFF), all(LEFT, ON), all(LIVING, ON));
    if models.iter().any(|model| findings.median(LEFT, model, OFF).is_none() || findings.median(LEFT, model, ON).is_none()) {
        return Ruling::missing("both models with and without heartbeats");
    }
    let ((off_low, off_high), (on_low, on_high)) = (spread(&off), spread(&on));
    let verdict = if off_high <= NEARLY_NONE || on_low >= NEARLY_ALL {
        Verdict::DoesNotHold
    } else if off_low >= NEARLY_ALL && on_high <= NEARLY_NONE && spread(&living).0 >= 1.0 {
        Verdict::Holds
    } else {
        Verdict::NotShown
    };
    let percent = |rounds: &[f64]| format!("{:.0} %", median(rounds) * 100.0);
    let sse = [SSE_ON, SSE_IMPATIENT].map(|at| percent(&all(LEFT, at)));
    let because = format!(
        "Of the vanished WebSockets, {} keep their socket without heartbeats, and {} with them. With heartbeats, {} of the living ones stay. \
         Of the vanished SSE clients, {} keep their socket with heartbeats, and {} with TCP_USER_TIMEOUT, too.",
        percent(&off),
        percent(&on),
        percent(&living),
        sse[0],
        sse[1]
    );
    Ruling::new(verdict, because)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_follows_the_figures() {
        let verdict = |off: [f64; 2], on: [f64; 2], living: f64| {
            let mut findings = Findings::default();
            for (at, model) in [Model::EventLoop, Model::Threads].into_iter().enumerate() {
                findings.add(LEFT, model, OFF, 0.0, vec![off[at]]);
                findings.add(LEFT, model, ON, 1.0, vec![on[at]]);
                findings.add(LIVING, model, ON, 1.0, vec![living]);
            }
            judge(&findings, &Noise::NONE).verdict
        };
        assert_eq!(verdict([1.0, 0.99], [0.0, 0.01], 1.0), Verdict::Holds);
        assert_eq!(verdict([1.0, 0.98], [0.0, 0.0], 1.0), Verdict::NotShown, "a model disagrees");
        assert_eq!(verdict([1.0, 1.0], [0.0, 0.02], 1.0), Verdict::NotShown);
        assert_eq!(verdict([1.0, 1.0], [0.0, 0.0], 0.95), Verdict::NotShown, "a living client was closed");
        assert_eq!(verdict([0.0, 0.01], [0.0, 0.0], 1.0), Verdict::DoesNotHold, "nothing leaks");
        assert_eq!(verdict([1.0, 1.0], [1.0, 0.99], 1.0), Verdict::DoesNotHold, "heartbeats do not help");
    }
}
